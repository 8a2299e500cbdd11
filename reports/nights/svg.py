"""A trend -> inline SVG: the line, the threshold band, bars from end to end of estimates' bands, accepted changes, alarms.
Thinned to what a pixel can show."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import groupby

from tinyrig.core.records import VerdictStatus
from tinyrig.reports.nights.elements import escaped
from tinyrig.reports.nights.records import NightValue, Trend

WIDTH, HEIGHT = 320, 100
"""User units of the viewBox; lines are thinned to one column per unit."""
_EDGE = 6
_FLAT = 0.01
"""Share of the value that a flat line shows on either side."""
_BARS = 8
"""Units between two bars at least."""


@dataclass(frozen=True)
class Scale:
    """Moments (seconds) and values -> user units."""

    first: float
    last: float
    low: float
    high: float

    def x(self, moment: float) -> float:
        """A date before the first or after the last, of a clock that was wrong, stands at the edge."""
        moment = min(max(moment, self.first), self.last)
        return _EDGE + (moment - self.first) / ((self.last - self.first) or 1) * (WIDTH - 2 * _EDGE)

    def y(self, value: float) -> float:
        return HEIGHT - _EDGE - (value - self.low) / ((self.high - self.low) or 1) * (HEIGHT - 2 * _EDGE)


@lru_cache(maxsize=65536)
def seconds(started: str) -> float:
    return datetime.datetime.fromisoformat(started).timestamp()


def scale(trend: Trend, span: tuple[float, float]) -> Scale:
    """`span` is the time axis, in seconds; the heights are those of the values, their bands and of tonight's threshold."""
    last = trend.values[-1]
    values = [value.value for value in trend.values] + [limit for limit in (last.low, last.high) if limit is not None]
    values += [end for value in trend.values for end in value.ends or ()]
    low, high = min(values), max(values)
    if low == high:
        low, high = low - (abs(low) * _FLAT or 1), high + (abs(high) * _FLAT or 1)
    return Scale(*span, low, high)


def draw(trend: Trend, span: tuple[float, float], title: str) -> str:
    """The whole <svg>; `span` is the time axis, in seconds, shared by all trends of a page."""
    axes = scale(trend, span)
    pieces = _pieces(trend.values)
    parts = [
        *(_band(p, axes) for p in pieces),
        _bars(trend.values, axes),
        *(_line(p, axes) for p in pieces),
        *_marks(trend, axes),
    ]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">' + "".join(parts) + "</svg>"


def _pieces(values: Sequence[NightValue]) -> list[list[NightValue]]:
    """Cut where two neighbours may not be compared."""
    return [list(group) for _, group in groupby(values, key=lambda value: value.comparable)]


def _line(values: Sequence[NightValue], axes: Scale) -> str:
    points = straight(thin([(axes.x(seconds(v.started)), axes.y(v.value)) for v in values]))
    if len(points) == 1:
        return f'<circle class="dot" cx="{points[0][0]}" cy="{points[0][1]}" r="1.5"/>'
    return f'<path class="line" d="M{" ".join(f"{x:g},{y:g}" for x, y in points)}"/>'


def thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Lowest and highest point of each column of one unit, in order of time, and the very last; to a tenth of a unit."""
    kept: list[tuple[float, float]] = []
    for _, group in groupby(points, key=lambda point: int(point[0])):
        column = list(group)
        ends = {column.index(min(column, key=lambda p: p[1])), column.index(max(column, key=lambda p: p[1]))}
        kept += (column[i] for i in sorted(ends))
    if points and kept[-1] != points[-1]:
        kept.append(points[-1])
    return [(round(x, 1), round(y, 1)) for x, y in kept]


def straight(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Without points between two of the same height."""
    return [
        point
        for i, point in enumerate(points)
        if not 0 < i < len(points) - 1 or not points[i - 1][1] == point[1] == points[i + 1][1]
    ]


def _band(values: Sequence[NightValue], axes: Scale) -> str:
    """Between the limits of each night's verdict, one of each column, cut off at the picture's edge; no wider than needed where
    nights were not judged."""
    judged = [v for v in values if v.low is not None and v.high is not None]
    if not judged:
        return ""
    columns = [next(group) for _, group in groupby(judged, key=lambda v: int(axes.x(seconds(v.started))))]
    columns += [judged[-1]] if columns[-1] is not judged[-1] else []
    upper = [_corner(axes, v, v.high) for v in columns if v.high is not None]
    lower = [_corner(axes, v, v.low) for v in columns if v.low is not None]
    outline = [*straight(upper), *reversed(straight(lower))]
    return f'<path class="band" d="M{" ".join(f"{x:g},{y:g}" for x, y in outline)}Z"/>'


def _bars(values: Sequence[NightValue], axes: Scale) -> str:
    """From the low to the high end of each night's estimate, at most one every _BARS units: the widest there."""
    columns: dict[int, list[tuple[float, float, float]]] = {}
    for value in values:
        if value.ends is not None:
            x = axes.x(seconds(value.started))
            columns.setdefault(int(x // _BARS), []).append((x, axes.y(value.ends[0]), axes.y(value.ends[1])))
    bars = ((found[-1][0], max(low for _, low, _ in found), min(high for *_, high in found)) for found in columns.values())
    drawn = "".join(f"M{x - 2:.1f},{low:.1f}h4m-2,0V{high:.1f}m-2,0h4" for x, low, high in bars)
    return f'<path class="ends" d="{drawn}"/>' if drawn else ""


def _corner(axes: Scale, value: NightValue, limit: float) -> tuple[float, float]:
    return round(axes.x(seconds(value.started)), 1), round(min(max(axes.y(limit), 0.0), float(HEIGHT)), 1)


def _marks(trend: Trend, axes: Scale) -> list[str]:
    marks = []
    for value in trend.values:
        x, day = axes.x(seconds(value.started)), value.started[:10]
        if value.why:
            note = escaped(f"{day}: accepted: {value.why}")
            marks.append(f'<line class="accepted" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}"><title>{note}</title></line>')
        if value.moved and not value.why:
            note = escaped(f"{day}, run {value.run_id}: {value.moved}")
            tone = value.moved if value.moved in (VerdictStatus.WORSE, VerdictStatus.BETTER) else VerdictStatus.CHANGED
            where = f'cx="{x:.1f}" cy="{axes.y(value.value):.1f}"'
            marks.append(f'<circle class="alarm {tone}" {where} r="4"><title>{note}</title></circle>')
    return marks
