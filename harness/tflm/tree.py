"""A user's checkout of tflite-micro: what of it is needed for a model, and where its third parties lie."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tinyrig.core.errors import ModelError, UserError

REFERENCE, CMSIS = "tflm", "tflm-cmsis-nn"
ENGINES = (REFERENCE, CMSIS)
"""With TFLM's reference kernels, and with those that call CMSIS-NN."""
LITE = "tensorflow/lite"
RESOLVER = f"{LITE}/micro/micro_mutable_op_resolver.h"
FOLDERS = (
    *(f"micro{inside}" for inside in ("", "/arena_allocator", "/memory_planner", "/tflite_bridge")),
    *("core/api", "core/c", "kernels", "kernels/internal", "kernels/internal/reference"),
)
"""Below LITE."""
CONVERTERS = "tensorflow/compiler/mlir/lite"
"""Where newer trees keep what reads a model's schema."""
DOWNLOADS = f"{LITE}/micro/tools/make/downloads"
THIRD_PARTIES = {"flatbuffers": "include/flatbuffers", "gemmlowp": "fixedpoint", "ruy": "ruy/profiler"}
"""Their folders below DOWNLOADS or third_party, and what is looked for in them."""
_LEFT_OUT = re.compile(r"test|fake_|mock_|debug_log|generated_data|hexdump|benchmark|kernel_runner")
_REGISTERS = re.compile(r"^\s*(?:const )?TFLMRegistration\*?\s+(?:\w+::)*(Register_\w+)\(", re.MULTILINE)
_ADDS = re.compile(
    r"TfLiteStatus\s+(Add\w+)\([^{]*?(?:\w+::)*(Register_\w+)\(\)\)\s*\{[^}]*?AddBuiltin\(\s*BuiltinOperator_(\w+)", re.DOTALL
)
_MAKE = (
    "in that folder: make -f tensorflow/lite/micro/tools/make/Makefile TARGET=cortex_m_generic TARGET_ARCH=cortex-m4+fp "
    "OPTIMIZED_KERNEL_DIR=cmsis_nn third_party_downloads"
)


@dataclass(frozen=True)
class Operator:
    """One of the resolver's: the method that adds it, and the function that its kernel defines."""

    method: str
    register: str


@dataclass(frozen=True)
class Tree:
    """Raises UserError, when it is made by `opened`, where something is missing."""

    root: Path
    engine: str
    third: tuple[Path, ...]
    """Include folders of the third parties; the last is CMSIS-NN's where the engine calls it."""

    @cached_property
    def operators(self) -> dict[str, Operator]:
        """By TFLite's names."""
        found = _ADDS.findall((self.root / RESOLVER).read_text())
        return {name: Operator(method, register) for method, register, name in found}

    def wanted(self, names: Iterable[str]) -> list[Operator]:
        """Raises ModelError for an operator that TFLM's resolver does not know."""
        asked = set(names)
        missing = sorted(asked - set(self.operators))
        if missing:
            raise ModelError("tflite-micro has no such operator", expected=f"those of {RESOLVER}", received=", ".join(missing))
        return [self.operators[name] for name in sorted(asked)]

    def sources(self, operators: Iterable[Operator]) -> list[Path]:
        """The interpreter, the kernels that define these operators, and what no operator is defined in. CMSIS-NN's own files
        where the engine calls it."""
        registers = {one.register for one in operators}
        files = [file for folder in FOLDERS for file in _files(self.root / LITE / folder)]
        files += [file for folder in ("schema", "core/api") for file in _files(self.root / CONVERTERS / folder)]
        own = self.root / LITE / "micro/kernels/cmsis_nn"
        better = {file.name: file for file in _files(own)} if self.engine == CMSIS else {}
        for file in _files(self.root / LITE / "micro/kernels"):
            defined = set(_REGISTERS.findall(file.read_text(errors="replace")))
            if not defined or defined & registers:
                files.append(better.get(file.name, file))
        if self.engine == CMSIS:
            found = sorted((self.third[-1] / "Source").rglob("*.c"))
            # newer ones have float kernels too, which need CMSIS-DSP's types and which no operator of TFLM calls
            files += [file for file in found if not file.stem.endswith(("_f16", "_f32"))]
        return files

    @cached_property
    def digest(self) -> str:
        """Of everything that may be compiled or included."""
        found = hashlib.sha256(self.engine.encode())
        trees = [(self.root / LITE, "*"), (self.root / CONVERTERS, "*"), (self.root / "signal", "*.h")]
        folders = [*trees, *((folder, "*") for folder in self.third)]
        for folder, pattern in folders:
            for file in sorted(p for p in folder.rglob(pattern) if p.suffix in (".h", ".cc", ".c") and p.is_file()):
                found.update(f"{file.relative_to(folder)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
        return found.hexdigest()


def opened(folder: str, engine: str) -> Tree:
    """The tree in `folder`. Raises UserError where there is none, or its third parties are missing."""
    remedy = "git clone https://github.com/tensorflow/tflite-micro, fetch its third parties (docs/engine.md), and name the folder"
    if not folder:
        raise UserError(
            f"the engine {engine} needs the sources of tflite-micro",
            expected='--tflm-dir FOLDER, or tflm_dir = "FOLDER" in rig.toml',
            received="neither",
            remedy=remedy,
        )
    root = Path(folder).expanduser().absolute()
    if not (root / RESOLVER).is_file():
        raise UserError(f"{folder} is no checkout of tflite-micro", expected=RESOLVER, received="no such file", remedy=remedy)
    wanted = THIRD_PARTIES | ({"cmsis_nn": "Include/arm_nnfunctions.h"} if engine == CMSIS else {})
    third = tuple(_third_party(root, name, inside) for name, inside in wanted.items())
    return Tree(root, engine, third)


def _third_party(root: Path, name: str, inside: str) -> Path:
    places = [root / DOWNLOADS / name, root / "third_party" / name]
    for place in places:
        if (place / inside).exists():
            return place / "include" if name == "flatbuffers" else place
    raise UserError(
        f"the tree of tflite-micro lacks {name}",
        expected=f"{inside} in {' or '.join(str(place.relative_to(root)) for place in places)}",
        received="no such file",
        remedy=_MAKE,
    )


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.cc") if not _LEFT_OUT.search(file.name))
