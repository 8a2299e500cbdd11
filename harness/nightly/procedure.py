"""A night: every variant on every board, judged against what was accepted, and stored. docs/nightly.md has it in plain words.

`Procedure` measures through a callable, so that its decisions can be tested without a board. A fault of the rig leaves something
`not measured`; it is never a regression.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tinyrig.analysis.verdicts import Policy
from tinyrig.core.errors import InfraError
from tinyrig.core.records import Accepted
from tinyrig.measure.claims import budget_error
from tinyrig.nightly.judging import Past, Reruns, acceptance, judge_run
from tinyrig.nightly.plan import iso, utc_now
from tinyrig.nightly.results import BoardRun, Measure, VariantResult
from tinyrig.store import decisions, history
from tinyrig.store.runs import Store

WHO = "tinyrig nightly"


class Procedure:
    """One night in a store that it was begun in. `earlier`: runs of this night from before it was cut off."""

    def __init__(
        self, store: Store, night_id: str, measure: Measure, policy: Policy = Policy(), earlier: Sequence[str] = ()
    ) -> None:
        self._store, self._night_id, self._measure, self._policy = store, night_id, measure, policy
        self._ids: list[str] = list(earlier)
        self._resumed = bool(earlier)
        self.runs: list[tuple[str, str, int]] = []

    def board(self, board: str, variants: Sequence[str]) -> list[VariantResult]:
        """All variants on one board: measured, judged with the reruns that takes, stored, accepted where nothing moved."""
        return list(self.results(board, variants))

    def results(self, board: str, variants: Sequence[str]) -> Iterator[VariantResult]:
        """The same, each as soon as it is judged: what comes later may fail."""
        first = self._run(board, variants, 0)
        for name in variants:
            yield self._result(board, name, first)

    def _run(self, board: str, variants: Sequence[str], rerun: int) -> BoardRun:
        made = self._measure(board, variants, rerun)
        if made.run_id:
            decisions.add_to_night(self._store, self._night_id, made.run_id, rerun)
            self._ids.append(made.run_id)
            self.runs.append((board, made.run_id, rerun))
        return made

    def _result(self, board: str, name: str, first: BoardRun) -> VariantResult:
        run = first.measured.get(name)
        if run is None:
            missing = InfraError(f"{name} was not measured on {board}", remedy="see the log of this night")
            return VariantResult(board, name, first.run_id, error=first.failed.get(name, missing))
        again = Reruns(lambda n: self._run(board, [name], n), name)
        past = Past.read(self._store, run, self._ids)
        verdicts = tuple(judge_run(past, run, again, self._policy))
        stored = [
            decisions.stored_verdict(v.judgement, first.run_id, name, run.board.name, run.board.id, v.kind) for v in verdicts
        ]
        decisions.save_verdicts(self._store, stored)
        unjudged = budget_error(run, run.claims)
        result = VariantResult(
            board, name, first.run_id, run.board, verdicts, run.claims, rerun_error=again.error, budget_error=unjudged
        )
        return self._accept(result, past)

    def _accept(self, result: VariantResult, past: Past) -> VariantResult:
        why = acceptance(result, past)
        if why and not self._is_accepted(result):
            entry = Accepted(result.run_id, result.variant, iso(utc_now()), WHO, why, False)
            decisions.accept(self._store, entry)
        return replace(result, accepted=why)

    def _is_accepted(self, result: VariantResult) -> bool:
        """Before the night was cut off."""
        wanted = (result.run_id, result.variant)
        return self._resumed and any((a.run_id, a.variant) == wanted for a in history.accepted(self._store))
