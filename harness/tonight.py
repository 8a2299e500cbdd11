"""What the runs of one night hold, without their samples: which variants on which boards, and what could not be measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select

from harness import schema
from harness.records import NotMeasured
from harness.store import Store


class Measured(NamedTuple):
    """A finished variant run. `synthetic`: its test windows were generated, not recorded; `dataset` None: not known."""

    run_id: str
    variant: str
    board: str
    board_id: str
    timing: str
    dataset: str | None
    synthetic: bool
    pruned: bool


def measured(store: Store, run_ids: Sequence[str]) -> list[Measured]:
    """Of all these runs, in the order of storing."""
    v, r = schema.VARIANT_RUNS.c, schema.RUNS.c
    query = (
        select(r.run_id, v.variant, v.board_name, v.board_id, v.timing, v.record, v.pruned)
        .join_from(schema.VARIANT_RUNS, schema.RUNS, r.seq == v.run_seq).where(r.run_id.in_(run_ids)).order_by(v.id)
    )  # fmt: skip
    with store.reading() as db:
        lines = db.execute(query).all()
    return [_measured(*line) for line in lines]


def _measured(run_id: str, variant: str, board: str, board_id: str, timing: str, record: str, pruned: str | None) -> Measured:
    built = json.loads(record).get("variant", {})
    return Measured(run_id, variant, board, board_id, timing, built.get("dataset"), bool(built.get("synthetic")), bool(pruned))


def not_measured(store: Store, run_ids: Sequence[str]) -> list[tuple[str, NotMeasured]]:
    """(run, what it could not measure and why)."""
    n, r = schema.NOT_MEASURED.c, schema.RUNS.c
    query = (
        select(r.run_id, n.variant, n.error, n.kind).join_from(schema.NOT_MEASURED, schema.RUNS, r.seq == n.run_seq)
        .where(r.run_id.in_(run_ids)).order_by(r.seq, n.variant)
    )  # fmt: skip
    with store.reading() as db:
        return [(run_id, NotMeasured(*rest)) for run_id, *rest in db.execute(query)]


class Limit(NamedTuple):
    """A stored verdict's baseline value and threshold; `run_id` is the judged run's."""

    run_id: str
    variant: str
    metric: str
    baseline: float
    threshold: float


def limits(store: Store, metrics: Sequence[str], since: str | None = None) -> list[Limit]:
    """Of every night's verdicts on `metrics` that have a number as baseline and a threshold."""
    d, v, r = schema.VERDICTS.c, schema.VARIANT_RUNS.c, schema.RUNS.c
    query = (
        select(d.variant_run_id, d.metric, d.old, d.threshold)
        .where(d.kind == "night", d.metric.in_(metrics), d.threshold.is_not(None), d.old.is_not(None))
    )  # fmt: skip
    runs = select(v.id, r.run_id, v.variant).join_from(schema.VARIANT_RUNS, schema.RUNS, r.seq == v.run_seq)
    with store.reading() as db:
        heads = {key: (run, name) for key, run, name in db.execute(runs if since is None else runs.where(r.started >= since))}
        lines = db.execute(query).all()
    return [
        Limit(*heads[key], metric, float(old), threshold)
        for key, metric, old, threshold in lines if key in heads and old[:1] in "-0123456789"
    ]  # fmt: skip
