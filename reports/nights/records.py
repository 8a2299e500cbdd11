"""What the page of nights says, as records: tonight's findings, what was not measured, trends. Data only, no markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tinyrig.analysis.metric_table import Ends
from tinyrig.core.records import Accepted, Night, NotMeasured, StoredVerdict, VerdictStatus
from tinyrig.store.night_cells import Measured
from tinyrig.store.origins import Origin

CURVES = ("latency_us_median", "accuracy", "ram_model_total", "flash_model_total")
"""The metrics whose trends are drawn."""
ACCEPTED = "accepted"
"""It moved, and somebody said that this was meant."""
NOT_JUDGED = "not judged"
SEVERITY = (
    VerdictStatus.WORSE,
    VerdictStatus.NOT_MEASURED,
    VerdictStatus.CHANGED,
    VerdictStatus.NOT_COMPARABLE,
    VerdictStatus.BETTER,
    ACCEPTED,
    VerdictStatus.SAME,
    NOT_JUDGED,
)
"""Of several statuses the first one stands for all."""


class Cell(NamedTuple):
    """A variant on a board; boards differ by their ids."""

    variant: str
    board: str
    board_id: str
    timing: str

    @classmethod
    def of(cls, measured: Measured) -> Cell:
        return cls(measured.variant, measured.board, measured.board_id, measured.timing)


@dataclass(frozen=True)
class Finding:
    """A verdict of tonight; `status` is the verdict's, or ACCEPTED with the reason in `why`; `ends`: the band of its new value,
    where that is an estimate that has one."""

    cell: Cell
    verdict: StoredVerdict
    status: str
    why: str = ""
    ends: Ends | None = None


@dataclass(frozen=True)
class UnmeasuredVariant:
    """One that a run of tonight could not measure; `boards` are the ids of those the run did measure something on, empty: none;
    `asked` the board as it was asked for, empty: not known."""

    run_id: str
    boards: tuple[str, ...]
    asked: str
    what: NotMeasured


class NightValue(NamedTuple):
    """A night's value, the median of its runs. `why`: a change was accepted here; `moved`: a verdict found one (its status);
    `low` and `high`: that verdict's baseline -+ threshold, None where it had none; `ends`: the band of an estimate."""

    run_id: str
    started: str
    night: str
    comparable: str
    value: float
    why: str = ""
    moved: str = ""
    low: float | None = None
    high: float | None = None
    ends: Ends | None = None


@dataclass(frozen=True)
class Trend:
    """One metric of one cell, oldest first; `status` is tonight's, empty where it was not judged."""

    metric: str
    cell: Cell
    values: tuple[NightValue, ...]
    status: str

    @property
    def steady(self) -> bool:
        """Nothing to see: one value throughout, and no verdict that found a change."""
        return len({value.value for value in self.values}) == 1 and not any(value.moved for value in self.values)


@dataclass(frozen=True)
class OpCycles:
    """(op, name, cycles) of each step, of tonight and, where the latency moved, of the baseline's run."""

    now: Sequence[tuple[str, str, float]]
    before: Sequence[tuple[str, str, float]] = ()
    before_run: str = ""


@dataclass(frozen=True)
class NightsReport:
    """Everything of the page but tables and cycles. `nights` newest first; without `real_nights` each run counts as one.

    `tonight` None: the database is empty."""

    real_nights: bool
    nights: tuple[Night, ...]
    tonight: Night | None
    findings: tuple[Finding, ...] = ()
    unmeasured: tuple[UnmeasuredVariant, ...] = ()
    measured: tuple[Measured, ...] = ()
    trends: tuple[Trend, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    earlier: tuple[Finding, ...] = ()
    since: str | None = None
    origins: tuple[Origin, ...] = ()

    def having(self, *statuses: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.status in statuses]
