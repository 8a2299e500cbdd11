"""What is decided about stored runs: which night they belong to, the verdicts on them, and which are accepted.

Nothing here is ever deleted: a run that was accepted twice has two entries, and a night keeps its verdicts.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from tinyrig.core.errors import InfraError, UserError
from tinyrig.core.plans import RunPlan
from tinyrig.core.records import Accepted, StoredVerdict, VerdictKind
from tinyrig.core.text import visible
from tinyrig.store.rows import inserted, to_json
from tinyrig.store.runs import Store
from tinyrig.tables import clock, schema, seals

# ---- nights ----


def begin_night(store: Store, night_id: str, started: str, boards: Iterable[str]) -> None:
    """Raises InfraError when the id is taken."""
    row = {"night_id": night_id, "started": started, "boards": to_json(list(boards)), "summary": ""}
    with store.writing() as db:
        if db.scalar(select(schema.NIGHTS.c.night_id).where(schema.NIGHTS.c.night_id == night_id)) is not None:
            raise InfraError(f"night {night_id} is already stored in {store.url}", remedy="use a fresh night id")
        clock.warn_of_the_past(db, started)
        seq = (db.scalar(select(sa.func.max(schema.NIGHTS.c.seq))) or 0) + 1
        db.execute(schema.NIGHTS.insert(), row | {"seq": seq})
        seals.seal(db, schema.NIGHTS, schema.NIGHTS.c.night_id == night_id)


def add_to_night(store: Store, night_id: str, run_id: str, rerun: int = 0) -> None:
    """Count a run, begun or finished, to a night; `rerun` 0 for a board's first of this night. A second time is nothing."""
    with store.writing() as db:
        seq = store.seq(db, run_id)
        if db.scalar(select(schema.NIGHT_RUNS.c.run_seq).where(schema.NIGHT_RUNS.c.run_seq == seq)) is None:
            db.execute(schema.NIGHT_RUNS.insert(), {"run_seq": seq, "night_id": night_id, "rerun": rerun})
            seals.seal(db, schema.NIGHT_RUNS, schema.NIGHT_RUNS.c.run_seq == seq)


def others_with_id(store: Store, run_id: str, board_id: str) -> list[str]:
    """The other boards, as --board named them, that report this id in the night of run `run_id`; [] for a run of no night."""
    v, r, n = schema.VARIANT_RUNS.c, schema.RUNS.c, schema.NIGHT_RUNS.c
    with store.reading() as db:
        seq = store.seq(db, run_id)
        night = select(n.night_id).where(n.run_seq == seq).scalar_subquery()
        query = (
            select(r.seq, r.plan)
            .join_from(schema.RUNS, schema.NIGHT_RUNS, n.run_seq == r.seq)
            .join(schema.VARIANT_RUNS, v.run_seq == r.seq, isouter=True)
            .where(n.night_id == night, sa.or_(r.seq == seq, v.board_id == board_id))
        )
        named = {row.seq: RunPlan.from_json(json.loads(row.plan)).board if row.plan else "" for row in db.execute(query)}
    return sorted({board for board in named.values() if board} - {named.get(seq, "")})


def end_night(store: Store, night_id: str, finished: str, exit_code: int, summary: str = "", *, cut_off: bool = False) -> None:
    """`cut_off`: by a signal or an error, before all was measured."""
    with store.writing() as db:
        changed = {"finished": finished, "exit_code": exit_code, "summary": summary, "cut_off": cut_off}
        mine = schema.NIGHTS.c.night_id == night_id
        db.execute(schema.NIGHTS.update().where(mine).values(**changed))
        seals.seal(db, schema.NIGHTS, mine)


# ---- acceptances ----


def accept(store: Store, *entries: Accepted) -> None:
    """All or none. Raises UserError for an unknown run, a variant that it lacks, or one that holds nothing to accept."""
    with store.writing() as db:
        for entry in entries:
            _accept(db, store.seq(db, entry.run_id), entry)


def _accept(db: sa.Connection, seq: int, entry: Accepted) -> None:
    v = schema.VARIANT_RUNS.c
    names = list(db.scalars(select(v.variant).where(v.run_seq == seq, schema.is_finished()).order_by(v.id)))
    if not names or (entry.variant is not None and visible(entry.variant) not in names):  # as names are read
        raise UserError(
            f"run {entry.run_id} holds no finished variant {entry.variant or ''}".rstrip(),
            expected="one to accept",
            received=", ".join(names) or "none",
            remedy="name another run or variant",
        )
    row = {
        "run_seq": seq,
        "variant": entry.variant,
        "accepted_at": entry.when,
        "who": entry.who,
        "why": entry.why,
        "wanted": entry.wanted,
    }
    key = inserted(db, schema.ACCEPTED, row)
    seals.seal(db, schema.ACCEPTED, schema.ACCEPTED.c.id == key)


# ---- verdicts ----


def stored_verdict(
    judgement: Any, run_id: str, variant: str, board: str, board_id: str, kind: VerdictKind = VerdictKind.NIGHT
) -> StoredVerdict:
    """A verdicts.Judgement as a record of the store; fields that have no column of their own stand in `details`."""
    fields = dataclasses.asdict(judgement)
    own = {new: fields.pop(old, None) for old, new in _COLUMNS.items()}
    own["reason"] = own["reason"] or ""
    return StoredVerdict(run_id, variant, board, board_id, kind=kind, details=fields, **own)


_COLUMNS = {
    "metric": "metric",
    "status": "status",
    "baseline": "old",
    "value": "new",
    "difference": "change",
    "difference_percent": "change_percent",
    "threshold": "threshold",
    "detectable": "detectable",
    "p_value": "p_value",
    "reason": "reason",
}
"""Field of a Judgement -> field of a StoredVerdict."""


def save_verdicts(store: Store, verdicts: Iterable[StoredVerdict]) -> None:
    """All or none, each replacing an earlier one of the same kind. Raises UserError when a variant's run is not stored."""
    with store.writing() as db:
        keys: dict[tuple[str, str], int] = {}
        for verdict in verdicts:
            where = (verdict.run_id, verdict.variant)
            if where not in keys:
                keys[where] = _variant_run(db, store, *where)
            _save(db, keys[where], verdict)


def _variant_run(db: sa.Connection, store: Store, run_id: str, variant: str) -> int:
    v = schema.VARIANT_RUNS.c
    of_it = (v.run_seq == store.seq(db, run_id), v.variant == variant, schema.is_finished())
    key: int | None = db.scalar(select(sa.func.max(v.id)).where(*of_it))
    if key is None:
        raise UserError(f"run {run_id} holds no finished variant {variant!r}", remedy="only what was measured can be judged")
    return key


def _save(db: sa.Connection, key: int, verdict: StoredVerdict) -> None:
    row = {f.name: getattr(verdict, f.name) for f in dataclasses.fields(verdict) if f.name in schema.VERDICTS.c}
    for name, value in row.items():  # numpy's numbers are no database's
        if name in ("old", "new"):
            row[name] = None if value is None else to_json(value)
        elif value is not None and isinstance(schema.VERDICTS.c[name].type, sa.Float):
            row[name] = float(value)
    row |= {"variant_run_id": key, "details": to_json(verdict.details)}
    c = schema.VERDICTS.c
    mine = (c.variant_run_id == key, c.metric == verdict.metric, c.kind == verdict.kind)
    db.execute(schema.VERDICTS.delete().where(*mine))
    db.execute(schema.VERDICTS.insert(), row)
    seals.seal(db, schema.VERDICTS, *mine)


def read_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)
