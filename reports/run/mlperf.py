"""What a report says of a board with an MLPerf Tiny firmware; nothing of it is an official MLPerf result."""

from __future__ import annotations

import pandas as pd

from tinyrig.analysis import mlperf_metrics
from tinyrig.reports.blocks import Block, Grid, Heading, Text, code
from tinyrig.reports.run.sections import ReportRow, Section

NONE = "-"
PARITY_NOTE = (
    "Every window's printed results against what the oracle's outputs would print. A number may be off by one unit of the last "
    "printed digit, because firmwares round or truncate; the oracle may put the board's class behind its own by no more than two."
)
LINE_NOTE = (
    "The text protocol has no checksums: a window counts only after the board has shown it in its buffer, a result only after it "
    "was printed twice alike, where the firmware can do so. After any trouble the window was loaded again."
)
NOTE = (
    "Measured with tinyrig's own runner by the rule of MLPerf Tiny's performance mode; this is no official MLPerf result. A "
    "latency is a run's time divided by its inferences, so single latencies and percentiles are unknown. The timer's step is "
    "the largest value that divides all of its intervals."
)


def applies(section: Section) -> bool:
    return mlperf_metrics.is_foreign(section.first)


def facts(section: Section) -> list[str]:
    """Lines for a report's head."""
    if not applies(section):
        return []
    f = mlperf_metrics.facts(section.first)
    return [
        f"Firmware: {code(f.get('profile', ''))}, model {code(f.get('model', ''))}, vendor {code(f.get('name', ''))}, "
        f"{f.get('baud')} baud; inputs {f.get('inputs')}, results {f.get('results')}"
    ]


def throughput(section: Section) -> list[Block]:
    """Throughput by the rule, and AUC where it is the benchmark's quality."""
    grid = Grid(pd.DataFrame([_throughput_line(row) for row in section.rows]))
    return [Heading(2, "Throughput and latency (measured)"), grid, Text(f"{_rule(section)}{NOTE}")]


def _rule(section: Section) -> str:
    rule = mlperf_metrics.facts(section.first).get("rule")
    if not rule:
        return ""
    return f"The median of {rule['runs']} runs of at least {rule['seconds']:g} s and {rule['inferences']} inferences each. "


def _throughput_line(row: ReportRow) -> dict[str, str]:
    found = row.throughput
    runs = found["runs"] if found else []
    step = mlperf_metrics.facts(row.measurement).get("timer_resolution_us")
    return {
        "variant": code(row.label),
        "inferences/s, median": NONE if found is None else f"{found['median']:,.2f}",
        "runs": ", ".join(f"{r['per_s']:,.2f}" for r in runs) or NONE,
        "inferences a run": _span([r["inferences"] for r in runs]),
        "us, median": NONE if row.values["latency_us_median"] is None else f"{row.values['latency_us_median']:,.1f}",
        "timer step, us": NONE if step is None else str(step),
        "AUC": NONE if row.values["auc"] is None else f"{row.values['auc']:.3f}",
    }


def _span(counts: list[int]) -> str:
    if not counts:
        return NONE
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
