"""A register-level model of the STM32F401RE: what the port's clock and UART set-up touches, and rules that silicon would enforce
by misbehaving. It judges no speed: a cycle is an instruction here, at most.

`complaints` lists every broken rule: a peripheral used without its clock, a clock raised before the flash's wait states, a PLL
outside its limits, an overrun. Sources: RM0368 (reference manual), sections named at each peripheral; DS10086 (datasheet)
for limits of clocks. Unlike the virtual nRF52840 it runs inside the caller's process.
TIM2's is the only interrupt (13.4).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from elftools.elf.elffile import ELFFile
from unicorn import (
    UC_ARCH_ARM,
    UC_HOOK_BLOCK,
    UC_HOOK_MEM_INVALID,
    UC_MODE_MCLASS,
    UC_MODE_THUMB,
    UC_PROT_ALL,
    UC_PROT_EXEC,
    UC_PROT_READ,
    Uc,
)
from unicorn.arm_const import UC_ARM_REG_LR, UC_ARM_REG_PC, UC_ARM_REG_SP, UC_CPU_ARM_CORTEX_M4

from tinyrig.virtual.cpu import HARDFAULT, Cpu

FLASH_BASE, FLASH_BYTES = 0x08000000, 512 << 10
RAM_BASE, RAM_BYTES = 0x20000000, 96 << 10
SYSTEM_MEMORY, UNIQUE_ID = 0x1FFF7000, 0x1FFF7A10
UNIQUE = bytes(range(0x10, 0x1C))
HSI_HZ, HSE_HZ = 16_000_000, 8_000_000
"""The second is the ST-LINK's clock output on a NUCLEO-F401RE (UM1724 6.7.1)."""
TIM2, USART2, PWR, GPIOA, RCC, FLASH = 0x40000000, 0x40004400, 0x40007000, 0x40020000, 0x40023800, 0x40023C00
TIM2_IRQ = 28
"""10.2, table 38."""
DWT, SCS = 0xE0001000, 0xE000E000
BLOCK = 0x400
BITS_PER_BYTE = 10
WAIT_STATE_HZ = 30_000_000
"""Each so many Hz need one wait state more at 2.7 to 3.6 V: 3.4.1, table 6."""
IDLE_STEP_S, IDLE_STEPS = 1e-3, 100
"""A status register that is read while nothing is under way passes time; so many in a row: it waits for the host."""


class Core(Cpu):
    """The same processor with this chip's memories. `count(instructions)` hears at most how many of them come next."""

    def __init__(self, elf: Path, read_io: Callable, write_io: Callable, count: Callable[[int], None]) -> None:
        self.uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M4)
        self.uc.mem_map(FLASH_BASE, FLASH_BYTES, UC_PROT_READ | UC_PROT_EXEC)
        self.uc.mem_map(RAM_BASE, RAM_BYTES, UC_PROT_ALL)
        self.uc.mem_map(SYSTEM_MEMORY, 0x1000, UC_PROT_READ)
        self.uc.mem_write(UNIQUE_ID, UNIQUE)
        with elf.open("rb") as file:
            for segment in ELFFile(file).iter_segments():
                if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                    self.uc.mem_write(segment["p_paddr"], segment.data())
        for base, size in ((0x40000000, 0x80000), (0xE0000000, 0x100000)):
            self._map_io(base, size, read_io, write_io)
        self._invalid = None
        self.uc.hook_add(UC_HOOK_MEM_INVALID, self._note_invalid)
        self.uc.hook_add(UC_HOOK_BLOCK, lambda _uc, _at, size, _data: count(size // 2))  # Thumb: two bytes at least
        self._pristine = self.uc.context_save()

    def start(self, vectors: int) -> None:
        self.uc.context_restore(self._pristine)
        stack, entry = struct.unpack("<II", self.uc.mem_read(vectors, 8))
        self.uc.reg_write(UC_ARM_REG_SP, stack)
        self.uc.reg_write(UC_ARM_REG_LR, 0xFFFFFFFF)
        self.uc.reg_write(UC_ARM_REG_PC, entry & ~1)


class Chip:
    """Runs an ELF linked for the chip. `exchange()` is its serial line. `hse`: whether the ST-LINK's clock arrives. `deaf_plls`:
    how many times the PLL is started in vain."""

    RESETS: ClassVar[dict[int, int]] = {
        RCC: 0x83,
        RCC + 0x04: 0x24003010,
        PWR: 0x8000,
        PWR + 4: 0,
        GPIOA: 0x0C000000,
        GPIOA + 0x08: 0x0C000000,
        GPIOA + 0x0C: 0x64000000,
        USART2: 0xC0,
        SCS + 0xD0C: 0xFA050000,
    }
    CLOCKS: ClassVar[dict[int, tuple[int, int]]] = {  # block: (enable register of RCC, bit), 6.3.9 and 6.3.11
        GPIOA: (0x30, 0),
        TIM2: (0x40, 0),
        USART2: (0x40, 17),
        PWR: (0x40, 28),
    }

    def __init__(self, elf: Path, hse: bool = True, deaf_plls: int = 0) -> None:
        self._hse, self._deaf_plls = hse, deaf_plls
        self.complaints: list[str] = []
        self.history: list[int] = []
        """Frequencies of the core, in the order they were switched to."""
        self.line_speed = 1.0
        """How much faster than the baud rate the host's bytes come: what margin the program has."""
        self._core = Core(elf, self._read, self._write, self._count)
        self.resets = -1
        self._reset()

    def _count(self, instructions: int) -> None:
        self.cycles += instructions
        if self._alarm is not None and self.cycles >= self._alarm and self._core.interruptible():
            self._core.stop()

    def _reset(self) -> None:
        self.resets += 1
        self.registers = dict(self.RESETS)
        self.cycles = 0
        self._since_counter = 0
        self._seconds, self._cycles_then = 0.0, 0
        self.rx: deque[int] = deque()
        self.sent = bytearray()
        self._rx_at = self._tx_free = 0.0
        self._idle = 0
        self.overruns = 0
        self._alarm: int | None = None  # TIM2 interrupts at this cycle
        self._reset_wanted = self._waits = self._locks = False
        self._core.start(FLASH_BASE)

    # Clocks: 6.2, 6.3.1 to 6.3.3

    def core_hz(self) -> int:
        source = self.registers.get(RCC + 8, 0) >> 2 & 3
        divided = self.registers.get(RCC + 8, 0) >> 4 & 15
        hz = (HSI_HZ, HSE_HZ, self._pll_hz(), 0)[source]
        return hz >> (0, 1, 2, 3, 4, 6, 7, 8, 9)[max(0, divided - 7)]

    def apb1_hz(self) -> int:
        return self.core_hz() >> max(0, (self.registers.get(RCC + 8, 0) >> 10 & 7) - 3)

    def timer_hz(self) -> int:
        """Of the timers on APB1."""
        return self.apb1_hz() if self.apb1_hz() == self.core_hz() else 2 * self.apb1_hz()

    def baud(self) -> float:
        """19.3.4, oversampling by 16."""
        return self.apb1_hz() / (self.registers.get(USART2 + 8, 0) or 1)

    def _pll_hz(self) -> int:
        value = self.registers[RCC + 4]
        source = HSE_HZ if value >> 22 & 1 else HSI_HZ
        return source // (value & 63) * (value >> 6 & 0x1FF) // (2 * (value >> 16 & 3) + 2)

    def _check_pll(self) -> None:
        value = self.registers[RCC + 4]
        into = (HSE_HZ if value >> 22 & 1 else HSI_HZ) / (value & 63)
        vco = into * (value >> 6 & 0x1FF)
        self._demand(1e6 <= into <= 2e6, f"PLL input {into:.0f} Hz: 1 to 2 MHz")
        self._demand(192e6 <= vco <= 432e6, f"VCO {vco:.0f} Hz: 192 to 432 MHz")

    def _check_switch(self) -> None:
        self.history.append(self.core_hz())
        need = (self.core_hz() - 1) // WAIT_STATE_HZ
        have = self.registers.get(FLASH, 0) & 15
        self._demand(have >= need, f"{self.core_hz()} Hz with {have} wait states: {need}")
        self._demand(self.core_hz() <= 84_000_000, f"core {self.core_hz()} Hz: at most 84 MHz")
        self._demand(self.apb1_hz() <= 42_000_000, f"APB1 {self.apb1_hz()} Hz: at most 42 MHz")
        scale = self.registers[PWR] >> 14 & 3
        self._demand(scale == 2 or self.core_hz() <= 60_000_000, f"{self.core_hz()} Hz in voltage scale {scale}")

    def _demand(self, holds: bool, rule: str) -> None:
        if not holds and rule not in self.complaints:
            self.complaints.append(rule)

    # Registers

    def _clocked(self, block: int) -> bool:
        if block not in self.CLOCKS:
            return True
        register, bit = self.CLOCKS[block]
        on = bool(self.registers.get(RCC + register, 0) >> bit & 1)
        self._demand(on, f"0x{block:08X} used without its clock")
        return on

    def _read(self, address: int) -> int:
        if not self._clocked(address & ~(BLOCK - 1)):
            self._wait()
            return 0
        if address == RCC and (self.registers[RCC] >> 16 & 3 == 1 or self.registers[RCC] >> 24 & 3 == 1):
            self._pass(IDLE_STEP_S)  # waits for an oscillator or a PLL that never comes
        if address == USART2:
            return self._usart_status()
        if address == USART2 + 4:
            return self._usart_take()
        if address == DWT + 4:
            return (self.cycles - self._since_counter) & 0xFFFFFFFF if self._counts() else 0
        return self.registers.get(address, 0)

    def _counts(self) -> bool:
        """DEMCR.TRCENA and DWT_CTRL.CYCCNTENA."""
        return bool(self.registers.get(SCS + 0xDFC, 0) >> 24 & 1 and self.registers.get(DWT, 0) & 1)

    def _write(self, address: int, value: int) -> None:
        block = address & ~(BLOCK - 1)
        if not self._clocked(block):
            return
        before = self.registers.get(address, 0)
        self.registers[address] = value
        if block == RCC:
            self._write_clocks(address, before, value)
        elif address == PWR:
            self._demand(not self.registers[RCC] >> 24 & 1, "VOS written while the PLL is on")
        elif address == USART2 + 4:
            self._usart_put(value)
        elif address == DWT + 4:
            self._since_counter = self.cycles - value
        elif address == SCS + 0xD0C and value >> 16 == 0x5FA and value & 4:
            self._reset_wanted = True
            self._core.stop()
        elif block == TIM2:
            self._set_alarm()
        elif address == SCS + 0xD28:
            self.registers[address] = before & ~value

    def _write_clocks(self, address: int, before: int, value: int) -> None:
        if address == RCC:
            self._control(before, value)
        elif address == RCC + 4:
            self._demand(not self.registers[RCC] >> 24 & 1, "PLLCFGR written while the PLL is on")
        elif address == RCC + 8:
            self.registers[address] = value & ~12 | (value & 3) << 2
            self._check_switch()

    def _control(self, before: int, value: int) -> None:
        """RCC_CR: oscillators are ready at once, or never."""
        hse, bypass, pll = value >> 16 & 1, value >> 18 & 1, value >> 24 & 1
        self._demand(not (before >> 16 & 1 and (before ^ value) >> 18 & 1), "HSEBYP written while HSEON is set")
        if pll and not before >> 24 & 1:
            self._check_pll()
            self._locks = self._deaf_plls == 0
            self._deaf_plls = max(0, self._deaf_plls - 1)
            from_hse = self.registers[RCC + 4] >> 22 & 1
            self._demand(bool(not from_hse or before >> 17 & 1), "PLL started on an HSE that is not ready")
        ready = (hse and bypass and self._hse) << 17 | (pll and self._locks) << 25 | 2
        self.registers[RCC] = value & ~(1 << 17 | 1 << 25) | ready

    def _set_alarm(self) -> None:
        """13.4: counts up to ARR once, at the timer clock by PSC + 1, then interrupts."""
        on = self.registers.get(TIM2, 0) & 1 and self.registers.get(TIM2 + 12, 0) & 1
        ticks = self.registers.get(TIM2 + 0x2C, 0) * (self.registers.get(TIM2 + 0x28, 0) + 1)
        self._alarm = self.cycles + ticks * self.core_hz() // self.timer_hz() if on else None

    # USART2: 19.3, 19.6

    def now(self) -> float:
        """Seconds since the reset."""
        hz = self.core_hz()
        self._seconds += (self.cycles - self._cycles_then) / hz
        self._cycles_then = self.cycles
        return self._seconds

    def _pass(self, seconds: float) -> None:
        self.cycles += int(seconds * self.core_hz()) + 1

    def _byte_s(self) -> float:
        return BITS_PER_BYTE / self.baud()

    def _usable(self) -> bool:
        """Whether the pins PA2 and PA3 are the USART's (8.3.2, AF7) and it is on."""
        mode, function = self.registers[GPIOA], self.registers.get(GPIOA + 0x20, 0)
        return mode >> 4 & 15 == 0b1010 and function >> 8 & 0xFF == 0x77 and self.registers.get(USART2 + 12, 0) & 0x200C == 0x200C

    def _arrive(self) -> None:
        """What the line has brought until now."""
        now = self.now()
        while self.rx and self._rx_at <= now:
            if self.registers[USART2] & 0x20:
                self.rx.popleft()
                self.registers[USART2] |= 8
                self.overruns += 1
            else:
                self._data = self.rx.popleft()
                self.registers[USART2] |= 0x20
            self._rx_at += self._byte_s() / self.line_speed

    def _usart_status(self) -> int:
        self._arrive()
        status = self.registers[USART2] & ~0xC0
        free = self._tx_free - self.now()
        if not status & 0x28 and free <= 0 and not self.rx:
            self._wait()
            self._pass(IDLE_STEP_S)
        else:
            self._idle = 0
            if not status & 0x28 and (free > self._byte_s() or free <= 0):
                self._pass(max(0.0, (self._rx_at if free <= 0 else self._tx_free - self._byte_s()) - self.now()))
        return status | (0x80 if free <= self._byte_s() else 0) | (0x40 if free <= 0 else 0)

    def _wait(self) -> None:
        self._idle += 1
        if self._idle > IDLE_STEPS:
            self._waits = True
            self._core.stop()

    def _usart_take(self) -> int:
        self._arrive()
        self.registers[USART2] &= ~0x28
        return getattr(self, "_data", 0)

    def _usart_put(self, value: int) -> None:
        self._demand(self._usable(), "a byte was sent while pins or USART are not set up")
        self._tx_free = max(self._tx_free, self.now()) + self._byte_s()
        self.sent.append(value & 0xFF)

    def run(self) -> None:
        """Until the program has waited for the host long enough. Raises RuntimeError for a lockup."""
        self._idle, self._waits = 0, False
        while not self._waits:
            trap = self._core.run()
            vectors = self.registers.get(SCS + 0xD08, 0) or FLASH_BASE
            if self._reset_wanted:
                self._reset()
            elif trap is not None:
                self.registers |= {SCS + 0xD28: trap.cfsr, SCS + 0xD2C: 1 << 30, SCS + 0xD38: trap.address or 0}
                if not self._core.enter(HARDFAULT, vectors):
                    raise RuntimeError(f"lockup at 0x{self._core.pc:08X}: {trap.what}")
            elif self._alarm is not None and self.cycles >= self._alarm:
                self._alarm = None
                if self.registers.get(SCS + 0x100, 0) >> TIM2_IRQ & 1:
                    self._core.enter(16 + TIM2_IRQ, vectors)

    def exchange(self, data: bytes) -> bytes:
        """Sends `data` back to back at the baud rate that is set up; what comes until the program waits again."""
        self.rx.extend(data)
        self._rx_at = self.now() + self._byte_s() / self.line_speed
        self.run()
        answer, self.sent = bytes(self.sent), bytearray()
        return answer


class ChipLink:
    """A tinyrig.link.serial_link.Link to a Chip."""

    url = "stm32f401"

    def __init__(self, chip: Chip) -> None:
        self._chip, self._waiting = chip, b""

    def write(self, data: bytes) -> None:
        self._waiting += self._chip.exchange(data)

    def read(self, n: int, timeout: float) -> bytes:
        data, self._waiting = self._waiting[:n], self._waiting[n:]
        return data

    def close(self) -> None:
        pass
