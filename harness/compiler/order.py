"""The order of steps where branches leave a choice: one in which less is alive at once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import islice

from tinyrig.compiler.lower.lower import Lowered
from tinyrig.compiler.memory import plan_memory
from tinyrig.compiler.model.step import Kernel

BEAM = 12
"""Beginnings that are followed at a time, the same ones whenever the model is compiled."""
MAX_READY = 6
"""Steps, the first of the file's order, that a beginning is continued with."""
MAX_STEPS = 300
"""With these limits the search takes at most some seconds, and milliseconds where there are few branches."""


@dataclass(frozen=True)
class _Beginning:
    """Steps `done`, one after the other in `order`; the most bytes that were alive at once."""

    peak: int
    order: tuple[int, ...]
    done: int


class _Graph:
    """Sizes of roots, and who makes and reads them, as bits of steps."""

    def __init__(self, lowered: Lowered, kernels: list[Kernel]) -> None:
        self.kernels, self.steps, self.root = kernels, lowered.steps, lowered.root
        self.sizes: dict[int, int] = {}
        self.makers: dict[int, int] = {}
        self.readers: dict[int, int] = {}
        self.kept = {self.root(i) for i in lowered.outputs}
        for s in lowered.steps:
            for t in s.inputs:
                if t.data is None:
                    self._note(t.index, lowered, self.readers, s.index)
            for t in s.outputs:
                self._note(t.index, lowered, self.makers, s.index)

    def _note(self, index: int, lowered: Lowered, bits: dict[int, int], step: int) -> None:
        root = self.root(index)
        self.sizes[root] = lowered.tensors[root].nbytes
        bits[root] = bits.get(root, 0) | 1 << step

    def ready(self, step: int, done: int) -> bool:
        """Whether all that it reads is made."""
        reads = (self.root(t.index) for t in self.steps[step].inputs if t.data is None)
        return not done >> step & 1 and all(self.makers.get(r, 0) & ~done == 0 for r in reads)

    def alive(self, done: int) -> int:
        """Bytes that are made and still read, between two steps."""
        return sum(
            n
            for root, n in self.sizes.items()
            if self.makers.get(root, 0) & ~done == 0 and (root in self.kept or self.readers.get(root, 0) & ~done)
        )

    def during(self, step: int, done: int) -> int:
        """Bytes alive while a step runs: what was, what it makes unless in place of an input that nobody else reads, scratch."""
        kernel, s = self.kernels[step], self.steps[step]
        spared = 0
        for i in kernel.inplace:
            root = self.root(s.inputs[i].index)
            last = not self.readers.get(root, 0) & ~(done | 1 << step) and root not in self.kept
            spared = max(spared, s.outputs[0].nbytes if last and self.sizes.get(root, 0) >= s.outputs[0].nbytes else 0)
        return self.alive(done) + sum(t.nbytes for t in s.outputs) - spared + kernel.scratch_bytes


def ordered(lowered: Lowered, kernels: list[Kernel]) -> tuple[Lowered, list[Kernel]]:
    """Another order of the steps, and of their kernels, if it makes the arena smaller; otherwise the same."""
    plain = not lowered.states and not lowered.on_reset and all(s.block == 0 for s in lowered.steps)
    if not plain or not 2 < len(lowered.steps) <= MAX_STEPS:
        return lowered, kernels
    order = _best(_Graph(lowered, kernels), len(kernels))
    if order == tuple(range(len(kernels))):
        return lowered, kernels
    steps = tuple(dataclasses.replace(lowered.steps[k], index=i) for i, k in enumerate(order))
    other, moved = dataclasses.replace(lowered, steps=steps), [kernels[k] for k in order]
    smaller = plan_memory(other, moved, search=False).arena_bytes < plan_memory(lowered, kernels).arena_bytes
    return (other, moved) if smaller else (lowered, kernels)


def _best(graph: _Graph, count: int) -> tuple[int, ...]:
    """The file's own order among equals."""
    beam = [_Beginning(0, (), 0)]
    for _ in range(count):
        found: dict[int, _Beginning] = {}
        for b in beam:
            for step in islice((s for s in range(count) if graph.ready(s, b.done)), MAX_READY):
                peak = max(b.peak, graph.during(step, b.done))
                after = _Beginning(peak, (*b.order, step), b.done | 1 << step)
                known = found.setdefault(after.done, after)
                if (after.peak, after.order) < (known.peak, known.order):
                    found[after.done] = after
        beam = sorted(found.values(), key=lambda b: (b.peak, b.order))[:BEAM]
    return beam[0].order
