"""Device outputs against the oracle's."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from tinyrig.analysis.scoring.measures import decisions
from tinyrig.core.records import Parity, Sample, TensorSpec
from tinyrig.core.scoring import DECIDING, Scoring
from tinyrig.workload.oracle import Oracle
from tinyrig.workload.windows import Windows


def compare(
    oracle: Oracle,
    windows: Windows,
    samples: Iterable[Sample],
    outputs: tuple[TensorSpec, ...],
    tolerance: float,
    scoring: Scoring,
) -> Parity:
    """Device outputs against the oracle's, all of them, which come in the order of `windows`: the oracle sees sequences as the
    board did. A float window mismatches beyond `tolerance` (absolute, or relative to
    the window's largest value), an integer window when any byte differs; top-1 is the class that the scored output names."""
    wrong: list[int] = []
    labels = windows.labels if scoring.kind in DECIDING else None
    worst, top1, compared, correct = 0.0, 0, 0, 0
    for sample in (s for s in samples if s.kind == "window"):
        inputs = list(windows.inputs[sample.index])
        expected = oracle.run_on(inputs) if windows.place(sample.index) else oracle.run(inputs)
        received = split_outputs(sample.outputs, outputs)
        diffs = [difference(e, r) for e, r in zip(expected, received, strict=True)]
        worst = max(worst, *diffs)
        if any(d > allowed(e, tolerance) for d, e in zip(diffs, expected, strict=True)):
            wrong.append(sample.index)
        theirs, ours = (_classes(scoring, outputs, arrays) for arrays in (expected, received))
        top1 += int(theirs is not None and ours is not None and not np.array_equal(theirs, ours))
        correct += int(labels is not None and theirs is not None and int(theirs[0]) == labels[sample.index])
        compared += 1
    right = None if labels is None else correct
    return Parity(oracle.name, compared, len(wrong), worst, top1, wrong[0] if wrong else None, right)


def _classes(scoring: Scoring, outputs: tuple[TensorSpec, ...], arrays: list[np.ndarray]) -> np.ndarray | None:
    """What one window's scored output names: a class, or one for each cell. None where it names none."""
    spec = outputs[scoring.output]
    found = decisions(scoring, spec, spec.dequantize(arrays[scoring.output]).reshape(1, -1))
    return None if found is None else found.reshape(-1)


def rightness(
    scoring: Scoring, outputs: tuple[TensorSpec, ...], labels: tuple[int, ...] | None
) -> Callable[[Sample], bool | None]:
    """Of a window's sample, whether the class that its scored output names is its label; None where there is neither."""

    def right(sample: Sample) -> bool | None:
        if labels is None or scoring.kind not in DECIDING or sample.index >= len(labels):
            return None
        named = _classes(scoring, outputs, split_outputs(sample.outputs, outputs))
        return None if named is None else int(named[0]) == labels[sample.index]

    return right


def split_outputs(raw: bytes, outputs: tuple[TensorSpec, ...]) -> list[np.ndarray]:
    """Concatenated output bytes -> one array for each output tensor."""
    arrays, at = [], 0
    for spec in outputs:
        arrays.append(np.frombuffer(raw, spec.dtype, spec.size, at).reshape(spec.shape))
        at += spec.nbytes
    return arrays


def difference(expected: np.ndarray, received: np.ndarray) -> float:
    """Largest absolute difference, in LSB for integers; infinite where either holds a NaN the other does not."""
    a, b = expected.astype(np.float64).ravel(), received.astype(np.float64).ravel()
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b)
    gap[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0  # equal infinities subtract to NaN
    return float(np.nan_to_num(gap, nan=np.inf).max(initial=0.0))


def allowed(expected: np.ndarray, tolerance: float) -> float:
    """What a window may differ by: nothing for integers, `tolerance` for floats (relative beyond magnitude 1)."""
    if expected.dtype.kind != "f":
        return 0.0
    # An infinite output must not make every difference allowed.
    return tolerance * max(1.0, float(np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0)))
