"""Steps and kernels -> buffers with lifetimes, in-place sharing, offsets of every tensor and scratch."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import accumulate, pairwise
from operator import or_

from tinyrig.compiler.lower.lower import Lowered
from tinyrig.compiler.model.step import Kernel, Piece, Pieces
from tinyrig.compiler.plan import Buffer, Placement, alive_bytes, plan, ticks
from tinyrig.core.records import ArenaBuffer


@dataclass(frozen=True)
class ArenaLayout:
    """`offsets` of every tensor that lives in the arena (views included), by index; `scratch` offsets by step; `buffers` what was
    placed, in order of time. Tensors that share one, step after step, are one buffer with the first one's name."""

    offsets: dict[int, int]
    scratch: dict[int, int]
    arena_bytes: int
    lower_bound: int
    buffers: tuple[ArenaBuffer, ...] = ()
    work: dict[tuple[int, int], int] = field(default_factory=dict)
    """Offsets of the buffers of steps that go row by row, by step and number."""
    alive: tuple[int, ...] = ()
    """By step: the most bytes that are alive at once during it."""

    @property
    def fullest(self) -> int:
        """The step during which most is alive; the first of several."""
        return self.alive.index(max(self.alive)) if self.alive else 0

    @property
    def full_steps(self) -> int:
        """Steps during which nearly as much is alive."""
        return sum(n > NEARLY * max(self.alive) for n in self.alive)


NEARLY = 0.95


def plan_memory(lowered: Lowered, kernels: list[Kernel], search: bool = True) -> ArenaLayout:
    """Inputs live from before the first step until their last reader, outputs until behind the last step. Not `search`: quickly,
    to compare."""
    clock = Clock.of(kernels)
    buffers, owners = _tensor_buffers(lowered, kernels, clock)
    for s, k in enumerate(kernels):
        buffers += [Buffer(("scratch", s), k.scratch_bytes, clock.first(s), clock.last(s))] if k.scratch_bytes else []
        buffers += _work_buffers(s, k, clock)
    result = plan(buffers, search=search)
    places = {i: result.offsets["tensor", o] for i, o in owners.items()}
    offsets = {t.index: places[lowered.root(t.index)] for t in lowered.tensors if lowered.root(t.index) in places}
    scratch = {key[1]: o for key, o in result.offsets.items() if key[0] == "scratch"}  # type: ignore[index]
    work = {key[1:]: o for key, o in result.offsets.items() if key[0] == "work"}  # type: ignore[index]
    placed, alive = _placed(lowered, buffers, result, clock), alive_bytes(buffers)
    by_step = tuple(int(alive[a + 1 : b + 1].max(initial=0)) for a, b in pairwise(clock.begins))
    return ArenaLayout(offsets, scratch, result.size, result.lower_bound, placed, work, by_step)


@dataclass(frozen=True)
class Clock:
    """Steps to ticks: a step that goes row by row takes many. `begins`: the first tick of each step, and that behind the last."""

    begins: tuple[int, ...]

    @classmethod
    def of(cls, kernels: list[Kernel]) -> Clock:
        return cls(tuple(accumulate((k.timing.ticks if k.timing else 1 for k in kernels), initial=0)))

    def first(self, step: int) -> int:
        return step if step < 0 else self.begins[min(step, len(self.begins) - 1)]

    def last(self, step: int) -> int:
        return step if step < 0 else self.begins[step + 1] - 1 if step + 1 < len(self.begins) else self.begins[-1]

    def step(self, tick: int) -> int:
        return tick if tick < 0 else bisect_right(self.begins, tick) - 1


def _tensor_buffers(lowered: Lowered, kernels: list[Kernel], clock: Clock) -> tuple[list[Buffer], dict[int, int]]:
    """-> buffers, and the owner of each root's bytes."""
    spans = _spans(lowered)
    shared = _share(lowered, kernels, spans)
    owners = {i: _owner(shared, i) for i in spans}
    buffers = []
    for owner in dict.fromkeys(owners.values()):
        mine = [i for i, o in owners.items() if o == owner]
        first, last = clock.first(min(spans[i][0] for i in mine)), clock.last(max(spans[i][1] for i in mine))
        parts = [_pieces(lowered, kernels, clock, i, spans[i]) for i in mine]
        plain = {tuple(p.size for p in pieces) for pieces in parts} == {(lowered.tensors[owner].nbytes,)}
        pieces = () if plain else _together(parts)
        buffers.append(Buffer(("tensor", owner), max(lowered.tensors[i].nbytes for i in mine), first, last, pieces))
    return buffers, owners


def _pieces(lowered: Lowered, kernels: list[Kernel], clock: Clock, root: int, span: tuple[int, int]) -> Pieces:
    """A tensor's bytes and their ticks: more than one piece where it is written or last read row by row."""
    edges = [_edge(lowered, kernels, root, step, made) for step, made in ((span[0], True), (span[1], False))]
    cuts = sorted({0, lowered.tensors[root].nbytes, *(e for p in edges if p for q in p for e in (q.offset, q.offset + q.size))})
    found = []
    for a, b in pairwise(cuts):
        live = ticks(clock.first(span[0]), clock.last(span[1]))
        for pieces, step in zip(edges, span, strict=True):
            if pieces:
                inside = next((p.live for p in pieces if p.offset <= a < p.offset + p.size), 0)
                live &= ~ticks(clock.first(step), clock.last(step)) | inside << (clock.first(step) + 1)
        found.append(Piece(a, b - a, live))
    return tuple(found)


def _together(parts: list[Pieces]) -> Pieces:
    """Tensors in one place, one step after the other."""
    every = [p for pieces in parts for p in pieces]
    cuts = sorted({e for p in every for e in (p.offset, p.offset + p.size)})
    found = []
    for a, b in pairwise(cuts):
        lives = [p.live for p in every if p.offset <= a < p.offset + p.size]
        found.append(Piece(a, b - a, reduce(or_, lives)))
    return tuple(found)


def _edge(lowered: Lowered, kernels: list[Kernel], root: int, step: int, made: bool) -> Pieces:
    """What the step that begins or ends a tensor's life says of its rows; nothing where it is not one that goes by rows."""
    timing = kernels[step].timing if 0 <= step < len(kernels) else None
    if timing is None:
        return ()
    tensors = lowered.steps[step].outputs if made else lowered.steps[step].inputs
    known = timing.outputs if made else timing.inputs
    found = [pieces for t, pieces in zip(tensors, known, strict=False) if lowered.root(t.index) == root]
    return found[0] if found else ()


def _work_buffers(step: int, kernel: Kernel, clock: Clock) -> list[Buffer]:
    found, begin = [], clock.first(step)
    for i, pieces in enumerate(kernel.timing.work if kernel.timing else ()):
        if pieces:
            moved = tuple(replace(p, live=p.live << (begin + 1)) for p in pieces)
            size = max(p.offset + p.size for p in pieces)
            found.append(Buffer(("work", step, i), size, begin, clock.last(step), moved))
    return found


def _placed(lowered: Lowered, buffers: list[Buffer], result: Placement, clock: Clock) -> tuple[ArenaBuffer, ...]:
    found = []
    for b in buffers:
        assert isinstance(b.key, tuple)
        scratch, i = b.key[0] != "tensor", b.key[1]
        name = f"scratch of {lowered.steps[i].op}" if scratch else lowered.tensors[i].name
        life = clock.step(b.first), clock.step(b.last)
        found.append(ArenaBuffer(name, b.size, result.offsets[b.key], *life, scratch))
    return tuple(sorted(found, key=lambda b: (b.first, b.offset)))


def _spans(lowered: Lowered) -> dict[int, tuple[int, int]]:
    """Root tensor -> (first, last) step of its life. An output nobody reads still needs its place while it is written; what is
    kept between inferences needs it all the time."""
    spans = {lowered.root(i): (-1, -1) for i in (*lowered.inputs, *lowered.states)}
    for step in lowered.steps:
        for t in step.outputs:  # what a loop carries is written more than once
            root = lowered.root(t.index)
            spans[root] = (spans[root][0] if root in spans else step.index, step.index)
        for t in step.inputs:
            if t.data is None:
                root = lowered.root(t.index)
                spans[root] = (spans[root][0], step.index)
    for i in lowered.outputs:
        if lowered.root(i) in spans:
            spans[lowered.root(i)] = (spans[lowered.root(i)][0], len(lowered.steps))
    for i in lowered.states:
        spans[lowered.root(i)] = (-1, len(lowered.steps))
    return spans


def _share(lowered: Lowered, kernels: list[Kernel], spans: dict[int, tuple[int, int]]) -> dict[int, int]:
    """Output root -> input root whose buffer it takes over: the kernel allows it, nobody reads the input afterwards, and
    it is not the smaller one."""
    shared: dict[int, int] = {}
    for step, kernel in zip(lowered.steps, kernels, strict=True):
        out = lowered.root(step.outputs[0].index)
        for i in kernel.inplace:
            t = step.inputs[i]
            source = lowered.root(t.index)
            others = [u for j, u in enumerate(step.inputs) if j != i and u.data is None and lowered.root(u.index) == source]
            if t.data is None and not others and spans[source][1] == step.index and t.nbytes >= step.outputs[0].nbytes:
                shared[out] = source
                break
    return shared


def _owner(shared: dict[int, int], i: int) -> int:
    while i in shared:
        i = shared[i]
    return i
