"""UARTE0 with EasyDMA, as the nRF52840 Product Specification v1.7 (6.34) describes it, polled.

Simplifications: bytes that arrive while no reception runs wait on the line; where a real FIFO would have overrun that is
reported, not enacted. RXDRDY reports one or more bytes; errors of the line's format can't happen. A poll that finds nothing
waits for the line (and the wait counts as time of the CPU), so an idle board costs no host time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from tinyrig.virtual import chip
from tinyrig.virtual.line import BITS_PER_BYTE, SerialLine
from tinyrig.virtual.peripherals import Registers

STARTRX, STOPRX, STARTTX, STOPTX, FLUSHRX = 0x000, 0x004, 0x008, 0x00C, 0x02C
RXDRDY, ENDRX, TXDRDY, ENDTX, ERROR, RXTO, RXSTARTED, TXSTARTED, TXSTOPPED = (
    0x108,
    0x110,
    0x11C,
    0x120,
    0x124,
    0x144,
    0x14C,
    0x150,
    0x158,
)
SHORTS, ENABLE, PSEL_TXD, PSEL_RXD, BAUDRATE = 0x200, 0x500, 0x50C, 0x514, 0x524
RXD_PTR, RXD_MAXCNT, RXD_AMOUNT, TXD_PTR, TXD_MAXCNT, TXD_AMOUNT = 0x534, 0x538, 0x53C, 0x544, 0x548, 0x54C
ENABLED = 8
DMA_MAX = 0xFFFF
SHORT_ENDRX_STARTRX, SHORT_ENDRX_STOPRX = 1 << 5, 1 << 6
FIFO_BYTES = 4
BAUD_PER_REGISTER = 16_000_000 / 2**32
"""BAUDRATE holds baud * 2^32 / 16 MHz, rounded to multiples of 4096."""

WAIT_S = 0.004
"""Longest wait of one poll: fine enough for the firmware's 20 ms timeouts."""
WAIT_IDLE_S = 0.05
"""The same once the line has been silent for IDLE_S."""
IDLE_S = 0.2


class BusError(Exception):
    """EasyDMA was pointed outside RAM."""


@dataclass
class DmaAccess:
    """How the DMA reaches RAM."""

    read: Callable[[int, int], bytes]
    write: Callable[[int, bytes], None]


class Uarte(Registers):
    """One serial port on `line`. `waited(seconds)` hears how long a poll slept; `cycles()` is the CPU's time."""

    resets: ClassVar[dict[int, int]] = {
        PSEL_TXD: 0xFFFFFFFF,
        PSEL_RXD: 0xFFFFFFFF,
        0x508: 0xFFFFFFFF,
        0x510: 0xFFFFFFFF,
        BAUDRATE: 0x04000000,
    }

    def __init__(
        self,
        line: SerialLine,
        memory: DmaAccess,
        waited: Callable[[float], None],
        cycles: Callable[[], int],
        report: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._cycles, self._overrun = cycles, False
        self._idle_since: int | None = None  # None: no transfer since the reset
        self._line, self._memory, self._waited, self._report = line, memory, waited, report
        self._rx_to = self._rx_left = self._rx_got = 0
        self._receiving = self._sending = False
        self._last_byte = time.monotonic()
        self.patience_s: Callable[[], float] = lambda: WAIT_IDLE_S
        """How long a poll may wait for the line at most: something else may happen on the chip before."""
        self._tasks = {
            STARTRX: self._start_rx,
            STOPRX: self._stop_rx,
            FLUSHRX: self._flush_rx,
            STARTTX: self._start_tx,
            STOPTX: self._stop_tx,
        }

    def reset(self) -> None:
        super().reset()
        self._receiving = self._sending = False
        self._idle_since = None

    def read(self, offset: int) -> int:
        if offset in (ENDRX, RXDRDY) and not self.values.get(offset) and self._receiving:
            wait = WAIT_S if time.monotonic() - self._last_byte < IDLE_S else WAIT_IDLE_S
            self._pump(min(wait, self.patience_s()))
        elif offset == ENDTX and self._sending:
            self._finish_tx(min(WAIT_S, self.patience_s()))
        return self.values.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset not in self._tasks:
            self.values[offset] = value & DMA_MAX if offset in (RXD_MAXCNT, TXD_MAXCNT) else value
        elif value & 1:
            self._run_task(offset)

    def _run_task(self, offset: int) -> None:
        if self.values.get(ENABLE) != ENABLED:
            self._report("UARTE0: task started while not enabled: no effect")
            return
        self._tasks[offset]()

    def _connected(self, register: int, pin: int, name: str) -> bool:
        if self.values[register] == pin:
            return True
        self._report(f"UARTE0: PSEL.{name} is 0x{self.values[register]:X}, not the board's Serial1 pin {pin}: no bytes pass")
        return False

    def _start_rx(self) -> None:
        self._rx_to, self._rx_left, self._rx_got = self.values.get(RXD_PTR, 0), self.values.get(RXD_MAXCNT, 0), 0
        self._check_ram(self._rx_to, self._rx_left)
        self._check_overrun()
        self.values[RXSTARTED] = 1
        self._receiving = self._connected(PSEL_RXD, chip.PIN_RX, "RXD")
        if self._receiving and not self._rx_left:
            self._end_rx()

    def _check_overrun(self) -> None:
        """Whether bytes that wait now would have outrun the FIFO since the last transfer ended."""
        if self._overrun or self._idle_since is None:
            return
        baud = self.values[BAUDRATE] * BAUD_PER_REGISTER
        gap = self._cycles() - self._idle_since
        if gap * baud > FIFO_BYTES * BITS_PER_BYTE * chip.CLOCK_HZ and self._line.waiting():
            self._overrun = True
            self._report(f"UARTE0: bytes came while no reception ran for {gap} cycles: a real FIFO would have overrun")

    def _pump(self, timeout_s: float) -> None:
        """Moves what has arrived into RAM; waits up to `timeout_s` if that is nothing."""
        began = time.monotonic()
        data = self._line.receive(self._rx_left, timeout_s)
        now = time.monotonic()
        self._waited(now - began)
        if not data:
            return
        self._last_byte = now
        self._memory.write(self._rx_to + self._rx_got, data)
        self._rx_got += len(data)
        self._rx_left -= len(data)
        self.values[RXDRDY] = 1
        if not self._rx_left:
            self._end_rx()

    def _end_rx(self) -> None:
        self._receiving = False
        self._idle_since = self._cycles()
        self.values[RXD_AMOUNT] = self._rx_got
        self.values[ENDRX] = 1
        shorts = self.values.get(SHORTS, 0)
        if shorts & SHORT_ENDRX_STARTRX:
            self._start_rx()
        elif shorts & SHORT_ENDRX_STOPRX:
            self.values[RXTO] = 1

    def _stop_rx(self) -> None:
        if self._receiving:
            self._receiving = False
            self.values[RXD_AMOUNT] = self._rx_got
            self.values[ENDRX] = 1
        self.values[RXTO] = 1

    def _flush_rx(self) -> None:
        """Moves the FIFO's bytes, if any, to RAM: after STOPRX and RXTO only."""
        to, limit = self.values.get(RXD_PTR, 0), min(FIFO_BYTES, self.values.get(RXD_MAXCNT, 0))
        self._check_ram(to, limit)
        data = self._line.receive(limit, 0) if limit else b""
        self._memory.write(to, data)
        self.values[RXD_AMOUNT] = len(data)
        self.values[ENDRX] = 1

    def _start_tx(self) -> None:
        start, count = self.values.get(TXD_PTR, 0), self.values.get(TXD_MAXCNT, 0)
        self._check_ram(start, count)
        self.values[TXSTARTED] = 1
        self.values[TXD_AMOUNT] = count
        if self._connected(PSEL_TXD, chip.PIN_TX, "TXD"):
            self._line.send(self._memory.read(start, count))
        self._sending = True
        self._finish_tx(0)

    def _finish_tx(self, timeout_s: float) -> None:
        began = time.monotonic()
        if self._line.sent(timeout_s):
            self._sending = False
            self._idle_since = self._cycles()
            self.values[TXDRDY] = self.values[ENDTX] = 1
        if timeout_s:
            self._waited(time.monotonic() - began)

    def _stop_tx(self) -> None:
        self._sending = False
        self.values[TXSTOPPED] = 1

    def _check_ram(self, start: int, count: int) -> None:
        if count and (start < chip.RAM_BASE or start + count > chip.RAM_BASE + chip.RAM_BYTES):
            raise BusError(f"EasyDMA of {count} bytes at 0x{start:08X}: it reaches RAM only")
