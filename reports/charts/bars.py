"""Horizontal bars, each below its own line of text, so that no label ever meets another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tinyrig.reports.charts.svg import WIDTH, bar, drawing, element, text, width

_ROW, _BAR, _GAP = 30.0, 11.0, 6.0


@dataclass(frozen=True)
class Part:
    """A piece of a bar: its length in the chart's unit, the number of its colour, and its tooltip."""

    size: float
    colour: int | str
    title: str


@dataclass(frozen=True)
class Bar:
    """`name` on the left, `value` on the right, below them the parts one behind another. `low` and `high`: the band about the
    end of an estimate."""

    name: str
    value: str
    parts: tuple[Part, ...]
    low: float | None = None
    high: float | None = None

    @property
    def size(self) -> float:
        return sum(part.size for part in self.parts)


def longest(bars: Sequence[Bar]) -> float:
    """What a scale must hold."""
    return max((max(b.size, b.high or 0.0) for b in bars), default=0.0)


def draw(bars: Sequence[Bar], label: str, scale: float | None = None) -> Markup:
    """`scale`: the value at the right edge, so that several charts can share it; None: that of the longest bar."""
    full = (scale or longest(bars)) or 1.0
    rows = [piece for i, b in enumerate(bars) for piece in _row(b, i * _ROW, full)]
    return drawing(len(bars) * _ROW, label, rows)


def _row(b: Bar, top: float, full: float) -> list[Markup]:
    across = WIDTH / full
    value_room = min(width(b.value) + _GAP, 0.7 * WIDTH)
    pieces = [
        text(0.0, top + 11.0, b.name, room=WIDTH - value_room - _GAP),
        text(WIDTH, top + 11.0, b.value, anchor="end", class_="value", room=value_room),
        element("rect", x=0.0, y=top + 15.0, width=WIDTH, height=_BAR, class_="ground"),
    ]
    at = 0.0
    for part in b.parts:
        if part.size > 0:
            pieces.append(bar(at, top + 15.0, part.size * across, _BAR, part.colour, part.title))
            at += part.size * across
    if b.low is not None and b.high is not None and b.high > b.low:
        y = top + 15.0 + _BAR / 2
        pieces.append(element("path", d=f"M{b.low * across:.1f},{y:.1f}H{b.high * across:.1f}", class_="whisker"))
        pieces += [element("path", d=f"M{v * across:.1f},{y - 4:.1f}v8", class_="whisker") for v in (b.low, min(b.high, full))]
    return pieces
