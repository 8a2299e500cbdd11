"""TIMER0's interrupt and the entry into exceptions, piece by piece; whole, they are tested with firmware/tests."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tinyrig.virtual import chip
from tinyrig.virtual.peripherals import Timer

VECTORS, HANDLER, PC = chip.IMAGE_BASE, chip.IMAGE_BASE + 0x101, chip.IMAGE_BASE + 0x200


class Clock:
    """Microseconds, set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def timer() -> tuple[Timer, Clock]:
    """Set to 100 us, interrupt enabled, not started."""
    clock = Clock()
    timer = Timer(clock)
    timer.write(Timer.CC0, 100)
    timer.write(Timer.INTENSET, Timer.MASK_COMPARE0)
    return timer, clock


def test_timer_fires_when_its_time_is_over_and_not_before(timer) -> None:
    timer, clock = timer
    clock.now = 5000
    assert not timer.interrupts()
    timer.write(Timer.START, 1)
    clock.now += 99.9
    assert not timer.interrupts()
    clock.now += 0.1
    assert timer.interrupts() and timer.read(Timer.COMPARE0) == 1


def test_stopped_timer_keeps_its_count_and_cleared_begins_again(timer) -> None:
    timer, clock = timer
    timer.write(Timer.START, 1)
    clock.now = 60
    timer.write(Timer.STOP, 1)
    clock.now = 1000
    assert not timer.interrupts()
    timer.write(Timer.START, 1)
    clock.now += 40
    assert timer.interrupts()
    timer.write(Timer.COMPARE0, 0)
    timer.write(Timer.CLEAR, 1)
    clock.now += 99
    assert not timer.interrupts()
    clock.now += 1
    assert timer.interrupts()


def test_masked_timer_counts_but_does_not_interrupt(timer) -> None:
    timer, clock = timer
    timer.write(Timer.INTENCLR, Timer.MASK_COMPARE0)
    timer.write(Timer.START, 1)
    clock.now = 500
    assert not timer.interrupts() and timer.read(Timer.COMPARE0) == 1
    timer.reset()
    assert timer.read(Timer.COMPARE0) == timer.read(Timer.INTENSET) == 0


STACKS = {
    # SP: whether the frame of 32 bytes can be written
    chip.RAM_BASE + chip.RAM_BYTES: True,
    chip.RAM_BASE + 32: True,
    chip.RAM_BASE + 31: False,
    chip.RAM_BASE: False,
    chip.RAM_BASE - 4096: False,
    0x30000000: False,
    0: False,
}
ENTER = f"""
import struct
from unicorn.arm_const import *
from tinyrig.virtual.cpu import HARDFAULT, Cpu
from tinyrig.virtual import chip
cpu = Cpu(bytes(chip.PAGE_BYTES), lambda a: 0, lambda a, v: None)
cpu.flash.bytes[{VECTORS + 12}:{VECTORS + 16}] = struct.pack("<I", {HANDLER})
for stack, stacked in {STACKS}.items():
    cpu.start({VECTORS})
    for register, value in ((UC_ARM_REG_SP, stack), (UC_ARM_REG_PC, {PC}), (UC_ARM_REG_R0, 77), (UC_ARM_REG_LR, 99)):
        cpu.uc.reg_write(register, value)
    before = bytes(cpu.ram.bytes)
    assert cpu.has_room() == stacked and cpu.enter(HARDFAULT, {VECTORS}), hex(stack)
    frame = (stack - 32 & ~7) & 0xFFFFFFFF
    assert cpu.uc.reg_read(UC_ARM_REG_SP) == frame, hex(stack)
    assert cpu.pc == {HANDLER} - 1 and cpu.uc.reg_read(UC_ARM_REG_LR) == 0xFFFFFFF9
    if stacked:
        r0, *_, lr, pc, xpsr = struct.unpack("<8I", cpu.uc.mem_read(frame, 32))
        assert (r0, lr, pc, xpsr >> 24 & 1) == (77, 99, {PC}, 1)
    else:
        assert bytes(cpu.ram.bytes) == before, hex(stack)
    assert not cpu.enter(HARDFAULT, {VECTORS})  # inside a handler: lockup
"""


def test_handler_runs_with_or_without_room_for_the_frame() -> None:
    """DDI 0403 B1.5.6 and B1.5.11: SP moves by the frame, the frame is there only if it could be written.
    The emulator's library stays out of the test process, like out of the rig's."""
    done = subprocess.run([sys.executable, "-c", ENTER], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
