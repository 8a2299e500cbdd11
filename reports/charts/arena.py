"""The arena over time: which buffer lies where, from which step to which."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tinyrig.core.records import ArenaBuffer
from tinyrig.reports.charts.axes import Plot
from tinyrig.reports.charts.svg import bar, drawing, element, text, width


def draw(buffers: Sequence[ArenaBuffer], arena_bytes: int, label: str) -> Markup:
    """Steps from left to right, the arena's bytes from bottom to top; each buffer's name stands in it where there is room."""
    first, last = min(b.first for b in buffers), max(b.last for b in buffers) + 1
    plot = Plot(float(first), float(last), 0.0, float(arena_bytes), 230.0)
    pieces = plot.frame("step", "bytes of the arena")
    for i, b in enumerate(sorted(buffers, key=lambda b: (b.first, b.offset))):
        pieces += _buffer(plot, b, i)
    return drawing(plot.height, label, pieces)


def _buffer(plot: Plot, b: ArenaBuffer, i: int) -> list[Markup]:
    left, right = plot.x(b.first), plot.x(b.last + 1)
    top, bottom = plot.y(b.offset + b.size), plot.y(b.offset)
    box = bar(left, top, right - left - 0.8, bottom - top, "scratch" if b.scratch else i, described(b))
    name = short(b.name)
    if bottom - top < 14 or right - left < width(name[:4]) + 8:
        return [box]
    room = right - left - 8
    return [box, element("g", text(left + 4, top + 12, name, room=room, class_="in"))]


def short(name: str) -> str:
    """What tells tensors apart: the last part of the path that converters write."""
    return name.split(";")[0].rstrip("/").rsplit("/", 1)[-1] or name


def described(b: ArenaBuffer) -> str:
    span = f"step {b.first}" if b.first == b.last else f"steps {b.first} to {b.last}"
    return f"{b.name}: {b.size:,} bytes at {b.offset:,}, {span}"
