"""One call of the harness: variants on one board, one after another, each sample stored as it arrives."""

from __future__ import annotations

import datetime
import importlib.metadata
import logging
import platform
from dataclasses import replace
from types import TracebackType
from typing import Any

from tinyrig.board.rig import Rig
from tinyrig.core.boards import Board, MlperfTarget, Target, own_target
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import EXIT_RIG, InfraError, RigError, kind_of
from tinyrig.core.records import BoardInfo, Measurement, NotMeasured, Run, RunState, Variant
from tinyrig.host.locks import Locks
from tinyrig.host.log import about
from tinyrig.measure.claims import judge
from tinyrig.measure.resume import StoreRecorder, check_same, finished_head, image_head, run_key
from tinyrig.measure.variant import Request, asked, compile_for, measure_variant, new_run_id, windows_of
from tinyrig.mlperf.bench import Asked, run_mlperf
from tinyrig.store.runs import Store
from tinyrig.workload.model_file import read_model

log = logging.getLogger(__name__)

_VERSIONS = ("tflite", "tflite-micro", "ai-edge-litert", "unicorn", "numpy", "pyserial", "tinyrig")


class OpenRun:
    """Runs variants on one board and keeps what is measured: in memory by name, in the store sample by sample.

    A context manager; the board is attached at the first variant, so that a bad model costs no flash cycle, and again after it
    failed. With `resume` (a run's id or its beginning) that run continues: its finished variants are kept, of others its
    samples. `plan` says what was asked for, for whoever resumes; `deadline` bounds the whole.
    """

    def __init__(
        self,
        target: Target,
        config: Config,
        *,
        oracle: str | None = None,
        limit: int | None = None,
        engine: str = "tinyrig",
        resume: str | None = None,
        clock: str = "cycles",
        plan: dict[str, Any] | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        self._target, self._config, self._clock = target, config, clock
        self._oracle, self._limit, self._engine = oracle or config.oracle, limit, engine
        self._deadline = deadline or Deadline("run_s", config.limits.run_s)
        self._rig: Rig | None = None
        self._done: dict[str, Measurement] = {}
        self._kept: set[str] = set()
        self._board_info: BoardInfo | None = None
        self.failed: dict[str, RigError] = {}
        self.interrupted = False
        self._locks = Locks()
        self._store = Store(config.results)
        try:
            self.run_id = self._resume(resume) if resume else self._begin(plan or {})
        except BaseException:
            self._locks.close()
            self._store.close()
            raise

    def _begin(self, plan: dict[str, Any]) -> str:
        run_id = new_run_id()
        self._locks.take(run_key(run_id), f"run {run_id}", InfraError)
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._store.begin_run(run_id, started, versions(), {**plan, "host": platform.node(), "settings": self._settings()})
        return run_id

    def _resume(self, wanted: str) -> str:
        """Raises UserError where the run was begun with other settings, InfraError where another process is making it."""
        run_id = self._store.resolve(wanted)
        self._locks.take(run_key(run_id), f"run {run_id}", InfraError)
        plan = next(r.plan for r in self._store.runs() if r.run_id == run_id)
        check_same(plan.get("settings", {}), self._settings(), f"run {run_id}")
        earlier = self._store.load(run_id)
        self._done = {r.variant.name: r if r.claims else replace(r, claims=judge(r, self._config)) for r in earlier.runs}
        self._kept = set(self._done)
        self._board_info = earlier.runs[0].board if earlier.runs else None
        self._store.set_state(run_id, RunState.OPEN)
        return run_id

    def _settings(self) -> dict[str, Any]:
        return asked(self._engine, self._limit, self._oracle, self._config)

    def _request(self, variant: Variant) -> Request:
        return Request(variant, self._engine, self._limit, self._oracle)

    def __enter__(self) -> OpenRun:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        unfinished = kind is not None or self.interrupted or any(e.exit_code == EXIT_RIG for e in self.failed.values())
        try:
            self._store.set_state(self.run_id, RunState.INTERRUPTED if unfinished else RunState.FINISHED)
        except RigError as lost:  # of a database that is gone: a run left open can be resumed too
            log.warning("the end of run %s could not be stored: %s", self.run_id, lost)
        finally:
            self._detach()
            self._store.close()
            self._locks.close()

    def run(self, variant: Variant) -> Measurement:
        """The variant's run, made now or earlier, with its claims. Raises RigErrors, for a variant that failed the same one
        again: several claims ask for one variant, and a board that is gone is not tried for each."""
        if variant.name in self.failed:
            raise self.failed[variant.name]
        if variant.name in self._done:
            return self._check_kept(variant)
        try:
            with about(variant.name):
                outcome = self._run(variant)
            self._store.add_variant(self.run_id, outcome)
        except RigError as error:
            self._fail(variant, error)
            raise
        except BaseException:
            self.interrupted = True
            raise
        self._done[variant.name] = outcome
        return outcome

    def _run(self, variant: Variant) -> Measurement:
        self._deadline.check(f"before {variant.name}")
        if isinstance(self._target, MlperfTarget):
            return self._run_foreign(variant, self._target)
        recorder = StoreRecorder(self._store, self.run_id, variant.name, self._board_info)
        request, rig = self._request(variant), self._attach()
        outcome = measure_variant(request, rig, self._config, recorder, self._deadline)
        self._board_info = outcome.board
        return replace(outcome, claims=judge(outcome, self._config))

    def _run_foreign(self, variant: Variant, target: MlperfTarget) -> Measurement:
        """On a board whose firmware somebody else built: nothing is compiled or flashed."""
        asked = Asked(variant, read_model(variant.tflite) if variant.sha256 else b"", self._limit, self._oracle)
        outcome = run_mlperf(asked, target.port, self._config, self._deadline)
        return replace(outcome, claims=judge(outcome, self._config))

    def _fail(self, variant: Variant, error: RigError) -> None:
        """Keeps the reason; after a fault of the rig the next variant gets a board that is attached again."""
        self.failed[variant.name] = error
        if error.exit_code == EXIT_RIG:
            self._detach()
        try:
            self._store.add_not_measured(self.run_id, NotMeasured(variant.name, str(error), kind_of(error)))
        except RigError as lost:  # the fault may be the database's own
            log.warning("why %s was not measured could not be stored: %s", variant.name, lost)

    def _check_kept(self, variant: Variant) -> Measurement:
        """A variant that was finished before the interruption must still be what would be measured now."""
        known = self._done[variant.name]
        if variant.name in self._kept:
            image = compile_for(read_model(variant.tflite), self._board(), self._config, self._engine)
            windows = windows_of(self._request(variant), image.inputs, self._config)
            now = {**image_head(image), "windows_sha256": windows.digest()}
            check_same(finished_head(known), now, f"{variant.name} of run {self.run_id}")
            self._kept.discard(variant.name)
        return known

    def _board(self) -> Board:
        return own_target(self._target).board or self._attach().board

    def _attach(self) -> Rig:
        if self._rig is None:
            self._rig = Rig(own_target(self._target), self._config, self._clock)
        return self._rig

    def release(self) -> None:
        """Gives the board back until the next variant is run."""
        self._detach()

    def _detach(self) -> None:
        if self._rig is not None:
            self._rig.close()
            self._rig = None

    @property
    def finished(self) -> int:
        """Number of variants that are done."""
        return len(self._done)

    def result(self) -> Run:
        """All that this run holds so far, as stored."""
        return self._store.load(self.run_id)


def versions() -> dict[str, str]:
    """Package versions that a result depends on, with Python's."""
    found = {"python": platform.python_version()}
    for name in _VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
