"""Intervals, tests and percentiles. scipy is imported where it is used: it costs about a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

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
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


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


def mcnemar_least(against: int, alpha: float) -> int:
    """The smallest net number of windows that is significant at `alpha` when `against` windows changed the other way."""
    from scipy.stats import binom

    n = 2 * against + np.arange(40 + int(8 * sqrt(2 * against)))
    significant = 2 * binom.cdf(against, n, 0.5) <= alpha
    return int(n[np.argmax(significant)]) - 2 * against


def percentile(values: Sequence[float] | np.ndarray, q: float) -> float:
    """The q-th percentile (0 to 100) with linear interpolation between order statistics.

    Source: definition 7 of R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", American Statistician 50
    (1996) 361-365, which is numpy's default. Raises ValueError when there are no values.
    """
    if not len(values):
        raise ValueError("percentile of no values")
    return float(np.percentile(np.asarray(values, np.float64), q))


COARSE_TICK = 1e-4
"""Share of the reading from which a timer's tick counts as coarse: below it, rounding to ticks hides in the noise."""
_SKIP = 5.0
"""Robust standard deviations beyond which a sample is an interruption (an interrupt, a stalled bus) and is left out."""


@dataclass(frozen=True)
class Timer:
    """What a counter can resolve, in the unit of the readings. `tick` 0 means no rounding worth a thought.

    `random_phase` promises that readings start at a random moment within a tick, so that their mean resolves parts of it;
    without that promise two readings differ by whole ticks or not at all.
    """

    tick: float = 0.0
    random_phase: bool = False

    def dithers(self, reading: np.ndarray | float) -> np.ndarray | bool:
        """Whether the mean of readings of this size must be taken for their median, which would stick to whole ticks."""
        return self.random_phase & (self.tick > COARSE_TICK * np.abs(reading))


FINE = Timer()


def location(samples: Sequence[float] | np.ndarray, timer: Timer = FINE) -> np.ndarray:
    """One value of a run's raw samples [..., N]: their median; for a coarse timer of random phase their mean without outliers.

    A reading of random phase is one of the two ticks beside the truth, the upper one with a probability equal to the
    remainder, so the mean is free of bias and the median is not (B. Widrow and I. Kollar, "Quantization Noise", Cambridge
    2008, chapter 19). Left out are samples beyond 5 robust standard deviations and 2 ticks from the median.
    """
    x = np.asarray(samples, np.float64)
    middle = np.median(x, axis=-1)
    if not np.any(timer.dithers(middle)):
        return middle
    far = np.abs(x - middle[..., None])
    limit = np.maximum(2 * timer.tick, _SKIP * 1.4826 * np.median(far, axis=-1))
    mean = np.mean(x, axis=-1, where=far <= limit[..., None])
    return np.where(timer.dithers(middle), mean, middle)


@dataclass(frozen=True)
class Spread:
    """Centre and scale of runs, robust: `scale` estimates the standard deviation of one run, `freedom` its degrees of freedom,
    `runs` how many it came from. Arrays when the values had leading axes."""

    centre: np.ndarray | float
    scale: np.ndarray | float
    freedom: int
    runs: int


TRIM = 0.15
"""Share of the values that trimming takes from each end, 3 of 20: as many earlier runs may be outliers."""


def spread(values: Sequence[float] | np.ndarray) -> Spread:
    """Trimmed mean and winsorised standard deviation of [..., K] values, K of 3 or more.

    Source: J. W. Tukey and D. H. McLaughlin, "Less vulnerable confidence and significance procedures for location based on a
    single sample: trimming/winsorization 1", Sankhya A 25 (1963) 331-352; the ratio follows Student's t with K - 2g - 1
    degrees of freedom, g the values trimmed from each end.
    """
    x = np.sort(np.asarray(values, np.float64), axis=-1)
    k = x.shape[-1]
    if k < 3:
        raise ValueError(f"spread of {k} values")
    from scipy.stats import trim_mean

    g = int(TRIM * k)
    least, most = x[..., g], x[..., k - g - 1]
    # Rounding puts the mean of equal values a bit beside them, and their scale beside zero.
    centre = np.clip(trim_mean(x, TRIM, axis=-1), least, most)
    winsorised = np.clip(x, least[..., None], most[..., None])  # as scipy's winsorize, which loops over the rows
    # Values on two ticks gain nothing from winsorising; dividing would count them 1.7 times.
    scale = np.minimum(winsorised.std(axis=-1, ddof=1) / (1 - 2 * g / k), x.std(axis=-1, ddof=1))
    return Spread(centre, np.where(least == most, 0.0, scale), k - 2 * g - 1, k)


def student_p(ratio: np.ndarray | float, freedom: int) -> np.ndarray:
    """Two-sided p-value of a ratio that follows Student's t."""
    from scipy.special import stdtr

    return 2 * stdtr(freedom, -np.abs(ratio))


def student_ratio(p: float, freedom: int) -> float:
    """The ratio whose two-sided p-value is `p`."""
    from scipy.special import stdtrit

    return float(-stdtrit(freedom, p / 2))


@dataclass(frozen=True)
class Mean:
    """Mean of repetitions, the interval that holds the expected value, and the two-sided p-value of its being 0."""

    mean: float
    low: float
    high: float
    p_value: float


def mean_of(values: Sequence[float] | np.ndarray, overlap: float = 0.0, confidence: float = 0.95) -> Mean:
    """Student's t over 2 or more repetitions; of paired differences it is the paired t-test.

    overlap: 0 where every repetition has data of its own. Repetitions that share one data set (other splits, folds) resemble each
    other, and the plain test finds differences that are not there; there it is test windows / training windows, which
    widens the interval as C. Nadeau and Y. Bengio propose ("Inference for the generalization error", Machine Learning 52 (2003)
    239-281).
    """
    x = np.asarray(values, np.float64)
    if x.size < 2:
        raise ValueError(f"interval of {x.size} values")
    mean, freedom = float(x.mean()), x.size - 1
    # Rounding makes equal values differ by a bit, which must not look like a spread.
    deviation = 0.0 if np.ptp(x) <= 1e-12 else float(x.std(ddof=1))
    error = deviation * sqrt(1 / x.size + overlap)
    if not error:
        return Mean(mean, mean, mean, 1.0 if abs(mean) <= 1e-12 else 0.0)
    half = student_ratio(1 - confidence, freedom) * error
    return Mean(mean, mean - half, mean + half, float(student_p(mean / error, freedom)))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the order given: each at most 1, and comparable with alpha as it is.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979) 65-70.
    statsmodels has it too, for a second of import and a package of its own; scipy has only procedures for false discovery rates.
    """
    corrected, worst = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = worst
    return corrected
