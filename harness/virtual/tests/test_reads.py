"""Where a program reads, worked out beforehand, against every read as the emulator reports it: the same cycles."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tinyrig.core.boards import BOARDS
from tinyrig.virtual import chip
from tinyrig.virtual.cpu import Cpu
from tinyrig.virtual.tests.random_code import program
from tinyrig.virtual.timing.clock import CompiledCounter, Counter, PythonCounter
from tinyrig.virtual.timing.systems import CHIPS

NRF = CHIPS["nrf52840"]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """build(assembly) -> the bytes to flash at the image's start."""
    folder = tmp_path_factory.mktemp("reads")

    def go(text: str) -> bytes:
        (folder / "a.s").write_text(text)
        flags = (*BOARDS["virtual"].cpu_flags, "-nostdlib", f"-Wl,-Ttext={chip.IMAGE_BASE:#x},-estart")
        subprocess.run(["arm-none-eabi-gcc", *flags, folder / "a.s", "-o", folder / "a.elf"], check=True)
        subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", folder / "a.elf", folder / "a.bin"], check=True)
        return (folder / "a.bin").read_bytes()

    return go


def run(code: bytes, make: Callable[[Cpu], Counter]) -> tuple[Counter, list[int], str]:
    """(counter, r0 to r7, how it ended) after the program, with the cache on."""
    values: dict[int, int] = {}
    cpu = Cpu(bytes(chip.PAGE_BYTES), lambda address: values.get(address, 0), values.__setitem__)
    counter = make(cpu)
    counter.attach(cpu)
    cpu.flash.bytes[chip.IMAGE_BASE : chip.IMAGE_BASE + len(code)] = code
    counter.forget()
    counter.cached(True)
    cpu.start(chip.IMAGE_BASE)
    trap = cpu.run()
    return counter, [cpu.low_register(n) for n in range(8)], trap.what if trap else ""


@pytest.mark.parametrize("seed", range(40))
def test_reads_worked_out_are_those_reported(seed: int, build, library: Path) -> None:
    code = build(program(seed))
    found = []
    for reported in (False, True):
        found.append(run(code, lambda cpu, r=reported: CompiledCounter([cpu.flash, cpu.ram], NRF.systems, library, reported=r)))
    (worked_out, *state), (reported_, *other) = found
    assert state == other and state[1] == ""
    assert worked_out.instructions == reported_.instructions
    assert worked_out.all_cycles == reported_.all_cycles


def test_the_model_in_python_agrees_too(build, library: Path) -> None:
    code = build(program(99, 200))
    (worked_out, *_), (python, *_) = (
        run(code, lambda cpu: CompiledCounter([cpu.flash, cpu.ram], NRF.systems, library)),
        run(code, lambda cpu: PythonCounter([cpu.flash, cpu.ram], NRF.systems)),
    )
    assert worked_out.all_cycles == python.all_cycles
