"""Trends -> the page's curves: a panel for each board and variant, by metric; those that never changed are folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tinyrig.reports.nights import svg, words
from tinyrig.reports.nights.elements import status_mark
from tinyrig.reports.nights.records import CURVES, SEVERITY, Trend
from tinyrig.reports.text import clipped, count


@dataclass(frozen=True)
class Panel:
    """`name` is what the filter looks at; `axis` is what stands below: first day, range, last day."""

    name: str
    variant: str
    board: str
    value: str
    kind: str
    verdict: Markup | str
    drawn: Markup
    axis: tuple[str, str, str]


@dataclass(frozen=True)
class Curve:
    title: str
    moving: tuple[Panel, ...]
    steady: tuple[Panel, ...]


def curves(trends: Sequence[Trend]) -> tuple[Curve, ...]:
    """One for each metric of CURVES, all with one time axis; () where nothing is stored."""
    if not trends:
        return ()
    moments = [svg.seconds(v.started) for t in trends for v in (t.values[0], t.values[-1])]
    span = (min(moments), max(moments))
    return tuple(_curve(metric, [t for t in trends if t.metric == metric], span) for metric in CURVES)


def _curve(metric: str, trends: Sequence[Trend], span: tuple[float, float]) -> Curve:
    name = words.name(metric)
    moving = sorted((t for t in trends if not t.steady), key=lambda t: _severity(t.status))
    steady = [t for t in trends if t.steady]
    drawn = (tuple(_panel(trend, span) for trend in some) for some in (moving, steady))
    return Curve(name[:1].upper() + name[1:], *drawn)


def _severity(status: str) -> int:
    return SEVERITY.index(status) if status in SEVERITY else len(SEVERITY)


def _panel(t: Trend, span: tuple[float, float]) -> Panel:
    last, numbers = t.values[-1], [v.value for v in t.values]
    low, high = words.quantity(t.metric, min(numbers)), words.quantity(t.metric, max(numbers))
    accepted = sum(bool(v.why) for v in t.values)
    label = (
        f"{words.name(t.metric)} of {t.cell.variant} on {words.board(t.cell)}, {len(numbers)} nights, from {low} to {high}, "
        f"last {words.quantity(t.metric, last.value, ends=last.ends)}, {count(accepted, 'accepted change')}"
    )
    return Panel(
        clipped(f"{t.cell.variant} {t.cell.board} {t.cell.board_id} {t.cell.timing}"),
        clipped(t.cell.variant),
        words.board(t.cell),
        words.quantity(t.metric, last.value, ends=last.ends),
        f" ({clipped(t.cell.timing)})" if words.timed(t.metric) else "",
        status_mark(t.status) if t.status else "",
        Markup(svg.draw(t, span, clipped(label))),  # escaped there
        (t.values[0].started[:10], f"{low} to {high}", last.started[:10]),
    )
