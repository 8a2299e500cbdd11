"""Sections -> the paper's tables: its figures beside this run's, where the paper has the variant."""

from __future__ import annotations

from typing import Protocol

from tinyrig.analysis.metric_table import METRICS
from tinyrig.analysis.stats import wilson
from tinyrig.reports.blocks import Grid
from tinyrig.reports.run.paper import TEST_WINDOWS, PaperRow, paper_row
from tinyrig.reports.run.sections import ReportRow, Section
from tinyrig.reports.run.tables import KB, NONE, Column, by_variant, instructions, metric, shown


class _PaperCell(Protocol):
    def __call__(self, printed: PaperRow, row: ReportRow, /) -> str: ...


def has_paper(section: Section) -> bool:
    return any(paper_row(row.measurement) for row in section.rows)


def delta(measured: float | None, paper: float | None) -> str:
    """Relative change from the paper's value, signed percent."""
    return NONE if measured is None or paper is None else f"{100 * (measured - paper) / paper:+.1f} %"


def _paper(cell: _PaperCell) -> Column:
    """A column that needs the paper's row; NONE for a variant that the paper does not have."""

    def column(row: ReportRow) -> str:
        printed = paper_row(row.measurement)
        return NONE if printed is None else cell(printed, row)

    return column


def accuracy(section: Section) -> Grid:
    """Table 1, accuracy: paper beside measured, both with Wilson's 95 % interval."""
    measured = {"measured": metric("accuracy"), "measured, 95 %": metric("accuracy_ci95")}
    host = {"host": metric("host_accuracy"), "windows": metric("windows")}
    if not has_paper(section):
        return by_variant(section, measured | host)
    interval = METRICS["accuracy_ci95"].format
    paper = {
        "paper": _paper(lambda p, r: f"{p.accuracy_percent:.2f} %"),
        "paper, 95 %": _paper(lambda p, r: interval(wilson(p.correct, TEST_WINDOWS))),
    }
    return by_variant(section, paper | measured | {"delta, points": _paper(_points)} | host)


def _points(printed: PaperRow, row: ReportRow) -> str:
    value = row.values["accuracy"]
    return NONE if value is None else f"{100 * value - printed.accuracy_percent:+.2f}"


def size(section: Section) -> Grid:
    """Table 1, sizes and work."""
    columns: dict[str, Column] = {}
    for title, name in (("file B", "tflite_bytes"), ("zipped B", "zip_bytes"), ("FLOPs", "flops")):
        if has_paper(section):
            columns |= _size_beside_paper(title, name)
        else:
            columns[title] = metric(name)
    return by_variant(section, columns | {"MACs": metric("macs")})


def _size_beside_paper(title: str, name: str) -> dict[str, Column]:
    def printed(paper: PaperRow, row: ReportRow) -> str:
        value: int | None = getattr(paper, name)
        return NONE if value is None else f"{value:,}"

    return {
        f"{title}, paper": _paper(printed),
        f"{title}, measured": metric(name),
        f"{title}, delta": _paper(lambda p, r: delta(r.values[name], getattr(p, name))),
    }


_COSTS = (
    # title, the metric, what divides it into the paper's unit, the paper's field
    ("ms", "latency_us_median", 1000, "latency_ms"),
    ("RAM KB", "ram_model_total", KB, "ram_kb"),
    ("flash KB", "flash_model_total", KB, "flash_kb"),
)


def cost(section: Section) -> Grid:
    """Table 2: latency, RAM and flash of the model, the paper's estimate beside this run's value."""
    columns: dict[str, Column] = {} if section.timed else {section.unit: instructions}
    for title, name, divisor, field in _COSTS[0 if section.timed else 1 :]:
        label = section.timing if title == "ms" else "measured"
        columns |= _cost_columns(title, label, name, divisor, field if has_paper(section) else "")
    return by_variant(section, columns)


def _cost_columns(title: str, label: str, name: str, divisor: float, field: str) -> dict[str, Column]:
    """`field`: the paper's, empty for no paper column."""

    def scaled(row: ReportRow) -> float | None:
        value: float | None = row.values[name]
        return None if value is None else value / divisor

    def measured(row: ReportRow) -> str:
        value = scaled(row)
        return shown(row, name) if value is None else f"{value:.2f}"

    columns: dict[str, Column] = {f"{title}, {label}": measured}
    if not field:
        return columns
    paper: dict[str, Column] = {f"{title}, paper": _paper(lambda p, r: f"{getattr(p, field):g}")}
    return paper | columns | {f"{title}, delta": _paper(lambda p, r: delta(scaled(r), getattr(p, field)))}
