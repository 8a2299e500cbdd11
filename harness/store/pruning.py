"""Old raw samples go, by age; what was computed of them stays: metrics, hits, the outputs' hash, cycles by operator, verdicts.

Kept whatever their age: samples of runs that are open, of variant runs without stored metrics (they could not be recomputed any
more), and of the newest accepted variant run of each board, variant and metadata, so that a baseline can be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import select

from tinyrig.core.records import RunState
from tinyrig.store import measurements
from tinyrig.store.runs import Store
from tinyrig.tables import schema, seals

_BATCH = 50
"""Variant runs in one transaction, so that a rig that is measuring waits for less than a second."""


@dataclass(frozen=True)
class Pruned:
    """What went, or would go: variant runs, the runs they belong to, their samples. `kept` of that age stay."""

    variant_runs: int
    runs: int
    samples: int
    kept: int


def prune(store: Store, before: str, now: str, dry_run: bool = False) -> Pruned:
    """Deletes the raw samples of runs that started before `before` (ISO-8601 UTC). The file shrinks with `Store.compact`."""
    with store.reading() as db:
        old = _old(db, before, now)
        keep = _spared(db)
        keys = [key for key, _ in old if key not in keep]
        samples = sum(_count(db, keys[i : i + _BATCH]) for i in range(0, len(keys), _BATCH))
    if not dry_run:
        for i in range(0, len(keys), _BATCH):
            with store.writing() as db:
                _delete(db, keys[i : i + _BATCH], now)
    return Pruned(len(keys), len({seq for key, seq in old if key not in keep}), samples, len(old) - len(keys))


def _old(db: sa.Connection, before: str, now: str) -> list[tuple[int, int]]:
    """(variant run, run) that have samples and are of that age."""
    aged = _aged(db, before, now)
    v, r = schema.VARIANT_RUNS.c, schema.RUNS.c
    query = select(v.id, v.run_seq).join(schema.RUNS, r.seq == v.run_seq).order_by(v.id)
    query = query.where(schema.is_finished(), v.pruned.is_(None), sa.func.coalesce(r.state, RunState.FINISHED) != RunState.OPEN)
    return [(row.id, row.run_seq) for row in db.execute(query).all() if row.run_seq in aged]


def _aged(db: sa.Connection, before: str, now: str) -> set[int]:
    """Runs that are older than `before`, whatever their own dates say: none is older than one that was begun before it, where
    that one's date is not in the future itself."""
    found, newest = set(), ""
    for seq, started in db.execute(select(schema.RUNS.c.seq, schema.RUNS.c.started).order_by(schema.RUNS.c.seq)):
        newest = max(newest, started) if started <= now else newest
        if max(newest, started) < before:
            found.add(seq)
    return found


def _spared(db: sa.Connection) -> set[int]:
    v, a, m = schema.VARIANT_RUNS.c, schema.ACCEPTED.c, schema.METRICS.c
    is_accepted = sa.exists().where(a.run_seq == v.run_seq, sa.or_(a.variant.is_(None), a.variant == v.variant))
    newest = select(sa.func.max(v.id)).where(is_accepted).group_by(v.variant, v.board_id, v.comparable)
    bare = select(v.id).where(~sa.exists().where(m.variant_run_id == v.id))
    return {*db.scalars(newest), *db.scalars(bare)}


def _count(db: sa.Connection, keys: Sequence[int]) -> int:
    s = schema.SAMPLES.c
    return db.scalar(select(sa.func.count()).where(s.variant_run_id.in_(keys), s.kind != "profile")) or 0


def _delete(db: sa.Connection, keys: Sequence[int], now: str) -> None:
    """Profiled samples stay without their outputs: cycles by operator are drawn from them."""
    s, o, v = schema.SAMPLES.c, schema.OP_CYCLES.c, schema.VARIANT_RUNS.c
    profiled = sa.exists().where(s.variant_run_id == o.variant_run_id, s.position == o.position, s.kind == "profile")
    db.execute(schema.OP_CYCLES.delete().where(o.variant_run_id.in_(keys), ~profiled))
    db.execute(schema.SAMPLES.delete().where(s.variant_run_id.in_(keys), s.kind != "profile"))
    db.execute(schema.SAMPLES.update().where(s.variant_run_id.in_(keys)).values(outputs=b""))
    db.execute(schema.VARIANT_RUNS.update().where(v.id.in_(keys)).values(pruned=now))
    seals.seal(db, schema.SAMPLES, s.variant_run_id.in_(keys))
    seals.seal(db, schema.VARIANT_RUNS, v.id.in_(keys))


def recompute(store: Store, run_id: str | None = None) -> tuple[int, int]:
    """Computes the metrics of stored variant runs again from their raw samples: (done, pruned and therefore left as they are).

    One variant run in one transaction; `run_id`: of that run only. Raises UserError for an unknown run.
    """
    v = schema.VARIANT_RUNS.c
    query = select(v.id, v.pruned).where(schema.is_finished()).order_by(v.id)
    with store.reading() as db:
        found = db.execute(query if run_id is None else query.where(v.run_seq == store.seq(db, run_id))).all()
    whole = [row.id for row in found if row.pruned is None]
    for key in whole:
        with store.writing() as db:
            measurements.recompute(db, key)
    return len(whole), len(found) - len(whole)
