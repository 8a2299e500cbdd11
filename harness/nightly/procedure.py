"""A night: every variant on every board, judged against what was accepted, and stored. docs/nightly.md has it in plain words.

`Procedure` measures through a callable, so that its decisions can be tested without a board. A fault of the rig leaves something
`not measured`; it is never a regression.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from tinyrig.analysis.metrics import comparable_metadata, metadata_hash, metric_values, outputs_hash, timed_cycles, withheld
from tinyrig.analysis.verdicts import (
    GATES,
    NOISY,
    OUTPUTS,
    Baseline,
    Judgement,
    Policy,
    Tonight,
    differing,
    gate,
    hits,
    judge_drift,
    judge_with_reruns,
    timer_of,
)
from tinyrig.core.errors import EXIT_CLAIM, InfraError, RigError, decisive
from tinyrig.core.records import Accepted, BoardInfo, Claim, ClaimStatus, Measurement, VerdictKind, VerdictStatus
from tinyrig.store import decisions, history
from tinyrig.store.runs import Store

WHO = "tinyrig nightly"
CUT_OFF = "cut off"
"""How the summary of a night begins that was ended from outside."""
NOTHING_MOVED = "nothing moved"
FIRST = "the first of this variant on this board"
DRIFT_NIGHTS = 120
SUMS = ("flash_total",)
"""Without a direction of their own; each of their parts is judged."""


@dataclass(frozen=True)
class Outcome:
    """What one run of a board came to: variants that were measured, and why others were not."""

    run_id: str
    runs: Mapping[str, Measurement]
    failed: Mapping[str, RigError]


Measure = Callable[[str, Sequence[str], int], Outcome]
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
class Cell:
    """One variant on one board tonight. `error` says why it was not measured; `accepted` why it was accepted by itself, empty
    where a person must do it."""

    board: str
    variant: str
    run_id: str
    info: BoardInfo | None = None
    verdicts: tuple[Verdict, ...] = ()
    claims: tuple[Claim, ...] = ()
    error: RigError | None = None
    rerun_error: RigError | None = None
    accepted: str = ""

    @property
    def regressions(self) -> list[Verdict]:
        return [v for v in self.verdicts if v.regression]

    @property
    def failed_claims(self) -> list[Claim]:
        return [c for c in self.claims if c.status == ClaimStatus.FAILED]

    @property
    def errors(self) -> list[RigError]:
        return [e for e in (self.error, self.rerun_error) if e is not None]

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
    cells: tuple[Cell, ...]
    runs: tuple[tuple[str, str, int], ...] = field(default=())
    """(board, run id, rerun)."""

    @property
    def exit_code(self) -> int:
        codes = {e.exit_code for cell in self.cells for e in cell.errors}
        codes |= {EXIT_CLAIM for cell in self.cells if cell.regressions or cell.failed_claims}
        return decisive(codes)


def new_night_id(now: datetime.datetime) -> str:
    return now.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def iso(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="seconds")


# ---- the night ----


class Procedure:
    """One night in a store that it was begun in. `earlier`: runs of this night from before it was cut off."""

    def __init__(
        self, store: Store, night_id: str, measure: Measure, policy: Policy = Policy(), earlier: Sequence[str] = ()
    ) -> None:
        self._store, self._night_id, self._measure, self._policy = store, night_id, measure, policy
        self._ids: list[str] = list(earlier)
        self._resumed = bool(earlier)
        self.runs: list[tuple[str, str, int]] = []

    def board(self, board: str, variants: Sequence[str]) -> list[Cell]:
        """All variants on one board: measured, judged with the reruns that takes, stored, accepted where nothing moved."""
        return list(self.cells(board, variants))

    def cells(self, board: str, variants: Sequence[str]) -> Iterator[Cell]:
        """The same, each as soon as it is judged: what comes later may fail."""
        first = self._run(board, variants, 0)
        for name in variants:
            yield self._cell(board, name, first)

    def _run(self, board: str, variants: Sequence[str], rerun: int) -> Outcome:
        outcome = self._measure(board, variants, rerun)
        if outcome.run_id:
            decisions.add_to_night(self._store, self._night_id, outcome.run_id, rerun)
            self._ids.append(outcome.run_id)
            self.runs.append((board, outcome.run_id, rerun))
        return outcome

    def _cell(self, board: str, name: str, first: Outcome) -> Cell:
        run = first.runs.get(name)
        if run is None:
            missing = InfraError(f"{name} was not measured on {board}", remedy="see the log of this night")
            return Cell(board, name, first.run_id, error=first.failed.get(name, missing))
        again = Reruns(lambda n: self._run(board, [name], n), name)
        past = Past.read(self._store, run, self._ids)
        verdicts = tuple(judge_run(past, run, again, self._policy))
        stored = [
            decisions.stored_verdict(v.judgement, first.run_id, name, run.board.name, run.board.id, v.kind) for v in verdicts
        ]
        decisions.save_verdicts(self._store, stored)
        cell = Cell(board, name, first.run_id, run.board, verdicts, run.claims, rerun_error=again.error)
        return self._accept(cell, past)

    def _accept(self, cell: Cell, past: Past) -> Cell:
        why = acceptance(cell, past)
        if why and not self._is_accepted(cell):
            entry = Accepted(cell.run_id, cell.variant, iso(utc_now()), WHO, why, False)
            decisions.accept(self._store, entry)
        return replace(cell, accepted=why)

    def _is_accepted(self, cell: Cell) -> bool:
        """Before the night was cut off."""
        wanted = (cell.run_id, cell.variant)
        return self._resumed and any((a.run_id, a.variant) == wanted for a in history.accepted(self._store))


class Reruns:
    """The reruns of one variant on one board; each is made once, whichever metric asks for it first."""

    def __init__(self, measure: Callable[[int], Outcome], name: str) -> None:
        self._measure, self._name = measure, name
        self.runs: list[Measurement] = []
        self.error: RigError | None = None
        self._values: dict[int, dict[str, Any]] = {}

    def values(self, run: Measurement) -> dict[str, Any]:
        """`tonight_values` of one of the night's runs, worked out once for all metrics."""
        if id(run) not in self._values:
            self._values[id(run)] = tonight_values(run)
        return self._values[id(run)]

    def get(self, number: int) -> Measurement | None:
        """The `number`-th, from 1; None where the rig failed, which is not tried again."""
        while len(self.runs) < number and self.error is None:
            outcome = self._measure(len(self.runs) + 1)
            if self._name in outcome.runs:
                self.runs.append(outcome.runs[self._name])
            else:
                self.error = outcome.failed.get(self._name, InfraError(f"the rerun of {self._name} was not measured"))
        return self.runs[number - 1] if len(self.runs) >= number else None


# ---- what tonight is held against ----


@dataclass(frozen=True)
class Past:
    """The accepted runs that are comparable with tonight, oldest first; without any, `other` is what the last accepted run was
    measured with, None where there is no accepted run at all."""

    runs: tuple[history.BaselineRun, ...]
    metadata: Mapping[str, Any]
    other: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, store: Store, run: Measurement, tonight: Sequence[str]) -> Past:
        metadata, key = comparable_metadata(run), (run.board.id, run.variant.name)
        runs = history.baseline_runs(store, *key, metadata_hash(metadata), DRIFT_NIGHTS, tonight)
        other = None if runs else history.last_accepted_metadata(store, *key, tonight)
        return cls(tuple(runs), metadata, other)

    def baseline(self, metric: str, kind: str) -> Baseline:
        if self.other is not None:
            return Baseline(metric, (None,), self.other)
        runs = history.since_change(self.runs, metric) if kind == NOISY else self.runs
        pairs = [(value, r.run_ids[-1]) for r in runs if (value := _accepted_value(r, metric)) is not None]
        return Baseline(metric, tuple(v for v, _ in pairs), self.metadata, tuple(i for _, i in pairs))


def _accepted_value(run: history.BaselineRun, metric: str) -> Any:
    return {OUTPUTS: run.outputs_sha256, "accuracy": run.hits}.get(metric, run.metrics.get(metric))


def tonight_values(run: Measurement) -> dict[str, Any]:
    """What each gated metric is judged by: its number, or the hash of the outputs, or each window's hit."""
    return {**metric_values(run), OUTPUTS: outputs_hash(run), "accuracy": hits(run)}


# ---- judging ----


def judge_run(past: Past, run: Measurement, again: Reruns, policy: Policy = Policy()) -> list[Verdict]:
    """Every gated metric of one variant run, and the drift of the noisy ones. Noisy metrics go first: exact ones are then looked
    at in all runs of the night."""
    kinds = {metric: kind for metric in GATES if (kind := gate(metric, run.board.timing))}
    found: dict[tuple[str, str], Verdict] = {}
    for metric in sorted(kinds, key=lambda m: kinds[m] != NOISY):
        for verdict in _judge_metric(metric, kinds[metric], past, run, again, policy):
            found[metric, verdict.kind] = verdict
    return [found[key] for metric in kinds for key in ((metric, VerdictKind.NIGHT), (metric, VerdictKind.DRIFT)) if key in found]


def _judge_metric(metric: str, kind: str, past: Past, run: Measurement, again: Reruns, policy: Policy) -> list[Verdict]:
    baseline = past.baseline(metric, kind)
    runs = [run] if kind == NOISY else [run, *again.runs]
    tonight = _tonight(metric, runs, again)
    if tonight.values[0] is None and (past.other is not None or not baseline.values):
        return []  # neither then nor now: accuracy without labels, FLOPs of an integer model
    judged = judge_with_reruns(baseline, tonight, kind, _Asker(metric, run, again), policy)
    verdicts = [Verdict(VerdictKind.NIGHT, kind, judged)]
    if kind == NOISY:
        verdicts.append(Verdict(VerdictKind.DRIFT, kind, _drift(baseline, tonight, _Asker(metric, run, again), policy)))
    return verdicts


def _drift(baseline: Baseline, tonight: Tonight, rerun: Callable[[], Tonight], policy: Policy) -> Judgement:
    judgement = judge_drift(baseline, tonight, policy)
    while judgement.needs_confirmation:
        more = rerun()
        differences = differing(tonight.metadata, more.metadata)
        if differences:
            return Judgement(baseline.metric, VerdictStatus.NOT_COMPARABLE, f"the rerun: {differences}", runs=judgement.runs + 1)
        values = tonight.values + more.values
        tonight = Tonight(values, tonight.metadata, tonight.samples, tonight.timer, more.why_not)
        judgement = judge_drift(baseline, tonight, policy)
    return judgement


def _tonight(metric: str, runs: Sequence[Measurement], again: Reruns) -> Tonight:
    first, values = runs[0], tuple(again.values(run)[metric] for run in runs)
    why = (withheld(first) if metric.startswith(("latency", "cycles")) else None) or "no value tonight"
    return Tonight(values, comparable_metadata(first), max(1, len(timed_cycles(first))), timer_of(metric, first), why)


class _Asker:
    """The reruns in order, as one metric of them."""

    def __init__(self, metric: str, run: Measurement, again: Reruns) -> None:
        self._metric, self._run, self._again, self._asked = metric, run, again, 0

    def __call__(self) -> Tonight:
        self._asked += 1
        run = self._again.get(self._asked)
        if run is None:
            return Tonight((None,), comparable_metadata(self._run), why_not=f"the rerun failed: {self._again.error}")
        return _tonight(self._metric, [run], self._again)


def acceptance(cell: Cell, past: Past) -> str:
    """Why a variant is accepted without asking anybody, empty where a person must: something moved, was not measured or not
    comparable with what was accepted, or a claim failed."""
    judgements = [v.judgement for v in cell.verdicts]
    if past.other is not None or cell.errors or cell.failed_claims:
        return ""
    if any(j.moved or j.status == VerdictStatus.NOT_MEASURED for j in judgements):
        return ""
    return NOTHING_MOVED if past.runs else FIRST


def close_quietly(store: Store, night_id: str, code: int, text: str) -> None:
    """Of a night that was cut off: that it ended is worth a try, and no second error."""
    with suppress(RigError):
        decisions.end_night(store, night_id, iso(utc_now()), code, text)
