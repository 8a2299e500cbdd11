"""What a physical board measured, beside what the virtual board estimates for the same: variant, model file, engine, compiler and
its flags. An image names its board, so the images themselves differ in that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import select

from tinyrig.core.records import ESTIMATED, MEASURED
from tinyrig.store.history import Place, Series, series
from tinyrig.store.runs import Store
from tinyrig.tables import schema

METRIC = "estimate_error"
"""Estimated over measured cycles less 1; not stored: it belongs to two runs."""
_CYCLES = "latency_cycles_median"


@dataclass(frozen=True)
class Beside:
    """Medians in cycles. `estimated_in`: the run of the estimate."""

    variant: str
    board: str
    board_id: str
    place: Place
    measured: float
    estimated: float
    estimated_in: str

    @property
    def error(self) -> float:
        return self.estimated / self.measured - 1


@dataclass(frozen=True)
class _Point:
    series: Series
    place: Place
    cycles: float
    key: tuple[str, ...]


def beside(store: Store, variant: str | None = None, board: str | None = None, since: str | None = None) -> list[Beside]:
    """Each measurement that has an estimate, in the order of its series; see `series` for what is selected. The estimate is the
    newest from before the measurement began, else the first after it."""
    found, keys = series(store, _CYCLES, variant), _keys(store)
    estimates: dict[tuple[str, ...], list[_Point]] = {}
    for point in (point for one in found if one.timing == ESTIMATED for point in _points(one, keys)):
        estimates.setdefault(point.key, []).append(point)
    measured = [one for one in series(store, _CYCLES, variant, board, since) if one.timing == MEASURED]
    rows = []
    for point in (point for one in measured for point in _points(one, keys)):
        if of := estimates.get(point.key):
            near = _nearest(of, point.place.started)
            where = point.series
            rows.append(
                Beside(where.variant, where.board, where.board_id, point.place, point.cycles, near.cycles, near.place.run_id)
            )
    return rows


def error_series(store: Store, variant: str | None = None, board: str | None = None, since: str | None = None) -> list[Series]:
    """As `series`, of METRIC."""
    rows = beside(store, variant, board, since)
    groups = groupby(rows, key=lambda row: (row.variant, row.board, row.board_id))
    listed = [(where, list(group)) for where, group in groups]
    return [Series(METRIC, *where, MEASURED, tuple(r.place for r in of), tuple(r.error for r in of)) for where, of in listed]


def beside_lines(store: Store, run_ids: Sequence[str]) -> list[str]:
    """For the report of these runs: estimate, measurement and error of each measured variant."""
    rows = [row for row in beside(store) if row.place.run_id in run_ids]
    return [
        f"{row.variant} on {row.board}: measured {row.measured:,.0f} cycles, estimated {row.estimated:,.0f} "
        f"(run {row.estimated_in}): the estimate is {row.error:+.2%} off."
        for row in rows
    ]


def _nearest(estimates: list[_Point], started: str) -> _Point:
    ordered = sorted(estimates, key=lambda point: point.place.started)
    before = [point for point in ordered if point.place.started <= started]
    return before[-1] if before else ordered[0]


def _points(one: Series, keys: dict[tuple[str, str, str], tuple[str, ...]]) -> list[_Point]:
    pairs = zip(one.places, one.values, strict=True)
    located = [(place, value, keys.get((place.run_id, one.variant, one.board_id))) for place, value in pairs]
    return [_Point(one, place, value, (one.variant, *key)) for place, value, key in located if key]


def _keys(store: Store) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """(run, variant, board id) -> what must agree."""
    v, r, c = schema.VARIANT_RUNS.c, schema.RUNS.c, schema.COMPARABLES.c
    query = (
        select(r.run_id, v.variant, v.board_id, v.tflite_sha256, c.metadata)
        .join_from(schema.VARIANT_RUNS, schema.RUNS, r.seq == v.run_seq)
        .join(schema.COMPARABLES, c.comparable == v.comparable)
        .where(schema.is_finished())
    )
    with store.reading() as db:
        return {(run, variant, board): (sha, *_same(json.loads(text))) for run, variant, board, sha, text in db.execute(query)}


def _same(metadata: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(metadata.get(name, "")) for name in ("engine", "compiler", "flags"))
