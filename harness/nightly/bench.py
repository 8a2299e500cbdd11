"""`pytest bench/ --nightly`: the session's run as a night of one board, each variant judged after its claims."""

from __future__ import annotations

from collections.abc import Sequence

from tinyrig.core.boards import parse_board
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import EXIT_RIG, ClaimError, RigError
from tinyrig.core.records import Measurement, VerdictStatus
from tinyrig.measure.run import OpenRun
from tinyrig.nightly.procedure import Cell, NightResult, Outcome, Procedure, close_quietly, iso, new_night_id, utc_now
from tinyrig.nightly.summary import findings, summary
from tinyrig.store.decisions import add_to_night, begin_night, end_night
from tinyrig.store.runs import Store


class BenchNight:
    """A night around an open run. A context manager; `text` is its one-line summary once it has ended."""

    def __init__(self, board: str, config: Config, open_run: OpenRun, deadline: Deadline, settings: dict[str, object]) -> None:
        self._board, self._config, self._campaign, self._deadline, self._settings = board, config, open_run, deadline, settings
        self._cells: dict[str, Cell] = {}
        self._variants: dict[str, Measurement] = {}
        started = utc_now()
        self.night_id, self._started = new_night_id(started), iso(started)
        self._store = Store(config.results)
        begin_night(self._store, self.night_id, self._started, [board])
        add_to_night(self._store, self.night_id, open_run.run_id)
        self._procedure = Procedure(self._store, self.night_id, self._measure)
        self.text = ""

    def __enter__(self) -> BenchNight:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._campaign.interrupted:
                close_quietly(self._store, self.night_id, EXIT_RIG, "cut off")
                return
            result = self.result()
            self.text = summary(result)
            end_night(self._store, self.night_id, iso(utc_now()), result.exit_code, self.text)
        finally:
            self._store.close()

    def result(self) -> NightResult:
        """What is known so far; a variant that the open_run could not measure stands beside those that were judged."""
        failed = {n: Cell(self._board, n, self._campaign.run_id, error=e) for n, e in self._campaign.failed.items()}
        runs = dict.fromkeys(self._procedure.runs)
        return NightResult(self.night_id, self._started, tuple({**self._cells, **failed}.values()), tuple(runs))

    def check(self, run: Measurement) -> None:
        """Raises ClaimError where the variant got worse, the rig's error where a rerun failed."""
        name = run.variant.name
        if name not in self._cells:
            self._variants[name] = run
            (self._cells[name],) = self._procedure.board(self._board, [name])
        cell = self._cells[name]
        if cell.regressions:
            told = [text for status in (VerdictStatus.WORSE, VerdictStatus.CHANGED) for text in findings(cell, status)]
            raise ClaimError(
                f"{name}: worse than what was accepted: {'; '.join(told)}",
                remedy=f'a change that is meant: tinyrig accept {cell.run_id} --variant {name} -m "why"',
            )
        if cell.errors:
            raise cell.errors[0]

    def _measure(self, board: str, names: Sequence[str], rerun: int) -> Outcome:
        if not rerun:
            return Outcome(self._campaign.run_id, {name: self._variants[name] for name in names}, {})
        self._campaign.release()
        target = parse_board(board, self._config.boards)
        with OpenRun(target, self._config, deadline=self._deadline, **self._settings) as again:
            for name in names:
                try:
                    return Outcome(again.run_id, {name: again.run(self._variants[name].variant)}, {})
                except RigError as error:
                    return Outcome(again.run_id, {}, {name: error})
        raise AssertionError("a rerun is of one variant")
