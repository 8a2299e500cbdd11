"""Training and test parts of a dataset, and the normalisation fitted on the training part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinyrig.core.errors import UserError

TEST_SHARE = 0.2
_GROUP_TRIALS = 20
"""Seeded candidate splits by group, of which the best is taken: enough to be close, few enough that seeds differ."""
_GROUP_TRIALS_MAX = 500
"""Candidates tried before a dataset is called unsplittable by group."""


@dataclass(frozen=True)
class Split:
    """Row numbers (int64, ascending) of the two parts, and how they were chosen in words."""

    train: np.ndarray
    test: np.ndarray
    method: str


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, float32 [C]; a constant channel has standard deviation 1."""

    mean: np.ndarray
    std: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        """x [N,T,C] in the sensor's units -> float32 [N,T,C] as the model takes it."""
        return np.asarray((x - self.mean) / self.std, np.float32)


def fit_normalisation(x: np.ndarray) -> Normalisation:
    """Channel statistics of x [N,T,C] (training windows only)."""
    mean = x.mean((0, 1), dtype=np.float64)
    std = x.std((0, 1), dtype=np.float64)
    # A channel that never moves has rounding error for a deviation; dividing by it would blow up the test windows.
    still = std <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
    return Normalisation(mean.astype(np.float32), np.where(still, 1.0, std).astype(np.float32))


def split(y: np.ndarray, groups: np.ndarray | None, seed: int, class_names: tuple[str, ...]) -> Split:
    """Stratified 80/20; by group where `groups` is given, so that no group is on both sides.

    y int64 [N], groups [N] of any one dtype. UserError: a class can't be on both sides.
    """
    rng = np.random.default_rng(seed)
    if groups is None:
        test = _stratified_test(y, rng, class_names)
        method = f"stratified {1 - TEST_SHARE:.0%}/{TEST_SHARE:.0%}, seed {seed}"
    else:
        names, group = np.unique(groups, return_inverse=True)
        chosen = _group_test(y, group.reshape(-1), rng, class_names)
        test = chosen[group.reshape(-1)]
        held_out = ", ".join(str(name) for name in names[chosen][:12])
        method = f"by group, {chosen.sum()} of {len(names)} groups in the test part ({held_out}), seed {seed}"
    return Split(np.flatnonzero(~test), np.flatnonzero(test), method)


def leave_out(groups: np.ndarray, group: str) -> Split:
    """Everything of one group (a person, a recording) is tested on, the rest is trained on."""
    test = groups.astype(str) == group
    return Split(np.flatnonzero(~test), np.flatnonzero(test), f"by group, {group} in the test part")


def _stratified_test(y: np.ndarray, rng: np.random.Generator, class_names: tuple[str, ...]) -> np.ndarray:
    test = np.zeros(len(y), bool)
    for label, name in enumerate(class_names):
        rows = np.flatnonzero(y == label)
        if len(rows) < 2:
            raise UserError(
                f"class {name!r} can't be in both the training and the test part",
                expected="at least 2 windows",
                received=f"{len(rows)}",
                remedy="record more, or leave the class out",
            )
        test[rng.permutation(rows)[: max(1, round(TEST_SHARE * len(rows)))]] = True
    return test


def _group_test(y: np.ndarray, group: np.ndarray, rng: np.random.Generator, class_names: tuple[str, ...]) -> np.ndarray:
    """Which groups are held out, bool [G]: the best of some seeded candidates."""
    counts = np.zeros((group.max() + 1, len(class_names)))
    np.add.at(counts, (group, y), 1)
    for label, name in enumerate(class_names):
        if np.count_nonzero(counts[:, label]) < 2:
            raise UserError(
                f"class {name!r} can't be tested on an unseen group",
                expected="its windows in at least 2 groups",
                received="all of them in one",
                remedy="record it with another group, or leave the groups out",
            )
    valid: list[tuple[float, int, np.ndarray]] = []
    for candidate in _candidates(counts, rng):
        part = counts[candidate].sum(0)
        if np.all(part > 0) and np.all(part < counts.sum(0)):
            valid.append((_distance(part, counts.sum(0)), len(valid), candidate))
        if len(valid) == _GROUP_TRIALS:
            break
    if valid:
        return min(valid)[2]
    raise UserError(
        "the groups can't be split so that every class is on both sides",
        expected="groups whose classes overlap",
        received=f"{len(counts)} groups; {_GROUP_TRIALS_MAX} splits tried, none fits",
        remedy="record each class with more groups, or leave the groups out",
    )


def _distance(part: np.ndarray, whole: np.ndarray) -> float:
    """How far the classes' shares in the test part, and the part's share of all, are from TEST_SHARE."""
    return float(np.sum((part / whole - TEST_SHARE) ** 2) + len(whole) * (part.sum() / whole.sum() - TEST_SHARE) ** 2)


def _candidates(counts: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Seeded held-out sets: groups in random order, each taken while it brings the shares closer to the wanted ones."""
    whole = counts.sum(0)
    for _ in range(_GROUP_TRIALS_MAX):
        chosen = np.zeros(len(counts), bool)
        part = np.zeros(len(whole))
        for g in rng.permutation(len(counts)):
            if _distance(part + counts[g], whole) < _distance(part, whole):
                chosen[g], part = True, part + counts[g]
        yield chosen
