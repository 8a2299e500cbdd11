"""Which class was taken for which: counts, precision and recall of each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyrig.analysis.outputs import predictions, scoring_of, window_samples
from tinyrig.core.records import Measurement
from tinyrig.core.scoring import DECIDING

MOST_CLASSES = 20
"""Of a matrix; beyond it the pairs that are confused most are listed."""
MOST_PAIRS = 12


@dataclass(frozen=True)
class Confusion:
    """`counts` [true][predicted] windows; `precision` and `recall` by class, None where there is nothing to divide by."""

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]

    @property
    def as_matrix(self) -> bool:
        return len(self.names) <= MOST_CLASSES

    @property
    def classes(self) -> list[tuple[str, int, float | None, float | None]]:
        """(name, its windows, precision, recall) of every class that was there or was answered."""
        asked = [sum(row) for row in self.counts]
        rows = zip(self.names, asked, self.precision, self.recall, strict=True)
        return [row for row in rows if row[2] is not None or row[3] is not None]

    @property
    def pairs(self) -> list[tuple[str, str, int]]:
        """(true class, taken for, windows), the most frequent first."""
        wrong = [
            (self.names[i], self.names[j], n) for i, row in enumerate(self.counts) for j, n in enumerate(row) if n and i != j
        ]
        return sorted(wrong, key=lambda pair: -pair[2])[:MOST_PAIRS]

    @property
    def most(self) -> int:
        """The fullest cell."""
        return max((n for row in self.counts for n in row), default=0)


def confusion(run: Measurement) -> Confusion | None:
    """None without labels, and where the scored output names no class."""
    samples, predicted = window_samples(run), predictions(run) if scoring_of(run).kind in DECIDING else None
    if run.labels is None or predicted is None or not samples or samples[-1].index >= len(run.labels):
        return None
    true = np.asarray([run.labels[s.index] for s in samples])
    size = int(max(true.max(), predicted.max(), len(run.class_names or ()) - 1, 1)) + 1
    if int(min(true.min(), predicted.min())) < 0:
        return None  # an argmax inside the graph names what it likes
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (true, predicted), 1)
    right = np.diag(counts)
    given = run.class_names or ()
    names = tuple(given[i] if i < len(given) else f"class {i}" for i in range(size))
    rows = tuple(tuple(int(n) for n in row) for row in counts)
    return Confusion(names, rows, _rates(right, counts.sum(axis=0)), _rates(right, counts.sum(axis=1)))


def _rates(right: np.ndarray, of: np.ndarray) -> tuple[float | None, ...]:
    return tuple(float(r / n) if n else None for r, n in zip(right, of, strict=True))
