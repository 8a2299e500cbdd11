"""All boards of a night at the same time, each in a process of its own, behind one progress view and one log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyrig.core.errors import InfraError, RigError
from tinyrig.core.records import Variant
from tinyrig.host.process_pool import CRASH, PRINTED, USAGE, Ended, ProcessPool
from tinyrig.host.progress import boards_progress
from tinyrig.host.signals import GRACE_S
from tinyrig.measure.resume import go_on
from tinyrig.nightly.board_worker import FAILED, FAULT, RESULT, RUN, SAY, STEP, BoardNight
from tinyrig.nightly.log import NightLog
from tinyrig.nightly.plan import BegunNight
from tinyrig.nightly.results import NightResult, VariantResult

LATE_S = 3 * GRACE_S
"""Beyond run_s. A board's process ends itself before that, unless it hangs in a library, where no signal reaches Python."""


class NightFleet:
    """`usage` has CPU seconds by board once it has run: of the board's process, and of what it started (the virtual board,
    compilers)."""

    def __init__(self, night: BegunNight, variants: Sequence[Variant], log: NightLog) -> None:
        self._night, self._variants, self._log = night, tuple(variants), log
        self._boards = night.plan.boards
        self._until_s = night.config.limits.run_s + LATE_S
        self._view = boards_progress(self._boards, len(variants))
        self._results: dict[tuple[str, str], VariantResult] = {}
        self._failed: dict[str, RigError] = {}
        self._crashed: dict[str, str] = {}
        self._runs: dict[str, list[tuple[str, int]]] = {board: [] for board in self._boards}
        self.usage: dict[str, tuple[float, float]] = {}

    def run(self) -> NightResult:
        """No store may be open here: connections don't survive a fork."""
        parts = {board: BoardNight(self._night, board, self._variants).make for board in self._boards}
        with ProcessPool(parts) as pool, self._view:
            pool.listen(self._hear, self._until_s)
        for board, ended in pool.ended.items():
            if board not in self._failed and (error := self._death(board, ended)):
                self._failed[board] = error
                self._tell(board, str(error))
        results = [self._result(board, v.name) for board in self._boards for v in self._variants]
        runs = [(board, *run) for board in self._boards for run in dict.fromkeys(self._runs[board])]
        return NightResult(self._night.night_id, self._night.started, tuple(results), tuple(runs))

    def _result(self, board: str, name: str) -> VariantResult:
        run_id = next((run_id for run_id, rerun in self._runs[board] if not rerun), "")
        error = self._failed.get(board) or InfraError(f"{name} was not measured on {board}")
        return self._results.get((board, name), VariantResult(board, name, run_id, error=error))

    def _death(self, board: str, ended: Ended) -> RigError | None:
        """Why a board's process is gone, None where it has finished."""
        if not (ended.late or board in self._crashed or ended.died or ended.status):
            return None
        night = self._night.night_id
        kept = go_on(self._night.config.results, f"tinyrig nightly --resume {night}", night=night)
        if ended.late:
            return InfraError(
                f"the process of board {board} hung and was killed",
                expected="an end by itself soon after run_s",
                received=f"none within {self._until_s:g} s",
                remedy=kept,
            )
        if board in self._crashed:
            return InfraError(
                f"an error in tinyrig itself ended the process of board {board}",
                received=self._crashed[board],
                remedy=f"see the log; it says nothing about the models; {kept}",
            )
        return InfraError(
            f"the process of board {board} was ended",
            expected="nobody to end it",
            received=ended.died or f"exit status {ended.status}",
            remedy=f"free memory, or find out who ended it; {kept}",
        )

    def _hear(self, board: str, kind: str, value: Any) -> None:
        if kind == SAY:
            self._view.say(board, value)
            self._log.say(board, value)
        elif kind == STEP:
            self._view.step(board)
        elif kind in (FAULT, PRINTED):
            self._tell(board, value)
        elif kind == CRASH:
            self._crashed[board] = value.rstrip().rpartition("\n")[2]
            self._tell(board, value)
        elif kind == RUN:
            self._runs[board].append(value)
        elif kind == RESULT:
            self._results[board, value.variant] = value
        elif kind == FAILED:
            self._failed[board] = value
        elif kind == USAGE:
            self.usage[board] = value

    def _tell(self, board: str, text: str) -> None:
        where = f"{board}: " if len(self._boards) > 1 else ""
        self._view.tell(f"tinyrig: {where}{text}")
        self._log.error(board, text)
