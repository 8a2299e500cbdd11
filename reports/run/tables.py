"""Sections -> tables of finished texts (pandas). Numbers are formatted here and nowhere upstream."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from tinyrig.analysis.metrics import METRICS, energy, link, ops, top1_hits, unit, window_samples
from tinyrig.analysis.provenance import clock_text
from tinyrig.analysis.stats import mcnemar_exact, wilson
from tinyrig.core.records import ESTIMATED, INSTRUCTIONS
from tinyrig.reports.blocks import Grid, code
from tinyrig.reports.run.paper import TEST_WINDOWS, PaperRow, paper_row
from tinyrig.reports.run.sections import Row, Section

NONE = "-"
NO_TIMING = "not verified: no timing"
SIGNIFICANCE = 0.05
KB = 1024
_NAME_LENGTH = 48


def shown(row: Row, metric: str) -> str:
    """A metric's value as text, NONE where it was not measured; a withheld latency says so once, in its median."""
    value = row.values[metric]
    if value is None:
        median = "latency_cycles_median" if row.run.board.timing == INSTRUCTIONS else "latency_us_median"
        return NO_TIMING if metric == median and row.reason else NONE
    return METRICS[metric].format(value)


def milliseconds(row: Row, metric: str = "latency_us_median") -> str:
    value = row.values[metric]
    return shown(row, metric) if value is None else f"{value / 1000:.3f}"


def delta(measured: float | None, paper: float | None) -> str:
    """Relative change from the paper's value, signed percent."""
    return NONE if measured is None or paper is None else f"{100 * (measured - paper) / paper:+.1f} %"


def has_paper(section: Section) -> bool:
    return any(paper_row(row.run) for row in section.rows)


def _grid(section: Section, columns: dict[str, Callable[[Row], str]], left: int = 1) -> Grid:
    data = {title: [cell(row) for row in section.rows] for title, cell in columns.items()}
    return Grid(pd.DataFrame({"variant": [code(row.label) for row in section.rows], **data}), left)


def _metrics_grid(section: Section, columns: dict[str, str]) -> Grid:
    return _grid(section, {title: (lambda row, m=metric: shown(row, m)) for title, metric in columns.items()})


def instructions(row: Row) -> str:
    """The median where instructions were counted."""
    return shown(row, "latency_cycles_median")


# ---- overview ----


def verdict(row: Row) -> str:
    """One word for parity: verified, or why not."""
    if row.run.parity is None:
        return "not compared"
    return "verified" if row.reason is None else "FAILED"


def summary(section: Section) -> Grid:
    """The short table: also what `--summary` prints."""
    return _grid(
        section,
        {
            "top-1": lambda r: shown(r, "accuracy"),
            "95 % interval": lambda r: shown(r, "accuracy_ci95"),
            "outputs": verdict,
            **({f"ms, {section.timing}": milliseconds} if section.timed else {section.unit: instructions}),
            "RAM B": lambda r: shown(r, "ram_model_total"),
            "flash B": lambda r: shown(r, "flash_model_total"),
            **({f"uJ, {_how(section)}": lambda r: shown(r, "energy_uj_median")} if has_energy(section) else {}),
        },
    )


def _how(section: Section) -> str:
    return "trial" if section.timing == ESTIMATED else "measured"


def has_energy(section: Section) -> bool:
    return any(row.values["energy_uj_median"] is not None for row in section.rows)


def energy_of(section: Section) -> Grid:
    """What a power meter measured of marked inferences."""

    def cell(name: str, form: str = "{:,.1f}") -> Callable[[Row], str]:
        return lambda r: NONE if (energy(r.run) or {}).get(name) is None else form.format((energy(r.run) or {})[name])

    def interval(row: Row) -> str:
        bounds = (energy(row.run) or {}).get("uj_ci95")
        return NONE if bounds is None else f"{bounds[0]:,.1f}-{bounds[1]:,.1f}"

    return _grid(
        section,
        {
            "uJ, median": cell("uj_median"),
            "95 % interval": interval,
            "min": cell("uj_min"),
            "max": cell("uj_max"),
            "inferences": cell("inferences", "{:,}"),
            "us marked": cell("us_median"),
            "mW": cell("mw_mean", "{:,.2f}"),
            "supply": lambda r: NONE if energy(r.run) is None else "{voltage_mv} mV, {mode}".format(**(energy(r.run) or {})),
        },
    )


def claims(section: Section) -> Grid | None:
    """What each claim came to; None where none was stored (runs from before claims were kept)."""
    names = list(dict.fromkeys(c.name for row in section.rows for c in row.run.claims))
    return _grid(section, {name: (lambda r, n=name: _claim(r, n)) for name in names}, 1 + len(names)) if names else None


def _claim(row: Row, name: str) -> str:
    return next((c.status for c in row.run.claims if c.name == name), NONE)


# ---- the paper's tables ----


def _paper(cell: Callable[[PaperRow, Row], str]) -> Callable[[Row], str]:
    """A column that needs the paper's row; NONE for a variant that the paper does not have."""

    def column(row: Row) -> str:
        printed = paper_row(row.run)
        return NONE if printed is None else cell(printed, row)

    return column


def _points(printed: PaperRow, row: Row) -> str:
    value = row.values["accuracy"]
    return NONE if value is None else f"{100 * value - printed.accuracy_percent:+.2f}"


def _plain(value: float | None) -> str:
    return NONE if value is None else f"{value:,}"


def table1_accuracy(section: Section) -> Grid:
    """Table 1, accuracy: paper beside measured, both with Wilson's 95 % interval."""
    measured = {
        "measured": lambda r: shown(r, "accuracy"),
        "measured, 95 %": lambda r: shown(r, "accuracy_ci95"),
        "host": lambda r: shown(r, "host_accuracy"),
        "windows": lambda r: shown(r, "windows"),
    }
    if not has_paper(section):
        return _grid(section, measured)
    interval = METRICS["accuracy_ci95"].format
    return _grid(
        section,
        {
            "paper": _paper(lambda p, r: f"{p.accuracy_percent:.2f} %"),
            "paper, 95 %": _paper(lambda p, r: interval(wilson(p.correct, TEST_WINDOWS))),
            "measured": measured["measured"],
            "measured, 95 %": measured["measured, 95 %"],
            "delta, points": _paper(_points),
            "host": measured["host"],
            "windows": measured["windows"],
        },
    )


def table1_size(section: Section) -> Grid:
    """Table 1, sizes and work."""
    columns: dict[str, Callable[[Row], str]] = {}
    for title, metric in (("file B", "tflite_bytes"), ("zipped B", "zip_bytes"), ("FLOPs", "flops")):
        if has_paper(section):
            columns[f"{title}, paper"] = _paper(lambda p, r, m=metric: _plain(getattr(p, m)))
        columns[title if not has_paper(section) else f"{title}, measured"] = lambda r, m=metric: shown(r, m)
        if has_paper(section):
            columns[f"{title}, delta"] = _paper(lambda p, r, m=metric: delta(r.values[m], getattr(p, m)))
    return _grid(section, columns | {"MACs": lambda r: shown(r, "macs")})


_TABLE2 = (
    # title, the metric, what divides it into the paper's unit, the paper's field
    ("ms", "latency_us_median", 1000, "latency_ms"),
    ("RAM KB", "ram_model_total", KB, "ram_kb"),
    ("flash KB", "flash_model_total", KB, "flash_kb"),
)


def table2(section: Section) -> Grid:
    """Table 2: latency, RAM and flash of the model, the paper's estimate beside this run's value."""
    columns: dict[str, Callable[[Row], str]] = {}
    if not section.timed:
        columns[section.unit] = instructions
    for title, metric, divisor, name in _TABLE2[0 if section.timed else 1 :]:
        label = section.timing if title == "ms" else "measured"
        value = _scaled(metric, divisor)
        if has_paper(section):
            columns[f"{title}, paper"] = _paper(lambda p, r, n=name: f"{getattr(p, n):g}")
        columns[f"{title}, {label}"] = lambda r, v=value, m=metric: shown(r, m) if v(r) is None else f"{v(r):.2f}"
        if has_paper(section):
            columns[f"{title}, delta"] = _paper(lambda p, r, v=value, n=name: delta(v(r), getattr(p, n)))
    return _grid(section, columns)


def _scaled(metric: str, unit: float) -> Callable[[Row], float | None]:
    return lambda row: None if row.values[metric] is None else row.values[metric] / unit


# ---- details ----


def noise(section: Section) -> Grid | None:
    """Exact McNemar test of every pair that saw the same windows; None when there is no such pair."""
    lines = []
    for a, b in combinations(section.rows, 2):
        if not _same_windows(a, b):
            continue
        test = mcnemar_exact(top1_hits(a.run), top1_hits(b.run))
        lines.append(
            {
                "pair": f"{code(a.label)} / {code(b.label)}",
                "top-1": f"{shown(a, 'accuracy')} / {shown(b, 'accuracy')}",
                "only first right": str(test.only_first),
                "only second right": str(test.only_second),
                "p": f"{test.p_value:.3f}",
                "reading": "within noise" if test.p_value >= SIGNIFICANCE else "differs",
            }
        )
    return Grid(pd.DataFrame(lines)) if lines else None


def _same_windows(a: Row, b: Row) -> bool:
    hits = (top1_hits(a.run), top1_hits(b.run))
    if any(h is None for h in hits) or a.run.labels != b.run.labels:
        return False
    if a.run.variant.windows != b.run.variant.windows:
        return False
    return [s.index for s in window_samples(a.run)] == [s.index for s in window_samples(b.run)]


def parity(section: Section) -> Grid:
    """Outputs against the oracle, a window at a time."""

    def cell(field: str) -> Callable[[Row], str]:
        return lambda r: NONE if r.run.parity is None else str(getattr(r.run.parity, field))

    return _grid(
        section,
        {
            "oracle": lambda r: "none" if r.run.parity is None else code(r.run.parity.oracle),
            "compared": cell("compared"),
            "mismatched": cell("mismatched_windows"),
            "largest difference": _largest_difference,
            "top-1 changed": cell("top1_changed"),
            "outputs": verdict,
        },
    )


def _largest_difference(row: Row) -> str:
    if row.run.parity is None:
        return NONE
    integer = all(np.issubdtype(np.dtype(spec.dtype), np.integer) for spec in row.run.image.outputs)
    return f"{row.run.parity.max_abs_diff:.3g}" + (" LSB" if integer else "")


def line(section: Section) -> Grid | None:
    """What the serial line cost each variant; None for runs that were stored without."""
    if all(link(row.run) is None for row in section.rows):
        return None

    def count(*names: str) -> Callable[[Row], str]:
        def cell(row: Row) -> str:
            counts = link(row.run)
            return NONE if counts is None else f"{sum(counts.get(name, 0) for name in names):,}"

        return cell

    def ms(name: str) -> Callable[[Row], str]:
        def cell(row: Row) -> str:
            seconds = (link(row.run) or {}).get(name)
            return NONE if seconds is None else f"{1000 * seconds:,.0f}"

        return cell

    return _grid(
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
            "in vain": count("bytes_resent"),
            "injected": lambda r: (
                NONE
                if not (link(r.run) or {}).get("injected_faults")
                else f"{sum((link(r.run) or {}).get('injected', {}).values()):,}"
            ),
        },
    )


def latency(section: Section) -> Grid:
    """Percentiles in microseconds, where there are any."""
    if not section.timed:
        named = {"median": "latency_cycles_median", "inferences": "latency_samples", "instructions/MAC": "cycles_per_mac"}
        return _metrics_grid(section, named)
    return _metrics_grid(
        section,
        {
            "cycles, median": "latency_cycles_median",
            "us, median": "latency_us_median",
            "p95": "latency_us_p95",
            "p99": "latency_us_p99",
            "min": "latency_us_min",
            "max": "latency_us_max",
            "inferences": "latency_samples",
            "cycles/MAC": "cycles_per_mac",
        },
    )


def ram(section: Section) -> Grid:
    return _metrics_grid(
        section,
        {
            "arena": "ram_arena",
            "static": "ram_static",
            "stack": "ram_stack",
            "model": "ram_model_total",
            "rig (apart)": "ram_rig",
        },
    )


def flash(section: Section) -> Grid:
    return _metrics_grid(
        section,
        {
            "weights": "flash_weights",
            "engine": "flash_engine",
            "model": "flash_model_total",
            "rig (apart)": "flash_rig",
            "image": "flash_total",
        },
    )


def op_lines(row: Row) -> list[dict[str, Any]]:
    """The steps; [] without timing."""
    lines = ops(row.run)
    return [] if any(line["cycles"] is None for line in lines) else lines


def per_op(row: Row) -> Grid | None:
    """One variant's steps: cycles, share, MACs, cycles a MAC; None without timing."""
    counts = unit(row.run.board.timing)
    lines = op_lines(row)
    return (
        Grid(
            pd.DataFrame(
                [
                    {
                        "step": f"{line['index']} {code(line['op'])}",
                        "tensor": code(shorten(line["name"], _NAME_LENGTH)) if line["name"] else NONE,
                        counts: f"{line['cycles']:,.0f}",
                        "share": NONE if line["share"] is None else f"{100 * line['share']:.1f} %",
                        "MACs": f"{line['macs']:,}" if line["macs"] else NONE,
                        f"{counts}/MAC": NONE if line["cycles_per_mac"] is None else f"{line['cycles_per_mac']:.2f}",
                    }
                    for line in lines
                ]
            ),
            left=2,
        )
        if lines
        else None
    )


def shorten(text: str, length: int) -> str:
    """Keeps the end, which tells layers apart."""
    return text if len(text) <= length else "..." + text[3 - length :]


def as_built(section: Section) -> Grid | None:
    """What the builders report of weights and training; None when no variant has it."""
    if not any(isinstance(row.run.variant.details.get("weights"), dict) for row in section.rows):
        return None

    def detail(group: str, name: str) -> Callable[[Row], str]:
        def cell(row: Row) -> str:
            values = row.run.variant.details.get(group)
            value = values.get(name) if isinstance(values, dict) else None
            return NONE if value is None else str(value)

        return cell

    grid = _grid(
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


def models(section: Section) -> Grid:
    """Which files and images the numbers belong to."""
    return _grid(
        section,
        {
            "model SHA-256": lambda r: _known(r.run.variant.sha256[:16]),
            "engine": lambda r: code(r.run.image.engine),
            "firmware build": lambda r: _known(r.run.image.build_id[:16]),
            "run": lambda r: code(r.run_id),
            "board id": lambda r: code(r.run.board.id),
            "cycles": lambda r: r.run.board.timing,
            "clock check": lambda r: clock_text(r.run.clock),
        },
        left=8,
    )


def _known(text: str) -> str:
    return code(text) if text else NONE
