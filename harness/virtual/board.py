"""The virtual Nano 33 BLE: CPU, peripherals and bootloader behind one pty that survives resets."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tinyrig.virtual import chip
from tinyrig.virtual.bootloader import Bootloader
from tinyrig.virtual.cpu import HARDFAULT, PRECISERR, STKERR, Cpu, Trap
from tinyrig.virtual.faults import Fault
from tinyrig.virtual.line import SerialLine
from tinyrig.virtual.line_faults import LineFault
from tinyrig.virtual.peripherals import CoreDebug, Dwt, Gpio, Nvmc, PowerClock, Registers, SystemControl, Timer, Unmodelled
from tinyrig.virtual.sensors.bench import Bench, Chip
from tinyrig.virtual.timing.calibrated import chip_of
from tinyrig.virtual.timing.clock import make_counter
from tinyrig.virtual.timing.layouts import functions, layouts
from tinyrig.virtual.timing.self_test import check_reads
from tinyrig.virtual.timing.systems import NO_WAIT
from tinyrig.virtual.uarte import BusError, DmaAccess, Uarte

UARTE0, TIMER0, NVMC, DWT, SCS = 0x40002000, 0x40008000, 0x4001E000, 0xE0001000, 0xE000E000
TIMER0_IRQ = 8
LAID_OUT = (0, 2)
"""Of Chip.systems: the default and the high end count for other layouts."""
LOCKUP_PAUSE_S = 0.05
"""A program that locks up is reset by the chip at once; here with a pause, so that it can't eat a host core."""


def time_of_host() -> float:
    """Microseconds: what the chip's time is while its cycles are not counted."""
    return time.monotonic() * 1e6


@dataclass(frozen=True)
class BoardOptions:
    """As on the command line; `image` is (address, bytes) pieces to preload, empty for blank flash."""

    image: tuple[tuple[int, bytes], ...] = ()
    line_rate: int = 0
    clock: str = "cycles"
    hook: str = "auto"
    faults: tuple[Fault | LineFault, ...] = ()
    number: int = 0
    fault_seed: int = 0
    memory: str = NO_WAIT
    sensors: Path | None = None
    sensor_speed: float = 1.0
    sensor_log: Path | None = None


class Board:
    """`run()` never returns; `tick()` is called from another thread some fifty times a second."""

    def __init__(self, options: BoardOptions) -> None:
        self.line = SerialLine(options.line_rate, options.faults, options.fault_seed)
        self.cpu = Cpu(chip.ficr_page(options.number), self._read_io, self._write_io)
        memory = options.memory if options.clock == "cycles" else NO_WAIT  # no instruction waits for being counted
        self._chip = chip_of(memory)
        counting = partial(make_counter, options.clock, options.hook, chip=self._chip)
        if memory != NO_WAIT:
            check_reads(counting)
        self.counter = counting([self.cpu.flash, self.cpu.ram])
        self.counter.attach(self.cpu)
        if options.hook == "auto" and self.counter.name == "python":
            print("cycles are counted in Python, which is slow: no working cc on PATH", file=sys.stderr, flush=True)
        self._reset_wanted = self._to_bootloader = self._in_bootloader = False
        self._bus_error: str | None = None
        self._sensors: Bench | None = None
        self._reason = PowerClock.REASON_SREQ
        self._said: set[str] = set()
        self._make_peripherals(options)
        self.bootloader = Bootloader(self.line, self.cpu.flash.bytes, options.faults, lambda: self._reset_wanted)
        for address, data in options.image:
            self.cpu.flash.bytes[address : address + len(data)] = data
        lost = [f.argument for f in options.faults if isinstance(f, Fault) and f.name == "boot-ram"]
        self._boot_ram = max(lost, default=0)
        self.power.add_reason(PowerClock.REASON_PIN)

    def _make_peripherals(self, options: BoardOptions) -> None:
        debug = CoreDebug()
        self.power = PowerClock(crystal=all(f.name != "no-crystal" for f in options.faults if isinstance(f, Fault)))
        self.dwt = Dwt(self.counter, options.clock == "instructions", debug)
        self.scs = SystemControl(debug, self._request_reset)
        self.scs.dwt = self.dwt
        self.timer = Timer(time_of_host if options.clock == "off" else self._time_us)
        memory = DmaAccess(self.cpu.read, self.cpu.write)
        self.uarte = Uarte(self.line, memory, self._waited, self._program_cycles, self.report)
        self._pages: dict[int, Registers] = {
            chip.PERIPHERALS_BASE: self.power,
            UARTE0: self.uarte,
            TIMER0: self.timer,
            NVMC: Nvmc(self.counter),
            chip.GPIO_BASE: Gpio(),
            DWT: self.dwt,
            SCS: self.scs,
        }
        if options.sensors is not None:
            chip_time = time_of_host if options.clock == "off" else self._time_us
            self._sensors = Bench(
                options.sensors,
                options.sensor_speed,
                options.faults,
                Chip(memory, chip_time, self._pass_us, self._program_cycles),
                options.sensor_log,
            )
            self._pages |= self._sensors.pages
            self.uarte.patience_s = self._sensors.patience_s

    def report(self, text: str) -> None:
        """On stderr, every text once."""
        if text not in self._said:
            self._said.add(text)
            print(text, file=sys.stderr, flush=True)

    def lay_out(self, elf: Path) -> int:
        """Other layouts of the running program, whose file is `elf`, count from now on until the chip is reset; how many.
        Called while the program waits for a request."""
        found = layouts(functions(elf), self._chip.default) if len(self._chip.systems) > 1 else ()
        self.counter.lay_out(found, LAID_OUT)
        return len(found)

    def tick(self) -> None:
        """Watches for the 1200-baud touch, which works however busy the program is."""
        if self.line.touched() and not (self._in_bootloader and self.bootloader.alive):
            self.line.drop()
            self._to_bootloader = True
            self._request_reset()
        elif (self._reset_wanted or self._irq_pending()) and not self._in_bootloader:
            self.cpu.stop()  # again: the first may have come just before the emulator started

    def _request_reset(self) -> None:
        self._reset_wanted = True
        self.cpu.stop()

    def run(self) -> None:
        """Boots, and runs forever: bootloader or program, as a real board decides at each reset."""
        while True:
            if self._stays_in_bootloader():
                self._in_bootloader = True
                self.bootloader.serve()
                self._in_bootloader = False
                self.power.add_reason(PowerClock.REASON_SREQ)
            else:
                self._run_program()

    def _stays_in_bootloader(self) -> bool:
        overwritten = min(self._boot_ram, chip.RAM_BYTES)
        self.cpu.ram.bytes[:overwritten] = b"\xb0" * overwritten
        asked = self._to_bootloader or self.power.read(PowerClock.GPREGRET) == chip.GPREGRET_BOOTLOADER
        self._to_bootloader = self._reset_wanted = False
        self.power.write(PowerClock.GPREGRET, 0)
        return asked or not chip.startable(self.cpu.flash.bytes)

    def _run_program(self) -> None:
        for registers in self._pages.values():
            registers.reset()
        self.scs.write(SystemControl.VTOR, chip.IMAGE_BASE)
        self._reason = PowerClock.REASON_SREQ
        self.counter.forget()
        self.cpu.start(chip.IMAGE_BASE)
        while not self._reset_wanted:
            trap = self.cpu.run()
            if self._reset_wanted:
                break
            if self._bus_error:
                trap, self._bus_error = Trap(self._bus_error, PRECISERR), None
            if trap:
                self._hardfault(trap)
            elif self._irq_pending():
                self._interrupt()
            else:
                self._wait_for_event()
        self.power.add_reason(self._reason)

    def _irq_pending(self) -> bool:
        return self.timer.interrupts() and bool(self.scs.read(SystemControl.ISER0) >> TIMER0_IRQ & 1)

    def _interrupt(self) -> None:
        """TIMER0's handler, as soon as the program lets it; one without room for its frame is a fault."""
        if not self.cpu.interruptible():
            return
        if not self.cpu.has_room():
            self._hardfault(Trap("no room to stack an interrupt's frame", 0))
        elif not self.cpu.enter(16 + TIMER0_IRQ, self.scs.read(SystemControl.VTOR)):
            self._lock_up()

    def _hardfault(self, trap: Trap) -> None:
        """The program's HardFault handler, or a lockup, which resets the chip."""
        print(f"fault: {trap.what} at PC 0x{self.cpu.pc:08X}", file=sys.stderr, flush=True)
        values = self.scs.values
        values[SystemControl.HFSR] = 1 << 30  # FORCED: escalated from a configurable fault
        values[SystemControl.CFSR] = self.scs.read(SystemControl.CFSR) | trap.cfsr | (0 if self.cpu.has_room() else STKERR)
        if trap.address is not None:
            values[SystemControl.BFAR] = trap.address
        if not self.cpu.enter(HARDFAULT, self.scs.read(SystemControl.VTOR)):
            self._lock_up()

    def _lock_up(self) -> None:
        print("lockup: no handler could run; the chip resets", file=sys.stderr, flush=True)
        time.sleep(LOCKUP_PAUSE_S)
        self._reason = PowerClock.REASON_LOCKUP
        self._reset_wanted = True

    def _wait_for_event(self) -> None:
        """WFI or WFE ended the emulation (or a stop that came late): let a little time pass and continue."""
        time.sleep(0.001)
        self._waited(0.001)

    def _time_us(self) -> float:
        return (self.counter.cycles + self.dwt.waited_cycles) / chip.CYCLES_PER_US

    def _program_cycles(self) -> int:
        return self.counter.cycles

    def _waited(self, seconds: float) -> None:
        self._pass_us(seconds * 1e6 if self._sensors is None else self._sensors.waited_us(seconds))

    def _pass_us(self, us: float) -> None:
        self.dwt.waited_cycles += int(us * chip.CYCLES_PER_US)

    def _page(self, address: int) -> Registers:
        base = address & -chip.PAGE_BYTES
        if base not in self._pages:
            self._pages[base] = Unmodelled(base, self.report)
        return self._pages[base]

    def _read_io(self, address: int) -> int:
        if self._reset_wanted:
            self.cpu.stop()
        return self._page(address).read(address % chip.PAGE_BYTES) & 0xFFFFFFFF

    def _write_io(self, address: int, value: int) -> None:
        try:
            self._page(address).write(address % chip.PAGE_BYTES, value)
        except BusError as error:
            self._bus_error = str(error)
            self.cpu.stop()
