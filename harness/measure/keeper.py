"""The stored side of an open run: its lock, its state, and what it holds."""

from __future__ import annotations

import datetime
import importlib.metadata
import logging
import platform
import secrets
from dataclasses import replace

from tinyrig.analysis.evaluation import Evaluation, evaluate
from tinyrig.core.config import Config
from tinyrig.core.errors import InfraError, RigError, kind_of
from tinyrig.core.plans import RunPlan
from tinyrig.core.records import BoardInfo, Claim, Measurement, NotMeasured, Run, RunState
from tinyrig.core.scoring import ANSWERED
from tinyrig.host.locks import Locks
from tinyrig.measure.claims import judge
from tinyrig.measure.recorder import StoreRecorder
from tinyrig.measure.resume import check_asked, check_same, run_key
from tinyrig.store.runs import Store
from tinyrig.tables.database import LostDatabase

log = logging.getLogger(__name__)

_VERSIONS = ("tflite", "tflite-micro", "ai-edge-litert", "unicorn", "numpy", "pyserial", "tinyrig")


class RunKeeper:
    """One run in the store, locked for this process. `measured` holds what is finished, by variant, `evaluated` what was
    computed of it; `board` is the one that all of it was measured on, None before the first."""

    def __init__(self, store: Store, run_id: str, started: str, measured: tuple[Measurement, ...] = ()) -> None:
        self._store, self.run_id, self._started = store, run_id, started
        self.measured = {m.variant.name: m for m in measured}
        self.evaluated: dict[str, Evaluation] = {}
        self.board: BoardInfo | None = measured[0].board if measured else None

    @classmethod
    def begin(cls, store: Store, locks: Locks, plan: RunPlan) -> RunKeeper:
        """A new run."""
        run_id = new_run_id()
        locks.take(run_key(run_id), f"run {run_id}", InfraError)
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        store.begin_run(run_id, started, versions(), replace(plan, host=platform.node()))
        return cls(store, run_id, started)

    @classmethod
    def resume(cls, store: Store, locks: Locks, wanted: str, asked: RunPlan, config: Config) -> RunKeeper:
        """An interrupted run, by its id or the beginning of it. Raises UserError where it was begun with something else than is
        `asked` now, InfraError where another process is making it."""
        run_id = store.resolve(wanted)
        locks.take(run_key(run_id), f"run {run_id}", InfraError)
        kept = store.plan_of(run_id)
        check_asked(kept, asked, f"run {run_id}", config.boards)
        before, now = (plan.settings.to_json() if plan.settings else {} for plan in (kept, asked))
        check_same(before, now, f"run {run_id}")
        run = store.load(run_id)
        store.set_state(run_id, RunState.OPEN)
        judged = (m if m.claims else replace(m, claims=judge(m, evaluate(m), config)) for m in run.runs)
        return cls(store, run_id, run.started, tuple(judged))

    def recorder(self, variant: str) -> StoreRecorder:
        return StoreRecorder(self._store, self.run_id, variant, self.board)

    def keep(self, measurement: Measurement, config: Config, more: tuple[Claim, ...] = ()) -> Measurement:
        """Judges and stores a measurement; returns it with its claims, `more` behind them. Its metrics are computed here and
        nowhere else."""
        found = evaluate(measurement)
        _say(found, measurement)
        judged = replace(measurement, claims=(*judge(measurement, found, config), *more))
        self._store.add_measurement(self.run_id, judged, found)
        name = judged.variant.name
        self.measured[name], self.evaluated[name], self.board = judged, found, judged.board
        return judged

    def keep_reason(self, variant: str, error: RigError) -> None:
        """Why a variant was not measured. Where that can't be stored, it is logged."""
        try:
            self._store.add_not_measured(self.run_id, NotMeasured(variant, str(error), kind_of(error)))
        except RigError as lost:  # the fault may be the database's own
            log.warning("why %s was not measured could not be stored: %s", variant, lost)

    def end(self, state: RunState) -> None:
        """A run whose end can't be stored stays open, and can be resumed too. Raises LostDatabase where a finished one is not
        stored at all."""
        try:
            self._store.set_state(self.run_id, state)
        except RigError as lost:
            if isinstance(lost, LostDatabase) and state == RunState.FINISHED:
                raise
            log.warning("the end of run %s could not be stored: %s", self.run_id, lost)

    def result(self) -> Run:
        """All that this run holds so far, as stored."""
        return self._store.load(self.run_id)

    def known(self) -> Run:
        """The same as this process knows it, where it can't be had from the store."""
        return Run(self.run_id, self._started, tuple(self.measured.values()), versions())


def _say(found: Evaluation, measurement: Measurement) -> None:
    """Warnings that only the answers show, others were said when they were seen; and why labels gave no accuracy."""
    answers = measurement.labels is not None or measurement.settings.targets is not None
    if answers and found.accuracy_reason:
        log.info("%s: no accuracy: %s", measurement.variant.name, found.accuracy_reason)
    for caution in found.cautions:
        if caution.kind in ANSWERED:
            log.warning("warning: %s: %s", measurement.variant.name, caution.text)


def new_run_id() -> str:
    """Sortable by time, unique beside parallel runs: 20260131-174502-9f3c."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)


def versions() -> dict[str, str]:
    """Package versions that a result depends on, with Python's."""
    found = {"python": platform.python_version()}
    for name in _VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
