"""Answers that can hardly be meant: one class for everything, and an accuracy that guessing would have too."""

from __future__ import annotations

import numpy as np

from tinyrig.analysis import stats
from tinyrig.core.scoring import Caution, CautionKind

LEAST_WINDOWS = 10
"""Fewer may well be all of one class."""


def one_class(predicted: np.ndarray, labels: np.ndarray | None) -> Caution | None:
    """`predicted` classes of windows that are not random ones, int64 [N]; `labels` None where they have none."""
    if len(predicted) < LEAST_WINDOWS or len(np.unique(predicted)) > 1:
        return None
    if labels is not None and len(np.unique(labels)) < 2:
        return None
    meant = "the windows carry no labels" if labels is None else f"the labels name {len(np.unique(labels))}"
    text = f"all {len(predicted)} windows are given class {int(predicted[0])}, and {meant}: check the windows' units and order"
    return Caution(CautionKind.ONE_CLASS, text)


ALPHA = 0.05


def tells_nothing(area: float, p_value: float, count: int) -> Caution | None:
    """`area` under the ROC curve of `count` windows, `p_value` of its telling nothing."""
    if count < LEAST_WINDOWS or p_value < ALPHA:
        return None
    text = (
        f"an AUC of {area:.2f} is not distinguishable from chance (p = {p_value:.2g}): check labels, units and which of them is 1"
    )
    return Caution(CautionKind.CHANCE, text)


def no_better_than_the_mean(r2: float) -> Caution | None:
    """`r2` of real values against their targets."""
    if r2 > 0:
        return None
    text = f"R2 is {r2:.2f}: the targets' own mean would be as close; check the units of y and the output that is scored"
    return Caution(CautionKind.CHANCE, text)


def at_chance(hits: np.ndarray, classes: int) -> Caution | None:
    """`hits` bool [N]; `classes` 2 at least. None where the interval lies above chance; below it something is wrong too."""
    right, count, chance = int(np.sum(hits)), len(hits), 1 / classes
    interval = stats.wilson(right, count)
    if interval is None or interval[0] > chance:
        return None
    low, high = interval
    where = "below" if high < chance else "not distinguishable from"
    text = (
        f"{100 * right / count:.1f} % right (95 % interval {100 * low:.1f}-{100 * high:.1f} %) is {where} chance with {classes} "
        f"classes, {100 * chance:.1f} %: check labels, units and the order of axes and classes"
    )
    return Caution(CautionKind.CHANCE, text)
