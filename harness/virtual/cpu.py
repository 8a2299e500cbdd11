"""The Cortex-M4F on unicorn: memory map, start, run, and the entry into exceptions that the emulator itself doesn't do.

Source: Armv7-M Architecture Reference Manual (DDI 0403), B1.5 exceptions, B3.2.15 CFSR. Bus faults are always precise here;
a store that silicon has buffered faults a few instructions late.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from dataclasses import dataclass

from unicorn import (
    UC_ARCH_ARM,
    UC_ERR_EXCEPTION,
    UC_HOOK_BLOCK,
    UC_HOOK_MEM_INVALID,
    UC_HOOK_MEM_READ,
    UC_MEM_FETCH_PROT,
    UC_MEM_FETCH_UNMAPPED,
    UC_MODE_MCLASS,
    UC_MODE_THUMB,
    UC_PROT_ALL,
    UC_PROT_EXEC,
    UC_PROT_READ,
)
from unicorn.arm_const import (
    UC_ARM_REG_CONTROL,
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_PRIMASK,
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_R3,
    UC_ARM_REG_R12,
    UC_ARM_REG_SP,
    UC_ARM_REG_XPSR,
    UC_CPU_ARM_CORTEX_M4,
)
from unicorn.unicorn_py3.unicorn import Uc, UcError, uclib

from tinyrig.virtual import chip

NEVER = 0xFFFFFFFE
"""Address at which the emulator would stop: nothing can run there."""
EXC_RETURN_THREAD_MSP = 0xFFFFFFF9
HARDFAULT = 3
THUMB = 1 << 24
EXCEPTION_NUMBER = 0x1FF
IT_STATE = 0x0600FC00
"""Bits of xPSR, as the two above: DDI 0403 B1.4.2."""
IBUSERR, PRECISERR, STKERR, BFARVALID = 1 << 8, 1 << 9, 1 << 12, 1 << 15
UNDEFINSTR, INVSTATE = 1 << 16, 1 << 17
"""Bits of CFSR."""
_FRAME = (
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_R3,
    UC_ARM_REG_R12,
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_XPSR,
)
"""DDI 0403 B1.5.6: the basic exception frame, from the lowest address up."""


@dataclass(frozen=True)
class Trap:
    """Why the program can't continue: in words, as CFSR bits, and for BFAR."""

    what: str
    cfsr: int
    address: int | None = None


@dataclass(frozen=True)
class HostMemory:
    """Memory of the chip that lies in host memory, so that the timing hook reads the same bytes as the CPU. `bytes` is
    writable and one byte an element; `start` is the chip's address of its first."""

    start: int
    bytes: memoryview

    @property
    def host_address(self) -> int:
        return ctypes.addressof(ctypes.c_uint8.from_buffer(self.bytes))


def host_memory(start: int, size: int, fill: int) -> HostMemory:
    """`size` bytes of value `fill`."""
    return HostMemory(start, memoryview(bytearray([fill]) * size))


class Cpu:
    """`read_io(address)` and `write_io(address, value)` serve everything from 0x40000000 on."""

    _again: Callable[[], int] = staticmethod(lambda: 0)

    def __init__(self, ficr: bytes, read_io: Callable[[int], int], write_io: Callable[[int, int], None]) -> None:
        self.uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(UC_CPU_ARM_CORTEX_M4)
        self.flash = host_memory(chip.FLASH_BASE, chip.FLASH_BYTES, 0xFF)
        self.ram = host_memory(chip.RAM_BASE, chip.RAM_BYTES, 0)
        for memory, rights in ((self.flash, UC_PROT_READ | UC_PROT_EXEC), (self.ram, UC_PROT_ALL)):
            self.uc.mem_map_ptr(memory.start, len(memory.bytes), rights, memory.host_address)
        self.uc.mem_map(chip.FICR_BASE, 2 * chip.PAGE_BYTES, UC_PROT_READ)
        self.uc.mem_write(chip.FICR_BASE, ficr + b"\xff" * chip.PAGE_BYTES)  # the second page is UICR, erased
        for base, size in (
            (chip.PERIPHERALS_BASE, chip.PERIPHERALS_BYTES),
            (chip.GPIO_BASE, chip.PAGE_BYTES),
            (chip.PPB_BASE, chip.PPB_BYTES),
        ):
            self._map_io(base, size, read_io, write_io)
        self._invalid: tuple[int, int] | None = None  # (kind, address) of the access that failed
        self.uc.hook_add(UC_HOOK_MEM_INVALID, self._note_invalid)
        self._pristine = self.uc.context_save()

    def _note_invalid(self, _uc: Uc, kind: int, address: int, _size: int, _value: int, _data: object) -> bool:
        self._invalid = kind, address & 0xFFFFFFFF
        return False  # the emulator stops with an error

    def _map_io(self, base: int, size: int, read_io: Callable[[int], int], write_io: Callable[[int, int], None]) -> None:
        self.uc.mmio_map(
            base,
            size,
            lambda _uc, offset, _size, _data: read_io(base + offset),
            None,
            lambda _uc, offset, _size, value, _data: write_io(base + offset, value),
            None,
        )

    def on_block(self, call: Callable[[int, int], None]) -> None:
        """`call(address, size)` at every block of straight-line code that is about to run."""
        self.uc.hook_add(UC_HOOK_BLOCK, lambda _uc, address, size, _data: call(address, size))

    def on_read(self, call: Callable[[int], None]) -> None:
        """`call(address)` at every read of data in the flash."""

        def read(uc: Uc, _kind: int, address: int, _size: int, _value: int, _data: object) -> None:
            xpsr = uc.reg_read(UC_ARM_REG_XPSR)
            if xpsr & IT_STATE:  # see timing.c, clear_it_state
                uc.reg_write(UC_ARM_REG_XPSR, xpsr & ~IT_STATE)
            call(address)

        self.uc.hook_add(UC_HOOK_MEM_READ, read, None, self.flash.start, self.flash.start + len(self.flash.bytes) - 1)

    def on_block_native(self, function: ctypes.c_void_p, state: ctypes.c_void_p) -> None:
        """`on_block` for a C function of unicorn's signature, which the emulator calls without passing through Python."""
        self._hook_native(UC_HOOK_BLOCK, function, state, 1, 0)  # begin > end: everywhere

    def on_read_native(self, function: ctypes.c_void_p, state: ctypes.c_void_p) -> None:
        """`on_read` for a C function, which has to clear the IT state itself."""
        self._hook_native(UC_HOOK_MEM_READ, function, state, self.flash.start, self.flash.start + len(self.flash.bytes) - 1)

    def _hook_native(self, kind: int, function: ctypes.c_void_p, state: ctypes.c_void_p, begin: int, end: int) -> None:
        """unicorn's binding takes only Python callbacks, so this goes to uc_hook_add directly."""
        handle = ctypes.c_size_t()
        where = ctypes.c_uint64(begin), ctypes.c_uint64(end)
        status = uclib.uc_hook_add(self.uc._uch, ctypes.byref(handle), kind, function, state, *where)
        if status:
            raise RuntimeError(f"uc_hook_add: status {status}")

    def native(self, name: str) -> ctypes.c_void_p:
        """One of unicorn's own functions."""
        return ctypes.cast(getattr(uclib, name), ctypes.c_void_p)

    @property
    def engine(self) -> ctypes.c_void_p:
        """What they take first."""
        return ctypes.c_void_p(ctypes.cast(self.uc._uch, ctypes.c_void_p).value)

    @property
    def registers(self) -> tuple[int, ...]:
        """unicorn's numbers of r0 to r14 and of xPSR."""
        return (*range(UC_ARM_REG_R0, UC_ARM_REG_R12 + 1), UC_ARM_REG_SP, UC_ARM_REG_LR, UC_ARM_REG_XPSR)

    def begin_again(self, ask: Callable[[], int]) -> None:
        """`ask()`, whenever the emulator has stopped, says how many bytes from there have to be translated again before they run;
        0: it stopped for another reason."""
        self._again = ask

    def read(self, address: int, count: int) -> bytes:
        return bytes(self.uc.mem_read(address, count))

    def write(self, address: int, data: bytes) -> None:
        self.uc.mem_write(address, data)

    def start(self, vectors: int) -> None:
        """Registers as a reset leaves them, with stack and entry of the vector table at `vectors`."""
        self.uc.context_restore(self._pristine)
        self.uc.ctl_flush_tb()  # the flash may hold another program than before
        stack, entry = struct.unpack_from("<II", self.flash.bytes, vectors)
        self.uc.reg_write(UC_ARM_REG_SP, stack)
        self.uc.reg_write(UC_ARM_REG_LR, 0xFFFFFFFF)
        self.uc.reg_write(UC_ARM_REG_PC, entry & ~1)

    def set_return(self, address: int) -> None:
        """Where the function that start() began goes back to."""
        self.uc.reg_write(UC_ARM_REG_LR, address | 1)

    def run(self) -> Trap | None:
        """Runs until stop() or a fault. Returns None too at WFI and WFE."""
        self._invalid = None
        try:
            self.uc.emu_start(self.pc | 1, NEVER)
            while stale := self._again():
                self.uc.ctl_remove_cache(self.pc, self.pc + stale)
                self.uc.emu_start(self.pc | 1, NEVER)
        except UcError as error:
            return self._trap(error)
        return None

    def _trap(self, error: UcError) -> Trap:
        if self._invalid is not None:
            kind, address = self._invalid
            if kind in (UC_MEM_FETCH_UNMAPPED, UC_MEM_FETCH_PROT):
                return Trap(str(error), IBUSERR)
            return Trap(str(error), PRECISERR | BFARVALID, address)
        if error.errno == UC_ERR_EXCEPTION:
            return Trap("exception (SVC, BKPT or undefined)", UNDEFINSTR if self._xpsr() & THUMB else INVSTATE)
        return Trap(str(error), UNDEFINSTR)

    def _register(self, number: int) -> int:
        return int(self.uc.reg_read(number))

    def _xpsr(self) -> int:
        return self._register(UC_ARM_REG_XPSR)

    def low_register(self, number: int) -> int:
        """r0 to r7."""
        return self._register(UC_ARM_REG_R0 + number)

    def stop(self) -> None:
        """Ends run() soon; from any thread or callback."""
        self.uc.emu_stop()

    @property
    def pc(self) -> int:
        return self._register(UC_ARM_REG_PC)

    def interruptible(self) -> bool:
        """Whether an interrupt would be taken now: not masked, and no handler runs."""
        return not self._register(UC_ARM_REG_PRIMASK) & 1 and not self._xpsr() & EXCEPTION_NUMBER

    def has_room(self) -> bool:
        """Whether an exception frame can be stacked."""
        return chip.RAM_BASE <= self._frame_address() <= chip.RAM_BASE + chip.RAM_BYTES - 4 * len(_FRAME)

    def _frame_address(self) -> int:
        return (self._register(UC_ARM_REG_SP) - 4 * len(_FRAME)) & ~7 & 0xFFFFFFFF

    def enter(self, exception: int, vectors: int) -> bool:
        """Stacks the exception frame, as far as there is room, and goes to the handler. False where that is impossible: lockup.

        A stacking error on the way into HardFault can't preempt it (B1.5.11, derived exceptions; DDI 0337, 5.12.1: "the
        fault handler still executes even though the stack push for the handler failed"): its handler finds no frame.
        """
        xpsr = self._xpsr()
        handler = self._vector(vectors, exception)
        if xpsr & EXCEPTION_NUMBER or not handler & 1:
            return False  # a fault inside a handler, or none there
        frame = [self._register(register) for register in _FRAME]
        frame[-1] |= THUMB
        stack = self._frame_address()
        if self.has_room():
            self.write(stack, struct.pack("<8I", *frame))
        self._jump(exception, handler, stack, xpsr)
        return True

    def _vector(self, vectors: int, exception: int) -> int:
        """0 if it can't be read."""
        try:
            return int.from_bytes(self.read(vectors + 4 * exception, 4), "little")
        except UcError:
            return 0

    def _jump(self, exception: int, handler: int, stack: int, xpsr: int) -> None:
        self.uc.reg_write(UC_ARM_REG_CONTROL, self._register(UC_ARM_REG_CONTROL) & ~2)  # handlers use the main stack
        self.uc.reg_write(UC_ARM_REG_XPSR, xpsr & ~EXCEPTION_NUMBER | THUMB | exception)
        self.uc.reg_write(UC_ARM_REG_SP, stack)
        self.uc.reg_write(UC_ARM_REG_LR, EXC_RETURN_THREAD_MSP)
        self.uc.reg_write(UC_ARM_REG_PC, handler & ~1)
