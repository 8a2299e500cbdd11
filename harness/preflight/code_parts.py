"""The functions that a model's program consists of, by the C text of its steps: the parts that an estimate of flash adds up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tinyrig.compiler.emit import Unit, prefix_of
from tinyrig.compiler.model.step import AnyStep, Kernel

_CALL = re.compile(r"\b([A-Za-z_]\w*)\(")
_SHAPED = re.compile(r"(.*)_[0-9a-f]{8}")
"""Functions that steps of equal shape share end in a hash of it."""
_IN_TABLE = re.compile(r"[{,]\s*[-.0-9(]")
_NO_FUNCTION = {"if", "for", "while", "sizeof", "return", "switch"}


@dataclass(frozen=True)
class Part:
    """A function of the program. `symbol`: its name in the image. `kind`: of which the bounds are known."""

    symbol: str
    kind: str


def parts_of(unit: Unit) -> frozenset[Part]:
    """Each function once, however many steps call it. Helpers that are called by these are no parts of their own."""
    return frozenset(part for step, kernel in zip(unit.lowered.steps, unit.kernels, strict=True) for part in _parts(step, kernel))


def table_numbers(unit: Unit) -> int:
    """Numbers in the parameters and tables beside the steps, which are constants of at most 4 bytes each, but no weights."""
    texts = (k.file_scope(prefix_of(s)) for s, k in zip(unit.lowered.steps, unit.kernels, strict=True) if k.file_scope)
    return sum(len(_IN_TABLE.findall(text[text.find("{") :])) for text in texts)


def _parts(step: AnyStep, kernel: Kernel) -> Iterator[Part]:
    prefix = prefix_of(step)
    yield Part(prefix, f"step {step.kind}")
    if step.kind == "stream" and kernel.file_scope:
        yield from _stages(prefix, kernel.file_scope(prefix))
        return
    for name in set(_CALL.findall(kernel.body(prefix))) - _NO_FUNCTION:
        if name.startswith(prefix):
            yield Part(name, f"{step.kind} {name.removeprefix(prefix).lstrip('_')}")
        elif shaped := _SHAPED.fullmatch(name):
            yield Part(name, f"{shaped[1]} of one shape")
        else:
            yield Part(name, name)


def _stages(prefix: str, text: str) -> Iterator[Part]:
    """Of a chain that goes by rows: the function of each layer, and what those call."""
    for name in set(_CALL.findall(text)):
        if name.startswith(prefix):
            yield Part(name, "step of one row")
        elif shaped := _SHAPED.fullmatch(name):
            yield Part(name, f"{shaped[1]} of one shape")
        elif name.startswith(("nn_", "q8_rest")):
            yield Part(name, name)
