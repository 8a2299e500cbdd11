"""What a run answered: the outputs of its test windows, and how many of them are right.

Accuracies and intervals are fractions (0 to 1).
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from tinyrig.analysis import mlperf_metrics, stats
from tinyrig.core.errors import InfraError
from tinyrig.core.records import Measurement, Sample, TensorSpec


def window_samples(run: Measurement) -> list[Sample]:
    """One sample per test window, by window index; a window that was streamed again counts with its last answer."""
    return [s for _, s in sorted({s.index: s for s in run.samples if s.kind == "window"}.items())]


def first_outputs(run: Measurement) -> np.ndarray:
    """The first output tensor of every window, dequantised: float32 [windows, elements]. Raises InfraError if bytes lack."""
    spec = run.image.outputs[0]
    rows = [s.outputs[: spec.nbytes] for s in window_samples(run)]
    short = next((i for i, row in enumerate(rows) if len(row) != spec.nbytes), None)
    if short is not None:
        raise InfraError(
            f"{run.variant.name}: the sample of window {short} does not hold output tensor {spec.name!r}",
            expected=f"{spec.nbytes} bytes",
            received=f"{len(rows[short])} bytes",
            remedy="stream this variant again",
        )
    raw = np.frombuffer(b"".join(rows), np.dtype(spec.dtype).newbyteorder("<"))
    return spec.dequantize(raw).reshape(len(rows), spec.size)


def nonfinite_windows(run: Measurement) -> list[int]:
    """Index of every window that gave NaN or infinity in any output tensor. Neither is a value: argmax of NaN is class 0."""
    return [s.index for s in window_samples(run) if not _finite(s.outputs, run.image.outputs)]


def _finite(raw: bytes, outputs: tuple[TensorSpec, ...]) -> bool:
    at = 0
    for spec in outputs:
        if np.issubdtype(np.dtype(spec.dtype), np.floating):
            dtype = np.dtype(spec.dtype).newbyteorder("<")
            part = raw[at : at + spec.nbytes]
            if not np.isfinite(np.frombuffer(part, dtype, len(part) // dtype.itemsize)).all():
                return False
        at += spec.nbytes
    return True


def not_finite(run: Measurement) -> str | None:
    """How many windows gave NaN or infinity, in words; None where none did."""
    bad = nonfinite_windows(run)
    total = len(window_samples(run))
    return f"{len(bad)} of {total} windows gave NaN or infinity, the first is window {bad[0]}" if bad else None


def predictions(run: Measurement) -> np.ndarray | None:
    """Top-1 class of every window, int64 [windows]: argmax of the first output. None for one-element outputs, and where a
    window gave NaN or infinity: such a run has no score."""
    if not run.image.outputs or run.image.outputs[0].size < 2 or nonfinite_windows(run):
        return None
    return np.asarray(np.argmax(first_outputs(run), axis=1))


def top1_hits(run: Measurement) -> np.ndarray | None:
    """Whether the top-1 class equals the label, bool [windows] by window index; None without labels or classes.

    Raises InfraError when a window has no label among them.
    """
    samples, predicted = window_samples(run), predictions(run)
    if run.labels is None or predicted is None or not samples:
        return None
    if samples[-1].index >= len(run.labels):
        raise InfraError(
            f"{run.variant.name}: window {samples[-1].index} has no label",
            expected="a label for every window",
            received=f"{len(run.labels)} labels",
            remedy="stream this variant again",
        )
    return np.asarray(predicted == np.asarray([run.labels[s.index] for s in samples]))


def accuracy(run: Measurement) -> tuple[float | None, tuple[float, float] | None]:
    """(fraction right, Wilson 95 % interval); both None without labels, and where outputs are not finite."""
    hits = top1_hits(run)
    if hits is None:
        return None, None
    return float(np.mean(hits)), stats.wilson(int(np.sum(hits)), len(hits))


def auc(run: Measurement) -> float | None:
    """Area under the ROC curve where the output is a single score and labels are 0 and 1."""
    found = auc_test(run)
    return None if found is None else found[0]


def auc_test(run: Measurement) -> tuple[float, float] | None:
    """(area, one-sided p-value of its telling nothing), as `auc`."""
    samples = window_samples(run)
    if run.labels is None or not samples or not run.image.outputs or run.image.outputs[0].size != 1:
        return None
    if nonfinite_windows(run):
        return None
    labels = [run.labels[s.index] for s in samples if s.index < len(run.labels)]
    return mlperf_metrics.auc(first_outputs(run)[:, 0], labels) if len(labels) == len(samples) else None


def outputs_hash(run: Measurement) -> str:
    """SHA-256 of the output bytes of all windows in their order, each with its index."""
    digest = sha256()
    for sample in window_samples(run):
        digest.update(f"{sample.index}:{len(sample.outputs)}:".encode() + sample.outputs)
    return digest.hexdigest()
