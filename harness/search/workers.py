"""Several candidates at once: threads that share a study, each with a training process and a board of its own."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.core.boards import BoardTarget
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import EXIT_USER, HostError, ModelError, RigError, UserError
from tinyrig.host.log import about
from tinyrig.search import study as studies
from tinyrig.search.candidate import CandidateBoard, CandidateResult, OverBudget, costs, evaluate
from tinyrig.search.plan import SearchPlan
from tinyrig.search.space import name_of
from tinyrig.search.trainer import Trainer

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

STOP_S = 5.0
"""For all workers to give back their boards, which end with this process otherwise."""
log = logging.getLogger(__name__)

MAX_RIG_FAILURES = 3
"""In a row: what fails so often fails for a reason that another try won't mend."""


@dataclass(frozen=True)
class SearchTask:
    """What all workers of a call share. `trials`: how many the study has at the end; `folder`: of the training processes."""

    study: Study
    plan: SearchPlan
    trials: int
    config: Config
    folder: Path
    deadline: Deadline

    def trainer(self) -> Trainer:
        return Trainer(self.folder, self.plan.dataset, self.plan.seed, self.plan.epochs)


class Search:
    """Runs until the study has `task.trials` finished trials. `targets`: one board for each worker."""

    def __init__(self, task: SearchTask, targets: Sequence[BoardTarget]) -> None:
        self._task, self._targets = task, targets
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._failures = 0
        self._errors: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self._trainers: list[Trainer] = []
        self._under_way: dict[int, Trial] = {}

    def run(self) -> None:
        """Raises what stopped it: the rig's fault, or the user's interruption, after every worker has ended."""
        threads = [threading.Thread(target=self._work, args=(target,), daemon=True) for target in self._targets]
        for thread in threads:
            thread.start()
        try:
            self._watch(threads)
        finally:
            self._stop.set()
            for trainer in list(self._trainers):
                trainer.close()
            until = time.monotonic() + STOP_S
            for thread in threads:
                thread.join(max(0.0, until - time.monotonic()))
        if not self._errors.empty():
            raise self._errors.get()

    def _watch(self, threads: Sequence[threading.Thread]) -> None:
        """Gives signs of life until all have ended."""
        beat_at = 0.0
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # so that a signal is heard
                if time.monotonic() >= beat_at:
                    studies.beat(self._task.study, list(self._under_way.values()))
                    beat_at = time.monotonic() + studies.BEAT_S

    def _work(self, target: BoardTarget) -> None:
        task = self._task
        trainer = task.trainer()
        self._trainers.append(trainer)
        board = CandidateBoard(target, task.config)
        try:
            while not self._stop.is_set() and (trial := self._next()) is not None:
                task.deadline.check("before the next candidate")
                self._under_way[trial.number] = trial
                self._one(trial, trainer, board)
                del self._under_way[trial.number]
        except BaseException as error:
            if not self._stop.is_set():
                self._errors.put(error)
            self._stop.set()
        finally:
            board.close()
            trainer.close()

    def _next(self) -> Trial | None:
        with self._lock:  # the sampler keeps a state of its own
            return studies.next_trial(self._task.study, self._task.trials)

    def _one(self, trial: Trial, trainer: Trainer, board: CandidateBoard) -> None:
        task = self._task
        with self._lock:
            name = name_of(trial, task.plan.families, task.plan.precisions)
            studies.begin(trial, name)
            known = studies.same(task.study, name)
        with about(f"{trial.number:4} {name}"):
            if known is not None:
                self._repeat(trial, known)
            else:
                self._try(trial, name, trainer, board)

    def _try(self, trial: Trial, name: str, trainer: Trainer, board: CandidateBoard) -> None:
        task = self._task
        try:
            found = evaluate(name, trainer, board, task.plan.budgets, task.config)
        except OverBudget as over:
            studies.tell_given_up(task.study, trial, over.stage, over.reason, over.excess)
            log.info("given up (%s)", over)
        except (UserError, ModelError) as error:
            studies.tell_given_up(task.study, trial, "refused", _one_line(error))
            log.info("refused: %s", _one_line(error))
        except RigError as error:
            self._rig_failed(trial, error)
            return
        else:
            studies.tell_measured(task.study, trial, found)
            log.info("%s, %s", f"{found.accuracy:.2%}", costs(found))
        self._failures = 0

    def _repeat(self, trial: Trial, known: dict[str, Any]) -> None:
        """A candidate that was tried before: nothing new can be learnt of it."""
        if known["state"] == "complete":
            values = {f.name: known[f.name] for f in fields(CandidateResult) if f.name in known}
            studies.tell_measured(self._task.study, trial, CandidateResult(**values))
        else:
            studies.tell_given_up(self._task.study, trial, known["stage"], known["reason"], known["excess"])
        log.info("the same as trial %d", known["number"])

    def _rig_failed(self, trial: Trial, error: RigError) -> None:
        if self._stop.is_set():
            return  # the search is over: the next --resume ends this trial as cut off
        studies.tell_failed(self._task.study, trial, _one_line(error))
        log.info("not measured: %s", _one_line(error))
        with self._lock:
            self._failures += 1
            if self._failures >= MAX_RIG_FAILURES:
                raise error if error.exit_code != EXIT_USER else HostError(str(error))


def _one_line(error: RigError) -> str:
    return " ".join(str(error).split())[:500]
