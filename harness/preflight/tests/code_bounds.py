"""How large is the code of a model? Builds many for the Cortex-M4 and writes harness/preflight/code_bounds.json:

    python -m tinyrig.preflight.tests.code_bounds [FOLDER OF .tflite ...]

Without folders it builds the compiler's test cases alone. Bounds are what was seen, the smallest
and the largest; what the file has already is kept, and only widened."""

from __future__ import annotations

import collections
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile
from scipy.optimize import linprog

from tinyrig.compiler.compile import plan_unit
from tinyrig.compiler.model.step import CompileOptions
from tinyrig.compiler.tests.fuzz_corpus import corpus
from tinyrig.core.boards import BOARDS
from tinyrig.core.config import Config
from tinyrig.core.errors import RigError
from tinyrig.core.hardware.cores import ARM_CC as CC
from tinyrig.measure.variant import compile_for
from tinyrig.places.installed import FIRMWARE
from tinyrig.preflight.code_parts import parts_of, table_numbers
from tinyrig.preflight.flash_estimate import BOUNDS_FILE
from tinyrig.workload import kernel_flags
from tinyrig.workload.image import MODEL_FLAGS


@dataclass(frozen=True)
class Built:
    """One image: bytes of code (`engine`), of each part by kind, of all other functions of the model (`helpers`: what the parts
    call, libraries), and of the rest (parameters, tables), over so many steps."""

    engine: int
    parts: tuple[tuple[str, int], ...]
    helpers: int
    steps: int
    numbers: int

    @property
    def rest(self) -> int:
        return self.engine - sum(size for _, size in self.parts) - self.helpers


def functions(elf: Path) -> dict[str, int]:
    with elf.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        return {s.name: s["st_size"] for s in symbols.iter_symbols() if s["st_info"]["type"] == "STT_FUNC"}


def build(data: bytes, work: Path) -> Built | None:
    """None for a model that can't be built."""
    try:
        unit = plan_unit(data, "tinyrig", CompileOptions())
        image = compile_for(data, BOARDS["virtual"], Config(), build_dir=work)
    except RigError:
        return None
    rig = functions(image.elf.with_name("rig.elf"))
    own = {name.split(".")[0]: size for name, size in functions(image.elf).items() if name not in rig}
    parts = [(p.kind, own.pop(p.symbol, 0)) for p in sorted(parts_of(unit), key=lambda p: p.symbol)]
    for entry in ("engine_init", "engine_invoke", "engine_run_op"):
        own.pop(entry, None)
    assert image.footprint is not None
    return Built(image.footprint.flash_engine, tuple(parts), sum(own.values()), len(unit.lowered.steps), table_numbers(unit))


def models(folders: Iterable[str]) -> Iterator[bytes]:
    yield from corpus().values()
    for folder in folders:
        yield from (p.read_bytes() for p in sorted(Path(folder).rglob("*.tflite")))


def bounds(built: list[Built], before: dict[str, list[int]]) -> dict[str, object]:
    """Of "parts": kind -> [smallest, largest bytes, most bytes of the helpers that it brings]; `before` widens them. What a
    kind brings is in every model that has it: the least of them bounds it. "rest": see Rest in flash_estimate.py."""
    sizes, helpers = collections.defaultdict[str, list[int]](list), {kind: b[2] for kind, b in before.items()}
    for kind, (least, most, _) in before.items():
        sizes[kind] += [least, most]
    for b in built:
        for kind, size in b.parts:
            sizes[kind].append(size)
            helpers[kind] = min(helpers.get(kind, 1 << 30), b.helpers)
    parts = {kind: [min(found), max(found), helpers[kind]] for kind, found in sorted(sizes.items())}
    return {"parts": parts, "rest_low": fitted(built, -1), "rest_high": fitted(built, 1)}


def fitted(built: list[Built], side: int) -> list[float]:
    """Bytes (once, for each step, for each number) that bound the rest of every model from above (side 1) or below (-1), as near
    as possible."""
    rows = np.array([[1, b.steps, b.numbers] for b in built if b.steps])
    rest = np.array([b.rest for b in built if b.steps])
    found = linprog(side * rows.sum(0), A_ub=-side * rows, b_ub=-side * rest, bounds=[(None, None), (0, None), (0, None)])
    return [round(float(v), 2) for v in found.x]


def of_sources() -> dict[str, list[int]]:
    """The kernels that no model above calls, from their sources: functions that stand alone have one size. Their helpers are all
    other functions of the file, and libraries where it calls any."""
    found: dict[str, list[int]] = {}
    nn = FIRMWARE / "nn"
    for source in sorted([*nn.glob("portable/*.c"), *nn.glob("m4/*.c")]):
        with tempfile.TemporaryDirectory() as work:
            target = Path(work) / "kernel.o"
            flags = (*MODEL_FLAGS, *kernel_flags.flags(source), *BOARDS["virtual"].cpu_flags, f"-I{nn}")
            subprocess.run([CC, *flags, "-c", source, "-o", target], check=True)
            sizes = functions(target)
            libraries = 2500 if undefined(target) - {"memcpy", "memset", "memmove"} else 0
        for name, size in sizes.items():
            if name.startswith("nn_"):
                others = sum(s for n, s in sizes.items() if not n.startswith("nn_"))
                found[name] = [size, size, others + libraries]
    return found


def undefined(elf: Path) -> set[str]:
    """Names of other files' symbols that are none of our kernels."""
    with elf.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        return {
            s.name for s in symbols.iter_symbols() if s["st_shndx"] == "SHN_UNDEF" and s.name and not s.name.startswith("nn_")
        }


def main() -> None:
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(2) as pool:
        found = [b for b in pool.map(lambda data: build(data, Path(work)), models(sys.argv[1:])) if b]

    print(len(found), "models built")
    before = of_sources() | (json.loads(BOUNDS_FILE.read_text())["parts"] if BOUNDS_FILE.exists() else {})
    BOUNDS_FILE.write_text(json.dumps(bounds(found, before)) + "\n")


if __name__ == "__main__":
    main()
