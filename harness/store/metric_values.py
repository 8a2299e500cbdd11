"""Stored metrics, checked as they are read: that they are what was written, and can be what their names say."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import sqlalchemy as sa

from tinyrig.analysis.metric_table import METRICS
from tinyrig.core.errors import InfraError
from tinyrig.tables import schema, seals

_AT_ONCE = 500
"""Variant runs in one question."""


def insert(db: sa.Connection, key: int, numbers: dict[str, float]) -> None:
    """Those of one variant run."""
    lines = [{"variant_run_id": key, "name": name, "value": float(value)} for name, value in numbers.items()]
    if lines:
        db.execute(schema.METRICS.insert(), seals.sealed(seals.METRICS, lines))


def of_runs(db: sa.Connection, keys: Sequence[int]) -> dict[int, dict[str, float]]:
    """All metrics of these variant runs."""
    found: dict[int, dict[str, float]] = {key: {} for key in keys}
    for i in range(0, len(keys), _AT_ONCE):
        for key, name, value in _read(db, schema.METRICS.c.variant_run_id.in_(keys[i : i + _AT_ONCE])):
            found[key][name] = value
    return found


def of_name(db: sa.Connection, name: str, keys: Sequence[int]) -> dict[int, float]:
    """One metric of these variant runs: the index is read in order, which is quick where they are most of all."""
    m = schema.METRICS.c
    where = [m.variant_run_id.in_(keys)] if len(keys) <= _AT_ONCE else [m.variant_run_id.between(min(keys), max(keys))]
    wanted = set(keys)
    return {key: value for key, _, value in _read(db, m.name == name, *where) if key in wanted}


def _read(db: sa.Connection, *where: sa.ColumnElement[bool]) -> list[tuple[int, str, float]]:
    """(variant run, name, value). Raises Unsealed, InfraError for a value that can't be."""
    found: list[Any] = [row[1:] for row in seals.METRICS.read(db, *where)]
    bounds = {name: _bounds(name) for name in {name for _, name, _ in found}}
    for key, name, value in found:
        low, high = bounds[name]
        if not (isinstance(value, float | int) and low <= value <= high and -inf < value < inf):
            raise _impossible(db, key, name, value)
    return found


def _bounds(name: str) -> tuple[float, float]:
    if name.startswith("accuracy_ci95"):
        return 0.0, 1.0
    if name not in METRICS:  # of another tinyrig
        return -inf, inf
    return 0.0, 1.0 if METRICS[name].unit == "fraction" else inf


def _impossible(db: sa.Connection, key: int, name: str, value: float) -> InfraError:
    v, r = schema.VARIANT_RUNS.c, schema.RUNS.c
    query = sa.select(r.run_id, v.variant).join_from(schema.VARIANT_RUNS, schema.RUNS, r.seq == v.run_seq)
    run, variant = db.execute(query.where(v.id == key)).one_or_none() or ("no run", f"variant run {key}")
    low, high = _bounds(name)
    return InfraError(
        f"the stored {name} of {variant} in run {run} can't be",
        expected=f"a finite number from {low:g} to {high:g}",
        received=f"{value!r:.80}",
        remedy=f"compute it again from the samples (tinyrig recompute {run}), or restore a copy of the database",
    )
