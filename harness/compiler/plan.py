"""One static arena for all tensors and scratch buffers: offsets by lifetimes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from tinyrig.compiler.model.step import Piece, Pieces

ALIGN = 16


def ticks(first: int, last: int) -> int:
    """The bits of ticks first .. last, both included."""
    return ((1 << (last - first + 1)) - 1) << (first + 1)


@dataclass(frozen=True)
class Buffer:
    """`size` bytes alive from tick `first` to tick `last`, both included. Key: whatever the caller calls it. `pieces`: its
    parts where they are not all alive all the time; bit t + 1 of a piece is tick t: tick -1, before the first step, is bit 0."""

    key: object
    size: int
    first: int
    last: int
    pieces: Pieces = ()

    def meets(self, other: Buffer) -> bool:
        return self.first <= other.last and other.first <= self.last

    @property
    def parts(self) -> Pieces:
        return self.pieces or (Piece(0, self.size, ticks(self.first, self.last)),)


@dataclass(frozen=True)
class Placement:
    """Offsets by key, the arena's size, and the bound that no plan can beat: the most bytes alive at once."""

    offsets: dict[object, int]
    size: int
    lower_bound: int


def plan(buffers: Iterable[Buffer], align: int = ALIGN, search: bool = True) -> Placement:
    """First fit in several orders, the best wins; with `search` also a bounded exact search when that misses the bound."""
    rounded = [replace(b, size=-(-b.size // align) * align) for b in buffers]
    bound = lower_bound(rounded)
    best: dict[object, int] = {}
    size = 0
    for order in _orders():
        offsets = first_fit(sorted(rounded, key=order), align)
        total = _total(rounded, offsets)
        if not best or total < size:
            best, size = offsets, total
        if size == bound:
            break
    if search and size > bound:
        best, size = _improve(rounded, best, size, bound, align)
    return Placement(best, size, bound)


def lower_bound(buffers: list[Buffer]) -> int:
    return int(alive_bytes(buffers).max(initial=0))


def alive_bytes(buffers: list[Buffer]) -> np.ndarray:
    """int64 [ticks + 1]: at tick -1, 0 ..."""
    alive = np.zeros(max((b.last for b in buffers), default=-1) + 2, np.int64)
    for b in buffers:
        if not b.pieces:
            alive[b.first + 1 : b.last + 2] += b.size
        for p in b.pieces:
            alive[_bits(p.live, len(alive))] += p.size
    return alive


def _bits(live: int, count: int) -> np.ndarray:
    """bool [count]: bit by bit, from the lowest."""
    words = np.frombuffer(live.to_bytes(-(-count // 8), "little"), np.uint8)
    return np.unpackbits(words, count=count, bitorder="little").astype(bool)


def _orders() -> list[Callable[[Buffer], tuple[int, ...]]]:
    return [
        lambda b: (-b.size, b.first),
        lambda b: (b.first, -b.size),
        lambda b: (-(b.last - b.first), -b.size),
        lambda b: (-b.size * (b.last - b.first + 1), b.first),
        lambda b: (-b.last, -b.size),
    ]


def first_fit(buffers: list[Buffer], align: int = 1) -> dict[object, int]:
    """Each buffer in turn at the lowest offset, a multiple of `align`, where no byte of it is alive together with a byte of a
    placed buffer. Sizes are multiples of `align` already."""
    placed: list[tuple[Buffer, int]] = []
    for b in buffers:
        offset = 0
        for start, end in sorted(r for p, o in placed if p.meets(b) for r in _barred(b, p, o)):
            if offset <= start:
                break
            offset = max(offset, -(-end // align) * align)
        placed.append((b, offset))
    return {b.key: o for b, o in placed}


def _barred(b: Buffer, placed: Buffer, at: int) -> Iterator[tuple[int, int]]:
    """Ranges of offsets, both ends allowed, between which `b` would meet what stands at `at`."""
    if not b.pieces and not placed.pieces:
        yield at - b.size, at + placed.size
        return
    for p in b.parts:
        for q in placed.parts:
            if p.live & q.live:
                yield at + q.offset - p.offset - p.size, at + q.offset + q.size - p.offset


def _total(buffers: list[Buffer], offsets: dict[object, int]) -> int:
    return max((offsets[b.key] + b.size for b in buffers), default=0)


SEARCH_STEPS = 100_000
"""Placements that the search may try: about half a second, spent only where the lower bound is missed."""


def _improve(buffers: list[Buffer], best: dict[object, int], size: int, bound: int, align: int) -> tuple[dict[object, int], int]:
    """Local search over placing orders: the buffers at the top of the arena are moved to the front, deterministically."""
    order = sorted(buffers, key=lambda b: (-b.size, b.first))
    seen: set[tuple[object, ...]] = set()
    frontier = [order]
    tried, cost = 0, sum(len(b.parts) for b in buffers)
    while frontier and tried < SEARCH_STEPS and size > bound:
        current = frontier.pop(0)
        offsets = first_fit(current, align)
        total = _total(buffers, offsets)
        tried += cost
        if total < size:
            best, size, frontier = offsets, total, []
        for top in [b for b in current if offsets[b.key] + b.size == total]:
            for place in range(current.index(top)):
                moved = [b for b in current if b is not top]
                moved.insert(place, top)
                mark = tuple(b.key for b in moved)
                if mark not in seen and len(seen) < SEARCH_STEPS:
                    seen.add(mark)
                    frontier.append(moved)
    return best, size
