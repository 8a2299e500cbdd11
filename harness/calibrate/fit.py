"""From measured loops to a memory system: the one, among all combinations of a few integers, that predicts them best.

In steps, because what one group of loops depends on doesn't matter to the others: with the cache off only the line's length does
and what a miss costs; loops without data in flash don't depend on how that is read; only wide instructions and fused
multiply-adds depend on the rules for them. Every step tries all combinations.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from tinyrig.calibrate.image import TAKEN, Pass
from tinyrig.virtual.timing.memory import MemorySystem
from tinyrig.virtual.timing.model import ALL_RULES

Predict = Callable[[Sequence[Pass], list[MemorySystem], int], list[list[int]]]
"""(passes, systems, rules) -> cycles [pass][system]."""
CODE, RULES, DATA = range(1, 13), (13, 14, 23, 24, 34, 35), range(15, 23)
"""Loops of loops.c: about code, about the two rules of the pipeline, about data."""
CORE = range(33, 43)
SIZES, WAYS, MISSES = (512, 1024, 2048, 4096, 8192), (1, 2, 4), range(1, 9)
LINE_BYTES = (8, 16, 32, 64)
LINES, AGAIN = range(9), range(5)


@dataclass(frozen=True)
class Fitted:
    """`rules`: as Chip.rules. `errors`: of each pass, predicted over measured less 1."""

    system: MemorySystem
    rules: int
    passes: tuple[Pass, ...]
    errors: tuple[float, ...]

    def worst(self, core: bool) -> float:
        """Of the passes with the cache on: those about the memory, or those about the core, where nothing is fitted but
        RULES; 0.0 where none ran."""
        rows = zip(self.passes, self.errors, strict=True)
        return max((abs(error) for one, error in rows if one.cached and (one.loop in CORE) == core), default=0.0)


def fit(measured: Sequence[float], passes: Sequence[Pass], predict: Predict, start: MemorySystem) -> Fitted:
    """`measured`: cycles of each pass without those of the empty loop; `start`: addresses and queue, which are not fitted, and
    the line's length where no loop ran without the cache."""
    trial = _Trial(dict(zip(passes, measured, strict=True)), predict)
    best = replace(start, cache_bytes=max(SIZES), miss=0, miss_next=0, data_line=0, data_again=0)
    if taken := [one for one in passes if not one.cached and one.loop in TAKEN]:
        best = trial.best(
            taken, [replace(best, line_bytes=n, miss=miss, miss_next=then) for n in LINE_BYTES for miss, then in _misses()]
        )
    caches = product(SIZES, WAYS, _misses())
    tried = [replace(best, cache_bytes=size, ways=ways, miss=miss, miss_next=then) for size, ways, (miss, then) in caches]
    best = trial.best(_about(passes, CODE), tried)
    tried = [replace(best, data_line=line, data_again=again) for line in LINES for again in AGAIN if again <= line]
    best = trial.best(_about(passes, DATA), tried)
    about = _about(passes, RULES)
    rules = min(range(ALL_RULES, -1, -1), key=lambda bits: float(np.abs(trial.errors(about, [best], bits)).mean()))
    return Fitted(best, rules, tuple(passes), tuple(trial.errors(passes, [best], rules)[:, 0].tolist()))


def _about(passes: Sequence[Pass], loops: Container[int]) -> list[Pass]:
    return [one for one in passes if one.cached and one.loop in loops]


def _misses() -> list[tuple[int, int]]:
    """(miss, miss_next): the line behind the last one missed costs as much as any, or nothing."""
    return [(miss, following) for miss in MISSES for following in (miss, 0)]


@dataclass(frozen=True)
class _Trial:
    measured: dict[Pass, float]
    predict: Predict

    def errors(self, passes: Sequence[Pass], systems: list[MemorySystem], rules: int) -> np.ndarray:
        """float64 [pass, system]: predicted over measured less 1."""
        cycles = np.asarray([self.measured[one] for one in passes], np.float64)
        found: np.ndarray = np.asarray(self.predict(passes, systems, rules), np.float64) / cycles[:, None] - 1
        return found

    def best(self, passes: Sequence[Pass], systems: list[MemorySystem]) -> MemorySystem:
        """The one with the smallest mean error."""
        return systems[int(np.abs(self.errors(passes, systems, ALL_RULES)).mean(axis=0).argmin())]
