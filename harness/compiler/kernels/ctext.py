"""C text of numbers, arrays and structs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from tinyrig.compiler.model.layers import Window
from tinyrig.compiler.model.step import Constant

LINE = 116


def c_float(v: float) -> str:
    """The shortest literal that reads back as exactly this float32; infinities as the builtin."""
    if np.isinf(v):
        return "-__builtin_inff()" if v < 0 else "__builtin_inff()"
    if np.isnan(v):
        return '__builtin_nanf("")'
    return str(np.format_float_scientific(np.float32(v), unique=True, trim="0", exp_digits=1)) + "f"


def c_int(v: int) -> str:
    """INT32_MIN and INT64_MIN have no literal in C."""
    if v == -(2**31):
        return "(-2147483647 - 1)"
    if v == -(2**63):
        return "(-9223372036854775807LL - 1)"
    return f"{v}LL" if abs(v) > 2**31 - 1 else str(v)


def c_number(v: object) -> str:
    return c_float(float(v)) if isinstance(v, float | np.floating) else c_int(int(v))  # type: ignore[call-overload]


def wrap(items: Iterable[str], indent: str = "    ") -> str:
    """Comma-separated items in lines of readable length."""
    lines, line = [], indent
    for item in items:
        if len(line) + len(item) + 2 > LINE:
            lines.append(line.rstrip())
            line = indent
        line += item + ", "
    return "\n".join([*lines, line.rstrip()])


def _items(data: np.ndarray) -> Iterable[str]:
    flat = data.ravel()
    if flat.dtype.kind == "f":
        # numpy's own conversion gives the same shortest literals as c_float, much faster.
        return (f"{t}f" for t in flat.astype(str)) if np.isfinite(flat).all() else (c_float(v) for v in flat)
    if flat.dtype.itemsize < 4:
        return map(str, flat.tolist())
    return (c_int(int(v)) for v in flat.tolist())


WORD, FLASH_LINE, LARGE = 4, 16, 256
"""Bytes. Kernels read weights in pairs of words; a pair on both sides of a line's border opens both lines again and again. What
is smaller than LARGE would cost more flash than it gains."""


def c_array(name: str, constant: Constant) -> str:
    shape = "x".join(map(str, constant.data.shape))
    note = f"/* {shape}{', ' if constant.comment else ''}{constant.comment} */\n"
    align = FLASH_LINE if constant.data.nbytes >= LARGE else WORD
    head = f"static const {constant.ctype} {name}[{constant.data.size}] __attribute__((aligned({align}))) = {{\n"
    return note + head + wrap(_items(constant.data)) + "\n};\n"


def c_window(w: Window) -> str:
    """An initialiser of nn_window: the record's fields in the same order."""
    return "{" + ", ".join(str(v) for v in dataclasses.astuple(w)) + "}"
