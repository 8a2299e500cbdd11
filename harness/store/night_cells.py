"""What the runs of one night hold, without their samples: which variants on which boards, and what could not be measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select

from tinyrig.core.errors import UserError
from tinyrig.core.records import ClaimStatus, Night, NotMeasured
from tinyrig.store.history import nights
from tinyrig.store.runs import Store
from tinyrig.tables import schema, seals


class Measured(NamedTuple):
    """A finished variant run. `synthetic`: its test windows were generated, not recorded; `dataset` None: not known; `failed`:
    (name, reason) of its claims that failed; `asked` the board as it was asked for, empty where that was not kept."""

    run_id: str
    variant: str
    board: str
    board_id: str
    timing: str
    dataset: str | None
    synthetic: bool
    pruned: bool
    failed: tuple[tuple[str, str], ...] = ()
    asked: str = ""


def measured(store: Store, run_ids: Sequence[str]) -> list[Measured]:
    """Of all these runs, in the order of storing."""
    v, r = schema.VARIANT_RUNS.c, schema.RUNS.c
    query = (
        select(r.run_id, v.variant, v.board_name, v.board_id, v.timing, v.id, r.plan)
        .join_from(schema.VARIANT_RUNS, schema.RUNS, r.seq == v.run_seq)
        .where(r.run_id.in_(run_ids), schema.is_finished())
        .order_by(v.id)
    )
    with store.reading() as db:
        lines = db.execute(query).all()
        bodies = seals.bodies(db, [line.id for line in lines])
    return [_measured(*line[:5], bodies[line.id])._replace(asked=_asked(line.plan)) for line in lines]


def _asked(plan: str | None) -> str:
    return str(json.loads(plan or "{}").get("board") or "")


def _measured(run_id: str, variant: str, board: str, board_id: str, timing: str, body: Any) -> Measured:
    known = json.loads(body.record)
    built, claims = known.get("variant", {}), known.get("claims", ())
    failed = tuple((c["name"], c.get("reason", "")) for c in claims if c.get("status") == ClaimStatus.FAILED)
    synthetic = bool(built.get("synthetic"))
    return Measured(run_id, variant, board, board_id, timing, built.get("dataset"), synthetic, bool(body.pruned), failed)


class Missing(NamedTuple):
    """What a run could not measure; `board` as it was asked for, empty where that was not kept."""

    run_id: str
    board: str
    what: NotMeasured


def not_measured(store: Store, run_ids: Sequence[str]) -> list[Missing]:
    """Of all these runs, in the order of storing."""
    n, r = schema.NOT_MEASURED.c, schema.RUNS.c
    query = (
        select(r.run_id, r.plan, n.variant, n.error, n.kind)
        .join_from(schema.NOT_MEASURED, schema.RUNS, r.seq == n.run_seq)
        .where(r.run_id.in_(run_ids))
        .order_by(r.seq, n.variant)
    )
    with store.reading() as db:
        lines = db.execute(query).all()
    return [Missing(run, _asked(plan), NotMeasured(*what)) for run, plan, *what in lines]


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
    wanted = (d.kind == "night", d.metric.in_(metrics), d.threshold.is_not(None), d.old.is_not(None))
    runs = select(v.id, r.run_id, v.variant).join_from(schema.VARIANT_RUNS, schema.RUNS, r.seq == v.run_seq)
    with store.reading() as db:
        heads = {key: (run, name) for key, run, name in db.execute(runs if since is None else runs.where(r.started >= since))}
        lines = seals.VERDICTS.read(db, *wanted)
    return [
        Limit(*heads[line.variant_run_id], line.metric, float(line.old), line.threshold)
        for line in lines
        if line.variant_run_id in heads and line.old[:1] in "-0123456789"
    ]


def one_night(store: Store, wanted: str, remedy: str) -> Night:
    """The night by its id or an unambiguous beginning of it, the newest for an empty text. Raises UserError with `remedy`."""
    found = [n for n in nights(store) if n.night_id.startswith(wanted)]
    found = [n for n in found if n.night_id == wanted] or found[: None if wanted else 1]
    if len(found) != 1:
        raise UserError(
            f"no single night {wanted!r} in {store.url}",
            expected="a night's id or its beginning",
            received=", ".join(n.night_id for n in found[:5]) or "none",
            remedy=remedy,
        )
    return found[0]
