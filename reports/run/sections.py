"""Runs -> sections. Only runs whose checked metadata agree share a section, so an estimate never stands beside a measurement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tinyrig.analysis.metrics import checked_metadata, counted, metric_values, unit, withheld
from tinyrig.core.records import INSTRUCTIONS, Measurement, Run


@dataclass(frozen=True)
class Row:
    """One variant run with its computed metrics; `reason` says why it has no timing, None when verified."""

    label: str
    run_id: str
    run: Measurement
    values: dict[str, Any]
    reason: str | None


@dataclass(frozen=True)
class Section:
    """Rows that may be compared, what they have in common and the package versions they were made with."""

    metadata: dict[str, Any]
    rows: tuple[Row, ...]
    versions: dict[str, str]

    @property
    def first(self) -> Measurement:
        return self.rows[0].run

    @property
    def timing(self) -> str:
        return self.metadata["timing"]

    @property
    def timed(self) -> bool:
        """Whether there is any time, and not only instructions."""
        return self.timing != INSTRUCTIONS

    @property
    def unit(self) -> str:
        """What was counted: `cycles` or `instructions`."""
        return unit(self.timing)

    @property
    def counted(self) -> str:
        """The same with its origin, `estimated cycles`."""
        return counted(self.timing)


def sections(runs: Sequence[Run]) -> list[Section]:
    """Groups by board, clock, timing kind, compiler, flags, data and versions, in order of appearance."""
    groups: dict[tuple[Any, ...], list[tuple[Run, Measurement]]] = {}
    for run in runs:
        for variant_run in run.runs:
            groups.setdefault(tuple(_key(run, variant_run).values()), []).append((run, variant_run))
    return [_section(members) for members in groups.values()]


def _key(run: Run, variant_run: Measurement) -> dict[str, Any]:
    v = variant_run.variant
    return checked_metadata(variant_run) | {
        "dataset": v.dataset,
        "synthetic data": v.synthetic,
        "random windows": bool(variant_run.settings.get("random_windows")),
        "injected faults": tuple(variant_run.settings.get("injected_faults", ())),
        "versions": tuple(sorted(run.versions.items())),
    }


def _section(members: list[tuple[Run, Measurement]]) -> Section:
    rows = [Row(r.variant.name, run.run_id, r, metric_values(r), withheld(r)) for run, r in members]
    run, first = members[0]
    metadata = {k: v for k, v in _key(run, first).items() if k != "versions"}
    return Section(metadata, _labelled(rows), dict(run.versions))


def _labelled(rows: list[Row]) -> tuple[Row, ...]:
    """Adds engine, run and model hash to a label as far as they are needed to tell the rows apart."""
    parts = (lambda r: r.run.image.engine, lambda r: r.run_id, lambda r: r.run.variant.sha256[:8])
    for part in parts:
        if len({r.label for r in rows}) == len(rows):
            break
        same = Counter(r.label for r in rows)
        differs = len({part(r) for r in rows}) > 1
        rows = [replace(r, label=f"{r.label} ({part(r)})") if differs and same[r.label] > 1 else r for r in rows]
    return tuple(rows)
