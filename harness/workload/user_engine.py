"""A user's own runtime behind firmware/nn/engine.h: a folder of C that is built around a model's bytes and measured like ours.

The folder holds any number of .c and .h files and an `engine_config.h` with literal definitions:

    #define ENGINE_NAME "own"            at most 15 characters; what `engine.name` says
    #define ENGINE_ARENA_BYTES 2048      working memory, input and output tensors included; what `engine.arena_bytes` says
    #define ENGINE_OP_COUNT 3            optional: steps of engine_run_op, for the profile (default 0)
    #define ENGINE_WEIGHT_BYTES 1024     optional: constants that count as weights (default: the whole .tflite)

The host reads them there because it must know them before a board runs; hello checks that the firmware says the same.
tinyrig generates `model_data.h` and `model_data.c` beside it. docs/engine.md shows an example.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from tinyrig.compiler.emit import ENGINE_DTYPES
from tinyrig.compiler.kernels.choose import ENGINES
from tinyrig.compiler.kernels.ctext import c_float, wrap
from tinyrig.compiler.model.graph import Tensor, read_model
from tinyrig.core.errors import ModelError, UserError
from tinyrig.core.records import CompiledModel, OpInfo, TensorSpec

CONFIG = "engine_config.h"
_DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(ENGINE_\w+)[ \t]+(.+?)[ \t]*(?:/\*.*|//.*)?$", re.MULTILINE)
_NAME = re.compile(r'"[A-Za-z0-9_.-]{1,15}"')
MAX_RANK = 6
"""ENGINE_MAX_RANK of engine.h."""


def is_folder(engine: str) -> bool:
    """Does `--engine` name a folder rather than one of the compiler's engines? Those go first: `./portable` is a folder."""
    return engine not in ENGINES and ("/" in engine or Path(engine).is_dir())


def user_engine(data: bytes, folder: Path, *, flash_bytes: int, ram_bytes: int) -> CompiledModel:
    """A .tflite's bytes and the folder of an engine -> what the image builder needs.

    Raises UserError for an unusable folder, ModelError for a file that is no model or is too large for the board.
    """
    sources = sorted(folder.rglob("*.c")) if folder.is_dir() else []
    if not sources:
        raise UserError(
            f"{folder} is not an engine", expected="a folder with .c files", received="none", remedy="see docs/engine.md"
        )
    config = read_config(folder)
    name, arena = str(config["ENGINE_NAME"]).strip('"'), int(config["ENGINE_ARENA_BYTES"])
    weights = int(config.get("ENGINE_WEIGHT_BYTES", len(data)))
    model = bare_engine(data, name, arena, weights, flash_bytes=flash_bytes, ram_bytes=ram_bytes)
    return replace(
        model,
        ops=tuple(OpInfo(i, "STEP", f"step {i}") for i in range(int(config.get("ENGINE_OP_COUNT", 0)))),
        extra_sources=tuple(p.resolve() for p in sources),
        include_dirs=tuple(dict.fromkeys(p.resolve() for p in (folder, *sorted(h.parent for h in folder.rglob("*.h"))))),
    )


def bare_engine(
    data: bytes, engine: str, arena: int, weights: int | None = None, *, flash_bytes: int, ram_bytes: int
) -> CompiledModel:
    """What tinyrig generates beside a runtime that is not its own: the model's bytes and its tensors. `arena`, `weights`: bytes;
    None: the whole file is weights. Raises ModelError."""
    graph = read_model(data)
    inputs, outputs = ([graph.tensors[i] for i in side] for side in (graph.inputs, graph.outputs))
    for tensor in (*inputs, *outputs):
        _check_border(tensor)
    sha256, weights = hashlib.sha256(data).hexdigest(), len(data) if weights is None else weights
    _check_fits("weights", weights, flash_bytes)
    _check_fits("arena", arena, ram_bytes)
    return CompiledModel(
        engine=engine,
        sha256=sha256,
        sources={"model_data.h": _header(data, sha256, inputs, outputs), "model_data.c": _array(data)},
        kernels=(),
        inputs=tuple(map(_spec, inputs)),
        outputs=tuple(map(_spec, outputs)),
        ops=(),
        arena_bytes=arena,
        weight_bytes=weights,
    )


def read_config(folder: Path) -> dict[str, int | str]:
    """The ENGINE_... definitions of engine_config.h. Raises UserError where one is missing or no literal."""
    path = folder / CONFIG
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read", expected="this file", received=str(error), remedy=_REMEDY) from error
    found = {name: _literal(value) for name, value in _DEFINE.findall(text)}
    for name, valid in _WANTED.items():
        if name in found or name not in _OPTIONAL:
            value = found.get(name, "nothing")
            if not valid(value):
                raise UserError(f"{path}: {name} can't be used", expected=_EXPECTED[name], received=str(value), remedy=_REMEDY)
    return found


def _literal(text: str) -> int | str:
    """A number where it is one; the host reads the file without a preprocessor, so an expression stays text."""
    try:
        return int(text.strip("()").rstrip("uUlL"), 0)
    except ValueError:
        return text


def _is_name(value: int | str) -> bool:
    return bool(_NAME.fullmatch(str(value)))


def _is_size(value: int | str) -> bool:
    return isinstance(value, int) and value >= 0


_REMEDY = "see docs/engine.md"
_WANTED = {"ENGINE_NAME": _is_name, "ENGINE_ARENA_BYTES": _is_size, "ENGINE_OP_COUNT": _is_size, "ENGINE_WEIGHT_BYTES": _is_size}
_OPTIONAL = ("ENGINE_OP_COUNT", "ENGINE_WEIGHT_BYTES")
_EXPECTED = dict.fromkeys(_WANTED, "a literal number, decimal or hexadecimal") | {
    "ENGINE_NAME": "a string of 1 to 15 letters, digits, dots, dashes"
}


def _check_border(t: Tensor) -> None:
    if t.size == 0:
        raise ModelError(f"input or output {t} is empty", expected="no dimension of 0", received=str(list(t.shape)))
    if t.dtype not in ENGINE_DTYPES or len(t.shape) > MAX_RANK:
        raise ModelError(
            f"input or output {t} can't be described by engine.h", expected=f"{', '.join(ENGINE_DTYPES)}; rank up to {MAX_RANK}"
        )


def _check_fits(what: str, need: int, have: int) -> None:
    if need > have:
        raise ModelError(
            f"the engine's {what} need {need} bytes",
            expected=f"at most {have} bytes",
            received=f"{need - have} too many",
            remedy="use a smaller model or a larger board",
        )


def _spec(t: Tensor) -> TensorSpec:
    return TensorSpec(t.name, t.shape, t.dtype, float(t.scale), t.zero_point)


def _header(data: bytes, sha256: str, inputs: list[Tensor], outputs: list[Tensor]) -> str:
    digest = ", ".join(f"0x{b:02x}" for b in bytes.fromhex(sha256))
    sides = [("INPUT", i, t) for i, t in enumerate(inputs)] + [("OUTPUT", i, t) for i, t in enumerate(outputs)]
    tensors = "".join(_macro(*one) for one in sides)
    return (
        "/* Generated by tinyrig from the .tflite; do not edit. */\n#ifndef MODEL_DATA_H\n#define MODEL_DATA_H\n\n"
        '#include <stdint.h>\n\n#include "engine.h"\n\n'
        f"enum {{ MODEL_DATA_BYTES = {len(data)}, MODEL_INPUT_COUNT = {len(inputs)}, MODEL_OUTPUT_COUNT = {len(outputs)} }};\n\n"
        "/* The file as it is, 16-byte aligned. */\nextern const uint8_t model_data[MODEL_DATA_BYTES];\n\n"
        f"#define MODEL_SHA256 {{{digest}}}\n\n"
        f"/* Initialisers of an engine_tensor; `where` is the address that the engine gives it. */\n{tensors}\n#endif\n"
    )


def _macro(side: str, index: int, t: Tensor) -> str:
    name = f"MODEL_{side}_{index}"
    dims = ", ".join(map(str, t.shape)) or "0"
    quantisation = f"{c_float(float(t.scale))}, {t.zero_point}"
    fields = f"(where), {t.nbytes}, {ENGINE_DTYPES[t.dtype]}, {len(t.shape)}, {{{dims}}}, {quantisation}"
    return f"#define {name}(where) {{{fields}}}\n#define {name}_BYTES {t.nbytes}\n"


def _array(data: bytes) -> str:
    body = wrap(f"0x{b:02x}" for b in data)
    return (
        '/* Generated by tinyrig from the .tflite; do not edit. */\n#include "model_data.h"\n\n'
        f"const uint8_t model_data[MODEL_DATA_BYTES] __attribute__((aligned(16))) = {{\n{body}\n}};\n"
    )
