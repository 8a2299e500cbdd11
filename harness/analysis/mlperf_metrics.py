"""What is computed otherwise of a run whose firmware somebody else built (docs/mlperf.md): throughput and latency from the
board's own timestamps, AUC of a single score, and when such numbers may be shown. Pure, as metrics.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyrig.core.records import Measurement

TIMING_NOTE = (
    "the firmware's own timestamps in microseconds, read before and after many inferences; whose clock and how exact, only its "
    "builder knows"
)
SIGNIFICANCE = 0.05


def is_foreign(run: Measurement) -> bool:
    return run.image.footprint is None


def facts(run: Measurement) -> dict[str, Any]:
    """What was found out about the firmware and how it was measured; empty for our own firmware."""
    return dict(run.settings.mlperf or {})


def _runs(run: Measurement) -> list[tuple[int, int]]:
    """(inferences, us) of each throughput run."""
    elapsed = [s.cycles for s in run.samples if s.kind == "throughput"]
    return [(n, us) for n, us in zip(facts(run).get("iterations", ()), elapsed, strict=False) if us > 0]


def throughput(run: Measurement) -> dict[str, Any] | None:
    """Inferences per second: the median over the runs of the benchmark's rule, and each; None where there are none."""
    runs = _runs(run)
    if not runs:
        return None
    rates = [1e6 * n / us for n, us in runs]
    return {
        "median": float(np.median(rates)),
        "runs": [{"inferences": n, "us": us, "per_s": rate} for (n, us), rate in zip(runs, rates, strict=True)],
        "timer_resolution_us": facts(run).get("timer_resolution_us"),
    }


def latency(run: Measurement) -> dict[str, float | None] | None:
    """Keys as metrics.latency. Each run gives one mean over its inferences: there are no cycles and no percentiles to tell."""
    us = [elapsed / n for n, elapsed in _runs(run)]
    return (
        {
            "cycles_median": None,
            "us_median": float(np.median(us)),
            "us_low": float(np.median(us)),
            "us_high": float(np.median(us)),
            "layout_spread": None,
            "us_p95": None,
            "us_p99": None,
            "us_min": min(us),
            "us_max": max(us),
            "samples": len(us),
        }
        if us
        else None
    )


def auc(scores: np.ndarray, labels: Sequence[int] | None) -> tuple[float, float] | None:
    """Area under the ROC curve of a score (label 1: higher scores expected), and the one-sided p-value of Mann and Whitney's
    test that it says nothing; None unless both labels 0 and 1, and no others, occur."""
    if labels is None or set(labels) != {0, 1}:
        return None
    from scipy.stats import mannwhitneyu  # late: it costs a second

    mask = np.asarray(labels) == 1
    test = mannwhitneyu(scores[mask], scores[~mask], alternative="greater")
    return float(test.statistic) / (int(mask.sum()) * int((~mask).sum())), float(test.pvalue)


def unproven(classes: int, interval: tuple[float, float] | None, area: tuple[float, float] | None) -> str | None:
    """Why outputs that no oracle was compared with prove nothing, or None: labels must show that the firmware is better than
    chance, else anything that answers could be timed."""
    if area is not None:
        good = area[0] > 0.5 and area[1] < SIGNIFICANCE
        return None if good else f"unverified: without a model, and with an AUC of {area[0]:.2f} not better than chance"
    if interval is None:
        return "unverified: neither a model nor labels tell whether the outputs are right"
    good = interval[0] > 1 / max(classes, 2)
    return None if good else "unverified: without a model, and with an accuracy that may be chance"
