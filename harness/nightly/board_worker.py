"""One board's part of a night, made in a process of its own: measured, judged, stored, and reported result by result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tinyrig.core.boards import parse_board
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import ClaimError, DeviceError, HostError, InfraError, LinkError, ModelError, RigError, UserError
from tinyrig.core.records import Measurement, Variant
from tinyrig.host.log import heard_only
from tinyrig.host.process_pool import Tell
from tinyrig.host.signals import alarm
from tinyrig.live.night import night_claims
from tinyrig.measure.run import OpenRun, measuring
from tinyrig.nightly.plan import BegunNight
from tinyrig.nightly.procedure import Procedure
from tinyrig.nightly.results import BoardRun, VariantResult
from tinyrig.store.decisions import add_to_night
from tinyrig.store.runs import Store

SAY, STEP, FAULT, RUN, RESULT, FAILED = "say", "step", "fault", "run", "result", "failed"
"""Kinds of reports: what is happening; a variant is finished; one is not measured (in full); (run id, number of the rerun); a
VariantResult; the RigError that ended the board's part."""


@dataclass(frozen=True)
class BoardNight:
    night: BegunNight
    board: str
    variants: tuple[Variant, ...]

    @property
    def earlier(self) -> tuple[str, ...]:
        """Runs that this board has from before the night was cut off; the first one is resumed."""
        return self.night.earlier.get(self.board, ())

    def make(self, tell: Tell) -> None:
        """It has run_s of its own, reruns included. A failure is reported and ends the part; what was judged before stays."""
        config = self.night.config
        deadline = Deadline("run_s", config.limits.run_s)
        heard_only(lambda text: tell(SAY, text))
        try:
            with Store(config.results) as store, alarm(deadline):
                measure = _Measuring(self, store, deadline, tell).run
                procedure = Procedure(store, self.night.night_id, measure, earlier=self.earlier)
                for result in procedure.results(self.board, [v.name for v in self.variants]):
                    tell(RESULT, _with_picklable_errors(result))
        except RigError as error:
            tell(FAULT, str(error))
            tell(FAILED, picklable(error))


class _Measuring:
    """Runs on one board; what one of them could not measure is reported and kept."""

    def __init__(self, part: BoardNight, store: Store, deadline: Deadline, tell: Tell) -> None:
        self._part, self._store, self._deadline, self._tell = part, store, deadline, tell

    def run(self, board: str, names: Sequence[str], rerun: int) -> BoardRun:
        part, night = self._part, self._part.night
        with measuring(
            parse_board(board, night.config.boards),
            night.config,
            night.plan.stored(board, night.config, night.night_id),
            resume=part.earlier[0] if part.earlier and not rerun else None,
            deadline=self._deadline,
            more=None if rerun else night_claims(parse_board(board, night.config.boards), night.config),
        ) as open_run:
            add_to_night(self._store, night.night_id, open_run.run_id, rerun)
            self._tell(RUN, (open_run.run_id, rerun))
            open_run.check_finished(part.variants)
            measured: dict[str, Measurement] = {}
            for variant in (v for v in part.variants if v.name in names):
                self._one(open_run, variant, measured, rerun)
            return BoardRun(open_run.run_id, measured, dict(open_run.failed))

    def _one(self, open_run: OpenRun, variant: Variant, measured: dict[str, Measurement], rerun: int) -> None:
        try:
            measured[variant.name] = open_run.run(variant)
        except RigError as error:
            self._tell(FAULT, f"{variant.name}: not measured: {error}")
        if not rerun:
            self._tell(STEP, "")


_LEAVES = (ModelError, UserError, HostError, LinkError, DeviceError, ClaimError, InfraError)


def picklable(error: RigError) -> RigError:
    """The same as one of the leaves of errors.py, which can be pickled whatever the original was made of."""
    leaf = next((leaf for leaf in _LEAVES if isinstance(error, leaf)), InfraError)
    return leaf(error.what, expected=error.expected, received=error.received, remedy=error.remedy)


def _with_picklable_errors(result: VariantResult) -> VariantResult:
    first, again, budget = (e and picklable(e) for e in (result.error, result.rerun_error, result.budget_error))
    return replace(result, error=first, rerun_error=again, budget_error=budget)
