"""How far a tensor reaches, told by type: a shape is known, open or empty. A 0 in a file means nothing by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinyrig.core.errors import ModelError

Shape = tuple[int, ...]

MAX_ELEMENTS = 1 << 24
"""Of one tensor: far beyond any microcontroller's memory, such a shape is an error of the file."""


@dataclass(frozen=True)
class Known:
    """Every dimension is at least 1; () is a scalar."""

    shape: Shape


@dataclass(frozen=True)
class Empty:
    """One dimension at least is 0: no elements, so no memory to read or write. Only some ops mean it."""

    shape: Shape


@dataclass(frozen=True)
class Open:
    """Of an activation. `dims` as converted: None where the size was left open. `shape` is what the file has instead, which
    runtimes take literally; behind the inputs it need not be right, and no code may be made from it."""

    dims: tuple[int | None, ...]
    shape: Shape

    @property
    def only_batch(self) -> bool:
        return all((d is None) == (i == 0) for i, d in enumerate(self.dims)) and len(self.dims) == len(self.shape)


Extent = Known | Open | Empty


def settled(shape: Shape) -> Known | Empty:
    """The extent of a shape in which nothing is open."""
    return Empty(shape) if 0 in shape else Known(shape)


def declared(shape: Shape, signature: Shape) -> Extent:
    """The extent of an activation from both of the file's shapes; in `signature`, if there is one, below 0 means open."""
    if any(d < 0 for d in signature):
        return Open(tuple(None if d < 0 else d for d in signature), shape)
    return settled(shape)


def checked_shape(shape: Shape, where: str) -> Shape:
    """The same shape. Raises ModelError when no board could hold it."""
    if any(d < 0 for d in shape) or len(shape) > 6 or math.prod(shape) > MAX_ELEMENTS or max(shape, default=0) > MAX_ELEMENTS:
        expected = f"at most 6 dimensions, none below 0, {MAX_ELEMENTS} elements"
        raise ModelError(f"{where} has an unusable shape", expected=expected, received=str(list(shape)))
    return shape
