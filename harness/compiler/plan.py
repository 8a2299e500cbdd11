"""One static arena for all tensors and scratch buffers: offsets by lifetimes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

ALIGN = 16


@dataclass(frozen=True)
class Buffer:
    """`size` bytes alive from step `first` to step `last`, both included. Key: whatever the caller calls it."""

    key: object
    size: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Placement:
    """Offsets by key, the arena's size, and the bound that no plan can beat: the most bytes alive at once."""

    offsets: dict[object, int]
    size: int
    lower_bound: int


def plan(buffers: Iterable[Buffer], align: int = ALIGN) -> Placement:
    """First fit in several orders, the best wins; a bounded exact search when that misses the lower bound."""
    rounded = [Buffer(b.key, -(-b.size // align) * align, b.first, b.last) for b in buffers]
    bound = lower_bound(rounded)
    best: dict[object, int] = {}
    size = 0
    for order in _orders():
        offsets = first_fit(sorted(rounded, key=order))
        total = _total(rounded, offsets)
        if not best or total < size:
            best, size = offsets, total
        if size == bound:
            break
    if size > bound:
        best, size = _improve(rounded, best, size, bound)
    return Placement(best, size, bound)


def lower_bound(buffers: list[Buffer]) -> int:
    return max((sum(b.size for b in buffers if b.first <= t <= b.last) for t in {b.first for b in buffers}), default=0)


def _orders() -> list[Callable[[Buffer], tuple[int, ...]]]:
    return [
        lambda b: (-b.size, b.first),
        lambda b: (b.first, -b.size),
        lambda b: (-(b.last - b.first), -b.size),
        lambda b: (-b.size * (b.last - b.first + 1), b.first),
        lambda b: (-b.last, -b.size),
    ]


def first_fit(buffers: list[Buffer]) -> dict[object, int]:
    """Each buffer in turn at the lowest offset that no placed buffer of an overlapping lifetime covers."""
    placed: list[tuple[Buffer, int]] = []
    for b in buffers:
        offset = 0
        for start, end in sorted((o, o + p.size) for p, o in placed if p.meets(b)):
            if offset + b.size <= start:
                break
            offset = max(offset, end)
        placed.append((b, offset))
    return {b.key: o for b, o in placed}


def _total(buffers: list[Buffer], offsets: dict[object, int]) -> int:
    return max((offsets[b.key] + b.size for b in buffers), default=0)


SEARCH_STEPS = 100_000
"""Placements that the search may try: about half a second, spent only where the lower bound is missed."""


def _improve(buffers: list[Buffer], best: dict[object, int], size: int, bound: int) -> tuple[dict[object, int], int]:
    """Local search over placing orders: the buffers at the top of the arena are moved to the front, deterministically."""
    order = sorted(buffers, key=lambda b: (-b.size, b.first))
    seen: set[tuple[object, ...]] = set()
    frontier = [order]
    tried = 0
    while frontier and tried < SEARCH_STEPS and size > bound:
        current = frontier.pop(0)
        offsets = first_fit(current)
        total = _total(buffers, offsets)
        tried += len(buffers)
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
