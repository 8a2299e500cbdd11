"""Tonight's measurement of one variant on one board, judged against what was accepted, with the reruns that takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinyrig.analysis.evaluation import evaluate
from tinyrig.analysis.metrics import timed_cycles
from tinyrig.analysis.provenance import TEST_SET, comparable_metadata, metadata_hash
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
    judge_drift,
    judge_with_reruns,
    timer_of,
)
from tinyrig.analysis.verification import withheld
from tinyrig.core.errors import InfraError, RigError
from tinyrig.core.records import Measurement, VerdictKind, VerdictStatus
from tinyrig.nightly.results import BoardRun, VariantResult, Verdict
from tinyrig.store import history
from tinyrig.store.runs import Store

NOTHING_MOVED = "nothing moved"
FIRST = "the first of this variant on this board"
DRIFT_NIGHTS = 120


class Reruns:
    """The reruns of one variant on one board; each is made once, whichever metric asks for it first."""

    def __init__(self, measure: Callable[[int], BoardRun], name: str) -> None:
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
            rerun = self._measure(len(self.runs) + 1)
            if self._name in rerun.measured:
                self.runs.append(rerun.measured[self._name])
            else:
                self.error = rerun.failed.get(self._name, InfraError(f"the rerun of {self._name} was not measured"))
        return self.runs[number - 1] if len(self.runs) >= number else None


# ---- what tonight is compared with ----


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
        last = history.last_accepted_metadata(store, *key, tonight)
        runs = history.baseline_runs(store, *key, _hashes(metadata, last), DRIFT_NIGHTS, tonight)
        return cls(tuple(runs), metadata, None if runs else last)

    def baseline(self, metric: str, kind: str) -> Baseline:
        if self.other is not None:
            return Baseline(metric, (None,), self.other)
        runs = history.since_change(self.runs, metric) if kind == NOISY else self.runs
        pairs = [(value, r.run_ids[-1]) for r in runs if (value := _accepted_value(r, metric)) is not None]
        return Baseline(metric, tuple(v for v, _ in pairs), self.metadata, tuple(i for _, i in pairs))


def _hashes(metadata: Mapping[str, Any], last: Mapping[str, Any] | None) -> list[str]:
    """Of the comparable metadata that may be compared with tonight's: also the same without the values of the test windows, of
    runs from before they were kept, unless the `last` accepted run had other windows."""
    older = {key: value for key, value in metadata.items() if key != TEST_SET}
    other = last is not None and TEST_SET in last and last[TEST_SET] != metadata.get(TEST_SET)
    return [metadata_hash(metadata), *([] if other else [metadata_hash(older)])]


def _accepted_value(run: history.BaselineRun, metric: str) -> Any:
    return {OUTPUTS: run.outputs_sha256, "accuracy": run.hits}.get(metric, run.metrics.get(metric))


def tonight_values(run: Measurement) -> dict[str, Any]:
    """What each gated metric is judged by: its number, or the hash of the outputs, or each window's hit."""
    found = evaluate(run).checked()
    return {
        **found.values,
        OUTPUTS: found.outputs_sha256,
        "accuracy": None if found.hits is None else tuple(map(bool, found.hits)),
    }


# ---- judging ----


def judge_run(past: Past, run: Measurement, again: Reruns, policy: Policy = Policy()) -> list[Verdict]:
    """Every gated metric of one measurement, and the drift of the noisy ones. Noisy metrics go first: exact ones are then looked
    at in all runs of the night."""
    case = _Case(past, run, again, policy)
    kinds = {metric: kind for metric in GATES if (kind := gate(metric, run.board.timing))}
    found: dict[tuple[str, str], Verdict] = {}
    for metric in sorted(kinds, key=lambda m: kinds[m] != NOISY):
        for verdict in _judge_metric(case, metric, kinds[metric]):
            found[metric, verdict.kind] = verdict
    return [found[key] for metric in kinds for key in ((metric, VerdictKind.NIGHT), (metric, VerdictKind.DRIFT)) if key in found]


@dataclass(frozen=True)
class _Case:
    """Tonight's measurement, what it is compared with, and what may be asked of the board."""

    past: Past
    run: Measurement
    again: Reruns
    policy: Policy


def _judge_metric(case: _Case, metric: str, kind: str) -> list[Verdict]:
    baseline = case.past.baseline(metric, kind)
    runs = [case.run] if kind == NOISY else [case.run, *case.again.runs]
    tonight = _tonight(metric, runs, case.again)
    if tonight.values[0] is None and (case.past.other is not None or not baseline.values):
        return []  # neither then nor now: accuracy without labels, FLOPs of an integer model
    judged = judge_with_reruns(baseline, tonight, kind, _MetricReruns(metric, case), case.policy)
    verdicts = [Verdict(VerdictKind.NIGHT, kind, judged)]
    if kind == NOISY:
        verdicts.append(Verdict(VerdictKind.DRIFT, kind, _drift(baseline, tonight, _MetricReruns(metric, case), case.policy)))
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


class _MetricReruns:
    """The reruns in order, as one metric of them."""

    def __init__(self, metric: str, case: _Case) -> None:
        self._metric, self._case, self._asked = metric, case, 0

    def __call__(self) -> Tonight:
        self._asked += 1
        again = self._case.again
        run = again.get(self._asked)
        if run is None:
            return Tonight((None,), comparable_metadata(self._case.run), why_not=f"the rerun failed: {again.error}")
        return _tonight(self._metric, [run], again)


def acceptance(result: VariantResult, past: Past) -> str:
    """Why a variant is accepted without asking anybody, empty where a person must: something moved, was not measured or not
    comparable with what was accepted, or a claim failed."""
    judgements = [v.judgement for v in result.verdicts]
    if past.other is not None or result.errors or result.failed_claims:
        return ""
    if any(j.moved or j.status == VerdictStatus.NOT_MEASURED for j in judgements):
        return ""
    return NOTHING_MOVED if past.runs else FIRST
