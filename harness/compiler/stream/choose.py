"""Which steps go row by row: groups of neighbours, one after the other where the arena is fullest, as long as it gets smaller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tinyrig.compiler.lower.lower import Lowered
from tinyrig.compiler.memory import plan_memory
from tinyrig.compiler.model.step import AnyStep, CompileOptions, Kernel
from tinyrig.compiler.stream.kernel import MAX_STAGES, Stream, row_kernel, stream_kernel
from tinyrig.compiler.stream.schedule import Group
from tinyrig.compiler.stream.stages import Stage, stage_of

MOST_STEPS = 12
"""In one group: longer ones keep more rows than they save."""
ROUNDS = 12
MAX_PLANS = 15_000
"""Plans that are tried, times steps: a few seconds."""
ROOMY = 80 * 1024
"""Bytes: an arena beyond this, a third of what a board of 256 KB has, is not left as it is under "speed" either."""
FEW = 2
"""Groups under "speed"."""
MUCH = 0.8
"""What two groups must bring an arena down to where they don't bring it below ROOMY, as a share of it."""

Range = tuple[int, int]
"""Steps from the first to the last of a group, both included."""
Cost = tuple[int, int, int]
"""Bytes of the arena, steps in which it is nearly full, steps that go by rows."""


@dataclass
class Chooser:
    """The search's workplace: what is known of the steps of one model."""

    lowered: Lowered
    kernels: list[Kernel]
    engine: str
    options: CompileOptions
    stages: dict[int, tuple[Stage, Kernel] | None] = field(default_factory=dict)
    groups: dict[Range, tuple[AnyStep, Kernel] | None] = field(default_factory=dict)
    plans: int = 0

    def stage(self, i: int) -> tuple[Stage, Kernel] | None:
        if i not in self.stages:
            stage = stage_of(self.lowered.steps[i])
            kernel = row_kernel(stage, self.engine, self.options) if stage else None
            self.stages[i] = (stage, kernel) if stage and kernel else None
        return self.stages[i]

    def group(self, steps: Range) -> tuple[AnyStep, Kernel] | None:
        """The steps as one, and its kernel; None where they can't go together."""
        if steps not in self.groups:
            found = [self.stage(i) for i in range(steps[0], steps[1] + 1)]
            known = [f for f in found if f is not None]
            step = self._step(steps, tuple(s for s, _ in known)) if len(known) == len(found) <= MAX_STAGES else None
            self.groups[steps] = (step, stream_kernel(step, [k for _, k in known])) if step else None
        return self.groups[steps]

    def _step(self, steps: Range, stages: tuple[Stage, ...]) -> AnyStep | None:
        low = self.lowered
        others = [s for s in low.steps if not steps[0] <= s.index <= steps[1]]
        wanted = {low.root(t.index) for s in others for t in s.inputs} | {low.root(i) for i in (*low.outputs, *low.states)}
        made = [low.root(s.step.outputs[0].index) for s in stages]
        read = {low.root(t.index) for s in stages for t in s.step.inputs}
        kept = frozenset(m for m in made if m in wanted or m not in read)
        group = Group(stages, kept, low.root)
        return _as_one(group) if len(kept) < len(set(made)) == len(made) and _agree(group) else None

    def apply(self, chosen: tuple[Range, ...]) -> tuple[Lowered, list[Kernel]]:
        steps, kernels, i = list[AnyStep](), list[Kernel](), 0
        first = {r[0]: r for r in chosen}
        while i < len(self.lowered.steps):
            group = self.group(first[i]) if i in first else None
            step, kernel = group or (self.lowered.steps[i], self.kernels[i])
            steps.append(replace(step, index=len(steps)))
            kernels.append(kernel)
            i = first[i][1] + 1 if group else i + 1
        return replace(self.lowered, steps=tuple(steps)), kernels

    def cost(self, chosen: tuple[Range, ...]) -> Cost:
        self.plans += 1
        memory = plan_memory(*self.apply(chosen), search=False)
        return memory.arena_bytes, memory.full_steps, _work(chosen)


def stream(lowered: Lowered, kernels: list[Kernel], engine: str, options: CompileOptions) -> tuple[Lowered, list[Kernel]]:
    """The steps, some of them together, and their kernels. Two ways, each better on some networks: groups that each make the
    arena smaller, and groups that at least leave fewer steps in which it is nearly full. Under "speed" see _few."""
    chooser = Chooser(lowered, kernels, engine, options)
    if options.optimise != "ram":
        return chooser.apply(_few(chooser))
    ways = [_search(chooser, lambda c: (c[0], 0, c[2]))]
    if chooser.cost(ways[0][1])[1] > 1:
        ways.append(_search(chooser, lambda c: c))
    return chooser.apply(min(ways)[1])


def _search(chooser: Chooser, weigh: Callable[[Cost], Cost], rounds: int = ROUNDS) -> tuple[Cost, tuple[Range, ...]]:
    """Group by group; the smallest arena on the way, with the fewest steps by rows."""
    chosen, budget = tuple[Range, ...](), chooser.plans + max(MAX_PLANS // max(len(chooser.lowered.steps), 1), 20)
    cost = weigh(chooser.cost(chosen))
    best = cost[0], 0, chosen
    for _ in range(rounds):
        candidates = _candidates(chooser, chosen)[: max(0, budget - chooser.plans)]
        found = min(((weigh(chooser.cost(c)), c) for c in candidates), default=None)
        if found is None or found[0][:2] >= cost[:2]:
            break
        cost, chosen = found
        best = min(best, (cost[0], cost[2], chosen))
    return (best[0], 0, best[1]), best[2]


def _few(chooser: Chooser) -> tuple[Range, ...]:
    """Groups of few steps that bring an arena beyond ROOMY below it; none where FEW of them save little: rows cost time."""
    plain = chooser.cost(())[0]
    if plain <= ROOMY:
        return ()
    _, chosen = _search(chooser, lambda c: (max(c[0], ROOMY), 0, c[2]), FEW)
    return chosen if chooser.cost(chosen)[0] <= max(ROOMY, MUCH * plain) else ()


def _work(chosen: tuple[Range, ...]) -> int:
    return sum(b - a for a, b in chosen)


def _candidates(chooser: Chooser, chosen: tuple[Range, ...]) -> list[tuple[Range, ...]]:
    """Groups about the place where the arena is fullest; those they overlap give way."""
    found = list[tuple[Range, ...]]()
    for a, b in _ranges(chooser, _fullest(chooser, chosen)):
        if (a, b) not in chosen and chooser.group((a, b)):
            found.append(tuple(sorted([(a, b), *(r for r in chosen if r[1] < a or b < r[0])])))
    return found


def _ranges(chooser: Chooser, peak: Range) -> list[Range]:
    count = len(chooser.lowered.steps)
    return [
        (a, b)
        for a in range(max(0, peak[0] - MOST_STEPS), peak[1] + 1)
        for b in range(max(a + 1, peak[0]), min(a + MOST_STEPS, count))
        if all(chooser.stage(i) for i in range(a, b + 1))
    ]


def _fullest(chooser: Chooser, chosen: tuple[Range, ...]) -> Range:
    """The steps, as numbered in the model, of the step during which most is alive."""
    lowered, kernels = chooser.apply(chosen)
    peak = plan_memory(lowered, kernels, search=False).fullest
    i = 0
    for n, _ in enumerate(lowered.steps):
        r = next((r for r in chosen if r[0] == i), (i, i))
        if n == peak:
            return r
        i = r[1] + 1
    return (0, 0)


def _as_one(group: Group) -> AnyStep:
    first, root = group.stages[0].step, group.root
    by_row = group.outside
    inputs = {root(t.index): t for s in group.stages for t in s.step.inputs if root(t.index) not in group.made}
    ordered = [inputs[i] for i in by_row] + [t for i, t in inputs.items() if i not in by_row]
    outputs = [s.step.outputs[0] for k, s in enumerate(group.stages) if group.output(k) in group.kept]
    return replace(
        first,
        kind="stream",
        name=f"{first.name[:19]}_to_{group.stages[-1].step.name[:17]}",
        op=f"{len(group.stages)} layers by rows",
        inputs=tuple(ordered),
        outputs=tuple(outputs),
        params=Stream(group),
        macs=sum(s.step.macs for s in group.stages),
    )


def _agree(group: Group) -> bool:
    """Every reader takes the same rows of a map, and those are the ones that its maker gives."""
    made = {group.output(k): (s.height, s.size) for k, s in enumerate(group.stages)}
    for s in group.stages:
        for r in s.reads:
            if r and made.setdefault(group.root(r.tensor.index), (r.height, r.size)) != (r.height, r.size):
                return False
        whole = [t for t, r in zip(s.step.inputs, s.reads, strict=True) if r is None]
        if any(group.root(t.index) in made for t in whole):
            return False
    return True
