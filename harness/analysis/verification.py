"""Whether a run's outputs are proven right: those that were not verified against an oracle yield no timing."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from tinyrig.analysis import mlperf_metrics
from tinyrig.analysis.outputs import accuracy, auc_test, nonfinite_windows, not_finite, outputs_of
from tinyrig.core.records import Measurement, Parity
from tinyrig.core.text import oracle_label

FLOAT_TOLERANCE = 1e-5
"""Largest float difference to the oracle: absolute up to outputs of magnitude 1, relative to the largest output above.
A run's setting `float_tolerance` replaces it."""


def withheld(run: Measurement) -> str | None:
    """Why this run yields no timing, or None when its outputs are verified."""
    if run.parity is None and mlperf_metrics.is_foreign(run):
        return not_finite(run) or mlperf_metrics.unproven(run.image.outputs[0].size, accuracy(run)[1], auc_test(run))
    if run.parity is None:
        return "unverified: no oracle compared the outputs"
    total = len({s.index for s in run.samples if s.kind == "window"})
    if not total or run.parity.compared < total:
        return f"unverified: the oracle compared {run.parity.compared} of {total} windows"
    reason = _disagreement(run, run.parity) or not_finite(run)
    return f"parity failed: {reason}; an unverified output yields no timing" if reason else _unsteady(run)


def _disagreement(run: Measurement, parity: Parity) -> str | None:
    if parity.mismatched_windows:
        return f"{parity.mismatched_windows} of {parity.compared} windows differ from {oracle_label(parity.oracle)}"
    if parity.top1_changed:
        return f"top-1 changed in {parity.top1_changed} of {parity.compared} windows against {oracle_label(parity.oracle)}"
    if all(np.issubdtype(np.dtype(spec.dtype), np.integer) for spec in run.image.outputs):
        return None
    # Written so that a NaN difference fails. A window's own magnitude decided its mismatch; this is the outer limit.
    allowed = float_tolerance(run) * max(1.0, _magnitude(run))
    return (
        None
        if parity.max_abs_diff <= allowed
        else (f"outputs differ from {oracle_label(parity.oracle)} by {parity.max_abs_diff:.3g}, allowed {allowed:.3g}")
    )


def float_tolerance(run: Measurement) -> float:
    """The tolerance this run was compared with, real units."""
    kept = run.settings.float_tolerance
    return FLOAT_TOLERANCE if kept is None else float(kept)


def _magnitude(run: Measurement) -> float:
    """Largest finite magnitude of any output over all windows."""
    largest = 0.0
    for index in range(len(run.image.outputs)):
        values = np.abs(outputs_of(run, index))
        largest = max(largest, float(np.max(values, initial=0.0, where=np.isfinite(values))))
    return largest


def _unsteady(run: Measurement) -> str | None:
    repeats = {s.outputs for s in run.samples if s.kind == "repeat" and s.outputs}
    return f"unverified: repeats of one window gave {len(repeats)} different outputs" if len(repeats) > 1 else None


def parity(run: Measurement) -> dict[str, Any] | None:
    """The parity record, None without an oracle; a difference that is not finite becomes None. Windows that gave NaN or infinity
    are counted apart: board and oracle may agree in them, and they prove nothing."""
    p, bad = run.parity, nonfinite_windows(run)
    return (
        None
        if p is None
        else {
            "oracle": p.oracle,
            "compared": p.compared,
            "mismatched_windows": p.mismatched_windows,
            "max_abs_diff": float(p.max_abs_diff) if isfinite(p.max_abs_diff) else None,
            "top1_changed": p.top1_changed,
            "first_mismatch": p.first_mismatch,
            "nonfinite_windows": len(bad),
            "first_nonfinite": bad[0] if bad else None,
        }
    )
