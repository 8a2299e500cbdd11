"""Sections -> PNG plots. matplotlib is imported by the first plot: it costs about a second."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tinyrig.core.errors import HostError
from tinyrig.places.project import made
from tinyrig.reports.blocks import Picture
from tinyrig.reports.run.sections import ReportRow, Section
from tinyrig.reports.run.tables import KB, profiled_ops, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D", "#A6761D")
"""Okabe and Ito's palette, distinguishable for colour-blind readers too; the yellow is too faint for lines and left out."""
MARKERS = "osD^vPX*"
RIG_COLOUR = "#C8CDD3"
MAX_OPS = 16
"""Steps that a per-op panel shows; the cheapest beyond it are summed into one bar."""
_DPI = 150
_LARGEST, _SIZES = 11.0, 5
"""Markers of the accuracy plot: points across of the largest, and how many sizes there are."""


def draw(section: Section, folder: Path, prefix: str = "") -> dict[str, Picture]:
    """Writes the section's plots into `folder`, by name; those without data are left out. Raises HostError."""
    plots = (
        ("accuracy-latency", "Accuracy against latency", _accuracy_latency),
        ("memory", "RAM and flash of each model, the rig's own share apart", _memory),
        ("ops", "Cycles of each step", _per_op),
    )
    pictures = {}
    for name, alt, make in plots:
        figure = make(section)
        if figure is not None:
            pictures[name] = Picture(_saved(figure, folder / f"{prefix}{name}.png"), alt)
    return pictures


def _saved(figure: Figure, path: Path) -> Path:
    try:
        made(path.parent)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        figure.savefig(partial, dpi=_DPI, facecolor="white", format="png")
        partial.replace(path)  # a link that lies there is replaced, not followed
    except OSError as error:
        raise HostError(f"can't write {path.name}: {error.strerror}", remedy="choose a writable place with -o") from error
    return path


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _bare_axes(ax: Axes, grid: Literal["both", "x", "y"]) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, color="#E3E7EB", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.tick_params(length=3, labelsize=9)


# ---- accuracy against latency ----


def _accuracy_latency(section: Section) -> Figure | None:
    rows = [r for r in section.rows if r.values["accuracy"] is not None and r.values["latency_us_median"] is not None]
    if not rows:
        return None
    figure = _figure(7.5, 4.2)
    ax = figure.add_subplot()
    for i, row in enumerate(rows):
        _accuracy_point(ax, row, i)
    _bare_axes(ax, "both")
    ax.margins(x=0.12, y=0.1)
    ax.set_xlim(left=0)
    ax.set_ylim(top=min(100.5, ax.get_ylim()[1]))
    ax.set_xlabel(f"median latency of one inference, ms ({section.counted})")
    ax.set_ylabel("top-1 accuracy, %  (bars: Wilson 95 %)")
    # Points of like latency and accuracy would cover each other's labels, so the names stand beside the plot.
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    _title(figure, "Accuracy against latency", section)
    return figure


def _accuracy_point(ax: Axes, row: ReportRow, i: int) -> None:
    """Where its values are. Of points that coincide each is smaller than the one below it and hollow, and so are the ends of
    its error bar, so that none is hidden."""
    x, y = row.values["latency_us_median"] / 1000, 100 * row.values["accuracy"]
    lo, hi = (100 * bound for bound in row.values["accuracy_ci95"])
    # Beyond the palette's length the pairs of marker and colour still differ; a leading "_" would hide a legend's entry.
    marker, colour = MARKERS[(i + i // len(COLOURS)) % len(MARKERS)], COLOURS[i % len(COLOURS)]
    label = f" {_name(row)}\n {y:.2f} %, {row.values['latency_us_median'] / 1000:.2f} ms"
    ax.errorbar(
        x,
        y,
        xerr=_latency_bars(row, x),
        yerr=[[max(0.0, y - lo)], [max(0.0, hi - y)]],
        fmt=marker,
        color=colour,
        markerfacecolor="none",
        markeredgewidth=1.6,
        markersize=_LARGEST - 1.6 * (i % _SIZES),
        capsize=_LARGEST - 1.6 * (i % _SIZES),
        linewidth=1.3,
        label=label,
    )


def _latency_bars(row: ReportRow, ms: float) -> list[list[float]] | None:
    """From `ms` to the ends of an estimate's band; None without one."""
    low, high = row.values["latency_us_low"], row.values["latency_us_high"]
    return None if low is None or high is None else [[max(0.0, ms - low / 1000)], [max(0.0, high / 1000 - ms)]]


# ---- memory ----


def _memory(section: Section) -> Figure | None:
    if any(row.measurement.image.footprint is None for row in section.rows):
        return None
    height = 1.7 + 0.36 * (len(section.rows) + 1)
    figure = _figure(10.5, height)
    axes = figure.subplots(1, 2)
    _stack(axes[0], section.rows, "RAM", ("ram_arena", "ram_static", "ram_stack"), "ram_rig")
    _stack(axes[1], section.rows, "flash", ("flash_weights", "flash_engine"), "flash_rig")
    axes[1].set_yticklabels([])
    _title(figure, "Memory of each model; the rig's own share apart", section, timed=False)
    return figure


def _stack(ax: Axes, rows: Sequence[ReportRow], title: str, parts: Sequence[str], rig: str) -> None:
    left = [0.0] * len(rows)
    for i, part in enumerate(parts):
        values = [(row.values[part] or 0) / KB for row in rows]
        ax.barh(range(len(rows)), values, left=left, height=0.66, color=COLOURS[i], label=part.split("_")[1])
        left = [a + b for a, b in zip(left, values, strict=True)]
    apart = max(row.values[rig] for row in rows) / KB
    ax.barh(
        len(rows),
        apart,
        height=0.66,
        color=RIG_COLOUR,
        edgecolor="#8C959F",
        hatch="///",
        linewidth=0.6,
        label="rig, not the model",
    )
    same = len({row.values[rig] for row in rows}) == 1
    for y, value in enumerate([*left, apart]):
        ax.text(value, y, f" {value:.1f}", va="center", fontsize=9)
    ax.set_yticks(range(len(rows) + 1), [*(_name(row) for row in rows), "rig" if same else "rig (at most)"])
    ax.invert_yaxis()
    _bare_axes(ax, "x")
    ax.margins(x=0.14)
    ax.set_xlabel(f"{title}, KB (1,024 bytes)")
    ax.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False, fontsize=8.5, columnspacing=1.2, handlelength=1.4
    )


# ---- per op ----


def _per_op(section: Section) -> Figure | None:
    panels = [(row, ops) for row in section.rows if (ops := _most_costly(profiled_ops(row)))]
    if not panels:
        return None
    columns = min(2, len(panels))
    depth = -(-len(panels) // columns)
    bars = max(len(ops) for _, ops in panels)
    figure = _figure(5.4 * columns, 0.9 + depth * (0.9 + 0.3 * bars))
    axes = figure.subplots(depth, columns, squeeze=False).ravel()
    for i, ax in enumerate(axes):
        if i < len(panels):
            _op_panel(ax, *panels[i], COLOURS[i % len(COLOURS)], section.unit)
        else:
            ax.set_visible(False)
    _title(figure, f"{section.unit.capitalize()} of each step", section)
    return figure


def _most_costly(ops: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most MAX_OPS bars, in execution order; the cheapest of the others become one."""
    if len(ops) <= MAX_OPS:
        return list(ops)
    kept = {op["index"] for op in sorted(ops, key=lambda op: -float(op["cycles"]))[: MAX_OPS - 1]}
    rest = [op for op in ops if op["index"] not in kept]
    cycles, share = sum(op["cycles"] for op in rest), sum(op["share"] or 0 for op in rest)
    total = {"index": "", "op": f"{len(rest)} others", "cycles": cycles, "share": share}
    return [*(op for op in ops if op["index"] in kept), total]


def _op_panel(ax: Axes, row: ReportRow, ops: Sequence[dict[str, Any]], colour: str, unit: str) -> None:
    cycles = [op["cycles"] for op in ops]
    ax.barh(range(len(ops)), cycles, height=0.66, color=colour)
    for y, op in enumerate(ops):
        ax.text(op["cycles"], y, f" {op['cycles']:,.0f}  ({100 * (op['share'] or 0):.1f} %)", va="center", fontsize=8.5)
    ax.set_yticks(range(len(ops)), [shorten(f"{op['index']} {op['op']}".strip(), 28) for op in ops])
    ax.invert_yaxis()
    _bare_axes(ax, "x")
    # Room for the text behind the longest bar.
    ax.set_xlim(0, max(*cycles, 1) * 1.42)
    ax.locator_params(axis="x", nbins=5)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.set_title(_name(row), loc="left", fontsize=10, fontweight="bold")
    ax.set_xlabel(f"{unit} of one inference", fontsize=9)


def _name(row: ReportRow) -> str:
    """A label that leaves room for the plot and that matplotlib does not read as mathematics."""
    return shorten(row.label, 36).replace("$", r"\$")


def _title(figure: Figure, text: str, section: Section, timed: bool = True) -> None:
    data = section.first.variant
    origin = f", dataset {data.dataset}{' (synthetic)' if data.synthetic else ''}" if data.dataset else ""
    origin = origin.replace("$", r"\$")
    board = f"board {section.metadata['board']}"
    clock = f"{section.metadata['clock_hz'] / 1e6:g} MHz, " if section.timed else ""
    board += f", {clock}{section.counted}" if timed else ""
    figure.suptitle(f"{text}\n{board}{origin}", fontsize=11)
