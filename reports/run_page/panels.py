"""A section -> its charts, chapter by chapter, one panel for each row; all panels of a chapter share one scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from tinyrig.analysis.metrics import timed_cycles
from tinyrig.analysis.stats import percentile
from tinyrig.core.records import Claim
from tinyrig.reports.charts import arena, axes, bars
from tinyrig.reports.charts.flame import flame
from tinyrig.reports.run import mlperf, tables
from tinyrig.reports.run.sections import ReportRow, Section
from tinyrig.reports.run_page.confusion import Confusion, confusion
from tinyrig.reports.text import count

MOST_PANELS = 8
"""That a chapter shows unfolded."""
MOST_STEPS = 16


@dataclass(frozen=True)
class Panel:
    """One picture: `drawn` as SVG or HTML, or a `confusion` for the template; `legend` names the colours by their numbers."""

    name: str
    note: str = ""
    drawn: Markup | str = ""
    confusion: Confusion | None = None
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Chapter:
    key: str
    title: str
    note: str
    panels: tuple[Panel, ...]

    @property
    def shown(self) -> tuple[Panel, ...]:
        return self.panels[:MOST_PANELS]

    @property
    def folded(self) -> tuple[Panel, ...]:
        return self.panels[MOST_PANELS:]


def chapters(section: Section) -> list[Chapter]:
    """Those that there is something to show in."""
    made = [_budgets, _tradeoff, _engines, _confusions, _latencies, _steps, _memory, _arenas]
    return [chapter for make in made if (chapter := make(section)) is not None]


def _each(section: Section, panel: Callable[[ReportRow], Panel | None]) -> tuple[Panel, ...]:
    return tuple(found for row in section.rows if (found := panel(row)) is not None)


# ---- between rows ----


def _budgets(section: Section) -> Chapter | None:
    """Claims that allow at most so much of something."""
    limited = {row.label: [c for c in row.measurement.claims if c.unit in ("us", "bytes") and c.limit] for row in section.rows}
    scale = max([1.0, *(_used(c) for own in limited.values() for c in own)])

    def panel(row: ReportRow) -> Panel | None:
        found = [_limit_bar(c) for c in limited[row.label] if c.value is not None]
        return Panel(row.label, "", bars.draw(found, f"Limits of {row.label}. {_said(found)}", scale)) if found else None

    panels = _each(section, panel)
    note = "How much of each limit is used" + (": a full bar is all of it." if scale == 1.0 else "; red is beyond it.")
    return Chapter("budgets", "Limits and budgets", note, panels) if panels else None


def _used(claim: Claim) -> float:
    return (claim.value or 0.0) / (claim.limit or 1.0)


def _limit_bar(claim: Claim) -> bars.Bar:
    value, limit = (tables.quantity(number, claim.unit) for number in (claim.value, claim.limit))
    words, used = f"{value} of {limit}, {100 * _used(claim):.0f} %", _used(claim)
    return bars.Bar(claim.name, words, (bars.Part(used, "over" if used > 1 else 0, words),))


def _tradeoff(section: Section) -> Chapter | None:
    rows = [r for r in section.rows if r.values["accuracy"] is not None and r.values["latency_us_median"] is not None]
    if len(rows) < 2:
        return None
    points = [_point(row) for row in rows]
    words = "; ".join(f"{p.name}: {p.y:.2f} % ({p.low:.2f} to {p.high:.2f}), {p.x:.3f} ms" for p in points)
    drawn = axes.scatter(points, f"latency, ms ({section.counted})", "top-1, %", f"Accuracy against latency. {words}", 100.0)
    legend = tuple((str(i % 8), f"{p.name}: {p.y:.2f} %, {p.x:.3f} ms {section.timing}") for i, p in enumerate(points))
    note = "Upright bars are Wilson's 95 % intervals"
    note += ", level ones the bands of the estimates" if any(p.x_low is not None for p in points) else ""
    note += ". Points that coincide lie within each other."
    return Chapter("tradeoff", "Accuracy against latency", note, (Panel("", "", drawn, legend=legend),))


def _point(row: ReportRow) -> axes.Point:
    low, high = row.values["accuracy_ci95"]
    left, right = _band(row, 1e-3)
    median = row.values["latency_us_median"] / 1000
    return axes.Point(row.label, median, 100 * row.values["accuracy"], 100 * low, 100 * high, left, right)


def _band(row: ReportRow, factor: float) -> tuple[float | None, float | None]:
    """Both ends of an estimate's band, microseconds times `factor`; None where there is none."""
    low, high = row.values["latency_us_low"], row.values["latency_us_high"]
    return (None, None) if low is None or high is None or low == high else (low * factor, high * factor)


def _engines(section: Section) -> Chapter | None:
    """Models that more than one engine was measured with."""
    by_model: dict[str, list[ReportRow]] = {}
    for row in section.rows:
        if row.values["latency_cycles_median"] is not None and row.measurement.variant.sha256:
            by_model.setdefault(row.measurement.variant.sha256, []).append(row)
    sets = [rows for rows in by_model.values() if len({r.measurement.image.engine for r in rows}) > 1]
    if not sets:
        return None
    panels = tuple(_engine_panel(section, rows) for rows in sets)
    return Chapter("engines", f"Engines side by side ({section.counted})", "The same file, the same windows.", panels)


def _engine_panel(section: Section, rows: Sequence[ReportRow]) -> Panel:
    best = min(row.values["latency_cycles_median"] for row in rows)
    found = []
    for i, row in enumerate(rows):
        value, engine = row.values["latency_cycles_median"], row.measurement.image.engine
        words = f"{value:,.0f} {section.unit}, {value / best:.2f}x"
        band = _band(row, row.measurement.board.clock_hz / 1e6)
        found.append(bars.Bar(engine, words, (bars.Part(value, i, f"{engine}: {words}"),), *band))
    return Panel(rows[0].measurement.variant.name, "", bars.draw(found, _said(found)))


def _memory(section: Section) -> Chapter | None:
    rows = [row for row in section.rows if row.measurement.image.footprint is not None]
    if not rows:
        return None
    kinds = (("RAM", "ram", ("arena", "static", "stack")), ("flash", "flash", ("weights", "engine")))
    panels = tuple(_memory_panel(rows, *kind) for kind in kinds)
    note = "Bytes of the model; what the measuring itself costs (rig) is apart."
    return Chapter("memory", "RAM and flash", note, panels)


def _memory_panel(rows: Sequence[ReportRow], title: str, kind: str, parts: tuple[str, ...]) -> Panel:
    found = []
    for row in rows:
        sizes = [row.values[f"{kind}_{part}"] or 0 for part in parts]
        pieces = [bars.Part(n, i, f"{part}: {n:,} B") for i, (n, part) in enumerate(zip(sizes, parts, strict=True))]
        found.append(bars.Bar(row.label, f"{sum(sizes):,} B", tuple(pieces)))
    rig = max(row.values[f"{kind}_rig"] for row in rows)
    found.append(bars.Bar("rig, not the model", f"{rig:,} B", (bars.Part(rig, "rig", f"rig: {rig:,} B"),)))
    legend = (*((str(i), part) for i, part in enumerate(parts)), ("rig", "rig"))
    return Panel(title, "", bars.draw(found, f"{title}. {_said(found)}"), legend=legend)


def _said(found: Sequence[bars.Bar]) -> str:
    return "; ".join(f"{b.name}: {b.value}" for b in found)


# ---- a panel a row ----


def _confusions(section: Section) -> Chapter | None:
    def panel(row: ReportRow) -> Panel | None:
        found = confusion(row.measurement)
        wrong = 0 if found is None else sum(n for i, r in enumerate(found.counts) for j, n in enumerate(r) if i != j)
        return None if found is None else Panel(row.label, f"{count(wrong, 'window')} wrong", confusion=found)

    panels = _each(section, panel)
    note = "Rows are what the windows are, columns what the board answered. Recall: of a class's windows, those found. "
    note += "Precision: of the answers, those right."
    return Chapter("confusion", "What is taken for what", note, panels) if panels else None


def _latencies(section: Section) -> Chapter | None:
    """Single inferences; a foreign firmware gives only throughput."""
    if mlperf.applies(section):
        return None
    unit = "us" if section.timed else "instructions"

    def panel(row: ReportRow) -> Panel | None:
        if row.withheld:
            return None
        values = timed_cycles(row.measurement) * (1e6 / row.measurement.board.clock_hz if section.timed else 1.0)
        marks = [("median", float(np.median(values))), ("95 %", percentile(values, 95)), ("99 %", percentile(values, 99))]
        words = ", ".join(f"{name} {value:,.1f}" for name, value in marks)
        said = f"{values.size:,} inferences from {values.min():,.1f} to {values.max():,.1f} {unit}; {words}"
        drawn = axes.histogram(values, marks, f"{unit} ({section.counted})", f"Latency of {row.label}: {said}")
        return Panel(row.label, f"{said}. Dashed: these three.", drawn)

    panels = _each(section, panel)
    title = f"How the latency is distributed ({section.timing})" if section.timed else "How instructions are distributed"
    return Chapter("latency", title, "Each panel has its own scale.", panels) if panels else None


def _steps(section: Section) -> Chapter | None:
    profiled = [(row, ops) for row in section.rows if (ops := tables.profiled_ops(row))]
    if not profiled:
        return None
    found = [(row, ops, _step_bars(ops, section.unit)) for row, ops in profiled]
    scale = max(bars.longest(b) for _, _, b in found)
    panels = []
    for row, ops, drawn in found:
        shares = flame([(op["op"], op["name"] or "", op["cycles"]) for op in ops], section.unit)
        picture = shares + bars.draw(drawn, f"{section.unit} of each step of {row.label}. {_said(drawn)}", scale)
        panels.append(Panel(row.label, f"{sum(op['cycles'] for op in ops):,.0f} {section.counted}", picture))
    note = "Above, the width is the share of one inference; below, all bars have one scale. Profiled in a separate pass."
    return Chapter("steps", f"Cost of each step ({section.counted})", note, tuple(panels))


def _step_bars(ops: Sequence[dict[str, object]], unit: str) -> list[bars.Bar]:
    """At most MOST_STEPS, in the order of execution; the cheapest of the others become one."""
    kept = sorted(ops, key=lambda op: -_cycles(op))[: MOST_STEPS if len(ops) <= MOST_STEPS else MOST_STEPS - 1]
    shown = {op["index"] for op in kept}
    colours = {op["op"]: i for i, op in enumerate({o["op"]: o for o in sorted(ops, key=lambda o: -_cycles(o))}.values())}
    total = sum(map(_cycles, ops)) or 1.0
    found = [_step_bar(op, colours[op["op"]], total, unit) for op in ops if op["index"] in shown]
    rest = [op for op in ops if op["index"] not in shown]
    if rest:
        cycles = sum(map(_cycles, rest))
        value = f"{cycles:,.0f} ({100 * cycles / total:.1f} %)"
        found.append(bars.Bar(f"{len(rest)} others", value, (bars.Part(cycles, "scratch", value),)))
    return found


def _step_bar(op: dict[str, object], colour: int, total: float, unit: str) -> bars.Bar:
    cycles, name = _cycles(op), arena.short(str(op["name"] or ""))
    value = f"{cycles:,.0f} ({100 * cycles / total:.1f} %)"
    title = f"{op['index']} {op['op']} {op['name'] or ''}: {value} {unit}"
    return bars.Bar(f"{op['index']} {op['op']} {name}".strip(), value, (bars.Part(cycles, colour, title),))


def _cycles(op: dict[str, object]) -> float:
    return float(op["cycles"])  # type: ignore[arg-type]


def _arenas(section: Section) -> Chapter | None:
    def panel(row: ReportRow) -> Panel | None:
        image = row.measurement.image
        if not image.arena or image.footprint is None:
            return None
        size = image.footprint.ram_arena
        words = "; ".join(map(arena.described, image.arena[:12]))
        drawn = arena.draw(image.arena, size, f"Arena of {row.label}, {size:,} bytes. {words}")
        return Panel(row.label, f"{size:,} bytes, {count(len(image.arena), 'buffer')}", drawn)

    panels = _each(section, panel)
    note = "A box is a buffer: from the first to the last step that needs it, at its place. Grey: scratch of one step. "
    note += "Step -1 is the input before the first step."
    return Chapter("arena", "The arena over time", note, panels) if panels else None
