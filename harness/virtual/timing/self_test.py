"""Whether the emulator computes right while reads are counted: unicorn 2.1.4 keeps the IT state of a read that a hook saw, and
runs the next block as if it stood inside that IT block. timing.c and Cpu.on_read undo that; reads that are worked out beforehand
don't meet it, but stop the emulator and have code translated again. Another unicorn may need something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinyrig.core.errors import HostError
from tinyrig.virtual import chip
from tinyrig.virtual.cpu import Cpu
from tinyrig.virtual.timing.clock import CodeRegion, Counter

PROGRAM = bytes.fromhex(
    "0004002009000100"  # stack, entry
    "4ff00050"  # mov.w  r0, #0x20000000
    "08a1"  # adr    r1, data
    "0022"  # movs   r2, #0
    "0c68"  # ldr    r4, [r1]
    "002c"  # cmp    r4, #0
    "14bf"  # ite    ne
    "8f68"  # ldrne  r7, [r1, #8]
    "0768"  # ldreq  r7, [r0]
    "3a44"  # add    r2, r7
    "0668"  # ldr    r6, [r0]
    "1cbf"  # itt    ne
    "4f68"  # ldrne  r7, [r1, #4]
    "a442"  # cmpne  r4, r4
    "ffe7"  # b      next
    "1219"  # next: adds r2, r2, r4, which the IT state left behind would skip
    "3a44"  # add    r2, r7
    "30bf30bf"  # wfi, twice
    "00be"  # bkpt
    "01000000140000002c010000"  # data: 1, 20, 300
)
RIGHT = 321


def check_reads(make: Callable[[Sequence[CodeRegion]], Counter]) -> None:
    """Runs a program that reads flash inside IT blocks, counted by what `make` gives. Raises HostError where it goes wrong."""
    cpu = Cpu(bytes(chip.PAGE_BYTES), lambda _address: 0, lambda _address, _value: None)
    make([cpu.flash, cpu.ram]).attach(cpu)
    cpu.flash.bytes[chip.IMAGE_BASE : chip.IMAGE_BASE + len(PROGRAM)] = PROGRAM
    cpu.start(chip.IMAGE_BASE)
    trap = cpu.run()
    if trap is not None or cpu.low_register(2) != RIGHT:
        raise HostError(
            "the emulator computes wrongly while reads of the flash are counted, so nothing can be measured",
            expected=f"{RIGHT} from the self-test",
            received=trap.what if trap else str(cpu.low_register(2)),
            remedy="install the version of unicorn that constraints.txt names",
        )
