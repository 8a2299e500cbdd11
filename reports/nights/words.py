"""Values, differences and findings of the nights' page in words."""

from __future__ import annotations

from typing import Any

from tinyrig.analysis.metric_table import METRICS, Ends, banded, unit
from tinyrig.core.records import INSTRUCTIONS, VerdictKind, VerdictStatus
from tinyrig.reports.nights.records import ACCEPTED, NOT_JUDGED, Cell, Finding
from tinyrig.reports.text import clipped

NAMES = {
    "latency_us_median": "latency (median)",
    "latency_us_p95": "latency (95th percentile)",
    "latency_cycles_median": "cycles (median)",
    "accuracy": "accuracy",
    "ram_model_total": "RAM of the model",
    "flash_model_total": "flash of the model",
    "outputs": "outputs (their hash)",
}
GLYPHS = {
    VerdictStatus.WORSE: "▼",
    VerdictStatus.CHANGED: "≠",
    VerdictStatus.BETTER: "▲",
    ACCEPTED: "◆",
    VerdictStatus.SAME: "✓",
    VerdictStatus.NOT_MEASURED: "✗",
    VerdictStatus.NOT_COMPARABLE: "?",
    NOT_JUDGED: "·",
}
"""Beside each status's word: nothing is shown by colour alone."""
_TIMED = ("latency", "cycles")


def name(metric: str) -> str:
    return NAMES.get(metric, metric.replace("_", " "))


def timed(metric: str) -> bool:
    """Whether the value is estimated on one board and measured on another."""
    return metric.startswith(_TIMED)


def label(metric: str, timing: str) -> str:
    """With the kind of timing, where that matters."""
    if timing == INSTRUCTIONS:
        return name(metric).replace("cycles", "instructions")
    return f"{name(metric)}, {timing}" if timed(metric) and timing else name(metric)


def quantity(metric: str, value: Any, timing: str = "", ends: Ends | None = None) -> str:
    """With its unit, and the ends of its band in brackets; `timing` says whether cycles or instructions were counted."""
    known = METRICS.get(metric)
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float) or known is None:
        return clipped(value, 12)
    return known.format(value) if known.unit == "fraction" else f"{banded(known.format, value, ends)} {_unit(metric, timing)}"


def _unit(metric: str, timing: str) -> str:
    return METRICS[metric].unit.replace("cycles", unit(timing))


def difference(metric: str, value: float | None, signed: bool = True, timing: str = "") -> str:
    """A change or a threshold: accuracies in points."""
    known = METRICS.get(metric)
    if value is None or known is None:
        return "-" if value is None else f"{value:+g}" if signed else f"{value:g}"
    sign = "+" if value > 0 and signed else ""
    if known.unit == "fraction":
        return f"{sign}{100 * value:.2f} points"
    return f"{sign}{known.format(value)} {_unit(metric, timing)}"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f} %"


def moved_by(finding: Finding) -> str:
    """In %, accuracies in points; empty for what is no number or had been 0."""
    v = finding.verdict
    if v.metric in METRICS and METRICS[v.metric].unit == "fraction":
        return "" if v.change is None else difference(v.metric, v.change)
    return "" if v.change_percent is None else percent(v.change_percent)


def board(cell: Cell) -> str:
    return clipped(f"{cell.board} {cell.board_id}", 60)


def threshold(finding: Finding) -> str:
    v = finding.verdict
    if v.threshold is None:
        return "-"
    if v.threshold == 0:
        return "any difference"
    points = v.metric in METRICS and METRICS[v.metric].unit == "fraction"
    share = f" ({100 * v.threshold / abs(v.old):.2f} %)" if isinstance(v.old, int | float) and v.old and not points else ""
    return f"± {difference(v.metric, v.threshold, False, finding.cell.timing)}{share}"


def sentence(finding: Finding) -> str:
    """Metric, change, threshold and certainty; variant and board stand before it."""
    v = finding.verdict
    timing = finding.cell.timing
    old, new = quantity(v.metric, v.old, timing), quantity(v.metric, v.new, timing, finding.ends)
    text = f"{label(v.metric, timing)} {_moved(finding)} from {old} to {new}"
    if v.change is not None:
        by = dict.fromkeys(filter(None, (difference(v.metric, v.change, timing=timing), moved_by(finding))))
        text += f" ({', '.join(by)})"
    known = threshold(finding)
    text += {"-": "", "any difference": "; any difference counts"}.get(known, f"; threshold {known}")
    return text + _certainty(finding) + (f"; {clipped(v.reason)}" if v.reason else "")


def _moved(finding: Finding) -> str:
    v = finding.verdict
    drift = " slowly" if v.kind == VerdictKind.DRIFT else ""
    if v.change is None or v.change == 0:
        return "changed"
    return ("rose" if v.change > 0 else "fell") + drift


def _certainty(finding: Finding) -> str:
    v = finding.verdict
    runs = v.details.get("runs") if isinstance(v.details, dict) else None
    text = f"; seen in {runs} runs" if isinstance(runs, int) and runs > 1 else ""
    return text + ("" if v.p_value is None else f"; p = {v.p_value:.2g}")
