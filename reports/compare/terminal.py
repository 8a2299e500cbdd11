"""Stored values and pairs of runs as text for a terminal."""

from __future__ import annotations

from tabulate import tabulate

from tinyrig.analysis.metric_table import METRICS, Ends, banded
from tinyrig.store.comparison import Pair, Row
from tinyrig.store.estimates.beside import METRIC


def pair_text(pair: Pair, everything: bool) -> str:
    if pair.differences:
        notes = f"\n  {'; '.join(pair.notes)}" if pair.notes else ""
        return f"{pair.variant}: not comparable: {'; '.join(pair.differences)}{notes}"
    rows = [r for r in pair.rows if everything or r.moved]
    notes = "; ".join(pair.notes)
    title = f"{pair.variant}{': ' + notes if notes else ''}"
    if not rows:
        return f"{title}: all {len(pair.rows)} metrics are the same" if not notes else f"{title}; all metrics are the same"
    lines: list[tuple[str, ...]] = [("metric", "A", "B", "B - A", "%", "B / A", ""), *map(_row_cells, rows)]
    align: tuple[str, ...] = ("left", "right", "right", "right", "right", "right", "left")
    if not any(row.ratio for row in rows):
        align, *lines = (line[:5] + line[6:] for line in (align, *lines))
    header, *cells = lines
    return f"{title}\n{tabulate(cells, header, 'github', disable_numparse=True, colalign=align)}"


def _ratio(row: Row) -> str:
    """`1.032 (1.021-1.040)`: by default, at the low end of the bands and at the high one; empty without bands."""
    return "" if row.ratio is None else banded(lambda ratio: f"{ratio:.3f}", *row.ratio)


def _row_cells(row: Row) -> tuple[str, ...]:
    both = ((row.first, row.first_ends), (row.second, row.second_ends))
    values = ["not measured" if v is None else value_text(row.metric, v, ends) for v, ends in both]
    change, percent = ("", "") if row.change is None else change_text(row.metric, row.change, row.first or 0.0)
    word = "?" if row.noisy and row.change else _WORDS[row.better]
    return row.metric, *values, change, percent, _ratio(row), word


_WORDS = {True: "better", False: "worse", None: ""}


def change_text(metric: str, change: float, base: float) -> tuple[str, str]:
    """(change, %), both with a sign; empty where nothing changed."""
    if not change:
        return "", ""
    return ("+" if change > 0 else "") + value_text(metric, change), f"{100 * change / abs(base):+.2f}" if base else ""


def value_text(metric: str, value: float, ends: Ends | None = None) -> str:
    """As the reports write it."""
    if metric == METRIC:
        return f"{100 * value:+.2f} %"
    return banded(METRICS[metric.removesuffix("_ci95_low").removesuffix("_ci95_high")].format, value, ends)
