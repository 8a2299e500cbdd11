"""`pytest bench/ --nightly`: the session's run as a night of one board, each variant judged after its claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress

from tinyrig.core.config import Config
from tinyrig.core.errors import EXIT_RIG, ClaimError, RigError
from tinyrig.core.records import Measurement, VerdictStatus
from tinyrig.measure.run import OpenRun
from tinyrig.nightly.plan import iso, new_night_id, utc_now
from tinyrig.nightly.procedure import Procedure
from tinyrig.nightly.results import BoardRun, NightResult, VariantResult
from tinyrig.nightly.summary import findings, summary
from tinyrig.store.decisions import add_to_night, begin_night, end_night
from tinyrig.store.runs import Store


class PytestNight:
    """A night around an open run of `board`. A context manager; `text` is its one-line summary once it has ended.

    `open_again` opens another run on the same board with the same settings, for reruns.
    """

    def __init__(
        self, board: str, config: Config, open_run: OpenRun, open_again: Callable[[], AbstractContextManager[OpenRun]]
    ) -> None:
        self._board, self._open_run, self._open_again = board, open_run, open_again
        self._results: dict[str, VariantResult] = {}
        self._measured: dict[str, Measurement] = {}
        started = utc_now()
        self.night_id, self._started = new_night_id(started), iso(started)
        self._store = Store(config.results)
        begin_night(self._store, self.night_id, self._started, [board])
        add_to_night(self._store, self.night_id, open_run.run_id)
        self._procedure = Procedure(self._store, self.night_id, self._measure)
        self.text = ""

    def __enter__(self) -> PytestNight:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._open_run.interrupted:
                with suppress(RigError):  # that it ended is worth a try, and no second error
                    end_night(self._store, self.night_id, iso(utc_now()), EXIT_RIG, "cut off", cut_off=True)
                return
            result = self.result()
            self.text = summary(result)
            end_night(self._store, self.night_id, iso(utc_now()), result.exit_code, self.text)
        finally:
            self._store.close()

    def result(self) -> NightResult:
        """What is known so far; a variant that could not be measured stands beside those that were judged."""
        failed = {n: VariantResult(self._board, n, self._open_run.run_id, error=e) for n, e in self._open_run.failed.items()}
        runs = dict.fromkeys(self._procedure.runs)
        return NightResult(self.night_id, self._started, tuple({**self._results, **failed}.values()), tuple(runs))

    def check(self, run: Measurement) -> None:
        """Raises ClaimError where the variant got worse, the rig's error where a rerun failed."""
        name = run.variant.name
        if name not in self._results:
            self._measured[name] = run
            (self._results[name],) = self._procedure.board(self._board, [name])
        result = self._results[name]
        if result.regressions:
            texts = [text for status in (VerdictStatus.WORSE, VerdictStatus.CHANGED) for text in findings(result, status)]
            raise ClaimError(
                f"{name}: worse than the accepted runs: {'; '.join(texts)}",
                remedy=f'if the change is intended: tinyrig accept {result.run_id} --variant {name} -m "why"',
            )
        if result.errors:
            raise result.errors[0]

    def _measure(self, board: str, names: Sequence[str], rerun: int) -> BoardRun:
        if not rerun:
            return BoardRun(self._open_run.run_id, {name: self._measured[name] for name in names}, {})
        (name,) = names
        self._open_run.release()
        with self._open_again() as again:
            try:
                return BoardRun(again.run_id, {name: again.run(self._measured[name].variant)}, {})
            except RigError as error:
                return BoardRun(again.run_id, {}, {name: error})
