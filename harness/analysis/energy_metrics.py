"""Energy of an inference, from what the power meter measured of each marked one (docs/energy.md). Pure, as metrics.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyrig.core.records import ESTIMATED, Measurement

CONFIDENCE = 0.95


def energy(run: Measurement) -> dict[str, Any] | None:
    """Microjoules of one inference, the whole board's: median, its interval, extremes; None where none was measured. `trial`: on
    the virtual board, which draws no current."""
    kept = run.settings.energy
    if not kept or not kept.get("uj"):
        return None
    uj, us = np.asarray(kept["uj"], np.float64), np.asarray(kept["us"], np.float64)
    interval = median_interval(uj)
    return {
        "uj_median": float(np.median(uj)),
        "uj_ci95": None if interval is None else list(interval),
        "uj_min": float(uj.min()),
        "uj_max": float(uj.max()),
        "inferences": int(uj.size),
        "us_median": float(np.median(us)),
        "mw_mean": float(uj.sum() / us.sum() * 1e3),
        "voltage_mv": kept["voltage_mv"],
        "voltage_measured": kept.get("voltage_measured", False),
        "meter": kept.get("meter", "ppk2"),
        "mode": kept["mode"],
        "idle_included": True,
        "trial": run.board.timing == ESTIMATED,
    }


def median_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float] | None:
    """An interval that holds the median with 95 % confidence whatever the distribution: two order statistics, by the binomial
    distribution. None for fewer than 6 values, of which no two would do."""
    from scipy.stats import binom  # late: it costs a second

    ordered = np.sort(np.asarray(values, np.float64))
    below = int(binom.ppf((1 - CONFIDENCE) / 2, len(ordered), 0.5)) if len(ordered) else 0
    if below < 1:
        return None
    return float(ordered[below - 1]), float(ordered[-below])
