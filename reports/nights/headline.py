"""The page of nights -> what it says first: tonight in one sentence, failed claims, faults of the rig, a status for each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinyrig.core.errors import EXIT_RIG, EXIT_USER
from tinyrig.core.records import Night, VerdictStatus
from tinyrig.reports.nights.records import ACCEPTED, NOT_JUDGED, SEVERITY, Cell, NightsReport, UnmeasuredVariant
from tinyrig.reports.text import count


@dataclass(frozen=True)
class Headline:
    """`tone`: good, bad, rig or plain."""

    tone: str
    title: str


def headline(report: NightsReport) -> Headline:
    """Tonight in one sentence; a failure of the rig is never a regression of a model, and neither hides the other."""
    night = report.tonight
    if night is None:
        return Headline("plain", "Nothing has been measured yet")
    worse, changed = report.having(VerdictStatus.WORSE), report.having(VerdictStatus.CHANGED)
    claims, faults = failed_claims(report), rig_faults(report)
    kinds = (
        ("Regression", worse, count(len(worse), "metric") + " got worse"),
        ("Claim failed", claims, count(len(claims), "claim") + " failed"),
        ("Change", changed, count(len(changed), "exact value") + " changed"),
        ("Rig fault", faults, "the rig failed in part" if report.measured else "the rig failed"),
    )
    found = [(kind, words) for kind, items, words in kinds if items]
    if not found:
        return _quiet(report, night)
    return Headline("bad" if worse or claims or changed else "rig", f"{found[0][0]}: {_joined([words for _, words in found])}")


def _joined(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _quiet(report: NightsReport, night: Night) -> Headline:
    """Nothing got worse, changed or failed."""
    if night.exit_code == EXIT_USER:
        return Headline("bad", "Not good: the input or a model could not be used")
    if report.real_nights and night.finished is None:
        return Headline("rig", "Not finished: the night is under way, or was cut off")
    if not report.findings:
        what = "night" if report.real_nights else "run"
        return Headline("plain", f"Measured, not judged: no verdicts are stored for this {what}")
    if not report.having(VerdictStatus.SAME, VerdictStatus.BETTER, ACCEPTED):
        return Headline("bad" if night.exit_code else "plain", "Not comparable: no metric has a baseline, so nothing was judged")
    if night.exit_code and not report.having(ACCEPTED):
        apart = ", and " + count(len(report.having(VerdictStatus.NOT_COMPARABLE)), "metric") + " could not be compared"
        return Headline("bad", "Not good: exit code 1" + (apart if report.having(VerdictStatus.NOT_COMPARABLE) else ""))
    if report.having(VerdictStatus.BETTER):
        return Headline(
            "good", f"Good: nothing got worse, {count(len(report.having(VerdictStatus.BETTER)), 'metric')} got better"
        )
    return Headline("good", "Good: only accepted changes" if report.having(ACCEPTED) else "Good: nothing changed")


def failed_claims(report: NightsReport) -> list[tuple[Cell, str, str]]:
    """(where, name, reason) of tonight's; a claim that was not measured is none."""
    found = {(Cell.of(m), name): reason for m in report.measured for name, reason in m.failed}
    return [(cell, name, reason) for (cell, name), reason in found.items()]


def rig_faults(report: NightsReport) -> list[str]:
    """What went wrong with the rig, in words; empty: nothing."""
    night = report.tonight
    if night is None:
        return []
    found = [_fault_text(report, fault) for fault in report.unmeasured if not _is_users(fault)]
    found += [
        f"{f.cell.variant} on {f.cell.board} {f.cell.board_id}: {f.verdict.metric} was not measured: {f.verdict.reason}"
        for f in report.having(VerdictStatus.NOT_MEASURED)
    ]
    seen = len({m.run_id for m in report.measured} & {run for run, n in zip(night.runs, night.reruns, strict=True) if not n})
    if report.real_nights and night.finished is not None and len(night.boards) > seen:
        found.append(f"{count(len(night.boards), 'board')} requested ({', '.join(night.boards)}), {seen} measured anything")
    if not found and night.exit_code == EXIT_RIG:
        found.append(night.summary or "the night ended with exit code 3")
    return found


_USERS = ("user", "model")


def _is_users(fault: UnmeasuredVariant) -> bool:
    """A model or request that can't be used is no fault of the rig."""
    return fault.what.kind in _USERS


def unusable(report: NightsReport) -> list[str]:
    """Models and requests that could not be used, in words."""
    return [_fault_text(report, fault) for fault in report.unmeasured if _is_users(fault)]


def _fault_text(report: NightsReport, fault: UnmeasuredVariant) -> str:
    known = [f"{m.board} {m.board_id}" for m in report.measured if m.run_id == fault.run_id]
    board = known[0] if known else fault.asked or f"the board of run {fault.run_id}"
    return f"{fault.what.variant} on {board}: {fault.what.error}"


def statuses(report: NightsReport) -> dict[Cell, dict[str, int]]:
    """How often each cell of tonight got each status; a cell that was measured and not judged has NOT_JUDGED once."""
    found: dict[Cell, dict[str, int]] = {}
    for m in report.measured:
        found.setdefault(Cell.of(m), {})
    for f in report.findings:
        counts = found.setdefault(f.cell, {})
        counts[f.status] = counts.get(f.status, 0) + 1
    boards = {c.board_id: c for c in found}
    for fault in report.unmeasured:
        for board_id in fault.boards:
            cell = boards[board_id]._replace(variant=fault.what.variant)
            found.setdefault(cell, {})[VerdictStatus.NOT_MEASURED] = 1
    return {cell: counts or {NOT_JUDGED: 1} for cell, counts in found.items()}


def worst(counts: Mapping[str, int]) -> str:
    """The status that stands for a cell."""
    return next((status for status in SEVERITY if status in counts), NOT_JUDGED)


def last_runs(report: NightsReport) -> dict[Cell, str]:
    """Each cell's last run of tonight."""
    return {Cell.of(m): m.run_id for m in report.measured}
