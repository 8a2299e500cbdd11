"""The results database: raw samples and what they were made with, so that every metric can be recomputed.

The tables stand in schema.py; database.py opens and migrates, rows.py maps records to rows, measurements.py keeps samples as they
arrive. Any SQLAlchemy URL works.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from tinyrig.analysis.evaluation import Evaluation, evaluate
from tinyrig.core.errors import InfraError, UserError
from tinyrig.core.plans import RunPlan, Subject
from tinyrig.core.records import BoardInfo, Measurement, NotMeasured, Run, RunState
from tinyrig.store import measurements, rows
from tinyrig.store.measurements import OpenMeasurement, SampleWriter
from tinyrig.tables import clock, schema, seals
from tinyrig.tables.database import Database


@dataclass(frozen=True)
class StoredRun:
    """A line of the list of runs; `boards` and `timings` hold distinct values. `plan` is what was asked for, empty where it was
    not kept; `open_samples` counts the samples of
    unfinished measurements."""

    run_id: str
    started: str
    variants: tuple[str, ...]
    boards: tuple[str, ...]
    timings: tuple[str, ...]
    state: RunState = RunState.FINISHED
    plan: RunPlan = field(default_factory=RunPlan)
    open_samples: int = 0
    not_measured: tuple[str, ...] = ()


class Store:
    """Results behind one database URL; an older database is upgraded, after it was logged where its copy lies.

    Raises UserError for an unusable URL, an unknown run, an absent file (with `must_exist`) or somebody else's database,
    InfraError for one that is corrupt, locked beyond `busy_s` seconds, unwritable or of a newer schema.
    """

    def __init__(self, url: str, *, must_exist: bool = False, busy_s: float = 30.0) -> None:
        self._database = Database(url, must_exist, busy_s)
        self.url = self._database.url

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that only reads, for history.py and the like."""
        return self._database.reading()

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that writes, for decisions.py and the like."""
        return self._database.writing()

    def compact(self) -> None:
        """Gives the space of deleted rows back to the disk."""
        self._database.compact()

    # ---- writing ----

    def begin_run(self, run_id: str, started: str, versions: dict[str, str] | None = None, plan: RunPlan | None = None) -> None:
        """Open a run without variants; `started` is ISO-8601 UTC. Raises InfraError when the id is taken."""
        with self._database.writing() as db:
            if plan is None or not plan.night:  # of a night it was said when that began
                clock.warn_of_the_past(db, started)
            self._insert_run(db, Run(run_id, started, (), versions or {}), RunState.OPEN, plan)

    def set_state(self, run_id: str, state: RunState) -> None:
        with self._database.writing() as db:
            mine = schema.RUNS.c.seq == self.seq(db, run_id)
            db.execute(schema.RUNS.update().where(mine).values(state=state))
            seals.seal(db, schema.RUNS, mine)

    def plan_of(self, run_id: str) -> RunPlan:
        """What was asked for when it was begun."""
        with self._database.reading() as db:
            plan = db.scalar(select(schema.RUNS.c.plan).where(schema.RUNS.c.seq == self.seq(db, run_id)))
        return RunPlan.from_json(json.loads(plan)) if plan else RunPlan()

    def begin_measurement(self, run_id: str, variant: str, subject: Subject, board: BoardInfo) -> SampleWriter:
        """For the samples of a measurement that begins; what an earlier attempt at this variant kept is dropped."""
        with self._database.writing() as db:
            key = measurements.begin(db, self.seq(db, run_id), variant, subject, board)
        return SampleWriter(self._database, key)

    def drop_measurement(self, run_id: str, variant: str) -> None:
        """Forgets one that was begun and is not finished."""
        with self._database.writing() as db:
            measurements.drop_open(db, self.seq(db, run_id), variant)

    def find_open(self, run_id: str, variant: str) -> OpenMeasurement | None:
        """What an earlier attempt at this variant kept."""
        with self._database.reading() as db:
            return measurements.find_open(db, self.seq(db, run_id), variant)

    def resume_measurement(self, found: OpenMeasurement) -> SampleWriter:
        """Continues behind the samples that `found` holds."""
        with self._database.writing() as db:
            measurements.mark_resumed(db, found)
        return SampleWriter(self._database, found.key, len(found.samples))

    def add_measurement(self, run_id: str, run: Measurement, known: Evaluation | None = None) -> None:
        """Finishes the open measurement of this variant, or stores one that was not begun: all or nothing, durable on return.
        `known` is what was computed of it already."""
        found = known or evaluate(run)
        with self._database.writing() as db:
            seq = self.seq(db, run_id)
            measurements.finish(db, seq, run, found)
            measurements.delete_not_measured(db, seq, run.variant.name)

    def add_not_measured(self, run_id: str, what: NotMeasured) -> None:
        """Remembers why a variant could not be measured, until it is."""
        with self._database.writing() as db:
            measurements.insert_not_measured(db, self.seq(db, run_id), what)

    def save(self, run: Run) -> None:
        """Stores a whole run in one transaction."""
        with self._database.writing() as db:
            seq = self._insert_run(db, run, RunState.FINISHED, None)
            for measurement in run.runs:
                measurements.finish(db, seq, measurement, evaluate(measurement))
            for what in run.not_measured:
                measurements.insert_not_measured(db, seq, what)

    def _insert_run(self, db: sa.Connection, run: Run, state: RunState, plan: RunPlan | None) -> int:
        if db.scalar(select(schema.RUNS.c.seq).where(schema.RUNS.c.run_id == run.run_id)) is not None:
            raise InfraError(f"run {run.run_id} is already stored in {self.url}", remedy="use a fresh run id")
        row = {
            "run_id": run.run_id,
            "started": run.started,
            "versions": rows.to_json(run.versions),
            "state": state,
            "plan": None if plan is None else rows.to_json(plan.to_json()),
        }
        seq = rows.inserted(db, schema.RUNS, row)
        seals.seal(db, schema.RUNS, schema.RUNS.c.seq == seq)
        return seq

    def seq(self, db: sa.Connection, run_id: str) -> int:
        """The key of a run, by its full id. Raises UserError."""
        seq: int | None = db.scalar(select(schema.RUNS.c.seq).where(schema.RUNS.c.run_id == run_id))
        if seq is None:
            raise _unknown_run(run_id, self.url)
        return seq

    # ---- reading ----

    def runs(self) -> list[StoredRun]:
        """All runs, the last one that was begun first."""
        v, s, n = schema.VARIANT_RUNS.c, schema.SAMPLES.c, schema.NOT_MEASURED.c
        with self._database.reading() as db:
            heads = db.execute(select(schema.RUNS).order_by(schema.RUNS.c.seq.desc())).all()
            finished = select(v.run_seq, v.variant, v.board_name, v.timing, v.id).where(schema.is_finished())
            lines = db.execute(finished).all()
            under_way = {row.id: row.run_seq for row in db.execute(select(v.id, v.run_seq).where(~schema.is_finished()))}
            kept = select(s.variant_run_id, sa.func.count()).where(s.variant_run_id.in_(list(under_way)))
            counts: Counter[int] = Counter()
            for key, count in db.execute(kept.group_by(s.variant_run_id)):
                counts[under_way[key]] += count
            failed = db.execute(select(n.run_seq, n.variant).order_by(n.variant)).all()
        variants, faults = _by_run(sorted(lines, key=lambda line: line.id)), _by_run(failed)
        return [_summary(h, variants.get(h.seq, []), counts[h.seq], faults.get(h.seq, [])) for h in heads]

    def latest(self) -> str:
        """Id of the last run that holds a finished variant. Raises UserError when there is none."""
        found = next((run.run_id for run in self.runs() if run.variants), None)
        if found is None:
            raise UserError(f"no results in {self.url}", remedy="make some first: `make bench` or `tinyrig run`")
        return found

    def resolve(self, prefix: str) -> str:
        """A run id or an unambiguous beginning of one -> the full id. Raises UserError."""
        with self._database.reading() as db:
            ids: list[str] = list(db.scalars(select(schema.RUNS.c.run_id).order_by(schema.RUNS.c.seq)))
        if prefix in ids:
            return prefix
        matches = [run_id for run_id in ids if prefix and run_id.startswith(prefix)]
        if len(matches) == 1:
            return matches[0]
        raise _ambiguous(prefix, matches) if matches else _unknown_run(prefix, self.url)

    def load(self, run_id: str) -> Run:
        """A stored run by id or unambiguous prefix, exactly as it was saved."""
        full = self.resolve(run_id)
        with self._database.reading() as db:
            head = db.execute(select(schema.RUNS).where(schema.RUNS.c.run_id == full)).one()
            runs = measurements.load(db, head.seq)
            return Run(head.run_id, head.started, runs, json.loads(head.versions), measurements.not_measured(db, head.seq))


def _by_run(lines: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for line in lines:
        found.setdefault(line.run_seq, []).append(line)
    return found


def _summary(head: Any, lines: list[Any], open_samples: int, failed: list[Any]) -> StoredRun:
    return StoredRun(
        head.run_id,
        head.started,
        tuple(line.variant for line in lines),
        tuple(dict.fromkeys(line.board_name for line in lines)),
        tuple(dict.fromkeys(line.timing for line in lines)),
        RunState(head.state or RunState.FINISHED),
        RunPlan.from_json(json.loads(head.plan)) if head.plan else RunPlan(),
        open_samples,
        tuple(line.variant for line in failed),
    )


def _unknown_run(run_id: str, url: str) -> UserError:
    return UserError(f"no run {run_id!r} in {url}", remedy="give a stored run's id or its beginning, or none for the latest")


def _ambiguous(prefix: str, matches: list[str]) -> UserError:
    shown = ", ".join(matches[:5]) + (", ..." if len(matches) > 5 else "")
    return UserError(f"run {prefix!r} is ambiguous", received=f"{len(matches)} matches: {shown}", remedy="give more characters")
