"""The history -> what its HTML page says: tonight's findings and faults, trends, who measured what. Data only, no markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from tinyrig.core.records import MOVED, NotMeasured, VerdictKind, VerdictStatus
from tinyrig.store import history, night_cells
from tinyrig.store.history import Accepted, Night, Series, StoredVerdict
from tinyrig.store.night_cells import Measured
from tinyrig.store.origins import Origin, origins
from tinyrig.store.runs import Store, StoredRun

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
RIG_EXIT = 3


class Cell(NamedTuple):
    """A variant on a board; a board is told by its id."""

    variant: str
    board: str
    board_id: str
    timing: str


@dataclass(frozen=True)
class Finding:
    """A verdict of tonight; `status` is the verdict's, or ACCEPTED with the reason in `why`."""

    cell: Cell
    verdict: StoredVerdict
    status: str
    why: str = ""


@dataclass(frozen=True)
class Fault:
    """What tonight's run could not measure; `boards` are the ids of those the run did measure something on, empty: none;
    `asked` the board as it was asked for, empty: not known."""

    run_id: str
    boards: tuple[str, ...]
    asked: str
    what: NotMeasured


class Value(NamedTuple):
    """A night's value, the median of its runs. `why`: a change was accepted here; `moved`: a verdict found one (its status);
    `low` and `high`: that verdict's baseline -+ threshold, None where it had none."""

    run_id: str
    started: str
    night: str
    comparable: str
    value: float
    why: str = ""
    moved: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Trend:
    """One metric of one cell, oldest first; `status` is tonight's, empty where it was not judged."""

    metric: str
    cell: Cell
    values: tuple[Value, ...]
    status: str

    @property
    def steady(self) -> bool:
        """Nothing to see: one value throughout, and no verdict that found a change."""
        return len({value.value for value in self.values}) == 1 and not any(value.moved for value in self.values)


@dataclass(frozen=True)
class Cycles:
    """(op, name, cycles) of each step, of tonight and, where the latency moved, of the baseline's run."""

    now: Sequence[tuple[str, str, float]]
    before: Sequence[tuple[str, str, float]] = ()
    before_run: str = ""


@dataclass(frozen=True)
class Page:
    """`nights` newest first; without `real_nights` each run counts as one. `tonight` None: the database is empty."""

    real_nights: bool
    nights: tuple[Night, ...]
    tonight: Night | None
    findings: tuple[Finding, ...] = ()
    faults: tuple[Fault, ...] = ()
    measured: tuple[Measured, ...] = ()
    trends: tuple[Trend, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    earlier: tuple[Finding, ...] = ()
    since: str | None = None
    origins: tuple[Origin, ...] = ()

    def having(self, *statuses: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.status in statuses]


# ---- gathering ----


def gather(store: Store, since: str | None = None) -> Page:
    """Everything of the page but the newest run's tables; `since` (ISO-8601 UTC) limits trends and lists, never tonight."""
    every = history.nights(store)
    real = bool(every)
    every = every or [_as_night(line) for line in store.runs() if line.variants or line.not_measured]
    if not every:
        return Page(False, (), None, since=since)
    newest = every[0]
    moved = history.moved_verdicts(store, since)
    wanted = history.accepted(store, wanted_only=True)
    measured = night_cells.measured(store, newest.runs)
    findings = _findings(store, newest, measured, wanted)
    trends = tuple(_trends(store, since, findings, moved, {run: n.night_id for n in every for run in n.runs}))
    kept = tuple(night for night in every if since is None or night.started >= since or night is newest)
    return Page(
        real,
        kept,
        newest,
        findings,
        _faults(store, newest, measured),
        tuple(measured),
        trends,
        tuple(a for a in reversed(wanted) if since is None or a.when >= since),
        _earlier(moved, newest, wanted, trends),
        since,
        tuple(origins(store, newest.runs)),
    )


def _as_night(line: StoredRun) -> Night:
    return Night(line.run_id, line.started, line.boards, line.started, None, "", (line.run_id,), (0,))


def _why(wanted: Iterable[Accepted]) -> dict[tuple[str, str | None], str]:
    return {(a.run_id, a.variant): a.why or "no reason given" for a in wanted}


def _finding(cell: Cell, verdict: StoredVerdict, why: dict[tuple[str, str | None], str]) -> Finding:
    reason = why.get((verdict.run_id, verdict.variant)) or why.get((verdict.run_id, None), "")
    status = ACCEPTED if reason and verdict.status in MOVED else verdict.status
    return Finding(cell, verdict, status, reason if status == ACCEPTED else "")


def _findings(store: Store, night: Night, measured: Sequence[Measured], wanted: Sequence[Accepted]) -> tuple[Finding, ...]:
    """The last verdict of each metric counts: a rerun's stands in place of the first run's."""
    timing = {(m.variant, m.board_id): m.timing for m in measured}
    why, found = _why(wanted), {}
    for run_id in night.runs:
        for v in history.verdicts(store, run_id):
            cell = Cell(v.variant, v.board, v.board_id, timing.get((v.variant, v.board_id), ""))
            found[cell, v.metric, v.kind] = _finding(cell, v, why)
    return tuple(sorted(found.values(), key=lambda f: (SEVERITY.index(f.status) if f.status in SEVERITY else 0, f.cell)))


def _earlier(
    moved: Sequence[StoredVerdict], newest: Night, wanted: Sequence[Accepted], trends: Sequence[Trend]
) -> tuple[Finding, ...]:
    """What moved in nights before this one, newest first."""
    why, timing = _why(wanted), {t.cell.board_id: t.cell.timing for t in trends}
    old = [v for v in reversed(moved) if v.run_id not in newest.runs]
    return tuple(_finding(Cell(v.variant, v.board, v.board_id, timing.get(v.board_id, "")), v, why) for v in old)


def _faults(store: Store, night: Night, measured: Sequence[Measured]) -> tuple[Fault, ...]:
    boards: dict[str, dict[str, None]] = {}
    for m in measured:
        boards.setdefault(m.run_id, {})[m.board_id] = None
    missing = night_cells.not_measured(store, night.runs)
    return tuple(Fault(m.run_id, tuple(boards.get(m.run_id, ())), m.board, m.what) for m in missing)


# ---- trends ----

_Key = tuple[str, str, str]
"""Metric, variant, run."""


@dataclass(frozen=True)
class _Marks:
    """What verdicts found at a value, their limits, and the night of each run."""

    alarms: dict[_Key, str]
    limits: dict[_Key, tuple[float, float]]
    nights: dict[str, str]


def _trends(
    store: Store, since: str | None, findings: Sequence[Finding], moved: Sequence[StoredVerdict], nights: dict[str, str]
) -> Iterable[Trend]:
    judged = {
        (f.verdict.metric, f.cell.variant, f.cell.board_id): f.status for f in findings if f.verdict.kind == VerdictKind.NIGHT
    }
    marks = _Marks({(v.metric, v.variant, v.run_id): v.status for v in moved}, _limits(store, since), nights)
    for series in history.all_series(store, CURVES, since=since):
        cell = Cell(series.variant, series.board, series.board_id, series.timing)
        values = tuple(_marked(series, marks))
        yield Trend(series.metric, cell, values, judged.get((series.metric, series.variant, series.board_id), ""))


def _limits(store: Store, since: str | None) -> dict[_Key, tuple[float, float]]:
    found = {}
    for run, variant, metric, baseline, threshold in night_cells.limits(store, CURVES, since):
        low, high = baseline - threshold, baseline + threshold
        found[metric, variant, run] = (max(low, 0.0), min(high, 1.0)) if metric == "accuracy" else (low, high)
    return found


def _marked(series: Series, marks: _Marks) -> Iterable[Value]:
    """One value a night: runs of one night that may be compared count with their median and the marks of any of them."""
    group: list[Value] = []
    for place, number in zip(series.places, series.values, strict=True):
        run = place.run_id
        night, key = marks.nights.get(run, run), (series.metric, series.variant, run)
        value = Value(
            run,
            place.started,
            night,
            place.comparable,
            number,
            place.accepted,
            marks.alarms.get(key, ""),
            *marks.limits.get(key, (None, None)),
        )
        if group and (group[0].night, group[0].comparable) != (night, value.comparable):
            yield _together(group)
            group = []
        group.append(value)
    if group:
        yield _together(group)


def _together(group: Sequence[Value]) -> Value:
    if len(group) == 1:
        return group[0]
    marks = {name: next((m for v in group if (m := getattr(v, name))), "") for name in ("why", "moved")}
    band = next(((v.low, v.high) for v in reversed(group) if v.low is not None), (None, None))
    return group[0]._replace(value=float(median(v.value for v in group)), low=band[0], high=band[1], **marks)


# ---- the verdict ----


@dataclass(frozen=True)
class Headline:
    """`tone`: good, bad, rig or plain."""

    tone: str
    title: str


def headline(page: Page) -> Headline:
    """Tonight in one sentence; a failure of the rig is never a regression of a model, and neither hides the other."""
    night = page.tonight
    if night is None:
        return Headline("plain", "Nothing was measured yet")
    worse, changed = page.having(VerdictStatus.WORSE), page.having(VerdictStatus.CHANGED)
    claims, faults = failed_claims(page), rig_faults(page)
    told = (
        ("Regression", worse, _count(len(worse), "metric") + " got worse"),
        ("Claim failed", claims, _count(len(claims), "claim") + " failed"),
        ("Change", changed, _count(len(changed), "exact value") + " changed"),
        ("Rig fault", faults, "the rig failed in part" if page.measured else "the rig failed"),
    )
    found = [(kind, words) for kind, items, words in told if items]
    if not found:
        return _quiet(page, night)
    return Headline("bad" if worse or claims or changed else "rig", f"{found[0][0]}: {_joined([words for _, words in found])}")


def _joined(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _quiet(page: Page, night: Night) -> Headline:
    """Nothing got worse, changed or failed."""
    if night.exit_code == 2:
        return Headline("bad", "Not good: the input or a model could not be used")
    if page.real_nights and night.finished is None:
        return Headline("rig", "Not finished: the night is under way, or was cut off")
    if not page.findings:
        what = "night" if page.real_nights else "run"
        return Headline("plain", f"Measured, not judged: no verdicts are stored of this {what}")
    if not page.having(VerdictStatus.SAME, VerdictStatus.BETTER, ACCEPTED):
        return Headline("bad" if night.exit_code else "plain", "Not comparable: no metric has a baseline, so nothing was judged")
    if night.exit_code and not page.having(ACCEPTED):
        apart = ", and " + _count(len(page.having(VerdictStatus.NOT_COMPARABLE)), "metric") + " could not be compared"
        return Headline("bad", "Not good: exit code 1" + (apart if page.having(VerdictStatus.NOT_COMPARABLE) else ""))
    if page.having(VerdictStatus.BETTER):
        return Headline("good", f"Good: nothing got worse, {_count(len(page.having(VerdictStatus.BETTER)), 'metric')} got better")
    return Headline("good", "Good: only accepted changes" if page.having(ACCEPTED) else "Good: nothing changed")


def failed_claims(page: Page) -> list[tuple[Cell, str, str]]:
    """(where, name, reason) of tonight's; a claim that was not measured is none."""
    found = {(Cell(m.variant, m.board, m.board_id, m.timing), name): reason for m in page.measured for name, reason in m.failed}
    return [(cell, name, reason) for (cell, name), reason in found.items()]


def rig_faults(page: Page) -> list[str]:
    """What the rig failed at, in words; empty: nothing."""
    night = page.tonight
    if night is None:
        return []
    found = [f"{fault.what.variant} on {_asked(page, fault)}: {fault.what.error}" for fault in page.faults if not _users(fault)]
    found += [
        f"{f.cell.variant} on {f.cell.board} {f.cell.board_id}: {f.verdict.metric} was not measured: {f.verdict.reason}"
        for f in page.having(VerdictStatus.NOT_MEASURED)
    ]
    seen = len({m.run_id for m in page.measured} & {run for run, n in zip(night.runs, night.reruns, strict=True) if not n})
    if page.real_nights and night.finished is not None and len(night.boards) > seen:
        found.append(f"{_count(len(night.boards), 'board')} asked for ({', '.join(night.boards)}), {seen} measured anything")
    if not found and night.exit_code == RIG_EXIT:
        found.append(night.summary or "the night ended with exit code 3")
    return found


_USERS = ("user", "model")


def _users(fault: Fault) -> bool:
    """A model or request that can't be used is no fault of the rig."""
    return fault.what.kind in _USERS


def unusable(page: Page) -> list[str]:
    """Models and requests that could not be used, in words."""
    return [f"{fault.what.variant} on {_asked(page, fault)}: {fault.what.error}" for fault in page.faults if _users(fault)]


def _asked(page: Page, fault: Fault) -> str:
    known = [f"{m.board} {m.board_id}" for m in page.measured if m.run_id == fault.run_id]
    return known[0] if known else fault.asked or f"the board of run {fault.run_id}"


def statuses(page: Page) -> dict[Cell, dict[str, int]]:
    """How often each cell of tonight got each status; a cell that was measured and not judged has NOT_JUDGED once."""
    found: dict[Cell, dict[str, int]] = {}
    for m in page.measured:
        found.setdefault(Cell(m.variant, m.board, m.board_id, m.timing), {})
    for f in page.findings:
        counts = found.setdefault(f.cell, {})
        counts[f.status] = counts.get(f.status, 0) + 1
    boards = {c.board_id: c for c in found}
    for fault in page.faults:
        for board_id in fault.boards:
            cell = boards[board_id]._replace(variant=fault.what.variant)
            found.setdefault(cell, {})[VerdictStatus.NOT_MEASURED] = 1
    return {cell: counts or {NOT_JUDGED: 1} for cell, counts in found.items()}


def worst(counts: dict[str, int]) -> str:
    return next((status for status in SEVERITY if status in counts), NOT_JUDGED)


def last_runs(page: Page) -> dict[Cell, str]:
    """Each cell's last run of tonight."""
    return {Cell(m.variant, m.board, m.board_id, m.timing): m.run_id for m in page.measured}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
