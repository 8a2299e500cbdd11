"""Charts with two axes: accuracy against latency, and how latencies are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from tinyrig.reports.charts.svg import WIDTH, bar, drawing, element, text, ticks, width

_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 10.0, 18.0, 37.0
_TICK_GAP = 10.0


@dataclass(frozen=True)
class Plot:
    """The frame of a chart `height` units high: values to units, axes, grid."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    height: float = 210.0

    def x(self, value: float) -> float:
        return _LEFT + (value - self.x_low) / ((self.x_high - self.x_low) or 1) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return self.height - _BOTTOM - (value - self.y_low) / ((self.y_high - self.y_low) or 1) * (self.height - _TOP - _BOTTOM)

    def frame(self, x_title: str, y_title: str) -> list[Markup]:
        """Grid, ticks and titles; ticks whose texts would meet are left out."""
        floor = self.height - _BOTTOM
        pieces = [text(0.0, 10.0, y_title, class_="soft")]
        for value, words in ticks(self.y_low, self.y_high, 5):
            y = self.y(value)
            pieces.append(element("path", d=f"M{_LEFT:.1f},{y:.1f}H{WIDTH - _RIGHT:.1f}", class_="grid"))
            pieces.append(text(_LEFT - 5, y + 4, words, anchor="end", class_="soft", room=_LEFT - 5))
        end = float("-inf")
        for value, words in ticks(self.x_low, self.x_high, 5):
            x = self.x(value)
            half = width(words) / 2
            if x - half < end + _TICK_GAP or x + half > WIDTH:
                continue
            end = x + half
            pieces.append(element("path", d=f"M{x:.1f},{floor:.1f}v4", class_="axis-line"))
            pieces.append(text(x, floor + 18, words, anchor="middle", class_="soft"))
        pieces.append(element("path", d=f"M{_LEFT:.1f},{floor:.1f}H{WIDTH - _RIGHT:.1f}", class_="axis-line"))
        pieces.append(text(WIDTH - _RIGHT, self.height - 4, x_title, anchor="end", class_="soft"))
        return pieces


@dataclass(frozen=True)
class Point:
    """`low` and `high` bound y, `x_low` and `x_high` x where it has a band."""

    name: str
    x: float
    y: float
    low: float
    high: float
    x_low: float | None = None
    x_high: float | None = None


def scatter(points: Sequence[Point], x_title: str, y_title: str, label: str, y_most: float) -> Markup:
    """Points with error bars, each where its values are; the names stand in a legend. Of points that coincide, each is smaller
    than the one below it."""
    low = min(p.low for p in points)
    margin = (max(p.high for p in points) - low or 1.0) * 0.08
    top = min(y_most, max(p.high for p in points) + margin)
    plot = Plot(0.0, max(max(p.x, p.x_high or 0.0) for p in points) * 1.06 or 1.0, low - margin, top)
    pieces = plot.frame(x_title, y_title)
    for i, p in enumerate(points):
        pieces += _point(plot, p, i)
    return drawing(plot.height, label, pieces)


def _point(plot: Plot, p: Point, i: int) -> list[Markup]:
    x, half, tone = plot.x(p.x), 6.5 - (i % 5), f"s{i % 8}"
    high, low = plot.y(p.high), plot.y(p.low)
    path = f"M{x:.1f},{high:.1f}V{low:.1f}M{x - half:.1f},{high:.1f}h{2 * half:.1f}M{x - half:.1f},{low:.1f}h{2 * half:.1f}"
    if p.x_low is not None and p.x_high is not None:
        left, right, y = plot.x(p.x_low), plot.x(p.x_high), plot.y(p.y)
        path += f"M{left:.1f},{y:.1f}H{right:.1f}M{left:.1f},{y - 3:.1f}v6M{right:.1f},{y - 3:.1f}v6"
    mark = element("circle", element("title", p.name), cx=f"{x:.2f}", cy=f"{plot.y(p.y):.2f}", r=half, class_=f"mark {tone}")
    return [element("path", d=path, class_=tone), mark]


_BINS = 36


def histogram(values: np.ndarray, marks: Sequence[tuple[str, float]], x_title: str, label: str, colour: int = 0) -> Markup:
    """How many `values` lie in each of at most 36 equal steps; `marks` are drawn as lines, and named in the caption."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low - (abs(low) * 0.01 or 1.0), high + (abs(high) * 0.01 or 1.0)
    counts, edges = np.histogram(values, bins=min(_BINS, max(5, round(float(np.sqrt(values.size)) * 2))), range=(low, high))
    plot = Plot(low, high, 0.0, float(counts.max()) * 1.05, 170.0)
    pieces = plot.frame(x_title, "inferences")
    floor = plot.y(0.0)
    for n, a, b in zip(counts, edges[:-1], edges[1:], strict=True):
        if n:
            title = f"{n} from {a:,.1f} to {b:,.1f}"
            pieces.append(bar(plot.x(a), plot.y(float(n)), plot.x(b) - plot.x(a) - 0.6, floor - plot.y(float(n)), colour, title))
    for name, value in marks:
        line = element("path", element("title", name), d=f"M{plot.x(value):.1f},{_TOP:.1f}V{floor:.1f}", class_="quantile")
        pieces.append(line)
    return drawing(plot.height, label, pieces)
