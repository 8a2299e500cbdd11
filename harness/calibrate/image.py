"""The firmware image of the loops: firmware/calibrate/loops.c behind the engine border, for any board."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from json import dumps, loads
from pathlib import Path

from tinyrig.core.boards import Board
from tinyrig.core.config import Config
from tinyrig.core.errors import HostError
from tinyrig.core.records import CompiledModel, Image, TensorSpec
from tinyrig.host.helper import module_command
from tinyrig.host.run_tool import run_tool
from tinyrig.places.installed import FIRMWARE
from tinyrig.virtual.timing.memory import MemorySystem
from tinyrig.workload.cross import find_compiler
from tinyrig.workload.image import build_image

NAMES = (
    "nothing",
    *(f"straight code, {size} B" for size in (384, 768, 1536, 3072, 6144, 12_288)),
    *(f"{count} lines, {apart} B apart" for count, apart in ((2, 8192), (3, 8192), (5, 8192), (2, 1024), (2, 2048), (2, 4096))),
    *(f"wide run, {shift} B off a word" for shift in (0, 2)),
    *(f"flash words, {stride} B apart" for stride in (4, 16, 64)),
    "flash words, two rows in turn",
    "RAM words",
    "flash bytes, 1 B apart",
    "flash, LDRD",
    "flash, LDM of four",
    *(f"wide run with loads and stores, {shift} B off a word" for shift in (0, 2)),
    *(f"taken branch, {shift} B into a line" for shift in range(0, 16, 2)),
    "VMUL-VADD",
    "VFMA-VFMA",
    "VFMA-VSTR",
    "VLDR-VADD",
    "VCVT",
    "VDIV",
    "LDR-ADD",
    *(f"SDIV, quotient of {bits} bits" for bits in (1, 13, 27)),
    "straight code in RAM",
)
"""What the loops of loops.c are about, by their numbers."""
LOOPS = len(NAMES)
CACHE_OFF = 128
"""Added to a loop's number: the same with the cache off."""
TAKEN = range(25, 33)
UNCACHED = (1, *TAKEN)
"""Loops that run with the cache off as well. The code of others is placed for a cache."""
CACHES = {"nrf52840": (0x4001E540, 1, 1 << 8, 0x4001E548), "arduino": (0x4001E540, 1, 1 << 8, 0x4001E548)}
CACHES |= {"stm32f401": (0x40023C00, 7 << 8, 0, 0)}
"""By port: the register of the instruction cache, its bits for on and for profiling, and the address of two counters, hits and
misses; 0: there is no such thing. Nordic's NVMC.ICACHECNF and IHIT; RM0368, 3.8.1 FLASH_ACR: PRFTEN, ICEN, DCEN."""
PREDICT_S = 120.0


@dataclass(frozen=True)
class Pass:
    """One loop as it is run: `number` as the firmware takes it."""

    loop: int
    cached: bool = True

    @property
    def number(self) -> int:
        return self.loop + (0 if self.cached else CACHE_OFF)

    @property
    def text(self) -> str:
        return NAMES[self.loop] + ("" if self.cached else ", cache off")


def passes(board: Board) -> tuple[Pass, ...]:
    """All that this board can run, without the empty loop."""
    off = UNCACHED if board.port in CACHES else ()
    return (*(Pass(n) for n in range(1, LOOPS)), *(Pass(n, cached=False) for n in off))


def has_counters(board: Board) -> bool:
    """Whether the chip counts hits and misses of its cache."""
    return bool(CACHES.get(board.port, (0, 0, 0, 0))[3])


def calibration_image(board: Board, config: Config) -> Image:
    """Built, or taken again. Raises HostError as build_image."""
    names = ("CACHE_REGISTER", "CACHE_ON", "CACHE_PROFILE", "CACHE_COUNTERS")
    header = "".join(f"#define {n} {v:#x}u\n" for n, v in zip(names, CACHES.get(board.port, (0, 0, 0, 0)), strict=True))
    loop, counts = (TensorSpec("loop", (1,), "uint8"),), (TensorSpec("hits and misses", (2,), "int32"),)
    source = FIRMWARE / "calibrate" / "loops.c"
    model = CompiledModel(
        "calibrate", "0" * 64, {"calibrate_chip.h": header}, (), loop, counts, (), 12, 0, extra_sources=(source,)
    )
    return build_image(model, board, Path(config.folders.build), config.limits.build_s)


def functions(elf: Path) -> list[int]:
    """Addresses of the loops. Raises HostError."""
    done = run_tool([find_compiler()[0].replace("gcc", "nm"), str(elf)], PREDICT_S)
    found = {int(n): int(address, 16) for address, n in re.findall(r"^(\w+) [tTdD] calibrate_(\d+)$", done.stdout, re.MULTILINE)}
    if sorted(found) != list(range(LOOPS)):
        raise HostError("the calibration image has not all loops", expected=str(LOOPS), received=str(len(found)))
    return [found[n] for n in range(LOOPS)]


def predict(elf: Path, asked: Sequence[Pass], systems: list[MemorySystem], rules: int) -> list[list[int]]:
    """Cycles [pass][system], without those of the empty loop. Emulated in a process of its own. Raises HostError."""
    found = functions(elf)
    calls = [[found[one.loop], one.cached] for one in (Pass(0), Pass(0, False), *asked)]
    request = {"elf": str(elf), "calls": calls, "systems": [asdict(s) for s in systems], "rules": rules}
    with tempfile.TemporaryDirectory(prefix="tinyrig-calibrate-") as folder:
        file = Path(folder) / "request.json"
        file.write_text(dumps(request))
        done = run_tool(module_command("tinyrig.virtual.timing.predict", str(file)), PREDICT_S)
    if done.returncode:
        raise HostError("the loops can't be emulated", received=done.stderr.strip()[-500:])
    on, off, *cycles = loads(done.stdout)
    empty = (off, on)
    return [[n - e for n, e in zip(row, empty[one.cached], strict=True)] for one, row in zip(asked, cycles, strict=True)]
