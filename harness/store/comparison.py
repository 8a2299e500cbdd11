"""Two stored runs side by side, variant by variant. What differs in its comparable metadata is named and not subtracted.

Nothing here decides whether a difference is chance: that takes the board's noise (docs/verdicts.md). Reads no samples.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from tinyrig.analysis.metric_table import END_METRICS, METRICS, Ends, ends
from tinyrig.analysis.provenance import METADATA_WORDS, differing_keys, stored_notes
from tinyrig.core.records import MEASURED
from tinyrig.store import metric_values
from tinyrig.store.runs import Store
from tinyrig.tables import schema, seals


@dataclass(frozen=True)
class Values:
    """What a stored variant run came to. `hits`: whether each window's top-1 class is its label, None without labels."""

    variant: str
    board: str
    board_id: str
    timing: str
    metadata: dict[str, Any] | None
    metrics: dict[str, float]
    outputs_sha256: str | None
    hits: tuple[bool, ...] | None
    build_id: str = ""


@dataclass(frozen=True)
class Row:
    """One metric in both runs, None where it was not measured. `percent` of the first; `better` None: no direction, or equal;
    `noisy`: a physical board gives another value every time; `first_ends` and `second_ends`: the ends of an estimate's band."""

    metric: str
    first: float | None
    second: float | None
    change: float | None
    percent: float | None
    better: bool | None
    noisy: bool = False
    first_ends: Ends | None = None
    second_ends: Ends | None = None

    @property
    def moved(self) -> bool:
        """Whether the value differs, or only an end of its band."""
        return self.first != self.second or self.first_ends != self.second_ends

    @property
    def ratio(self) -> tuple[float, Ends] | None:
        """B over A: by the default parameters, then at both ends. None where one of them has no band."""
        if not self.first or self.second is None or self.first_ends is None or self.second_ends is None:
            return None
        low, high = (b / a for a, b in zip(self.first_ends, self.second_ends, strict=True))
        return self.second / self.first, (low, high)


@dataclass(frozen=True)
class Pair:
    """A variant of both runs. `differences`: why they can't be compared, in words; then there are no rows. `estimates`: what
    estimated values were checked against."""

    variant: str
    differences: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = field(default=())
    estimates: tuple[str, ...] = ()


def run_values(store: Store, run_id: str) -> list[Values]:
    """Every finished variant of a run, by its full id. Raises UserError for an unknown one."""
    v, c = schema.VARIANT_RUNS.c, schema.COMPARABLES.c
    query = (
        select(v.id, v.variant, v.board_name, v.board_id, v.timing, c.metadata)
        .join_from(schema.VARIANT_RUNS, schema.COMPARABLES, c.comparable == v.comparable, isouter=True)
        .order_by(v.id)
    )
    with store.reading() as db:
        lines = db.execute(query.where(v.run_seq == store.seq(db, run_id), schema.is_finished())).all()
        keys = [line.id for line in lines]
        metrics, bodies = metric_values.of_runs(db, keys), seals.bodies(db, keys)
    return [
        Values(
            line.variant,
            line.board_name,
            line.board_id,
            line.timing,
            json.loads(line.metadata) if line.metadata else None,
            metrics[line.id],
            body.outputs_sha256,
            None if body.hits is None else tuple(map(bool, body.hits)),
            body.build_id,
        )
        for line, body in ((line, bodies[line.id]) for line in lines)
    ]


def compare(first: list[Values], second: list[Values]) -> list[Pair]:
    """A pair for each variant of either run, in the order of the first."""
    there = {values.variant: values for values in second}
    here = {values.variant: values for values in first}
    names = dict.fromkeys([*here, *there])
    return [_pair(name, here.get(name), there.get(name)) for name in names]


def _pair(name: str, first: Values | None, second: Values | None) -> Pair:
    if first is None or second is None:
        return Pair(name, (f"only in {'B' if first is None else 'A'}",))
    differences = differing(first.metadata, second.metadata)
    if differences:
        return Pair(name, differences, notes=_same_outputs(first, second))
    measured = first.timing == MEASURED
    rows = tuple(_row(name, first.metrics, second.metrics, measured) for name in METRICS if name not in END_METRICS)
    known = tuple(r for r in rows if not (r.first is None and r.second is None))
    checked = stored_notes([first.metadata]) if any(r.ratio for r in known) else ()
    return Pair(name, (), known, tuple(_notes(first, second)), checked)


def _same_outputs(first: Values, second: Values) -> tuple[str, ...]:
    """What can be said of the outputs of two kinds of board all the same: a hash needs no common unit."""
    windows = first.metrics.get("windows") if first.board != second.board else None
    if None in (first.outputs_sha256, second.outputs_sha256, windows) or windows != second.metrics.get("windows"):
        return ()
    if first.outputs_sha256 == second.outputs_sha256:
        return (f"the outputs of all {windows:,.0f} windows are identical to the byte",)
    return ("the outputs differ",)


def differing(first: dict[str, Any] | None, second: dict[str, Any] | None) -> tuple[str, ...]:
    """The metadata that differ, in words; those of a run that an older tinyrig stored may not be known."""
    if first is None or second is None:
        return ("what it was measured with is not known",)
    return tuple(
        f"{METADATA_WORDS.get(key, key)}: {first.get(key)} in A, {second.get(key)} in B" for key in differing_keys(first, second)
    )


def _row(metric: str, before: dict[str, float], now: dict[str, float], measured: bool) -> Row:
    first, second = before.get(metric), now.get(metric)
    bands = ends(metric, before), ends(metric, now)
    if first is None or second is None:
        return Row(metric, first, second, None, None, None, False, *bands)
    change, wanted = second - first, METRICS[metric].better
    better = None if not change or wanted is None else (change < 0) == (wanted == "lower")
    percent = 100 * change / abs(first) if first else None
    return Row(metric, first, second, change, percent, better, measured and not METRICS[metric].exact, *bands)


def _notes(first: Values, second: Values) -> list[str]:
    notes = []
    if first.board_id != second.board_id:
        notes.append(f"another board of this kind: {first.board_id} in A, {second.board_id} in B")
    if first.build_id != second.build_id:
        notes.append(f"firmware {first.build_id[:8]} in A, {second.build_id[:8]} in B")
    if first.outputs_sha256 != second.outputs_sha256:
        notes.append("the outputs differ")
    if first.hits and second.hits and len(first.hits) == len(second.hits):
        lost = sum(a and not b for a, b in zip(first.hits, second.hits, strict=True))
        won = sum(b and not a for a, b in zip(first.hits, second.hits, strict=True))
        notes += [f"{lost} windows lost, {won} won"] if lost or won else []
    return notes
