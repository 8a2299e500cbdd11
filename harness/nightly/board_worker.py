"""One board's part of a night, made in a process of its own: measured, judged, stored, and told cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinyrig.core.boards import parse_board
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import ClaimError, DeviceError, HostError, InfraError, LinkError, ModelError, RigError, UserError
from tinyrig.core.records import Variant
from tinyrig.host.log import heard_only
from tinyrig.host.process_pool import Tell
from tinyrig.host.signals import alarm
from tinyrig.measure.run import OpenRun
from tinyrig.nightly.procedure import Cell, Outcome, Procedure
from tinyrig.store.decisions import add_to_night
from tinyrig.store.runs import Store

SAY, STEP, FAULT, RUN, CELL, FAILED = "say", "step", "fault", "run", "cell", "failed"
"""What is told: what is happening, a variant is finished, one is not measured (in full), (run id, number of the rerun), a judged
Cell, the RigError that the board's part ended with."""


@dataclass(frozen=True)
class Plan:
    """Boards as --board names them; built variants by name, or files of models."""

    boards: tuple[str, ...]
    variants: tuple[str, ...]
    models: tuple[Path, ...]
    windows: Path | None
    limit: int | None
    oracle: str | None
    engine: str

    def stored(self, board: str, config: Config, night_id: str) -> dict[str, Any]:
        """What `tinyrig run --resume` goes by, and below "nightly" what `tinyrig nightly --resume` needs more."""
        models = [str(path.absolute()) for path in self.models]
        windows = str(self.windows.absolute()) if self.windows else None
        night = {"models": models, "limit": self.limit, "oracle": self.oracle, "engine": self.engine}
        return {
            "board": board,
            "dataset": config.dataset,
            "variants": list(self.variants),
            "windows": windows,
            "model": models[0] if len(models) == 1 else None,
            "night": night_id,
            "nightly": night,
        }


@dataclass(frozen=True)
class Part:
    """`runs`: those that this board has from before the night was cut off; the first is gone on with."""

    plan: Plan
    config: Config
    night_id: str
    board: str
    variants: tuple[Variant, ...]
    runs: tuple[str, ...] = ()

    def make(self, tell: Tell) -> None:
        """It has run_s of its own, reruns included. What fails is told and ends the part, with what was judged before."""
        deadline = Deadline("run_s", self.config.limits.run_s)
        heard_only(lambda text: tell(SAY, text))
        try:
            with Store(self.config.results) as store, alarm(deadline):
                bench = _Bench(self, store, deadline, tell)
                procedure = Procedure(store, self.night_id, bench.run, earlier=self.runs)
                for cell in procedure.cells(self.board, [v.name for v in self.variants]):
                    tell(CELL, _plain_cell(cell))
        except RigError as error:
            tell(FAULT, str(error))
            tell(FAILED, _plain(error))


class _Bench:
    """Runs on one board through open runs; what one of them could not measure is told and kept."""

    def __init__(self, part: Part, store: Store, deadline: Deadline, tell: Tell) -> None:
        self._part, self._store, self._deadline, self._tell = part, store, deadline, tell

    def run(self, board: str, names: Sequence[str], rerun: int) -> Outcome:
        part, plan = self._part, self._part.plan
        with OpenRun(
            parse_board(board, part.config.boards),
            part.config,
            oracle=plan.oracle,
            limit=plan.limit,
            engine=plan.engine,
            resume=part.runs[0] if part.runs and not rerun else None,
            plan=plan.stored(board, part.config, part.night_id),
            deadline=self._deadline,
        ) as open_run:
            add_to_night(self._store, part.night_id, open_run.run_id, rerun)
            self._tell(RUN, (open_run.run_id, rerun))
            runs: dict[str, Any] = {}
            for variant in (v for v in part.variants if v.name in names):
                self._one(open_run, variant, runs, rerun)
            return Outcome(open_run.run_id, runs, dict(open_run.failed))

    def _one(self, open_run: OpenRun, variant: Variant, runs: dict[str, Any], rerun: int) -> None:
        try:
            runs[variant.name] = open_run.run(variant)
        except RigError as error:
            self._tell(FAULT, f"{variant.name}: not measured: {error}")
        if not rerun:
            self._tell(STEP, "")


_LEAVES = (ModelError, UserError, HostError, LinkError, DeviceError, ClaimError, InfraError)


def _plain(error: RigError) -> RigError:
    """The same as one of the leaves of errors.py, which can be pickled whatever the original was made of."""
    leaf = next((leaf for leaf in _LEAVES if isinstance(error, leaf)), InfraError)
    return leaf(error.what, expected=error.expected, received=error.received, remedy=error.remedy)


def _plain_cell(cell: Cell) -> Cell:
    first, again = cell.error, cell.rerun_error
    return replace(cell, error=first and _plain(first), rerun_error=again and _plain(again))
