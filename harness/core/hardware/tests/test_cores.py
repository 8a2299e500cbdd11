"""What the compiler's options say of a core."""

from __future__ import annotations

import pytest

from tinyrig.core.boards import BOARDS
from tinyrig.core.hardware.cores import Core, core_of

HARD = "-mfloat-abi=hard"


@pytest.mark.parametrize(
    ("flags", "core"),
    [
        (("-mcpu=cortex-m0plus", "-mthumb"), Core(True, False, False)),
        (("-mcpu=cortex-m0",), Core(True, False, False)),
        (("-mcpu=cortex-m3",), Core(True, False, False)),
        (("-mcpu=cortex-m23",), Core(True, False, False)),
        (("-mcpu=cortex-m4", "-mfloat-abi=soft"), Core(True, True, False)),
        (("-mcpu=cortex-m4", HARD), Core(True, True, True)),
        (("-mcpu=cortex-m7", "-mfloat-abi=softfp"), Core(True, True, True)),
        (("-mcpu=cortex-m33", HARD), Core(True, True, True)),
        (("-mcpu=cortex-m33+nodsp", HARD), Core(True, False, True)),
        (("-mcpu=cortex-m33+nodsp+nofp",), Core(True, False, False)),
        (("-mcpu=cortex-m35p", HARD), Core(True, True, True)),
        (("-mcpu=cortex-m55", HARD), Core(True, True, True, True)),
        (("-mcpu=cortex-m55+nomve.fp+nomve", HARD), Core(True, True, True)),
        (("-march=armv6s-m",), Core(True, False, False)),
        (("-march=armv7e-m+fp", HARD), Core(True, True, True)),
        (("-march=armv8-m.main+fp", HARD), Core(True, False, True)),
        (("-march=armv8-m.main+dsp+fp", HARD), Core(True, True, True)),
        (("-march=armv8.1-m.main+mve.fp+fp.dp", HARD), Core(True, True, True, True)),
        (("-march=rv32imc", "-mabi=ilp32"), Core(False, False, False)),
        (("-march=rv32imafc_zicsr", "-mabi=ilp32f"), Core(False, False, True)),
    ],
)
def test_a_core_by_its_options(flags, core):
    assert core_of(flags) == core


def test_the_boards_of_qemu_have_what_their_names_say():
    cores = {name: board.core for name, board in BOARDS.items() if name.startswith("qemu-")}
    assert {name for name, core in cores.items() if core.dsp} == {"qemu-m4", "qemu-m7", "qemu-m33", "qemu-m55"}
    assert {name for name, core in cores.items() if core.fpu} == {"qemu-m4", "qemu-m7", "qemu-m33", "qemu-m55"}
    assert {name for name, core in cores.items() if core.mve} == {"qemu-m55"}
    assert {name for name, core in cores.items() if not core.arm} == {"qemu-rv32"}
