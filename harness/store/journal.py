"""The samples of a variant under way, each in the database before the next one is asked for.

A journal is a head (JSON: what the samples belong to) and rows in the order of measuring. When the variant is finished, the same
transaction that stores it deletes its journal, so a sample is always in exactly one of the two places.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from tinyrig.core.records import Sample
from tinyrig.store import schema
from tinyrig.store.database import Database
from tinyrig.store.rows import inserted, to_json


@dataclass(frozen=True)
class Journal:
    """What was kept so far. `resumed` holds the positions at which measuring was resumed."""

    key: int
    head: dict[str, Any]
    samples: tuple[Sample, ...] = ()
    resumed: tuple[int, ...] = ()


class JournalWriter:
    """Appends to one journal; a sample is durable when `add` returns. Raises InfraError when it can't be."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database, self._key, self._position = database, journal.key, len(journal.samples)

    def add(self, sample: Sample) -> None:
        with self._database.writing() as db:
            db.execute(schema.JOURNAL_SAMPLES.insert(), self._row(sample))
        self._position += 1

    def _row(self, s: Sample) -> dict[str, Any]:
        return {
            "journal_id": self._key,
            "position": self._position,
            "kind": s.kind,
            "window_index": int(s.index),
            "cycles": int(s.cycles),
            "stack_bytes": None if s.stack_bytes is None else int(s.stack_bytes),
            "outputs": s.outputs,
            "op_cycles": json.dumps([int(c) for c in s.op_cycles]),
        }


def begin(db: sa.Connection, seq: int, variant: str, head: dict[str, Any]) -> Journal:
    """An empty journal of a variant of run `seq`; one that was there is dropped."""
    drop(db, seq, variant)
    row = {"run_seq": seq, "variant": variant, "head": to_json(head), "resumed": "[]"}
    return Journal(inserted(db, schema.JOURNALS, row), head)


def find(db: sa.Connection, seq: int, variant: str) -> Journal | None:
    """The journal of a variant of run `seq`, None where it has none."""
    c = schema.JOURNALS.c
    row = db.execute(select(schema.JOURNALS).where(c.run_seq == seq, c.variant == variant)).one_or_none()
    if row is None:
        return None
    return Journal(row.id, json.loads(row.head), _samples(db, row.id), tuple(json.loads(row.resumed)))


def mark_resumed(db: sa.Connection, journal: Journal) -> None:
    """Remembers that measuring continues after the samples kept so far."""
    resumed = json.dumps([*journal.resumed, len(journal.samples)])
    db.execute(schema.JOURNALS.update().where(schema.JOURNALS.c.id == journal.key).values(resumed=resumed))


def drop(db: sa.Connection, seq: int, variant: str) -> None:
    c = schema.JOURNALS.c
    keys = select(c.id).where(c.run_seq == seq, c.variant == variant)
    db.execute(schema.JOURNAL_SAMPLES.delete().where(schema.JOURNAL_SAMPLES.c.journal_id.in_(keys)))
    db.execute(schema.JOURNALS.delete().where(c.run_seq == seq, c.variant == variant))


def _samples(db: sa.Connection, key: int) -> tuple[Sample, ...]:
    c = schema.JOURNAL_SAMPLES.c
    rows = db.execute(select(schema.JOURNAL_SAMPLES).where(c.journal_id == key).order_by(c.position)).all()
    return tuple(
        Sample(r.kind, r.window_index, bytes(r.outputs), r.cycles, r.stack_bytes, tuple(json.loads(r.op_cycles))) for r in rows
    )
