"""Steps and kernels -> buffers with lifetimes, in-place sharing, offsets of every tensor and scratch."""

from __future__ import annotations

from dataclasses import dataclass

from tinyrig.compiler.lower.lower import Lowered
from tinyrig.compiler.model.step import Kernel
from tinyrig.compiler.plan import Buffer, Placement, plan
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


def plan_memory(lowered: Lowered, kernels: list[Kernel]) -> ArenaLayout:
    """Inputs live from before the first step until their last reader, outputs until behind the last step."""
    spans = _spans(lowered)
    shared = _share(lowered, kernels, spans)
    sizes: dict[int, int] = {}
    for i, (first, last) in spans.items():
        owner = _owner(shared, i)
        sizes[owner] = max(sizes.get(owner, 0), lowered.tensors[i].nbytes)
        a, b = spans[owner]
        spans[owner] = (min(a, first), max(b, last))
    buffers = [Buffer(("tensor", i), n, *spans[i]) for i, n in sizes.items()]
    buffers += [Buffer(("scratch", s), k.scratch_bytes, s, s) for s, k in enumerate(kernels) if k.scratch_bytes]
    result = plan(buffers)
    owners = {i: result.offsets["tensor", _owner(shared, i)] for i in spans}
    offsets = {t.index: owners[lowered.root(t.index)] for t in lowered.tensors if lowered.root(t.index) in owners}
    scratch = {key[1]: o for key, o in result.offsets.items() if key[0] == "scratch"}  # type: ignore[index]
    return ArenaLayout(offsets, scratch, result.size, result.lower_bound, _placed(lowered, buffers, result))


def _placed(lowered: Lowered, buffers: list[Buffer], result: Placement) -> tuple[ArenaBuffer, ...]:
    found = []
    for b in buffers:
        assert isinstance(b.key, tuple)
        scratch, i = b.key[0] == "scratch", b.key[1]
        name = f"scratch of {lowered.steps[i].op}" if scratch else lowered.tensors[i].name
        found.append(ArenaBuffer(name, b.size, result.offsets[b.key], b.first, b.last, scratch))
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
