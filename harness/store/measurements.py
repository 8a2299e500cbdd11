"""Measurements in the database, from their first sample on.

A row of `variant_runs` is open while its samples arrive, each of them durable before the next one is asked for. One transaction
finishes it: it adds the record and what the samples came to. A sample is written once and stays where it is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tinyrig.analysis.evaluation import Evaluation, evaluate
from tinyrig.analysis.provenance import metadata_hash
from tinyrig.core.errors import UserError
from tinyrig.core.plans import Subject
from tinyrig.core.records import BoardInfo, Measurement, NotMeasured, RunState, Sample
from tinyrig.store import metric_values, rows
from tinyrig.tables import schema, seals
from tinyrig.tables.database import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenMeasurement:
    """What was kept of a measurement that is not finished. `resumed`: after how many samples it was interrupted before."""

    key: int
    subject: Subject
    samples: tuple[Sample, ...] = ()
    resumed: tuple[int, ...] = ()


class SampleWriter:
    """Appends to an open measurement; a sample is durable when `add` returns. Raises InfraError when it can't be."""

    def __init__(self, database: Database, key: int, position: int = 0) -> None:
        self._database, self._key, self._position = database, key, position

    def add(self, sample: Sample) -> None:
        with self._database.writing() as db:
            add_samples(db, self._key, [sample], self._position)
        self._position += 1


# ---- open ones ----


def begin(db: sa.Connection, seq: int, variant: str, subject: Subject, board: BoardInfo) -> int:
    """The key of an open measurement of run `seq`, without samples; an earlier one of this variant is dropped."""
    drop_open(db, seq, variant)
    row = {
        "run_seq": seq,
        "variant": variant,
        "tflite_sha256": subject.model_sha256,
        "build_id": subject.build_id,
        **rows.board_columns(board),
        "record": "{}",
        "state": RunState.OPEN.value,
        "head": rows.to_json(subject.to_json()),
        "resumed": "[]",
    }
    return _inserted(db, row)


def _inserted(db: sa.Connection, row: dict[str, Any]) -> int:
    key = rows.inserted(db, schema.VARIANT_RUNS, row)
    _seal(db, key)
    return key


def _seal(db: sa.Connection, key: int) -> None:
    seals.seal(db, schema.VARIANT_RUNS, schema.VARIANT_RUNS.c.id == key)


def find_open(db: sa.Connection, seq: int, variant: str) -> OpenMeasurement | None:
    key = db.execute(select(schema.VARIANT_RUNS.c.id).where(_open(seq, variant))).scalar_one_or_none()
    if key is None:
        return None
    row = seals.bodies(db, [key])[key]
    return OpenMeasurement(
        row.id, Subject.from_json(json.loads(row.head)), load_samples(db, row.id), tuple(json.loads(row.resumed))
    )


def mark_resumed(db: sa.Connection, found: OpenMeasurement) -> None:
    """Remembers that measuring continues after the samples kept so far."""
    resumed = json.dumps([*found.resumed, len(found.samples)])
    db.execute(schema.VARIANT_RUNS.update().where(schema.VARIANT_RUNS.c.id == found.key).values(resumed=resumed))
    _seal(db, found.key)


def drop_open(db: sa.Connection, seq: int, variant: str) -> None:
    for key in list(db.scalars(select(schema.VARIANT_RUNS.c.id).where(_open(seq, variant)))):
        for table in (schema.OP_CYCLES, schema.SAMPLES):
            db.execute(table.delete().where(table.c.variant_run_id == key))
        db.execute(schema.VARIANT_RUNS.delete().where(schema.VARIANT_RUNS.c.id == key))


def _open(seq: int, variant: str) -> sa.ColumnElement[bool]:
    v = schema.VARIANT_RUNS.c
    return sa.and_(v.run_seq == seq, v.variant == variant, v.state == RunState.OPEN.value)


# ---- finished ones ----


def finish(db: sa.Connection, seq: int, run: Measurement, found: Evaluation) -> None:
    """Stores the rest of a measurement whose first samples are there, or all of one of which nothing is. Open samples that are
    not its own are dropped."""
    there = find_open(db, seq, run.variant.name)
    if there is not None and run.samples[: len(there.samples)] != there.samples:
        drop_open(db, seq, run.variant.name)
        there = None
    row = {"run_seq": seq, **rows.columns(run), **_computed(db, found), "state": RunState.FINISHED.value}
    if there is None:
        key, kept = _inserted(db, row), 0
    else:
        key, kept = there.key, len(there.samples)
        closed = row | {"head": None, "resumed": None}
        db.execute(schema.VARIANT_RUNS.update().where(schema.VARIANT_RUNS.c.id == key).values(closed))
        _seal(db, key)
    add_samples(db, key, run.samples[kept:], kept)
    _insert_metrics(db, key, run.variant.name, found)


def recompute(db: sa.Connection, key: int) -> None:
    """The metrics of a finished measurement again, from its samples, which must be there."""
    v = schema.VARIANT_RUNS.c
    run = rows.measurement(json.loads(seals.bodies(db, [key])[key].record), load_samples(db, key))
    found = evaluate(run)
    db.execute(schema.VARIANT_RUNS.update().where(v.id == key).values(_computed(db, found)))
    _seal(db, key)
    db.execute(schema.METRICS.delete().where(schema.METRICS.c.variant_run_id == key))
    _insert_metrics(db, key, run.variant.name, found)


def load(db: sa.Connection, seq: int) -> tuple[Measurement, ...]:
    """The finished measurements of run `seq`, in the order in which they were begun. Raises UserError where samples were pruned:
    what is left would look like a run without windows."""
    v = schema.VARIANT_RUNS.c
    query = select(v.id, v.variant).where(v.run_seq == seq, schema.is_finished()).order_by(v.id)
    names = {key: variant for key, variant in db.execute(query)}
    found = seals.bodies(db, list(names))
    pruned = next((key for key in names if found[key].pruned), None)
    if pruned is not None:
        raise UserError(
            f"the raw samples of this run were pruned on {found[pruned].pruned}",
            received=f"variant {names[pruned]}",
            remedy="its metrics are kept: tinyrig history, tinyrig compare, tinyrig export",
        )
    return tuple(rows.measurement(json.loads(found[key].record), load_samples(db, key)) for key in names)


def _computed(db: sa.Connection, found: Evaluation) -> dict[str, Any]:
    hits = None if found.hits is None else bytes(bool(hit) for hit in found.hits)
    return {"comparable": _comparable(db, found), "outputs_sha256": found.outputs_sha256, "hits": hits}


def _comparable(db: sa.Connection, found: Evaluation) -> str:
    """The hash of the comparable metadata, which is stored where it is new. Two rigs may find the same new one at once."""
    key, c = metadata_hash(found.comparable), schema.COMPARABLES.c
    if db.scalar(select(c.comparable).where(c.comparable == key)) is None:
        with suppress(IntegrityError), db.begin_nested():
            metadata = json.dumps(dict(found.comparable), sort_keys=True)
            line = {"comparable": key, "metadata": metadata}
            db.execute(schema.COMPARABLES.insert(), seals.sealed(seals.COMPARABLES, [line]))
    return key


def _insert_metrics(db: sa.Connection, key: int, name: str, found: Evaluation) -> None:
    """A measurement that metrics can't be computed of is stored without them: its samples are not lost."""
    if found.fault is not None:
        log.warning("%s is stored without metrics: %s", name, found.fault)
    metric_values.insert(db, key, found.numbers)


# ---- samples ----


def add_samples(db: sa.Connection, key: int, samples: Sequence[Sample], position: int) -> None:
    """Behind the `position` samples that are there."""
    lines = [rows.sample_row(key, position + i, s) for i, s in enumerate(samples)]
    cycles = [line for i, s in enumerate(samples) for line in rows.op_cycle_rows(key, position + i, s)]
    for one, values in ((seals.SAMPLES, lines), (seals.OP_CYCLES, cycles)):
        if values:
            db.execute(one.table.insert(), seals.sealed(one, values))


def load_samples(db: sa.Connection, key: int) -> tuple[Sample, ...]:
    """In the order of measuring."""
    ops: dict[int, list[int]] = {}
    o, s = schema.OP_CYCLES.c, schema.SAMPLES.c
    for row in seals.OP_CYCLES.read(db, o.variant_run_id == key, order=(o.position, o.op_index)):
        ops.setdefault(row.position, []).append(row.cycles)
    found = seals.SAMPLES.read(db, s.variant_run_id == key, order=(s.position,))
    return tuple(rows.sample(row, tuple(ops.get(row.position, ()))) for row in found)


# ---- what could not be measured ----


def insert_not_measured(db: sa.Connection, seq: int, what: NotMeasured) -> None:
    """In place of what was known of this variant before."""
    delete_not_measured(db, seq, what.variant)
    row = {"run_seq": seq, "variant": what.variant, "kind": what.kind, "error": what.error}
    db.execute(schema.NOT_MEASURED.insert(), row)
    c = schema.NOT_MEASURED.c
    seals.seal(db, schema.NOT_MEASURED, c.run_seq == seq, c.variant == what.variant)


def delete_not_measured(db: sa.Connection, seq: int, variant: str) -> None:
    c = schema.NOT_MEASURED.c
    db.execute(schema.NOT_MEASURED.delete().where(c.run_seq == seq, c.variant == variant))


def not_measured(db: sa.Connection, seq: int) -> tuple[NotMeasured, ...]:
    c = schema.NOT_MEASURED.c
    found = db.execute(select(c.variant, c.error, c.kind).where(c.run_seq == seq).order_by(c.variant)).all()
    return tuple(NotMeasured(r.variant, r.error, r.kind) for r in found)
