"""Slow change over many nights: change points in the history of one metric. Pure; ruptures does the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from tinyrig.analysis.stats import spread

MIN_NIGHTS = 5
"""Nights that a level must last before it counts as one: fewer are an episode, and two outliers must not make a level."""
PENALTY = 30.0
"""What a change point must gain, as the sum of squares in units of the noise's variance.
Chosen with bench/simulate_nights.py so that nights without change raise under 1 alarm in 1,000; see docs/verdicts.md."""
MAX_NIGHTS = 120
"""Longest history looked at: the search takes time with its square, and older nights say little of today's board."""
_CLIP = 3.0
"""Standard deviations at which a value is cut before the search, so that a single wild night gains no change point."""


@dataclass(frozen=True)
class Drift:
    """The level of the last nights against the level of the first ones. `nights` is the age of the last change point in nights,
    0 when none was found; then `before` and `after` are the same level. `noise` is the standard deviation used."""

    nights: int
    before: float
    after: float
    noise: float

    @property
    def change(self) -> float:
        return self.after - self.before


def noise(history: np.ndarray) -> float:
    """Standard deviation of one night that neither a drift nor a step raises: from the differences between neighbours.

    Source: J. von Neumann et al., "The mean square successive difference", Ann. Math. Statist. 12 (1941) 153-162; trimmed here.
    """
    return float(spread(np.diff(history)).scale) / sqrt(2)


def find(history: Sequence[float] | np.ndarray, *, floor: float = 0.0, penalty: float = PENALTY) -> Drift:
    """Where the level of `history` (one value a night, oldest first, since the last accepted change) moved for good.

    Exact penalised least squares (linear kernel) after A. Celisse et al., "New efficient algorithms for multiple change-point
    detection with reproducing kernels", CSDA 128 (2018) 200-220, on values in units of the noise; `floor` is the least
    standard deviation to assume (a timer's tick, the smallest change of interest). Fewer than 2 x MIN_NIGHTS nights: none.
    """
    x = np.asarray(history, np.float64)[-MAX_NIGHTS:]
    if len(x) < 2 * MIN_NIGHTS:
        level = float(np.median(x)) if len(x) else float("nan")
        return Drift(0, level, level, floor)
    scale = max(noise(x), float(floor))
    ends = _segments(x, scale, penalty)
    if len(ends) > 1:
        # Nights that resemble their neighbours scatter more than the differences show, and look like steps.
        scale = max(scale, _scatter(x, ends))
        ends = _segments(x, scale, penalty)
    first, last = _level(x[: ends[0]]), x[ends[-2] :] if len(ends) > 1 else x[:0]
    return Drift(len(last), first, _level(last) if len(last) else first, scale)


def _segments(x: np.ndarray, scale: float, penalty: float) -> list[int]:
    """Ends of the segments; the last is len(x). Without any noise every lasting difference is a change."""
    from ruptures import KernelCPD

    clipped = np.clip((x - np.median(x)) / (scale or float(np.ptp(x)) / 1000 or 1.0), -_CLIP, _CLIP)
    ends: list[int] = KernelCPD(kernel="linear", min_size=MIN_NIGHTS).fit(clipped[:, None]).predict(pen=penalty)
    return ends


def _scatter(x: np.ndarray, ends: list[int]) -> float:
    """Standard deviation about the levels of the segments."""
    return float(spread(np.concatenate([part - _level(part) for part in np.split(x, ends[:-1])])).scale)


def _level(values: np.ndarray) -> float:
    return float(spread(values).centre)
