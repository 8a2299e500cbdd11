"""One call of the harness: variants on one board, one after another, each sample stored as it arrives."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from tinyrig.analysis.evaluation import Evaluation
from tinyrig.core.boards import Target
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import EXIT_RIG, RigError
from tinyrig.core.plans import RunPlan
from tinyrig.core.records import Claim, Measurement, Run, RunState, Variant
from tinyrig.host.locks import Locks
from tinyrig.host.log import about
from tinyrig.measure.board_side import BoardSide, board_side
from tinyrig.measure.keeper import RunKeeper
from tinyrig.measure.variant import run_settings
from tinyrig.store.runs import Store

MoreClaims = Callable[[Variant], tuple[Claim, ...]]
"""What else is claimed of a variant that was measured, beside judge()'s."""


class OpenRun:
    """A run under way: measures variants and keeps them, in memory by name and in the store sample by sample.

    `failed`: why variants could not be measured. `interrupted`: it ends before all that was asked for.
    """

    def __init__(
        self, keeper: RunKeeper, board: BoardSide, config: Config, deadline: Deadline, more: MoreClaims | None = None
    ) -> None:
        self._keeper, self._board, self._config, self._deadline = keeper, board, config, deadline
        self._more = more
        self._unchecked = set(keeper.measured)
        """Variants that were finished before an interruption."""
        self.failed: dict[str, RigError] = {}
        self.interrupted = False

    @property
    def run_id(self) -> str:
        return self._keeper.run_id

    @property
    def finished(self) -> int:
        """Number of variants that are done."""
        return len(self._keeper.measured)

    @property
    def evaluated(self) -> Mapping[str, Evaluation]:
        """By variant, what was computed of what this process measured."""
        return self._keeper.evaluated

    @property
    def has_rig_fault(self) -> bool:
        """Whether something is unmeasured that --resume may still measure."""
        return any(e.exit_code == EXIT_RIG for e in self.failed.values())

    def run(self, variant: Variant) -> Measurement:
        """The variant's measurement, made now or earlier, with its claims. Raises RigErrors, for a variant that failed the same
        one again: several claims ask for one variant, and a board that is gone is not tried for each."""
        if variant.name in self.failed:
            raise self.failed[variant.name]
        if variant.name in self._keeper.measured:
            return self._checked(variant)
        try:
            with about(variant.name):
                self._deadline.check(f"before {variant.name}")
                found = self._board.measure(variant, self._keeper.recorder(variant.name))
            return self._keeper.keep(found, self._config, self._more_claims(variant))
        except RigError as error:
            self._fail(variant, error)
            raise
        except BaseException:
            self.interrupted = True
            raise

    def _more_claims(self, variant: Variant) -> tuple[Claim, ...]:
        """With the board given back: they may need it for themselves."""
        if self._more is None:
            return ()
        self._board.release()
        return self._more(variant)

    def check_finished(self, variants: Iterable[Variant]) -> None:
        """Before anything is measured on: each of `variants` that was finished before an interruption must still be what would be
        measured now. Raises UserError."""
        for variant in variants:
            if variant.name in self._unchecked:
                self._checked(variant)

    def _fail(self, variant: Variant, error: RigError) -> None:
        """After a fault of the rig the next variant gets a board that is attached again."""
        self.failed[variant.name] = error
        if error.exit_code == EXIT_RIG:
            self._board.release()
        self._keeper.keep_reason(variant.name, error)

    def _checked(self, variant: Variant) -> Measurement:
        """A variant that was finished before the interruption must still be what would be measured now."""
        known = self._keeper.measured[variant.name]
        if variant.name in self._unchecked:
            self._board.check_unchanged(variant, known, f"{variant.name} of run {self.run_id}")
            self._unchecked.discard(variant.name)
        return known

    def release(self) -> None:
        """Gives the board back until the next variant is run."""
        self._board.release()

    def result(self) -> Run:
        """All that this run holds so far, as stored."""
        return self._keeper.result()

    def known(self) -> Run:
        """The same as this process knows it, where it can't be had from the store."""
        return self._keeper.known()


@contextmanager
def measuring(
    target: Target,
    config: Config,
    plan: RunPlan = RunPlan(),
    *,
    resume: str | None = None,
    deadline: Deadline | None = None,
    more: MoreClaims | None = None,
) -> Iterator[OpenRun]:
    """An open run on one board.

    `plan` says what is asked for, to whoever resumes too; without settings it has rig.toml's. With `resume` (a run's id or the
    beginning of it) that run is continued: its finished variants are kept, of others the samples. `deadline` bounds the whole;
    `more` adds claims.
    Raises UserError where the run was begun with something else, InfraError where another process is making it, LostDatabase at
    the end where the database is no longer there.
    """
    settings = plan.settings or run_settings(config)
    plan = replace(plan, settings=settings)
    deadline = deadline or Deadline("run_s", config.limits.run_s)
    with Store(config.results) as store, contextlib.closing(Locks()) as locks:
        keeper = RunKeeper.resume(store, locks, resume, plan, config) if resume else RunKeeper.begin(store, locks, plan)
        open_run = OpenRun(keeper, board_side(target, config, settings, deadline), config, deadline, more)
        state = RunState.INTERRUPTED
        try:
            yield open_run
            state = RunState.INTERRUPTED if open_run.interrupted or open_run.has_rig_fault else RunState.FINISHED
        finally:
            try:
                keeper.end(state)
            finally:
                open_run.release()
