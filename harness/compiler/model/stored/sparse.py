"""Sparsely stored constants -> dense ones. The file lists the dimensions in an order of its own, perhaps split into blocks; each
is dense, or says for every place of the dimensions before it which of its indices have values (compressed sparse rows)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyrig.compiler.model.schema import options_reader

MAX_LEVELS = 16
_VECTORS = {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"}
"""By the number in the schema's union SparseIndexVector."""
SPARSE = 1
"""The schema's DimensionType of compressed rows."""


class NotSparse(ValueError):
    """What the file says of a sparse constant doesn't fit together."""


def dense(sparsity: Any, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`values`: the stored ones, in the file's order, of any type. -> an array of `shape`. Raises NotSparse."""
    order = [sparsity.TraversalOrder(i) for i in range(_few(sparsity.TraversalOrderLength()))]
    blocks = [sparsity.BlockMap(i) for i in range(_few(sparsity.BlockMapLength()))]
    levels = [sparsity.DimMetadata(i) for i in range(_few(sparsity.DimMetadataLength()))]
    rank = len(shape)
    _need(sorted(order) == list(range(rank + len(blocks))) and len(levels) == len(order), "dimensions")
    _need(len(set(blocks)) == len(blocks) and all(0 <= b < rank for b in blocks), "blocks")
    size = math.prod(shape)
    places, at = np.zeros(1, np.int64), np.zeros((len(order), 1), np.int64)
    for level, dimension in zip(levels, order, strict=True):
        parents, index, places = _level(level, places, max(size, 1))
        at = at[:, parents]
        at[dimension] = index
    _need(len(places) == len(values), f"{len(places)} values")
    inner = {b: at[rank + i] for i, b in enumerate(blocks)}
    sizes = {b: levels[order.index(rank + i)].DenseSize() for i, b in enumerate(blocks)}
    found = [at[d] * sizes[d] + inner[d] if d in inner else at[d] for d in range(rank)]
    _need(all(bool(((v >= 0) & (v < n)).all()) for v, n in zip(found, shape, strict=True)), "indices inside the shape")
    result = np.zeros(shape, values.dtype)
    result[tuple(found)] = values
    return result


def _level(level: Any, places: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """-> for each place of this dimension: the number of the place before it, its index, its own number in the file's order."""
    if level.Format() != SPARSE:
        n = level.DenseSize()
        _need(0 < n <= most and len(places) * n <= most, "a size")
        index = np.tile(np.arange(n), len(places))
        return np.repeat(np.arange(len(places)), n), index, np.repeat(places, n) * n + index
    segments = _vector(level.ArraySegmentsType(), level.ArraySegments())
    indices = _vector(level.ArrayIndicesType(), level.ArrayIndices())
    _need(len(segments) > int(places.max(initial=-1)) + 1, "segments")
    begins, ends = segments[places], segments[places + 1]
    counts = ends - begins
    _need(bool((counts >= 0).all()) and bool((begins >= 0).all()) and int(ends.max(initial=0)) <= len(indices), "segments")
    _need(int(counts.sum()) <= most, "fewer values")
    parents = np.repeat(np.arange(len(places)), counts)
    first = np.repeat(begins - (np.cumsum(counts) - counts), counts)
    own = first + np.arange(int(counts.sum()))
    return parents, indices[own], own


def _vector(kind: int, table: Any) -> np.ndarray:
    _need(kind in _VECTORS and table is not None, "index vectors")
    reader = options_reader(_VECTORS[kind], table)
    return np.array(reader.ValuesAsNumpy() if reader.ValuesLength() else [], np.int64)


def _few(n: int) -> int:
    _need(n <= MAX_LEVELS, f"at most {MAX_LEVELS} dimensions")
    return n


def _need(good: bool, what: str) -> None:
    if not good:
        raise NotSparse(what)
