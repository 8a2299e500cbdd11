"""SVG by hand: elements, escaped texts, and texts that fit. Widths are user units of the viewBox; a chart is WIDTH wide, so that
a phone shows it about as large as it is."""

from __future__ import annotations

import math
from collections.abc import Iterable

from markupsafe import Markup, escape

from tinyrig.reports.text import clipped, one_line

WIDTH = 360.0
TEXT = 11.0
"""Font size."""
_GLYPH = 0.56
"""Mean width of a character, in font sizes, of the usual sans-serif fonts; digits and lower case are narrower."""


def number(value: float) -> str:
    """A coordinate to a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")


def element(name: str, inner: Markup | str = "", **attributes: object) -> Markup:
    """`<name ...>inner</name>`; attributes are escaped, `_` stands for `-` and a trailing one is dropped; floats are rounded."""
    given = ((k.rstrip("_").replace("_", "-"), v) for k, v in attributes.items() if v is not None)
    words = "".join(f' {k}="{escape(number(v) if isinstance(v, float) else one_line(v))}"' for k, v in given)
    content = inner if isinstance(inner, Markup) else escape(one_line(inner))
    return Markup(f"<{name}{words}>{content}</{name}>" if inner else f"<{name}{words}/>")


def drawing(height: float, label: str, parts: Iterable[Markup]) -> Markup:
    """The whole <svg>; `label` says in words what it shows."""
    inner = Markup("").join(parts)
    return element("svg", inner, viewBox=f"0 0 {number(WIDTH)} {number(height)}", role="img", aria_label=clipped(label, 900))


def text(x: float, y: float, words: str, *, anchor: str | None = None, class_: str | None = None, room: float = WIDTH) -> Markup:
    """One line of text, cut off where it would be wider than `room`."""
    return element("text", fitted(words, room), x=x, y=y, text_anchor=anchor, class_=class_)


def fitted(words: str, room: float) -> str:
    return clipped(words, max(2, int(room / (TEXT * _GLYPH))))


def width(words: str) -> float:
    """About as wide as this text is."""
    return len(words) * TEXT * _GLYPH


def bar(x: float, y: float, wide: float, high: float, colour: int | str, title: str) -> Markup:
    """A rectangle with a tooltip; `colour` is the number of a series or a class. What is too thin to see is a hair's breadth."""
    tone = f"c{colour % COLOURS}" if isinstance(colour, int) else colour
    return element("rect", element("title", title), x=x, y=y, width=max(wide, 0.4), height=max(high, 0.4), class_=tone)


COLOURS = 8
"""Series that have a colour of their own."""


def ticks(low: float, high: float, most: int = 5) -> list[tuple[float, str]]:
    """Round numbers between the two and how they are written, all alike; at most `most` of them, one at least."""
    span = high - low
    if span <= 0:
        return [(low, f"{low:,g}")]
    unit = 10.0 ** math.floor(math.log10(span / most))
    step = next((m * unit for m in (1, 2, 2.5, 5, 10) if span / (m * unit) <= most), 10 * unit)
    digits = max(0, -math.floor(math.log10(step)) + (step / 10 ** math.floor(math.log10(step)) == 2.5))
    first = math.ceil(low / step - 1e-9)
    found = [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)] or [low]
    return [(value, f"{value:,.{digits}f}") for value in found]
