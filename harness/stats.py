"""Intervals, tests and percentiles. scipy is imported where it is used: it costs about a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Wilson's score interval of a proportion, as fractions (lo, hi); None without trials.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209-212.
    No continuity correction. Raises ValueError when successes lie outside 0..trials.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials")
    if not trials:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / trials
    scale = 1 + z * z / trials
    centre = p + z * z / (2 * trials)
    half = z * sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    # At 0 and at all successes the bound is exact; the formula misses it by a rounding error.
    lo = 0.0 if successes == 0 else (centre - half) / scale
    hi = 1.0 if successes == trials else (centre + half) / scale
    return lo, hi


@dataclass(frozen=True)
class McNemar:
    """Two classifiers on the same windows: how often only one of them was right, and the two-sided p-value."""

    only_first: int
    only_second: int
    p_value: float


def mcnemar_exact(first: Sequence[bool] | np.ndarray, second: Sequence[bool] | np.ndarray) -> McNemar:
    """Exact (binomial) McNemar test of paired top-1 hits, both [N] bool in the same window order.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947) 153-157; the exact form is a two-sided binomial test of the discordant pairs against 1/2.
    Without discordant pairs p is 1. Raises ValueError when the lengths differ.
    """
    a, b = np.asarray(first, bool), np.asarray(second, bool)
    if a.shape != b.shape:
        raise ValueError(f"paired test of {a.size} against {b.size} windows")
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    if only_a == only_b:
        return McNemar(only_a, only_b, 1.0)
    from scipy.stats import binomtest

    return McNemar(only_a, only_b, float(binomtest(only_a, only_a + only_b, 0.5).pvalue))


def percentile(values: Sequence[float] | np.ndarray, q: float) -> float:
    """The q-th percentile (0 to 100) with linear interpolation between order statistics.

    Source: definition 7 of R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", American Statistician 50
    (1996) 361-365, which is numpy's default. Raises ValueError when there are no values.
    """
    if not len(values):
        raise ValueError("percentile of no values")
    return float(np.percentile(np.asarray(values, np.float64), q))
