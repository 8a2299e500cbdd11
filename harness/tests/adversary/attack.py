"""What one attack did and what it found. An attack is known by kind, seed and index: the same three do the same again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True)
class Attack:
    """`what` was done; `faults`: which invariants broke, in words; none where all held."""

    what: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where an attack happens: an empty folder of its own, and the generator of all its choices."""

    folder: Path
    rng: np.random.Generator

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.rng.integers(len(items)))]


Attacker = Callable[[Place], Attack]
"""One attack. What stays the same between attacks is made once, by whoever makes the attacker."""
