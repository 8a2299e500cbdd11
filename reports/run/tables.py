"""Sections -> tables of finished texts (pandas). Numbers are formatted here and nowhere upstream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from tinyrig.analysis.metric_table import METRICS, unit
from tinyrig.analysis.outputs import window_samples
from tinyrig.analysis.provenance import clock_text
from tinyrig.analysis.stats import mcnemar_exact
from tinyrig.core.records import ESTIMATED, INSTRUCTIONS
from tinyrig.core.scoring import ScoreKind, Scoring
from tinyrig.core.text import oracle_label
from tinyrig.reports.blocks import Grid, code
from tinyrig.reports.run.sections import ReportRow, Section

NONE = "-"
NO_TIMING = "not verified: no timing"
SIGNIFICANCE = 0.05
KB = 1024
_NAME_LENGTH = 48

Column = Callable[[ReportRow], str]
"""What a column shows of each row."""


def shown(row: ReportRow, name: str) -> str:
    """A metric's value as text, NONE where it was not measured; a withheld latency says so once, in its median."""
    value = row.values[name]
    if value is None:
        median = "latency_cycles_median" if row.measurement.board.timing == INSTRUCTIONS else "latency_us_median"
        return NO_TIMING if name == median and row.withheld else NONE
    return METRICS[name].format(value)


def metric(name: str) -> Column:
    return lambda row: shown(row, name)


def milliseconds(row: ReportRow, name: str = "latency_us_median") -> str:
    value = row.values[name]
    return shown(row, name) if value is None else f"{value / 1000:.3f}"


def banded(row: ReportRow) -> str:
    """`1.158 (1.14-1.28)`: the median and the ends of an estimate's band."""
    low, high = row.values["latency_us_low"], row.values["latency_us_high"]
    text = milliseconds(row)
    return text if low is None or high is None or low == high else f"{text} ({low / 1000:.3f}-{high / 1000:.3f})"


def by_variant(section: Section, columns: Mapping[str, Column], left: int = 1) -> Grid:
    """A line for each row of the section, its label first."""
    data = {title: [column(row) for row in section.rows] for title, column in columns.items()}
    return Grid(pd.DataFrame({"variant": [code(row.label) for row in section.rows], **data}), left)


def _metrics_by_variant(section: Section, names: Mapping[str, str]) -> Grid:
    return by_variant(section, {title: metric(name) for title, name in names.items()})


instructions = metric("latency_cycles_median")
"""The median where instructions were counted."""


def _group_cell(group: Callable[[ReportRow], Mapping[str, Any] | None], name: str, form: str) -> Column:
    """A value of a group that not every row has."""

    def column(row: ReportRow) -> str:
        value = (group(row) or {}).get(name)
        return NONE if value is None else form.format(value)

    return column


# ---- overview ----


def parity_status(row: ReportRow) -> str:
    """One word for parity: verified, or why not."""
    if row.measurement.parity is None:
        return "not compared"
    return "verified" if row.withheld is None else "FAILED"


def summary(section: Section) -> Grid:
    """The short table: also what `--summary` prints."""
    columns: dict[str, Column] = {
        "top-1": metric("accuracy"),
        "95 % interval": metric("accuracy_ci95"),
        "outputs": parity_status,
        **({f"ms, {section.timing}": banded} if section.timed else {section.unit: instructions}),
        "RAM B": metric("ram_model_total"),
        "flash B": metric("flash_model_total"),
    }
    columns |= {title: metric(name) for title, name in _SCORES.items() if any(r.values[name] is not None for r in section.rows)}
    if has_energy(section):
        how = "trial" if section.timing == ESTIMATED else "measured"
        columns[f"uJ, {how}"] = metric("energy_uj_median")
    return by_variant(section, columns)


def has_energy(section: Section) -> bool:
    return any(row.values["energy_uj_median"] is not None for row in section.rows)


def energy(section: Section) -> Grid:
    """What a power meter measured of marked inferences."""

    def cell(name: str, form: str = "{:,.1f}") -> Column:
        return _group_cell(lambda row: row.energy, name, form)

    return by_variant(
        section,
        {
            "uJ, median": cell("uj_median"),
            "95 % interval": cell("uj_ci95", "{0[0]:,.1f}-{0[1]:,.1f}"),
            "min": cell("uj_min"),
            "max": cell("uj_max"),
            "inferences": cell("inferences", "{:,}"),
            "us marked": cell("us_median"),
            "mW": cell("mw_mean", "{:,.2f}"),
            "supply": lambda row: NONE if row.energy is None else "{voltage_mv} mV, {mode}".format(**row.energy),
        },
    )


def claims(section: Section) -> Grid | None:
    """The status of each claim; None where none was stored (runs from before claims were kept)."""
    names = list(dict.fromkeys(c.name for row in section.rows for c in row.measurement.claims))
    if not names:
        return None
    return by_variant(section, {name: _claim_status(name) for name in names}, 1 + len(names))


def _claim_status(name: str) -> Column:
    return lambda row: next((str(c.status) for c in row.measurement.claims if c.name == name), NONE)


def quantity(value: float | None, unit: str) -> str:
    """A claim's number with its unit."""
    if value is None:
        return NONE
    shown = {"fraction": f"{100 * value:.2f} %", "us": f"{value:,.1f} us"}
    return shown.get(unit, f"{value:,.0f} {unit}")


def limits(section: Section) -> Grid | None:
    """Claims that compare a number with a limit, budgets among them; None where there is none."""
    found = [(row, c) for row in section.rows for c in row.measurement.claims if c.limit is not None and c.value is not None]
    lines = [
        {
            "variant": code(row.label),
            "claim": c.name,
            "status": str(c.status),
            "found": quantity(c.value, c.unit),
            "limit": quantity(c.limit, c.unit),
        }
        for row, c in found
    ]
    return Grid(pd.DataFrame(lines), 3) if lines else None


# ---- scores ----

_SCORES = {
    "AUC": "auc",
    "F1": "f1",
    "cells right": "cell_accuracy",
    "MAE": "mae",
    "RMSE": "rmse",
    "R2": "r2",
    "reconstruction error": "reconstruction_error",
}


def scores(section: Section) -> Grid | None:
    """Of outputs that are no list of classes; None where no row has any."""
    columns = {title: name for title, name in _SCORES.items() if any(row.values[name] is not None for row in section.rows)}
    return _metrics_by_variant(section, columns) if columns else None


def scored_notes(section: Section) -> list[str]:
    """Which output is scored and how, of rows where that is not the only one's top-1."""
    return [
        f"{code(row.label)}: output {row.scoring.output} {code(row.scoring.name)}, scored as {row.scoring.kind}"
        + (f" beyond {row.scoring.threshold:g}" if row.scoring.threshold is not None else "")
        + (f" ({row.scoring.how})" if row.scoring.how else "")
        for row in section.rows
        if row.scoring is not None and _worth_saying(row.scoring)
    ]


def _worth_saying(scoring: Scoring) -> bool:
    return bool(scoring.how) or scoring.kind not in (ScoreKind.CLASSES, ScoreKind.NONE)


# ---- details ----


def noise(section: Section) -> Grid | None:
    """Exact McNemar test of every pair that saw the same windows; None when there is no such pair."""
    lines = [line for a, b in combinations(section.rows, 2) if (line := _compared(a, b))]
    return Grid(pd.DataFrame(lines)) if lines else None


def _compared(a: ReportRow, b: ReportRow) -> dict[str, str]:
    """Empty for rows that did not see the same windows."""
    if a.hits is None or b.hits is None or not _same_windows(a, b):
        return {}
    test = mcnemar_exact(a.hits, b.hits)
    return {
        "pair": f"{code(a.label)} / {code(b.label)}",
        "top-1": f"{shown(a, 'accuracy')} / {shown(b, 'accuracy')}",
        "only first right": str(test.only_first),
        "only second right": str(test.only_second),
        "p": f"{test.p_value:.3f}",
        "reading": "within noise" if test.p_value >= SIGNIFICANCE else "differs",
    }


def _same_windows(a: ReportRow, b: ReportRow) -> bool:
    one, other = a.measurement, b.measurement
    given = (one.settings.test_set, other.settings.test_set)
    same = given[0] == given[1] if all(given) else one.variant.windows == other.variant.windows
    if one.labels != other.labels or not same:
        return False
    return [s.index for s in window_samples(one)] == [s.index for s in window_samples(other)]


def parity(section: Section) -> Grid:
    """Outputs against the oracle, a window at a time."""

    def cell(field: str) -> Column:
        return lambda row: NONE if row.measurement.parity is None else str(getattr(row.measurement.parity, field))

    return by_variant(
        section,
        {
            "oracle": lambda row: "none" if row.measurement.parity is None else code(oracle_label(row.measurement.parity.oracle)),
            "compared": cell("compared"),
            "mismatched": cell("mismatched_windows"),
            "largest difference": _largest_difference,
            "top-1 changed": cell("top1_changed"),
            "outputs": parity_status,
        },
    )


def _largest_difference(row: ReportRow) -> str:
    if row.measurement.parity is None:
        return NONE
    integer = all(np.issubdtype(np.dtype(spec.dtype), np.integer) for spec in row.measurement.image.outputs)
    return f"{row.measurement.parity.max_abs_diff:.3g}" + (" LSB" if integer else "")


def serial_line(section: Section) -> Grid | None:
    """What the serial line cost each variant; None for runs that were stored without."""
    if all(row.link is None for row in section.rows):
        return None

    def count(*names: str) -> Column:
        return lambda row: NONE if row.link is None else f"{sum(row.link.get(name, 0) for name in names):,}"

    def ms(name: str) -> Column:
        def column(row: ReportRow) -> str:
            seconds = (row.link or {}).get(name)
            return NONE if seconds is None else f"{1000 * seconds:,.0f}"

        return column

    def injected(row: ReportRow) -> str:
        counts = row.link or {}
        return f"{sum(counts.get('injected', {}).values()):,}" if counts.get("injected_faults") else NONE

    return by_variant(
        section,
        {
            "requests": count("requests"),
            "repeated": count("retries"),
            "timeouts": count("timeouts"),
            "damaged": count("damaged", "refused"),
            "reconnects": count("reconnects"),
            "recoveries": count("recoveries"),
            "ms, median": ms("recovery_median_s"),
            "ms, worst": ms("recovery_worst_s"),
            "bytes sent": count("bytes_sent"),
            "bytes resent": count("bytes_resent"),
            "injected": injected,
        },
    )


def latency(section: Section) -> Grid:
    """Percentiles in microseconds, where there are any."""
    if not section.timed:
        named = {"median": "latency_cycles_median", "inferences": "latency_samples", "instructions/MAC": "cycles_per_mac"}
        return _metrics_by_variant(section, named)
    estimated = section.timing == ESTIMATED
    ends = {"us, low": "latency_us_low", "us, high": "latency_us_high"} if estimated else {}
    found = any(row.values["latency_layout_spread"] is not None for row in section.rows)
    layouts = {"layouts differ": "latency_layout_spread"} if found else {}
    return _metrics_by_variant(
        section,
        {
            "cycles, median": "latency_cycles_median",
            "us, median": "latency_us_median",
            **ends,
            **layouts,
            "us, p95": "latency_us_p95",
            "us, p99": "latency_us_p99",
            "us, min": "latency_us_min",
            "us, max": "latency_us_max",
            "inferences": "latency_samples",
            "cycles/MAC": "cycles_per_mac",
        },
    )


def ram(section: Section) -> Grid:
    parts = {"arena": "arena", "static": "static", "stack": "stack", "model": "model_total", "rig (apart)": "rig"}
    return _metrics_by_variant(section, {title: f"ram_{part}" for title, part in parts.items()})


def flash(section: Section) -> Grid:
    parts = {"weights": "weights", "engine": "engine", "model": "model_total", "rig (apart)": "rig", "image": "total"}
    return _metrics_by_variant(section, {title: f"flash_{part}" for title, part in parts.items()})


def profiled_ops(row: ReportRow) -> tuple[dict[str, Any], ...]:
    """The steps; () without timing."""
    return () if any(op["cycles"] is None for op in row.ops) else row.ops


def per_op(row: ReportRow) -> Grid | None:
    """One variant's steps: cycles, share, MACs, cycles a MAC; None without timing."""
    counts = unit(row.measurement.board.timing)
    lines = [
        {
            "step": f"{op['index']} {code(op['op'])}",
            "tensor": code(shorten(op["name"], _NAME_LENGTH)) if op["name"] else NONE,
            counts: f"{op['cycles']:,.0f}",
            "share": NONE if op["share"] is None else f"{100 * op['share']:.1f} %",
            "MACs": f"{op['macs']:,}" if op["macs"] else NONE,
            f"{counts}/MAC": NONE if op["cycles_per_mac"] is None else f"{op['cycles_per_mac']:.2f}",
        }
        for op in profiled_ops(row)
    ]
    return Grid(pd.DataFrame(lines), left=2) if lines else None


def shorten(text: str, length: int) -> str:
    """Keeps the end, which distinguishes layers."""
    return text if len(text) <= length else "..." + text[3 - length :]


def as_built(section: Section) -> Grid | None:
    """What the builders report of weights and training; None when no variant has it."""
    if not any(isinstance(row.measurement.variant.details.get("weights"), dict) for row in section.rows):
        return None

    def detail(group: str, name: str) -> Column:
        def column(row: ReportRow) -> str:
            values = row.measurement.variant.details.get(group)
            value = values.get(name) if isinstance(values, dict) else None
            return NONE if value is None else str(value)

        return column

    grid = by_variant(
        section,
        {
            "weights": detail("weights", "total"),
            "not zero": detail("weights", "nonzero"),
            "optimizer": detail("training", "optimizer"),
            "learning rate": detail("training", "learning_rate"),
            "epochs": detail("training", "epochs"),
            "batch": detail("training", "batch"),
            "start": detail("training", "start"),
        },
    )
    filled = (grid.frame != NONE).any()
    return Grid(grid.frame.loc[:, filled], grid.left)


def provenance(section: Section) -> Grid:
    """Which files and images the numbers come from."""
    return by_variant(
        section,
        {
            "model SHA-256": lambda row: _known(row.measurement.variant.sha256[:16]),
            "engine": lambda row: code(row.measurement.image.engine),
            "firmware build": lambda row: _known(row.measurement.image.build_id[:16]),
            "run": lambda row: code(row.run_id),
            "board id": lambda row: code(row.measurement.board.id),
            "cycles": lambda row: row.measurement.board.timing,
            "clock check": lambda row: clock_text(row.measurement.clock),
        },
        left=8,
    )


def _known(text: str) -> str:
    return code(text) if text else NONE
