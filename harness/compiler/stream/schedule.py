"""In which order a chain's rows are computed, how many rows of each map are kept, and when each byte is in use.

A row is computed when a later row needs it, so that no map holds more rows than its readers still want. What is kept lies at the
front of its ring; when the ring is full, the rows that nobody needs any more are dropped and the others moved to the front."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby

from tinyrig.compiler.model.step import Piece, Pieces, Timing
from tinyrig.compiler.stream.stages import Read, Stage

CHUNKS = 24
"""Parts with lives of their own that a map is cut into, at most: more would only cost the planner time."""


@dataclass(frozen=True, eq=False)
class Group:
    """Stages in their order. `made` maps a root to the stage that makes it, `kept` are the roots that are wanted whole; other
    roots that are read come from outside. `root` of a tensor's index."""

    stages: tuple[Stage, ...]
    kept: frozenset[int]
    root: Callable[[int], int]

    @property
    def made(self) -> dict[int, int]:
        return {self.output(k): k for k in range(len(self.stages))}

    def output(self, k: int) -> int:
        return self.root(self.stages[k].step.outputs[0].index)

    def readers(self, root: int) -> list[tuple[int, Read]]:
        return [(k, r) for k, s in enumerate(self.stages) for r in s.reads if r and self.root(r.tensor.index) == root]

    @property
    def outside(self) -> dict[int, Read]:
        """Roots that come from outside and are read by rows."""
        reads = [r for s in self.stages for r in s.reads if r is not None]
        return {i: r for r in reads if (i := self.root(r.tensor.index)) not in self.made}


@dataclass(frozen=True)
class Schedule:
    """`order`: the stage of each row in turn. `rings`: rows that each stage's ring holds, 0 where its map is whole."""

    order: tuple[int, ...]
    rings: tuple[int, ...]


def schedule(group: Group) -> Schedule:
    order = _order(group)
    return Schedule(tuple(order), _rings(group, order))


def _order(group: Group) -> list[int]:
    done, order, made = [0] * len(group.stages), list[int](), group.made

    def ensure(k: int, rows: int) -> None:
        while done[k] < rows:
            for r in group.stages[k].reads:
                source = made.get(group.root(r.tensor.index)) if r else None
                if r and source is not None:
                    ensure(source, r.end(done[k]))
            order.append(k)
            done[k] += 1

    last = [k for k in range(len(group.stages)) if group.output(k) in group.kept]
    for y in range(max(group.stages[k].height for k in last)):
        for k in last:  # side by side where there are several
            ensure(k, -(-group.stages[k].height * (y + 1) // max(group.stages[j].height for j in last)))
    return order


def _first(group: Group, root: int, done: list[int]) -> int:
    """The first row of a map that is still needed."""
    return min((r.first(done[k]) for k, r in group.readers(root)), default=0)


def _rings(group: Group, order: list[int]) -> tuple[int, ...]:
    done, rings = [0] * len(group.stages), [0] * len(group.stages)
    for k in order:
        root = group.output(k)
        if root not in group.kept:
            rings[k] = max(rings[k], done[k] - _first(group, root, done) + 1, 1)
        done[k] += 1
    return tuple(rings)


@dataclass
class _Lives:
    """Of one map or ring: for each of its places, the ticks in which it is in use."""

    size: int
    live: list[int] = field(default_factory=list)

    def use(self, places: Iterable[int], tick: int) -> None:
        for p in places:
            self.live[p] |= 1 << tick

    def pieces(self) -> Pieces:
        """Neighbours of one life together, and not more than CHUNKS of them."""
        step = -(-len(self.live) // CHUNKS)
        lives = [0] * -(-len(self.live) // step)
        for i, v in enumerate(self.live):
            lives[i // step] |= v
        found, at = list[Piece](), 0
        for live, same in groupby(lives):
            rows = min(step * len(list(same)), len(self.live) - at)
            found += [Piece(at * self.size, rows * self.size, live)] if live else []
            at += rows
        return tuple(found)


def timing(group: Group, plan: Schedule, scratch: list[int]) -> Timing:
    """`scratch`: bytes that each stage needs while it runs. Inputs: `group.outside`; outputs: the kept ones; own buffers: each
    stage's ring, then each stage's scratch, both without pieces where there is none."""
    stages, count = group.stages, len(plan.order)
    done, base, outside = [0] * len(stages), [0] * len(stages), group.outside
    maps = {i: _Lives(r.size, []) for i, r in outside.items()}
    rings = [_Lives(s.size, [0] * n) for s, n in zip(stages, plan.rings, strict=True)]
    ticks: list[list[int]] = [[] for _ in stages]
    for tick, k in enumerate(plan.order):
        ticks[k].append(tick)
        for i, lives in maps.items():
            lives.live += [(1 << tick) - 1] * (_first(group, i, done) - len(lives.live))
        _use_rings(group, plan, rings, (done, base), tick)
        done[k] += 1
    for i, lives in maps.items():
        lives.live += [(1 << count) - 1] * (outside[i].height - len(lives.live))
    whole = [_Lives(stages[k].size, [(1 << count) - (1 << t) for t in ticks[k]]) for k, n in enumerate(plan.rings) if not n]
    own = [r.pieces() if r.live else () for r in rings]
    own += [(Piece(0, n, sum(1 << t for t in at)),) if n else () for n, at in zip(scratch, ticks, strict=True)]
    return Timing(count, tuple(m.pieces() for m in maps.values()), tuple(w.pieces() for w in whole), tuple(own))


def _use_rings(group: Group, plan: Schedule, rings: list[_Lives], at: tuple[list[int], list[int]], tick: int) -> None:
    """Marks the places that are read, written or moved in this tick, and moves the bases."""
    (done, base), k = at, plan.order[tick]
    for j, n in enumerate(plan.rings):
        if not n:
            continue
        first = max(_first(group, group.output(j), done), base[j])
        rings[j].use(range(first - base[j], done[j] - base[j]), tick)
        if j == k:
            if done[j] - base[j] == n:
                base[j] = min(first, done[j])  # a stride may leave out rows that are still to come
                rings[j].use(range(done[j] - base[j]), tick)
            rings[j].use([done[j] - base[j]], tick)
