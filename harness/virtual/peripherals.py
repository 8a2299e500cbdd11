"""The peripherals that firmware needs, as registers with effects. Offsets are bytes from the peripheral's base.

Sources: nRF52840 Product Specification v1.7 for POWER, CLOCK, NVMC, GPIO; Armv7-M Architecture Reference Manual
(DDI 0403) for DWT and the System Control Block.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import ClassVar

from tinyrig.virtual.timing.clock import Counter

MASK32 = 0xFFFFFFFF


class Registers:
    """A register file: reads give what was written last, or the reset value, or 0."""

    resets: ClassVar[dict[int, int]] = {}

    def __init__(self) -> None:
        self.values = dict(self.resets)

    def read(self, offset: int) -> int:
        return self.values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        self.values[offset] = value

    def reset(self) -> None:
        """As the hardware's reset leaves it."""
        self.values = dict(self.resets)


class Unmodelled(Registers):
    """A peripheral that exists on the chip but not here: reads 0, and the first access is reported."""

    def __init__(self, base: int, report: Callable[[str], None]) -> None:
        super().__init__()
        self._base, self._report, self._said = base, report, False

    def _say(self) -> None:
        if not self._said:
            self._said = True
            self._report(f"peripheral at 0x{self._base:08X} is not modelled: reads 0, writes have no effect")

    def read(self, offset: int) -> int:
        self._say()
        return 0

    def write(self, offset: int, value: int) -> None:
        self._say()


class PowerClock(Registers):
    """POWER and CLOCK share a page. RESETREAS and GPREGRET survive resets. Without `crystal` HFCLKSTART does nothing."""

    STARTS: ClassVar[dict[int, int]] = {0x000: 0x100, 0x008: 0x104}  # TASKS_{HF,LF}CLKSTART -> EVENTS_{HF,LF}CLKSTARTED: at once
    HFCLKSTAT, LFCLKSTAT, RESETREAS, GPREGRET, GPREGRET2 = 0x40C, 0x418, 0x400, 0x51C, 0x520
    REASON_PIN, REASON_SREQ, REASON_LOCKUP = 1, 4, 8
    RUNNING = 0x10001  # crystal, running
    HFCLKSTART = 0x000

    def __init__(self, crystal: bool = True) -> None:
        super().__init__()
        self._crystal = crystal

    def write(self, offset: int, value: int) -> None:
        if offset == self.HFCLKSTART and not self._crystal:
            return
        if offset in self.STARTS and value & 1:
            self.values[self.STARTS[offset]] = 1
            self.values[self.HFCLKSTAT if offset == 0 else self.LFCLKSTAT] = self.RUNNING
        elif offset == self.RESETREAS:
            self.values[offset] = self.read(offset) & ~value  # cleared by writing ones
        else:
            super().write(offset, value & 0xFF if offset in (self.GPREGRET, self.GPREGRET2) else value)

    def reset(self) -> None:
        self.values = {k: v for k, v in self.values.items() if k in (self.RESETREAS, self.GPREGRET, self.GPREGRET2)}

    def add_reason(self, bit: int) -> None:
        """Why the chip was reset; reasons add up until firmware clears them."""
        self.values[self.RESETREAS] = self.read(self.RESETREAS) | bit


class Nvmc(Registers):
    """Always ready; firmware can't write flash here (the flash is mapped read-only, so it faults). The instruction cache is off
    after a reset. With profiling on, IHIT and IMISS count; a hit is a word that the core fetches, which no document says."""

    ICACHECNF, IHIT, IMISS = 0x540, 0x548, 0x54C
    CACHEEN, CACHEPROFEN = 1, 1 << 8
    resets: ClassVar[dict[int, int]] = {0x400: 1, 0x408: 1}  # READY, READYNEXT

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter
        self._since = {self.IHIT: 0, self.IMISS: 0}  # the counts when they were started

    def _counted(self, offset: int) -> int:
        return self._counter.hits if offset == self.IHIT else self._counter.misses

    def _profiling(self) -> bool:
        return bool(super().read(self.ICACHECNF) & self.CACHEPROFEN)

    def read(self, offset: int) -> int:
        """The two counters do not wrap around (PS 4.3.9.9)."""
        if offset in self._since and self._profiling():
            return min(super().read(offset) + self._counted(offset) - self._since[offset], MASK32)
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        if offset == self.ICACHECNF:
            self._configure(value)
            return
        super().write(offset, value)
        if offset in self._since:
            self._since[offset] = self._counted(offset)

    def _configure(self, value: int) -> None:
        counts = {offset: self.read(offset) for offset in self._since}
        if (value ^ super().read(self.ICACHECNF)) & self.CACHEEN:
            self._counter.cached(bool(value & self.CACHEEN))
        super().write(self.ICACHECNF, value)
        for offset, count in counts.items():
            self.write(offset, count)


class Gpio(Registers):
    """Both GPIO ports. The trigger (port_trigger, P1.11) goes into the pipe that TINYRIG_PORT_MARK names, as 1 and 0."""

    P1_OUTSET, P1_OUTCLR, TRIGGER = 0x808, 0x80C, 1 << 11

    def __init__(self) -> None:
        super().__init__()
        name = os.environ.get("TINYRIG_PORT_MARK")
        self._pipe = os.open(name, os.O_RDWR | os.O_NONBLOCK) if name else None  # read and write: nobody need listen yet

    def write(self, offset: int, value: int) -> None:
        if self._pipe is not None and value & self.TRIGGER and offset in (self.P1_OUTSET, self.P1_OUTCLR):
            with contextlib.suppress(BlockingIOError):  # nobody reads it
                os.write(self._pipe, b"1" if offset == self.P1_OUTSET else b"0")
        super().write(offset, value)


class Timer(Registers):
    """TIMER0 (PS 6.30) in timer mode: counts from CLEAR to CC[0] and raises COMPARE[0] once. `now_us()` is the chip's time.

    Simplifications: the prescaler is taken for 1 MHz, the other compare registers, shorts and captures do nothing."""

    START, STOP, CLEAR, SHUTDOWN, COMPARE0, INTENSET, INTENCLR, CC0 = 0x000, 0x004, 0x00C, 0x010, 0x140, 0x304, 0x308, 0x540
    MASK_COMPARE0 = 1 << 16

    def __init__(self, now_us: Callable[[], float]) -> None:
        super().__init__()
        self._now_us = now_us
        self._counted = 0.0
        self._since: float | None = None  # None: stopped

    def write(self, offset: int, value: int) -> None:
        if offset in (self.START, self.STOP, self.CLEAR, self.SHUTDOWN):
            self._task(offset)
        elif offset == self.INTENSET:
            self.values[offset] = self.read(offset) | value
        elif offset == self.INTENCLR:
            self.values[self.INTENSET] = self.read(self.INTENSET) & ~value
        else:
            super().write(offset, value)

    def _task(self, offset: int) -> None:
        self._counted = 0.0 if offset == self.CLEAR else self._count()
        running = offset == self.START or (offset == self.CLEAR and self._since is not None)
        self._since = self._now_us() if running else None

    def _count(self) -> float:
        since = self._since  # once: two threads look
        return self._counted + (self._now_us() - since if since is not None else 0.0)

    def interrupts(self) -> bool:
        """Whether the interrupt's line is high now: time reached, or the event still stands."""
        if self._since is not None and self._count() >= self.read(self.CC0):
            self.values[self.COMPARE0] = 1
        return bool(self.read(self.COMPARE0) and self.read(self.INTENSET) & self.MASK_COMPARE0)

    def reset(self) -> None:
        super().reset()
        self._counted, self._since = 0.0, None


class CoreDebug:
    """DEMCR.TRCENA, which the DWT needs."""

    trace_enabled = False


class Spans:
    """What lay between two reads of the cycle counter that followed each other, by each memory system that counts. Short ones are
    left out, and those in which the processor waited; of equal ones by the first system the extremes are kept."""

    SHORTEST = 256  # cycles
    MOST = 512
    BAND = 3  # systems; behind more there are other layouts, whose caches are empty at first, so that the latest span counts

    def __init__(self) -> None:
        self._last: tuple[int, ...] = ()
        self._waited = 0
        self._kept: dict[int, tuple[int, ...]] = {}  # the cycles by the first system -> those by the others

    def read(self, cycles: tuple[int, ...], waited: int) -> None:
        """The program reads the counter now. `cycles`: of all systems."""
        last, self._last = self._last, cycles
        before, self._waited = self._waited, waited
        if len(cycles) != len(last):  # other layouts count from now on, or no longer
            self._kept.clear()
            return
        if len(cycles) < 2 or waited != before or cycles[0] - last[0] < self.SHORTEST:
            return
        span = tuple(now - then for now, then in zip(cycles, last, strict=True))
        known = self._kept.pop(span[0], None)
        known = span[1:] if known is None or len(span) > self.BAND else known
        ends = (min(known[0], span[1]), *(max(a, b) for a, b in zip(known[1:], span[2:], strict=True)))
        self._kept[span[0]] = ends
        if len(self._kept) > self.MOST:
            del self._kept[next(iter(self._kept))]

    def all(self) -> list[tuple[int, ...]]:
        """The latest of them: cycles by the first system, by the low end of its band, by the high one;
        while other layouts count, for each of them by the first system and by the high end."""
        return [(first, *others) for first, others in list(self._kept.items())]


class Dwt(Registers):
    """CTRL and CYCCNT. The count runs while DEMCR.TRCENA and CTRL.CYCCNTENA are set."""

    CTRL, CYCCNT = 0x000, 0x004
    resets: ClassVar[dict[int, int]] = {CTRL: 0x40000000}

    def __init__(self, counter: Counter, by_instructions: bool, debug: CoreDebug) -> None:
        super().__init__()
        self._counter, self._by_instructions, self._debug = counter, by_instructions, debug
        self.waited_cycles = 0
        self.spans = Spans()
        self._held = 0  # the count while it stands still
        self._origin = self._now()

    def _now(self) -> int:
        executed = self._counter.instructions if self._by_instructions else self._counter.cycles
        return executed + self.waited_cycles

    def _runs(self) -> bool:
        return bool(self._debug.trace_enabled and self.values[self.CTRL] & 1)

    def count(self) -> int:
        """CYCCNT."""
        return (self._now() - self._origin if self._runs() else self._held) & MASK32

    def settle(self, change: Callable[[], None]) -> None:
        """Makes a change that may start or stop the count, without losing it."""
        count = self.count()
        change()
        self._held, self._origin = count, self._now() - count

    def read(self, offset: int) -> int:
        if offset != self.CYCCNT:
            return super().read(offset)
        if not self._by_instructions:
            self.spans.read(self._counter.all_cycles, self.waited_cycles)
        return self.count()

    def write(self, offset: int, value: int) -> None:
        if offset == self.CYCCNT:
            self._held, self._origin = value, self._now() - value
        elif offset == self.CTRL:
            self.settle(lambda: self.values.update({self.CTRL: 0x40000000 | value & 1}))

    def reset(self) -> None:
        super().reset()
        self._held, self._origin = 0, self._now()


class SystemControl(Registers):
    """The page at 0xE000E000: NVIC (enable bits only), SCB, MPU, SysTick's registers (which don't count) and DEMCR."""

    CPUID, VTOR, AIRCR, CFSR, HFSR, MMFAR, BFAR, CPACR, DEMCR = 0xD00, 0xD08, 0xD0C, 0xD28, 0xD2C, 0xD34, 0xD38, 0xD88, 0xDFC
    VECTKEY, SYSRESETREQ, TRCENA = 0x05FA, 4, 1 << 24
    ISER0, ICER0 = 0x100, 0x180
    resets: ClassVar[dict[int, int]] = {CPUID: 0x410FC241, AIRCR: 0xFA050000}

    def __init__(self, debug: CoreDebug, request_reset: Callable[[], None]) -> None:
        super().__init__()
        self._debug, self._request_reset = debug, request_reset
        self.dwt: Dwt | None = None

    def write(self, offset: int, value: int) -> None:
        if offset == self.CPUID:
            return
        if offset == self.AIRCR:
            if value >> 16 == self.VECTKEY and value & self.SYSRESETREQ:
                self._request_reset()
        elif offset == self.ISER0:
            self.values[offset] = self.read(offset) | value
        elif offset == self.ICER0:
            self.values[self.ISER0] = self.read(self.ISER0) & ~value
        elif offset in (self.CFSR, self.HFSR):
            self.values[offset] = self.read(offset) & ~value  # cleared by writing ones
        else:
            super().write(offset, value)
        if offset == self.DEMCR:
            self._trace(bool(value & self.TRCENA))

    def _trace(self, enabled: bool) -> None:
        assert self.dwt is not None
        self.dwt.settle(lambda: setattr(self._debug, "trace_enabled", enabled))

    def reset(self) -> None:
        super().reset()
        self._debug.trace_enabled = False
