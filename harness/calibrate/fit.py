"""From measured loops to a memory system: the one, among all combinations of a few integers, that predicts them best.

In three steps, because loops without data in flash don't depend on how that is read, and only wide instructions depend on the
rule for them. Every step tries all combinations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from tinyrig.virtual.timing.memory import MemorySystem

Predict = Callable[[list[MemorySystem], bool], list[list[int]]]
"""(systems, rules) -> cycles [loop][system]."""
CODE, WIDE, DATA = slice(1, 13), slice(13, 15), slice(15, 20)
"""Loops of loops.c: about code, about wide instructions, about data."""
SIZES, WAYS, MISSES = (512, 1024, 2048, 4096, 8192), (1, 2, 4), range(1, 9)
LINES, AGAIN = range(9), range(5)


@dataclass(frozen=True)
class Fitted:
    """`rules`: as Chip.rules. `errors`: of each loop but the first, predicted over measured less 1."""

    system: MemorySystem
    rules: bool
    errors: tuple[float, ...]

    @property
    def worst(self) -> float:
        return max(abs(error) for error in self.errors)


def fit(measured: Sequence[float], predict: Predict, start: MemorySystem) -> Fitted:
    """`measured`: cycles of each loop without those of the empty one; `start`: addresses, line and queue, not fitted."""
    cycles = np.asarray(measured, np.float64)
    code = [
        replace(start, cache_bytes=size, ways=ways, miss=miss, miss_next=following, data_line=0, data_again=0)
        for size, ways, miss in product(SIZES, WAYS, MISSES)
        for following in dict.fromkeys((miss, 0))
    ]
    best, _ = _best(cycles, predict, code, True, CODE)
    data = [replace(best, data_line=line, data_again=again) for line in LINES for again in AGAIN if again <= line]
    best, _ = _best(cycles, predict, data, True, DATA)
    worth = {rules: _best(cycles, predict, [best], rules, WIDE)[1] for rules in (True, False)}
    rules = worth[True] <= worth[False]
    found = np.asarray(predict([best], rules), np.float64)[1:, 0]
    return Fitted(best, rules, tuple((found / cycles[1:] - 1).tolist()))


def _best(
    cycles: np.ndarray, predict: Predict, systems: list[MemorySystem], rules: bool, loops: slice
) -> tuple[MemorySystem, float]:
    """The system with the smallest mean relative error over `loops`, and that error."""
    found = np.asarray(predict(systems, rules), np.float64)[loops]
    errors = np.abs(found / cycles[loops, None] - 1).mean(axis=0)
    return systems[int(errors.argmin())], float(errors.min())
