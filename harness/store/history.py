"""What the results database knows over time: series of metrics, nights, acceptances, verdicts, baselines. Only reads.

Nothing here loads samples: a metric's series comes from the metrics stored beside them, and outlives their pruning.

The baseline of a board and variant is its last accepted runs with the same comparable metadata. Where nothing was ever accepted
of this board and variant, the first run that was stored stands in: otherwise a new rig could never begin. Where something was
accepted, but with other metadata, there is no baseline: a new compiler is accepted, not judged.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import select

from tinyrig.core.records import MOVED, Accepted, Night, StoredVerdict, VerdictKind, VerdictStatus
from tinyrig.store import metric_values
from tinyrig.store.decisions import read_json
from tinyrig.store.rows import measurement
from tinyrig.store.runs import Store
from tinyrig.tables import schema, seals

__all__ = [
    "Accepted",
    "BaselineRun",
    "Night",
    "Place",
    "Point",
    "Series",
    "StoredVerdict",
    "accepted",
    "all_series",
    "baseline_runs",
    "comparables",
    "last_accepted_metadata",
    "moved_verdicts",
    "nights",
    "op_cycles",
    "series",
    "since_change",
    "verdicts",
]


class Place(NamedTuple):
    """A variant run in a series. `night` is empty for a run that belongs to none; `comparable` the hash of the metadata that must
    agree before two values are compared; `accepted` why a change was accepted here (empty: none was)."""

    run_id: str
    started: str
    night: str
    rerun: int
    comparable: str
    accepted: str


class Point(NamedTuple):
    """A value in its place."""

    run_id: str
    started: str
    night: str
    rerun: int
    comparable: str
    accepted: str
    value: float


@dataclass(frozen=True)
class Series:
    """One metric of one variant on one board, oldest first. `board` is the kind, the id says which one. `places` and `values`
    are of one length; the series of one variant run share their places."""

    metric: str
    variant: str
    board: str
    board_id: str
    timing: str
    places: tuple[Place, ...]
    values: tuple[float, ...]

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(Point(*place, value) for place, value in zip(self.places, self.values, strict=True))


# ---- series ----


class _Head(NamedTuple):
    """A variant run without its record."""

    id: int
    run_seq: int
    variant: str
    board_name: str
    board_id: str
    timing: str
    comparable: str | None


class _Run(NamedTuple):
    seq: int
    run_id: str
    started: str
    night: str | None
    rerun: int | None


def series(
    store: Store, metric: str, variant: str | None = None, board: str | None = None, since: str | None = None
) -> list[Series]:
    """Every series of `metric`; of one variant, of one board (its kind, its id or the beginning of that), from runs that started
    at `since` (ISO-8601 UTC or a beginning of it) or later."""
    return all_series(store, [metric], variant, board, since)


def all_series(
    store: Store, metrics: Sequence[str], variant: str | None = None, board: str | None = None, since: str | None = None
) -> list[Series]:
    """`series` of several metrics at once, by variant, board and then in the order of `metrics`."""
    with store.reading() as db:
        runs = {run.seq: run for run in _runs(db, since)}
        heads = [h for h in _heads(db, variant, board) if h.run_seq in runs]
        marks = _marks(db)
        values = {metric: _values(db, metric, heads) for metric in metrics}
    groups: dict[tuple[str, str, str, str], list[_Head]] = {}
    for head in sorted(heads, key=lambda h: (h.run_seq, h.id)):
        groups.setdefault((head.variant, head.board_name, head.board_id, head.timing), []).append(head)
    found: list[Series] = []
    for where, group in sorted(groups.items()):
        places = tuple(_place(head, runs[head.run_seq], marks) for head in group)
        found += (Series(m, *where, *_valued(group, places, values[m])) for m in metrics)
    return [s for s in found if s.values]


def _place(head: _Head, run: _Run, marks: dict[tuple[int, str], str]) -> Place:
    why = marks.get((head.run_seq, head.variant)) or marks.get((head.run_seq, ""), "")
    return Place(run.run_id, run.started, run.night or "", run.rerun or 0, head.comparable or "", why)


def _valued(
    group: Sequence[_Head], places: tuple[Place, ...], values: dict[int, float]
) -> tuple[tuple[Place, ...], tuple[float, ...]]:
    """The places that have a value, and the values."""
    found = [values.get(head.id) for head in group]
    if None in found:
        places = tuple(place for place, value in zip(places, found, strict=True) if value is not None)
    return places, tuple(value for value in found if value is not None)


def _runs(db: sa.Connection, since: str | None) -> list[_Run]:
    r, n = schema.RUNS.c, schema.NIGHT_RUNS.c
    query = select(r.seq, r.run_id, r.started, n.night_id, n.rerun).join_from(
        schema.RUNS, schema.NIGHT_RUNS, n.run_seq == r.seq, isouter=True
    )
    return [_Run(*row) for row in db.execute(query if since is None else query.where(r.started >= since))]


def _heads(db: sa.Connection, variant: str | None, board: str | None) -> list[_Head]:
    v = schema.VARIANT_RUNS.c
    query = select(v.id, v.run_seq, v.variant, v.board_name, v.board_id, v.timing, v.comparable).where(schema.is_finished())
    query = query if variant is None else query.where(v.variant == variant)
    query = query if board is None else query.where(_on(board))
    return list(map(_Head._make, db.execute(query).all()))


def _on(board: str) -> sa.ColumnElement[bool]:
    v = schema.VARIANT_RUNS.c
    return sa.or_(v.board_name == board, v.board_id.startswith(board, autoescape=True))


def _values(db: sa.Connection, metric: str, heads: Sequence[_Head]) -> dict[int, float]:
    """Of one variant on one board by its keys, else of the whole table: its index is read in order."""
    keys = [h.id for h in heads]
    return metric_values.of_name(db, metric, keys) if keys else {}


def _marks(db: sa.Connection) -> dict[tuple[int, str], str]:
    """(run, variant or "" for all) -> why a change was accepted there; the last word counts."""
    a = schema.ACCEPTED.c
    query = select(a.run_seq, a.variant, a.why).where(a.wanted).order_by(a.id)
    return {(seq, variant or ""): why for seq, variant, why in db.execute(query)}


def comparables(store: Store) -> dict[str, dict[str, Any]]:
    """Hash -> the metadata that must agree before two variant runs are compared."""
    with store.reading() as db:
        return {row.comparable: json.loads(row.metadata) for row in db.execute(select(schema.COMPARABLES))}


def op_cycles(store: Store, run_id: str, variant: str) -> list[tuple[str, str, float]]:
    """(op, name, median cycles over the profiled samples) of each step; empty where none was profiled, or
    where the outputs are not verified: then there is no timing. Outlives pruning."""
    v, s, o = schema.VARIANT_RUNS.c, schema.SAMPLES.c, schema.OP_CYCLES.c
    profiled = sa.and_(s.variant_run_id == o.variant_run_id, s.position == o.position, s.kind == "profile")
    with store.reading() as db:
        query = select(v.id).where(v.run_seq == store.seq(db, run_id), v.variant == variant, schema.is_finished())
        key = db.scalar(query.order_by(v.id.desc()).limit(1))
        if key is None or "latency_cycles_median" not in metric_values.of_runs(db, [key])[key]:
            return []
        ops = measurement(json.loads(seals.bodies(db, [key])[key].record), ()).image.ops
        steps = select(*seals.OP_CYCLES.selected).join(schema.SAMPLES, profiled).where(o.variant_run_id == key)
        cycles: dict[int, list[int]] = {}
        for row in seals.OP_CYCLES.checked(db.execute(steps)):
            cycles.setdefault(row.op_index, []).append(row.cycles)
    return [(op.op, op.name, float(median(cycles[i]))) for i, op in enumerate(ops) if i in cycles]


# ---- decisions ----


def nights(store: Store, since: str | None = None) -> list[Night]:
    """The last one that was begun first, each with its runs in the order in which they were begun."""
    n, m, r = schema.NIGHTS.c, schema.NIGHT_RUNS.c, schema.RUNS.c
    query = select(schema.NIGHTS).order_by(n.seq.desc(), n.night_id.desc())
    with store.reading() as db:
        heads = db.execute(query if since is None else query.where(n.started >= since)).all()
        links = select(m.night_id, r.run_id, m.rerun).join(schema.RUNS, r.seq == m.run_seq).order_by(r.seq)
        runs: dict[str, list[tuple[str, int]]] = {}
        for night_id, run_id, rerun in db.execute(links):
            runs.setdefault(night_id, []).append((run_id, rerun))
    return [
        Night(
            h.night_id,
            h.started,
            tuple(json.loads(h.boards)),
            h.finished,
            h.exit_code,
            h.summary,
            tuple(run for run, _ in runs.get(h.night_id, ())),
            tuple(n for _, n in runs.get(h.night_id, ())),
            bool(h.cut_off),
        )
        for h in heads
    ]


def accepted(store: Store, wanted_only: bool = False) -> list[Accepted]:
    """Every acceptance, oldest first; `wanted_only`: those of changes, by a person."""
    a, r = schema.ACCEPTED.c, schema.RUNS.c
    query = select(r.run_id, a.variant, a.accepted_at, a.who, a.why, a.wanted).join_from(
        schema.ACCEPTED, schema.RUNS, r.seq == a.run_seq
    )
    query = query.where(a.wanted) if wanted_only else query
    with store.reading() as db:
        return [Accepted(*row) for row in db.execute(query.order_by(a.id))]


def verdicts(store: Store, run_id: str) -> list[StoredVerdict]:
    """Of every variant of one run, in the order of storing."""
    with store.reading() as db:
        return _verdicts(db, schema.VARIANT_RUNS.c.run_seq == store.seq(db, run_id))


def moved_verdicts(store: Store, since: str | None = None) -> list[StoredVerdict]:
    """All that found a metric better, worse or changed."""
    condition = schema.VERDICTS.c.status.in_(MOVED)
    with store.reading() as db:
        return _verdicts(db, condition if since is None else sa.and_(condition, schema.RUNS.c.started >= since))


def _verdicts(db: sa.Connection, condition: sa.ColumnElement[bool]) -> list[StoredVerdict]:
    d, v, r = schema.VERDICTS.c, schema.VARIANT_RUNS.c, schema.RUNS.c
    query = (
        select(*seals.VERDICTS.selected, r.run_id, v.variant, v.board_name.label("board"), v.board_id)
        .join_from(schema.VERDICTS, schema.VARIANT_RUNS, v.id == d.variant_run_id)
        .join(schema.RUNS, r.seq == v.run_seq)
        .where(condition)
        .order_by(v.id, d.kind.desc(), d.metric)
    )
    return [
        StoredVerdict(
            **{name: row._mapping[name] for name in _OF_VERDICTS}
            | {name: read_json(row._mapping[name]) for name in ("old", "new", "details")}
            | {"kind": VerdictKind(row.kind), "status": VerdictStatus(row.status)}
        )
        for row in seals.VERDICTS.checked(db.execute(query))
    ]


_OF_VERDICTS = tuple(field.name for field in fields(StoredVerdict))


# ---- baselines ----


@dataclass(frozen=True)
class BaselineRun:
    """An accepted run of one variant on one board; the runs of one night count as one, with the median of each metric.

    `outputs_sha256` and `hits` (whether each window's top-1 class is its label) are those of the last of them; None where not
    known. `moved`: the metrics whose verdict found a change here. `first`: not accepted, but the first run of all.
    """

    run_ids: tuple[str, ...]
    started: str
    night: str
    comparable: str
    metrics: dict[str, float]
    outputs_sha256: str | None
    hits: tuple[bool, ...] | None
    moved: frozenset[str]
    first: bool = False


def baseline_runs(
    store: Store, board: str, variant: str, comparable: Collection[str], count: int = 20, before: Sequence[str] = ()
) -> list[BaselineRun]:
    """The last `count` accepted runs with one of these hashes of the comparable metadata, oldest first; `board` as in `series`.

    `before` names runs that must not count, nor those stored after them: tonight's. Empty where there is no baseline.
    """
    with store.reading() as db:
        candidates = _candidates(db, board, variant, before)
        taken = [g for g in _groups(candidates, accepted_only=True) if g[-1].comparable in comparable][-count:]
        first = not taken and not any(row.accepted for row in candidates)
        if first:
            taken = [g for g in _groups(candidates, accepted_only=False) if g[-1].comparable in comparable][:1]
        return [_baseline_run(db, group, first) for group in taken]


def last_accepted_metadata(store: Store, board: str, variant: str, before: Sequence[str] = ()) -> dict[str, Any] | None:
    """The comparable metadata of the newest accepted run whatever it is, to say what differs; None where nothing was accepted."""
    with store.reading() as db:
        rows = [row for row in _candidates(db, board, variant, before) if row.accepted and row.comparable]
        if not rows:
            return None
        c = schema.COMPARABLES.c
        known: dict[str, Any] = read_json(db.scalar(select(c.metadata).where(c.comparable == rows[-1].comparable)))
        return known


def since_change(runs: Sequence[BaselineRun], metric: str) -> list[BaselineRun]:
    """Those from the last accepted change of `metric` on: what was before it says nothing about the level now."""
    at = max((i for i, run in enumerate(runs) if metric in run.moved), default=0)
    return list(runs[at:])


class _Candidate(NamedTuple):
    id: int
    run_id: str
    started: str
    night: str | None
    board_id: str
    comparable: str | None
    accepted: bool


def _candidates(db: sa.Connection, board: str, variant: str, before: Sequence[str]) -> list[_Candidate]:
    """Variant runs in order of storing; one of a night is accepted with any other of that night on the same board."""
    v, r, n, a = schema.VARIANT_RUNS.c, schema.RUNS.c, schema.NIGHT_RUNS.c, schema.ACCEPTED.c
    is_accepted = sa.exists().where(a.run_seq == v.run_seq, sa.or_(a.variant.is_(None), a.variant == v.variant))
    query = (
        select(v.id, r.run_id, r.started, n.night_id, v.board_id, v.comparable, is_accepted)
        .join_from(schema.VARIANT_RUNS, schema.RUNS, r.seq == v.run_seq)
        .join(schema.NIGHT_RUNS, n.run_seq == v.run_seq, isouter=True)
        .where(v.variant == variant, _on(board), schema.is_finished())
        .order_by(v.id)
    )
    if before:
        first = select(sa.func.min(v.id)).join(schema.RUNS, r.seq == v.run_seq).where(r.run_id.in_(before))
        limit = db.scalar(first)
        query = query if limit is None else query.where(v.id < limit)
    rows = [_Candidate(*row) for row in db.execute(query)]
    nights_of = {(row.night, row.board_id) for row in rows if row.accepted and row.night}
    return [row._replace(accepted=bool(row.accepted) or (row.night, row.board_id) in nights_of) for row in rows]


def _groups(rows: Iterable[_Candidate], accepted_only: bool) -> list[list[_Candidate]]:
    """A run of no night alone, those of one night together; comparable ones only."""
    groups: dict[tuple[str, str, str | None], list[_Candidate]] = {}
    for row in rows:
        if row.accepted or not accepted_only:
            groups.setdefault((row.night or row.run_id, row.board_id, row.comparable), []).append(row)
    return list(groups.values())


def _baseline_run(db: sa.Connection, group: Sequence[_Candidate], first: bool) -> BaselineRun:
    keys, last = [row.id for row in group], group[-1]
    values: dict[str, list[float]] = {}
    for numbers in metric_values.of_runs(db, keys).values():
        for name, value in numbers.items():
            values.setdefault(name, []).append(value)
    kept = seals.bodies(db, [last.id])[last.id]
    judged = seals.VERDICTS.read(db, schema.VERDICTS.c.variant_run_id.in_(keys))
    moved = [verdict.metric for verdict in judged if verdict.status in MOVED]
    return BaselineRun(
        tuple(row.run_id for row in group),
        group[0].started,
        last.night or "",
        last.comparable or "",
        {name: float(median(found)) for name, found in sorted(values.items())},
        kept.outputs_sha256,
        None if kept.hits is None else tuple(map(bool, kept.hits)),
        frozenset(moved),
        first,
    )
