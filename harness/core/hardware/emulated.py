"""Boards inside QEMU: one firmware on each kind of core. Their counter counts instructions, which are no time."""

from __future__ import annotations

from dataclasses import replace

from tinyrig.core.hardware.board import Board
from tinyrig.core.records import INSTRUCTIONS

_SOFT = "-mfloat-abi=soft"
_HARD = "-mfloat-abi=hard"

# The machine has 4 MiB of each; painting so much stack would take longer than any inference.
_QEMU = Board(
    "qemu",
    "QEMU's mps2-an386 (Cortex-M4F)",
    port="mps2",
    flasher="none",
    timing=INSTRUCTIONS,
    starter="qemu",
    clock_hz=7_812_500,
    flash_base=0,
    flash_bytes=4_194_304,
    ram_base=0x20000000,
    ram_bytes=262_144,
    cpu_flags=("-mcpu=cortex-m4", "-mthumb", _HARD, "-mfpu=fpv4-sp-d16"),
    baud=1_000_000,
    machine="mps2-an386",
)

EMULATED = (
    _QEMU,
    # A real one has a quarter of this flash and a sixteenth of the RAM: few networks would fit.
    replace(
        _QEMU,
        name="qemu-m0",
        title="QEMU's microbit (Cortex-M0, given 1 MiB of flash and 256 KiB of RAM)",
        machine="microbit",
        flash_bytes=1_048_576,
        cpu_flags=("-mcpu=cortex-m0", "-mthumb", _SOFT),
    ),
    replace(
        _QEMU,
        name="qemu-m3",
        title="QEMU's mps2-an385 (Cortex-M3)",
        machine="mps2-an385",
        cpu_flags=("-mcpu=cortex-m3", "-mthumb", _SOFT),
    ),
    replace(_QEMU, name="qemu-m4"),
    replace(
        _QEMU,
        name="qemu-m7",
        title="QEMU's mps2-an500 (Cortex-M7)",
        machine="mps2-an500",
        cpu_flags=("-mcpu=cortex-m7", "-mthumb", _HARD, "-mfpu=fpv5-d16"),
    ),
    # Both start in the secure state, whose addresses have bit 28 set.
    replace(
        _QEMU,
        name="qemu-m33",
        title="QEMU's mps2-an505 (Cortex-M33)",
        machine="mps2-an505",
        flash_base=0x10000000,
        ram_base=0x38000000,
        cpu_flags=("-mcpu=cortex-m33", "-mthumb", _HARD, "-mfpu=fpv5-sp-d16"),
    ),
    replace(
        _QEMU,
        name="qemu-m55",
        title="QEMU's mps3-an547 (Cortex-M55, MVE)",
        machine="mps3-an547",
        flash_bytes=524_288,
        ram_base=0x30000000,
        cpu_flags=("-mcpu=cortex-m55", "-mthumb", _HARD, "-mfpu=auto"),
    ),
    replace(
        _QEMU,
        name="qemu-rv32",
        title="QEMU's virt (RV32IMC)",
        machine="virt",
        port="virt",
        flash_base=0x80000000,
        ram_base=0x80400000,
        cpu_flags=("-march=rv32imc", "-misa-spec=2.2", "-mabi=ilp32"),
    ),
)
