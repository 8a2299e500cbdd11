"""Runs -> sections. Only measurements whose checked metadata agree share a section, so an estimate never stands beside a
measured value. Every metric of a report is computed here, once; tables and plots only look it up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinyrig.analysis import metric_table, provenance
from tinyrig.analysis.evaluation import evaluate
from tinyrig.core.records import INSTRUCTIONS, Measurement, Run
from tinyrig.core.scoring import Caution, Scoring


@dataclass(frozen=True)
class ReportRow:
    """One measurement with all that is computed from it; it is a row of every table of its section.

    `values` has every name of METRICS, `ops` the steps (as metrics.ops), `hits` whether each window's top-1 is right; `link`,
    `energy` and `throughput` are None where they were not measured; `withheld` says why there is no timing, None when verified;
    `accuracy_reason` why there is no accuracy. `cautions`: all warnings.
    """

    label: str
    run_id: str
    measurement: Measurement
    values: dict[str, Any]
    ops: tuple[dict[str, Any], ...]
    link: dict[str, Any] | None
    energy: dict[str, Any] | None
    throughput: dict[str, Any] | None
    hits: np.ndarray | None
    withheld: str | None
    scoring: Scoring | None = None
    accuracy_reason: str | None = None
    cautions: tuple[Caution, ...] = ()


@dataclass(frozen=True)
class Section:
    """Rows that may be compared, what they have in common and the package versions they were made with."""

    metadata: dict[str, Any]
    rows: tuple[ReportRow, ...]
    versions: dict[str, str]

    @property
    def first(self) -> Measurement:
        return self.rows[0].measurement

    @property
    def timing(self) -> str:
        return str(self.metadata["timing"])

    @property
    def timed(self) -> bool:
        """Whether there is any time, and not only instructions."""
        return self.timing != INSTRUCTIONS

    @property
    def unit(self) -> str:
        """What was counted: `cycles` or `instructions`."""
        return metric_table.unit(self.timing)

    @property
    def counted(self) -> str:
        """The same with its origin, `estimated cycles`."""
        return metric_table.counted(self.timing)


def sections(runs: Sequence[Run]) -> list[Section]:
    """Groups by board, clock, timing kind, compiler, flags, data and versions, in order of appearance."""
    groups: dict[tuple[Any, ...], list[tuple[Run, Measurement]]] = {}
    for run in runs:
        for measurement in run.runs:
            groups.setdefault(tuple(_common(run, measurement).values()), []).append((run, measurement))
    return [_section(members) for members in groups.values()]


def _common(run: Run, measurement: Measurement) -> dict[str, Any]:
    """What must be equal within a section."""
    v, settings = measurement.variant, measurement.settings
    return provenance.checked_metadata(measurement) | {
        "dataset": v.dataset,
        "synthetic data": v.synthetic,
        "random windows": bool(settings.random_windows),
        "sequences": settings.sequences,
        "injected faults": settings.injected_faults or (),
        "versions": tuple(sorted(run.versions.items())),
    }


def _section(members: Sequence[tuple[Run, Measurement]]) -> Section:
    rows = [_row(run.run_id, measurement) for run, measurement in members]
    run, first = members[0]
    metadata = {k: v for k, v in _common(run, first).items() if k != "versions"}
    return Section(metadata, _labelled(rows), dict(run.versions))


def _row(run_id: str, measurement: Measurement) -> ReportRow:
    """Raises InfraError where outputs or labels are missing."""
    found = evaluate(measurement).checked()
    return ReportRow(
        measurement.variant.name,
        run_id,
        measurement,
        dict(found.values),
        found.ops,
        provenance.link(measurement),
        found.energy,
        found.throughput,
        found.hits,
        found.withheld,
        found.scoring,
        found.accuracy_reason,
        found.cautions,
    )


_DISTINCTIONS: tuple[Callable[[ReportRow], str], ...] = (
    lambda r: r.measurement.image.engine,
    lambda r: r.run_id,
    lambda r: r.measurement.variant.sha256[:8],
)
"""What a label gets, one after another, while two rows have the same."""


def _labelled(rows: list[ReportRow]) -> tuple[ReportRow, ...]:
    for part in _DISTINCTIONS:
        same = Counter(r.label for r in rows)
        if len(same) == len(rows):
            break
        if len({part(r) for r in rows}) > 1:
            rows = [replace(r, label=f"{r.label} ({part(r)})") if same[r.label] > 1 else r for r in rows]
    return tuple(rows)
