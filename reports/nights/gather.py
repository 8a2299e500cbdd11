"""The history -> the page of nights as records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from tinyrig.analysis.metric_table import BANDED
from tinyrig.core.records import MOVED, Accepted, Night, StoredVerdict, VerdictKind
from tinyrig.reports.nights.records import (
    ACCEPTED,
    CURVES,
    SEVERITY,
    Cell,
    Finding,
    NightsReport,
    NightValue,
    Trend,
    UnmeasuredVariant,
)
from tinyrig.store import history, night_cells
from tinyrig.store.estimates.bands import Bands, bands
from tinyrig.store.history import Place, Series
from tinyrig.store.night_cells import Measured
from tinyrig.store.origins import origins
from tinyrig.store.runs import Store, StoredRun


def gather(store: Store, since: str | None = None) -> NightsReport:
    """Everything of the page but the newest run's tables; `since` (ISO-8601 UTC) limits trends and lists, never tonight."""
    every = history.nights(store)
    real = bool(every)
    every = every or [_as_night(run) for run in store.runs() if run.variants or run.not_measured]
    if not every:
        return NightsReport(False, (), None, since=since)
    newest = every[0]
    moved = history.moved_verdicts(store, since)
    wanted = history.accepted(store, wanted_only=True)
    measured = night_cells.measured(store, newest.runs)
    known = bands(store, BANDED, since=None if since is None else min(since, newest.started))
    findings = _findings(store, newest, measured, wanted, known)
    nights = {run: n.night_id for n in every for run in n.runs}
    trends = tuple(_trends(store, since, findings, _Marks.of(store, since, moved, nights, known)))
    kept = tuple(night for night in every if since is None or night.started >= since or night is newest)
    return NightsReport(
        real,
        kept,
        newest,
        findings,
        _unmeasured(store, newest, measured),
        tuple(measured),
        trends,
        tuple(a for a in reversed(wanted) if since is None or a.when >= since),
        _earlier(moved, newest, wanted, trends, known),
        since,
        tuple(origins(store, newest.runs)),
    )


def _as_night(run: StoredRun) -> Night:
    return Night(run.run_id, run.started, run.boards, run.started, None, "", (run.run_id,), (0,))


def _reasons(wanted: Iterable[Accepted]) -> dict[tuple[str, str | None], str]:
    return {(a.run_id, a.variant): a.why or "no reason given" for a in wanted}


def _finding(cell: Cell, verdict: StoredVerdict, why: dict[tuple[str, str | None], str], known: Bands) -> Finding:
    reason = why.get((verdict.run_id, verdict.variant)) or why.get((verdict.run_id, None), "")
    status = ACCEPTED if reason and verdict.status in MOVED else verdict.status
    return Finding(cell, verdict, status, reason if status == ACCEPTED else "", known.of_verdict(verdict))


def _findings(
    store: Store, night: Night, measured: Sequence[Measured], wanted: Sequence[Accepted], known: Bands
) -> tuple[Finding, ...]:
    """The last verdict of each metric counts: a rerun's replaces the first run's."""
    timing = {(m.variant, m.board_id): m.timing for m in measured}
    why = _reasons(wanted)
    found: dict[tuple[Cell, str, str], Finding] = {}
    for run_id in night.runs:
        for v in history.verdicts(store, run_id):
            cell = Cell(v.variant, v.board, v.board_id, timing.get((v.variant, v.board_id), ""))
            found[cell, v.metric, v.kind] = _finding(cell, v, why, known)
    return tuple(sorted(found.values(), key=lambda f: (SEVERITY.index(f.status) if f.status in SEVERITY else 0, f.cell)))


def _earlier(
    moved: Sequence[StoredVerdict], newest: Night, wanted: Sequence[Accepted], trends: Sequence[Trend], known: Bands
) -> tuple[Finding, ...]:
    """What moved in nights before this one, newest first."""
    why, timing = _reasons(wanted), {t.cell.board_id: t.cell.timing for t in trends}
    old = [v for v in reversed(moved) if v.run_id not in newest.runs]
    return tuple(_finding(Cell(v.variant, v.board, v.board_id, timing.get(v.board_id, "")), v, why, known) for v in old)


def _unmeasured(store: Store, night: Night, measured: Sequence[Measured]) -> tuple[UnmeasuredVariant, ...]:
    boards: dict[str, dict[str, None]] = {}
    for m in measured:
        boards.setdefault(m.run_id, {})[m.board_id] = None
    missing = night_cells.not_measured(store, night.runs)
    return tuple(UnmeasuredVariant(m.run_id, tuple(boards.get(m.run_id, ())), m.board, m.what) for m in missing)


# ---- trends ----

_Key = tuple[str, str, str]
"""Metric, variant, run."""


@dataclass(frozen=True)
class _Marks:
    """What verdicts found at a value, their limits, the night of each run, and the bands of estimates."""

    alarms: dict[_Key, str]
    limits: dict[_Key, tuple[float, float]]
    nights: Mapping[str, str]
    bands: Bands

    @classmethod
    def of(
        cls, store: Store, since: str | None, moved: Sequence[StoredVerdict], nights: Mapping[str, str], known: Bands
    ) -> _Marks:
        alarms: dict[_Key, str] = {(v.metric, v.variant, v.run_id): v.status for v in moved}
        return cls(alarms, _limits(store, since), nights, known)


def _trends(store: Store, since: str | None, findings: Sequence[Finding], marks: _Marks) -> Iterable[Trend]:
    judged = {
        (f.verdict.metric, f.cell.variant, f.cell.board_id): f.status for f in findings if f.verdict.kind == VerdictKind.NIGHT
    }
    for series in history.all_series(store, CURVES, since=since):
        cell = Cell(series.variant, series.board, series.board_id, series.timing)
        values = tuple(_night_values(series, marks))
        yield Trend(series.metric, cell, values, judged.get((series.metric, series.variant, series.board_id), ""))


def _limits(store: Store, since: str | None) -> dict[_Key, tuple[float, float]]:
    found = {}
    for run, variant, metric, baseline, threshold in night_cells.limits(store, CURVES, since):
        low, high = baseline - threshold, baseline + threshold
        found[metric, variant, run] = (max(low, 0.0), min(high, 1.0)) if metric == "accuracy" else (low, high)
    return found


def _night_values(series: Series, marks: _Marks) -> Iterable[NightValue]:
    """One value a night: runs of one night that may be compared count with their median and the marks of any of them."""
    every = (_value(series, place, number, marks) for place, number in zip(series.places, series.values, strict=True))
    for _, group in groupby(every, key=lambda value: (value.night, value.comparable)):
        yield _together(list(group))


def _value(series: Series, place: Place, number: float, marks: _Marks) -> NightValue:
    run, key = place.run_id, (series.metric, series.variant, place.run_id)
    low, high = marks.limits.get(key, (None, None))
    return NightValue(
        run,
        place.started,
        marks.nights.get(run, run),
        place.comparable,
        number,
        place.accepted,
        marks.alarms.get(key, ""),
        low,
        high,
        marks.bands.of(series, place, number),
    )


def _together(values: Sequence[NightValue]) -> NightValue:
    if len(values) == 1:
        return values[0]
    why = next((v.why for v in values if v.why), "")
    moved = next((v.moved for v in values if v.moved), "")
    low, high = next(((v.low, v.high) for v in reversed(values) if v.low is not None), (None, None))
    known = [v.ends for v in values if v.ends is not None]
    ends = (median(e[0] for e in known), median(e[1] for e in known)) if len(known) == len(values) else None
    return values[0]._replace(value=float(median(v.value for v in values)), why=why, moved=moved, low=low, high=high, ends=ends)
