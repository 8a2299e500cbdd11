"""Which arrays of a file are the windows and which the labels: by the names that people give them. Two that could be meant are
named, never chosen between."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.core.records import TensorSpec
from tinyrig.windows.layout import SEE
from tinyrig.windows.sequences import NAMES as sequence_names

WINDOWS = ("x", "x_test", "x_val", "inputs", "input", "data", "features", "windows", "samples", "arr_0")
LABELS = ("y", "y_test", "y_val", "labels", "label", "targets", "target", "classes", "arr_1")
CLASS_NAMES = ("class_names", "label_names", "target_names")
"""As they are known; upper and lower case are one."""
_PARTS = ("_test", "_val")
_USUAL = {"windows": "x", "labels": "y", "class names": "class_names", "sequences": "sequence"}


@dataclass(frozen=True)
class Named:
    """`inputs`: an array for each of the model's inputs; `labels` and `class_names` where the file has them."""

    inputs: tuple[str, ...]
    labels: str | None
    class_names: str | None
    sequence: str | None = None
    """Which windows belong to one recording."""


def find(
    shapes: Mapping[str, tuple[int, ...]], specs: Sequence[TensorSpec], called: Sequence[Sequence[str]], where: str
) -> Named:
    """`shapes` of the file's arrays by name; `called`: all names of each of the model's inputs, may be empty. Raises UserError
    where an input's array is missing or several could be meant."""
    inputs = _inputs(shapes, specs, called, where)
    rest = [name for name in shapes if name not in inputs]
    labels = _one(_labels(rest, inputs, shapes), "labels", shapes, where)
    names = [name for name in rest if name.lower() in CLASS_NAMES]
    sequences = [name for name in rest if name.lower() in sequence_names]
    return Named(inputs, labels, _one(names, "class names", shapes, where), _one(sequences, "sequences", shapes, where))


def _inputs(
    shapes: Mapping[str, tuple[int, ...]], specs: Sequence[TensorSpec], called: Sequence[Sequence[str]], where: str
) -> tuple[str, ...]:
    if len(specs) == 1:
        return (_single(shapes, specs[0], called[0] if called else (), where),)
    numbered = [f"x{i}" for i in range(len(specs))]
    by_name = [next((n for n in names if n in shapes), None) for names in called] if called else []
    positional = [f"arr_{i}" for i in range(len(specs))]
    for names in (by_name, numbered, positional):
        if len(set(names)) == len(specs) and all(name in shapes for name in names):
            return tuple(name for name in names if name is not None)
    alternative = f", or {', '.join(names[0] for names in called)}" if called else ""
    missing = [n for n in numbered if n not in shapes]
    raise UserError(
        f"{where} lacks {', '.join(missing)}",
        expected=f"{', '.join(numbered)}{alternative}",
        received=_listed(shapes),
        remedy=SEE,
    )


def _single(shapes: Mapping[str, tuple[int, ...]], spec: TensorSpec, called: Sequence[str], where: str) -> str:
    own = [name for name in shapes if name in called and name.lower() not in LABELS]
    usual = [name for name in shapes if name.lower() in WINDOWS]
    found = own or usual
    if len(found) > 1:
        found = [name for name in found if _holds(shapes[name], spec)] or found
    if not found:
        fitting = [name for name, shape in shapes.items() if _holds(shape, spec)]
        hint = f"call {fitting[0]!r} x" if len(fitting) == 1 else SEE
        raise UserError(f"{where} lacks x", expected=f"one of {', '.join(WINDOWS)}", received=_listed(shapes), remedy=hint)
    name = _one(found, "windows", shapes, where)
    assert name is not None  # of one at least
    return name


def _holds(shape: tuple[int, ...], spec: TensorSpec) -> bool:
    return bool(shape) and math.prod(shape[1:]) == spec.size


def _labels(rest: Sequence[str], inputs: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Labels belong to windows of the same part: y_test to x_test; positional ones follow the windows."""
    if inputs[0].startswith("arr_"):
        return [name for name in rest if name == f"arr_{len(inputs)}"]
    found = [name for name in rest if name.lower() in LABELS and not name.startswith("arr_")]
    if len(found) < 2:
        return found
    part = next((p for p in _PARTS if inputs[0].lower().endswith(p)), "")
    same = [name for name in found if name.lower().endswith(part)] if part else [n for n in found if not _is_part(n)]
    found = same or found
    as_many = [name for name in found if shapes[name][:1] == shapes[inputs[0]][:1]]
    return as_many or found


def _is_part(name: str) -> bool:
    return name.lower().endswith(_PARTS)


def _one(found: Sequence[str], what: str, shapes: Mapping[str, tuple[int, ...]], where: str) -> str | None:
    if len(found) > 1:
        raise UserError(
            f"{where}: several arrays could be the {what}",
            expected="one of them",
            received=_listed({name: shapes[name] for name in found}),
            remedy=f"keep the one that is meant, as {_USUAL[what]}",
        )
    return found[0] if found else None


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in list(shapes.items())[:12]) or "nothing"


def as_string_array(values: Sequence[str]) -> np.ndarray:
    """For a file of arrays."""
    return np.asarray(values, dtype=np.str_) if values else np.zeros(0, "U1")
