"""Values of an output -> decisions and errors. Arrays in, numbers out."""

from __future__ import annotations

import numpy as np

from tinyrig.core.records import TensorSpec
from tinyrig.core.scoring import ScoreKind, Scoring


def decisions(scoring: Scoring, spec: TensorSpec, values: np.ndarray) -> np.ndarray | None:
    """The class of each window, int64 [N], or of each of its cells [N, cells], from the scored output's real values [N, size];
    None where the output decides nothing. Of windows that nothing is scored of, a list of values still has a largest one."""
    dims = tuple(d for d in spec.shape if d != 1)
    if scoring.kind in (ScoreKind.CLASSES, ScoreKind.NONE) and len(dims) == 1:
        return np.asarray(np.argmax(values, axis=1), np.int64)
    if scoring.kind == ScoreKind.CLASS_ID:
        return np.asarray(values[:, 0], np.int64)
    if scoring.kind == ScoreKind.BINARY:
        return np.asarray(values[:, 0] > scoring.threshold, np.int64)
    if scoring.kind != ScoreKind.CELLS:
        return None
    if not spec.scale and np.dtype(spec.dtype).kind in "iub":
        return np.asarray(values, np.int64)
    return np.asarray(np.argmax(values.reshape(len(values), -1, dims[-1]), axis=2), np.int64)


def f1(decided: np.ndarray, labels: np.ndarray) -> float | None:
    """Of class 1; None where neither the labels nor the decisions have any."""
    both, either = int(np.sum((decided == 1) & (labels == 1))), int(np.sum(decided == 1) + np.sum(labels == 1))
    return 2 * both / either if either else None


def errors(values: np.ndarray, targets: np.ndarray) -> dict[str, float | None]:
    """Mean absolute and root mean squared error over all values, in the target's unit, and R2: the share of the targets' variance
    that is explained, None where they have none. Both [N, k]."""
    gap = values.astype(np.float64) - targets.astype(np.float64)
    spread = float(np.sum((targets - np.mean(targets, axis=0, dtype=np.float64)) ** 2))
    r2 = 1 - float(np.sum(gap**2)) / spread if spread > 0 else None
    return {"mae": float(np.mean(np.abs(gap))), "rmse": float(np.sqrt(np.mean(gap**2))), "r2": r2}


def squared_errors(values: np.ndarray, originals: np.ndarray) -> np.ndarray:
    """Mean squared difference of each window, float64 [N]; both [N, size]."""
    return np.asarray(np.mean((values.astype(np.float64) - originals.astype(np.float64)) ** 2, axis=1))
