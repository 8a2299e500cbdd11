"""What a night comes to: runs of its boards, verdicts, one result for each variant on each board."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tinyrig.analysis.verdicts import Judgement
from tinyrig.core.errors import EXIT_CLAIM, RigError, decisive
from tinyrig.core.records import BoardInfo, Claim, ClaimStatus, Measurement, VerdictKind, VerdictStatus

SUMS = ("flash_total",)
"""Without a direction of their own; each of their parts is judged."""


@dataclass(frozen=True)
class BoardRun:
    """What one run on a board came to: variants that were measured, and why others were not."""

    run_id: str
    measured: Mapping[str, Measurement]
    failed: Mapping[str, RigError]


Measure = Callable[[str, Sequence[str], int], BoardRun]
"""(board, names of variants, number of the rerun) -> what came of it, stored. 0 is the board's first run of the night."""


@dataclass(frozen=True)
class Verdict:
    """One judgement; `gate` is how the metric is judged (verdicts.py)."""

    kind: VerdictKind
    gate: str
    judgement: Judgement

    @property
    def regression(self) -> bool:
        """Keeps the night red until it is accepted."""
        j = self.judgement
        return j.moved and (j.status == VerdictStatus.WORSE or (j.status == VerdictStatus.CHANGED and j.metric not in SUMS))


@dataclass(frozen=True)
class VariantResult:
    """One variant on one board tonight. `error` says why it was not measured, `budget_error` which budgets could not be judged;
    `accepted` why it was accepted by itself, empty where a person must do it."""

    board: str
    variant: str
    run_id: str
    info: BoardInfo | None = None
    verdicts: tuple[Verdict, ...] = ()
    claims: tuple[Claim, ...] = ()
    error: RigError | None = None
    rerun_error: RigError | None = None
    budget_error: RigError | None = None
    accepted: str = ""

    @property
    def regressions(self) -> list[Verdict]:
        return [v for v in self.verdicts if v.regression]

    @property
    def failed_claims(self) -> list[Claim]:
        return [c for c in self.claims if c.status == ClaimStatus.FAILED]

    @property
    def errors(self) -> list[RigError]:
        return [e for e in (self.error, self.rerun_error, self.budget_error) if e is not None]

    @property
    def not_comparable(self) -> bool:
        """Measured with something else than what was accepted: a person must say that this is meant."""
        found = [v.judgement for v in self.verdicts if v.kind == VerdictKind.NIGHT]
        unknown = (VerdictStatus.NOT_COMPARABLE, VerdictStatus.NOT_MEASURED)
        return bool(found) and all(j.status in unknown for j in found) and not self.accepted


@dataclass(frozen=True)
class NightResult:
    night_id: str
    started: str
    results: tuple[VariantResult, ...]
    runs: tuple[tuple[str, str, int], ...] = ()
    """(board, run id, rerun)."""

    @property
    def exit_code(self) -> int:
        codes = {e.exit_code for result in self.results for e in result.errors}
        codes |= {EXIT_CLAIM for result in self.results if result.regressions or result.failed_claims}
        return decisive(codes)
