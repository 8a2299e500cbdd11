"""The firmware image of the loops: firmware/calibrate/loops.c behind the engine border, for any board."""

from __future__ import annotations

import re
import tempfile
from dataclasses import asdict
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

LOOPS = 20
"""As in loops.c; the first does nothing."""
PREDICT_S = 120.0


def calibration_image(board: Board, config: Config) -> Image:
    """Built, or taken again. Raises HostError as build_image."""
    byte = (TensorSpec("loop", (1,), "uint8"),)
    model = CompiledModel(
        "calibrate", "0" * 64, {}, (), byte, byte, (), 8, 0, extra_sources=(FIRMWARE / "calibrate" / "loops.c",)
    )
    return build_image(model, board, Path(config.folders.build), config.limits.build_s)


def functions(elf: Path) -> list[int]:
    """Addresses of the loops. Raises HostError."""
    done = run_tool([find_compiler()[0].replace("gcc", "nm"), str(elf)], PREDICT_S)
    found = {int(n): int(address, 16) for address, n in re.findall(r"^(\w+) [tT] calibrate_(\d+)$", done.stdout, re.MULTILINE)}
    if sorted(found) != list(range(LOOPS)):
        raise HostError("the calibration image has not all loops", expected=str(LOOPS), received=str(len(found)))
    return [found[n] for n in range(LOOPS)]


def predict(elf: Path, systems: list[MemorySystem], rules: bool) -> list[list[int]]:
    """Cycles [loop][system], without those of the empty loop. Emulated in a process of its own. Raises HostError."""
    request = {"elf": str(elf), "functions": functions(elf), "systems": [asdict(s) for s in systems], "rules": rules}
    with tempfile.TemporaryDirectory(prefix="tinyrig-calibrate-") as folder:
        file = Path(folder) / "request.json"
        file.write_text(dumps(request))
        done = run_tool(module_command("tinyrig.virtual.timing.predict", str(file)), PREDICT_S)
    if done.returncode:
        raise HostError("the loops can't be emulated", received=done.stderr.strip()[-500:])
    cycles: list[list[int]] = loads(done.stdout)
    return [[now - empty for now, empty in zip(loop, cycles[0], strict=True)] for loop in cycles]
