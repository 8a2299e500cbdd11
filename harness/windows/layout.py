"""Does an array hold windows in the order of the model's input? Axes in another order are named, never turned silently."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from tinyrig.core.errors import UserError
from tinyrig.core.records import TensorSpec

SEE = "see docs/inputs.md for the forms of a windows file"
_MOST_AXES = 6
"""Of which every order is tried: 720."""


def check_layout(shape: tuple[int, ...], spec: TensorSpec, where: str) -> None:
    """`shape` of the whole array, windows first; `where` names file and array. Raises UserError where a window does not hold the
    input's values, or holds them along other axes."""
    if not shape or math.prod(shape[1:]) != spec.size:
        raise _wrong_size(shape, spec, where)
    if fits(shape[1:], spec.shape):
        return
    order = _order(shape[1:], spec.shape)
    if order is None:
        raise UserError(
            f"{where} is divided into other axes than the model's input {spec.name!r}",
            expected=f"N windows of shape {_without_batch(spec)}, or flat ones of {spec.size} values",
            received=f"shape {shape}",
            remedy=f"if the values already lie in the input's order: x.reshape(len(x), {spec.size})",
        )
    first = _without_ones(shape[1:])[0] == _without_ones(spec.shape)[-1]
    raise UserError(
        f"{where} has its axes in another order than the model's input {spec.name!r}" + ("; channels first?" if first else ""),
        expected=f"N windows of shape {_without_batch(spec)}",
        received=f"shape {shape}",
        remedy=f"store numpy.transpose(x, {(0, *(axis + 1 for axis in order))})",
    )


def _wrong_size(shape: tuple[int, ...], spec: TensorSpec, where: str) -> UserError:
    single = bool(shape) and math.prod(shape) == spec.size
    why = ": a single window without the axis of windows?" if single else ""
    more = len(shape) == 2 and shape[1] == spec.size + 1
    why = ": one value too many in each; is one of them the label?" if more else why
    return UserError(
        f"{where} does not fit the model's input {spec.name!r}{why}",
        expected=f"N windows of {spec.size} values, shape {spec.shape}",
        received=f"shape {shape}",
        remedy="store x[numpy.newaxis]" if single else "keep labels apart: in y, or a CSV column `label`" if more else SEE,
    )


def _without_batch(spec: TensorSpec) -> tuple[int, ...]:
    return spec.shape[1:] if len(spec.shape) > 1 and spec.shape[0] == 1 else spec.shape


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    """Axes of length 1 say nothing about order."""
    return tuple(d for d in shape if d != 1) or (1,)


def fits(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether the same values lie along the same axes, where neighbouring axes of one of the two may be one axis of the other
    (flat windows, pixels in a row) and axes of length 1 come and go."""
    a, b = _without_ones(shape), _without_ones(wanted)
    return _joins(a, b) or _joins(b, a)


def _joins(fine: Sequence[int], coarse: Sequence[int]) -> bool:
    """Whether the axes of `coarse` are neighbours of `fine` joined, in order."""
    at = 0
    for length in coarse:
        product = fine[at] if at < len(fine) else 0
        at += 1
        while product < length and at < len(fine):
            product, at = product * fine[at], at + 1
        if product != length:
            return False
    return at == len(fine)


def _order(shape: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...] | None:
    """The order of axes in which `shape` would fit; of several the one that leaves most axes in their places behind each other.
    None where there is none."""
    axes = [i for i, d in enumerate(shape) if d != 1]
    if not 1 < len(axes) <= _MOST_AXES:
        return None
    found = [p for p in itertools.permutations(axes) if fits([shape[i] for i in p], wanted)]
    if not found:
        return None
    best = max(found, key=_in_line)
    return _with_ones(best, shape, wanted)


def _in_line(order: Sequence[int]) -> int:
    """Length of the longest run of axes that rise."""
    longest = [1] * len(order)
    for i in range(len(order)):
        longest[i] = 1 + max((longest[j] for j in range(i) if order[j] < order[i]), default=0)
    return max(longest)


def _with_ones(order: Sequence[int], shape: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """Axes of length 1 go where the input has one, else to the end."""
    ones, rest = [i for i, d in enumerate(shape) if d == 1], list(order)
    turned: list[int] = []
    for d in wanted[1:] if len(wanted) > len(shape) else wanted:
        if d == 1 and ones:
            turned.append(ones.pop(0))
        elif rest:
            turned.append(rest.pop(0))
    return (*turned, *rest, *ones)
