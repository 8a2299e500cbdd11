"""What a run answered: the outputs of its test windows, and how many of them are right.

Accuracies and intervals are fractions (0 to 1).
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from tinyrig.analysis import mlperf_metrics, stats
from tinyrig.analysis.scoring import measures
from tinyrig.core.errors import InfraError
from tinyrig.core.records import Measurement, Sample, TensorSpec
from tinyrig.core.scoring import DECIDING, ScoreKind, Scoring


def window_samples(run: Measurement) -> list[Sample]:
    """One sample per test window, by window index; a window that was streamed again counts with its last answer."""
    return [s for _, s in sorted({s.index: s for s in run.samples if s.kind == "window"}.items())]


def scoring_of(run: Measurement) -> Scoring:
    """How its outputs are scored. A run from before that was kept, or of a firmware built elsewhere: the first output's top-1,
    or one score's AUC."""
    if run.settings.scoring is not None and run.settings.scoring.output < len(run.image.outputs):
        return run.settings.scoring
    if not run.image.outputs:
        return Scoring(ScoreKind.NONE, reason="the model has no output")
    first = run.image.outputs[0]
    if run.labels is None:
        reason = "random windows have no labels" if run.settings.random_windows else "the windows carry no labels"
        return Scoring(ScoreKind.NONE, 0, first.name, reason=reason)
    if len([d for d in first.shape if d != 1]) > 1:
        return Scoring(ScoreKind.NONE, 0, first.name, reason=f"the output {first.name!r} is a grid of shape {first.shape}")
    if first.size > 1:
        return Scoring(ScoreKind.CLASSES, 0, first.name)
    return Scoring(ScoreKind.RANKING, 0, first.name, reason="the output is one value: only its AUC is given")


def scored_spec(run: Measurement) -> TensorSpec:
    return run.image.outputs[scoring_of(run).output]


def scored_outputs(run: Measurement) -> np.ndarray:
    """The scored output tensor of every window, dequantised: float32 [windows, elements]. Raises InfraError if bytes lack."""
    return outputs_of(run, scoring_of(run).output)


def outputs_of(run: Measurement, index: int) -> np.ndarray:
    """One output tensor of every window, as scored_outputs."""
    spec = run.image.outputs[index]
    at = sum(s.nbytes for s in run.image.outputs[:index])
    rows = [s.outputs[at : at + spec.nbytes] for s in window_samples(run)]
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


def accuracy_reason(run: Measurement) -> str | None:
    """Why there is no accuracy; None where there is one."""
    return not_finite(run) or scoring_of(run).reason or None


# ---- classes ----


def predictions(run: Measurement) -> np.ndarray | None:
    """The class that every window's scored output names, int64 [windows], of cells [windows, cells]. None where it names none,
    and where a window gave NaN or infinity: such a run has no score."""
    if not run.image.outputs or not window_samples(run) or nonfinite_windows(run):
        return None
    return measures.decisions(scoring_of(run), scored_spec(run), scored_outputs(run))


def top1_hits(run: Measurement) -> np.ndarray | None:
    """Whether the class equals the label, bool [windows] by window index; None without labels or classes.

    Raises InfraError when a window has no label among them.
    """
    predicted = predictions(run) if scoring_of(run).kind in DECIDING else None
    labels = _labels(run)
    return None if labels is None or predicted is None else np.asarray(predicted == labels)


def _labels(run: Measurement) -> np.ndarray | None:
    """Of the windows that were streamed, int64 [windows]. Raises InfraError when one has none."""
    samples = window_samples(run)
    if run.labels is None or not samples:
        return None
    return np.asarray([run.labels[s.index] for s in _all_known(run, samples, len(run.labels), "label")], np.int64)


def _all_known(run: Measurement, samples: list[Sample], known: int, what: str) -> list[Sample]:
    if samples[-1].index >= known:
        raise InfraError(
            f"{run.variant.name}: window {samples[-1].index} has no {what}",
            expected=f"a {what} for every window",
            received=f"{known} {what}s",
            remedy="stream this variant again",
        )
    return samples


def accuracy(run: Measurement) -> tuple[float | None, tuple[float, float] | None]:
    """(fraction right, Wilson 95 % interval); both None without labels, and where outputs are not finite."""
    hits = top1_hits(run)
    if hits is None:
        return None, None
    return float(np.mean(hits)), stats.wilson(int(np.sum(hits)), len(hits))


def auc(run: Measurement) -> float | None:
    """Area under the ROC curve where one score tells labels 0 and 1 apart: an output of one value, or an autoencoder's error."""
    found = auc_test(run)
    return None if found is None else found[0]


def auc_test(run: Measurement) -> tuple[float, float] | None:
    """(area, one-sided p-value of its telling nothing), as `auc`."""
    samples, kind = window_samples(run), scoring_of(run).kind
    if run.labels is None or not samples or not run.image.outputs or nonfinite_windows(run):
        return None
    labels = [run.labels[s.index] for s in samples if s.index < len(run.labels)]
    if len(labels) != len(samples):
        return None
    if kind in (ScoreKind.BINARY, ScoreKind.RANKING):
        return mlperf_metrics.auc(scored_outputs(run)[:, 0], labels)
    found = _window_errors(run) if kind == ScoreKind.RECONSTRUCTION else None
    return None if found is None else mlperf_metrics.auc(found, labels)


# ---- everything else that is scored ----


def scores(run: Measurement) -> dict[str, float | None]:
    """What an output that is not a list of classes comes to, under the names of METRICS: those that its kind has."""
    if not window_samples(run) or not run.image.outputs or nonfinite_windows(run):
        return {}
    kind, labels = scoring_of(run).kind, _labels(run)
    predicted, targets = predictions(run), _targets(run)
    if kind == ScoreKind.BINARY and predicted is not None and labels is not None:
        return {"f1": measures.f1(predicted, labels)}
    if kind == ScoreKind.CELLS and predicted is not None and targets is not None:
        return {"cell_accuracy": float(np.mean(predicted == targets))}
    if kind == ScoreKind.REGRESSION and targets is not None:
        return measures.errors(scored_outputs(run), targets)
    found = _window_errors(run) if kind == ScoreKind.RECONSTRUCTION else None
    return {} if found is None else {"reconstruction_error": float(np.mean(found))}


def _targets(run: Measurement) -> np.ndarray | None:
    """Of the windows that were streamed, float64 [windows, values]."""
    samples, kept = window_samples(run), run.settings.targets
    if kept is None:
        return None
    return np.asarray([kept[s.index] for s in _all_known(run, samples, len(kept), "target")], np.float64)


def _window_errors(run: Measurement) -> np.ndarray | None:
    samples, kept = window_samples(run), run.settings.window_errors
    if kept is None:
        return None
    return np.asarray([kept[s.index] for s in _all_known(run, samples, len(kept), "error")], np.float64)


def outputs_hash(run: Measurement) -> str:
    """SHA-256 of the output bytes of all windows in their order, each with its index."""
    digest = sha256()
    for sample in window_samples(run):
        digest.update(f"{sample.index}:{len(sample.outputs)}:".encode() + sample.outputs)
    return digest.hexdigest()
