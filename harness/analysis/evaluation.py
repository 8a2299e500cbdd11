"""What one measurement comes to: every metric, computed once and handed to whoever judges, stores or shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyrig.analysis import metrics, outputs, provenance, verification
from tinyrig.analysis.metric_table import METRICS
from tinyrig.analysis.scoring import doubts
from tinyrig.core.errors import RigError
from tinyrig.core.records import Measurement
from tinyrig.core.scoring import Caution, CautionKind, ScoreKind, Scoring

Group = dict[str, Any] | None
"""Values under the keys of `--json`; None: not measured, withheld or not known."""


@dataclass(frozen=True)
class Evaluation:
    """All that is computed of a measurement.

    `values`: every name of METRICS, None where it was not measured or is withheld; empty where `fault` says why none can be
    computed. `withheld`: why there is no timing, None where the outputs are verified; `not_finite`: how many windows gave NaN or
    infinity, None where none did. `hits`: whether each window's top-1 class is its label, bool [windows], None without labels.
    `scoring`: which output is scored, and how. `cautions`: what can hardly be meant. `comparable`: the metadata that must agree
    before two are compared.
    """

    outputs_sha256: str
    comparable: Mapping[str, Any]
    values: Mapping[str, Any] = field(default_factory=dict)
    withheld: str | None = None
    not_finite: str | None = None
    hits: np.ndarray | None = None
    parity: Group = None
    latency: Group = None
    ram: Group = None
    flash: Group = None
    energy: Group = None
    throughput: Group = None
    ops: tuple[dict[str, Any], ...] = ()
    scoring: Scoring | None = None
    accuracy_reason: str | None = None
    cautions: tuple[Caution, ...] = ()
    fault: RigError | None = None

    def checked(self) -> Evaluation:
        """Itself. Raises its fault, an InfraError where outputs or labels are missing."""
        if self.fault is not None:
            raise self.fault
        return self

    @property
    def numbers(self) -> dict[str, float]:
        """The metrics that were measured, as single numbers."""
        flat = dict(self.values)
        low, high = flat.pop("accuracy_ci95", None) or (None, None)
        flat |= {"accuracy_ci95_low": low, "accuracy_ci95_high": high}
        return {name: float(value) for name, value in flat.items() if value is not None}


def evaluate(run: Measurement) -> Evaluation:
    """Raises nothing of the rig's: `fault` holds why metrics can't be computed."""
    digest, comparable = outputs.outputs_hash(run), provenance.comparable_metadata(run)
    bad = outputs.not_finite(run)
    try:
        why = verification.withheld(run)
    except RigError as error:
        return Evaluation(digest, comparable, withheld=f"unverified: {error.what}", not_finite=bad, fault=error)
    try:
        groups: dict[str, Any] = {
            "parity": verification.parity(run),
            "latency": metrics.latency(run),
            "ram": metrics.ram(run),
            "flash": metrics.flash(run),
            "energy": metrics.energy(run),
            "throughput": metrics.throughput(run),
        }
        groups |= {"hits": outputs.top1_hits(run), "ops": tuple(metrics.ops(run)), "scoring": outputs.scoring_of(run)}
        groups |= {"accuracy_reason": outputs.accuracy_reason(run), "cautions": cautions(run)}
        return Evaluation(digest, comparable, _values(run, groups), withheld=why, not_finite=bad, **groups)
    except RigError as error:
        return Evaluation(digest, comparable, withheld=why, not_finite=bad, fault=error)


def metric_values(run: Measurement) -> dict[str, Any]:
    """Every name of METRICS -> value, None where it was not measured or is withheld. Raises InfraError where outputs or labels
    are missing."""
    return dict(evaluate(run).checked().values)


def cautions(run: Measurement) -> tuple[Caution, ...]:
    """All warnings of a measurement: what was seen of its windows, what its answers look like, its clock and its line. Raises
    InfraError where outputs or labels are missing."""
    line = (provenance.link(run) or {}).get("warning")
    of_rig = [(CautionKind.CLOCK, provenance.clock_warning(run.clock)), (CautionKind.LINE, line)]
    return (*(run.settings.cautions or ()), *_doubts(run), *(Caution(kind, text) for kind, text in of_rig if text))


def _doubts(run: Measurement) -> list[Caution]:
    if run.settings.random_windows:
        return []
    found, predicted = _doubts_of_scores(run), outputs.predictions(run)
    if predicted is not None and predicted.ndim == 1:
        hits, labels = outputs.top1_hits(run), run.labels
        found.append(doubts.one_class(predicted, None if labels is None else np.asarray(labels[: len(predicted)])))
        found += [doubts.at_chance(hits, _classes(run))] if hits is not None else []
    return [caution for caution in found if caution is not None]


def _doubts_of_scores(run: Measurement) -> list[Caution | None]:
    """Of outputs that name no class."""
    kind, r2 = outputs.scoring_of(run).kind, outputs.scores(run).get("r2")
    area = outputs.auc_test(run) if kind in (ScoreKind.RANKING, ScoreKind.RECONSTRUCTION) else None
    found = [doubts.tells_nothing(*area, len(outputs.window_samples(run)))] if area is not None else []
    return found + ([doubts.no_better_than_the_mean(r2)] if r2 is not None else [])


def _classes(run: Measurement) -> int:
    """How many there are to guess from, as far as is known."""
    if outputs.scoring_of(run).kind == ScoreKind.CLASSES:
        return outputs.scored_spec(run).size
    return max(2, len(run.class_names or ()), max(run.labels or (0,)) + 1)


_FLAT = ("parity", "latency", "ram", "flash")
"""Groups whose keys are metrics by themselves: `latency_us_median`."""


def _values(run: Measurement, groups: Mapping[str, Group]) -> dict[str, Any]:
    flat: dict[str, Any] = {f"{name}_{key}": value for name in _FLAT for key, value in (groups[name] or {}).items()}
    accuracy, interval = outputs.accuracy(run)
    macs, cycles, v = metrics.total_macs(run), flat.get("latency_cycles_median"), run.variant
    flat |= {
        "windows": len(outputs.window_samples(run)),
        "accuracy": accuracy,
        "accuracy_ci95": interval,
        "host_accuracy": v.host_accuracy,
        "auc": outputs.auc(run),
        **outputs.scores(run),
        "throughput": (groups["throughput"] or {}).get("median"),
        "energy_uj_median": (groups["energy"] or {}).get("uj_median"),
        "tflite_bytes": v.tflite_bytes,
        "zip_bytes": v.zip_bytes,
        "flops": v.flops,
        "macs": macs,
        "cycles_per_mac": cycles / macs if cycles is not None and macs else None,
    }
    return {name: flat.get(name) for name in METRICS}
