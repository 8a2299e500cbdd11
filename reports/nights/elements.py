"""Pieces of the nights' page for its template: records of texts. A text is escaped where it is shown; Markup was already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from tinyrig.reports.nights import words
from tinyrig.reports.nights.records import Cell
from tinyrig.reports.text import LONGEST, clipped

MOST_LINES = 40
"""Of any list; what is left out is counted."""


@dataclass(frozen=True)
class Items:
    """A list's first lines, and how many more there are."""

    lines: tuple[str, ...]
    rest: int = 0


@dataclass(frozen=True)
class Table:
    """The first column holds the rows' names, those in `prose` text that wraps."""

    label: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    prose: tuple[int, ...] = ()


def items(lines: Iterable[str], total: int | None = None) -> Items:
    """`total`: how many there are where `lines` are only the first."""
    found = tuple(lines)
    shown = found[:MOST_LINES]
    return Items(shown, max(0, (len(found) if total is None else total) - len(shown)))


def table(label: str, head: Sequence[str], rows: Iterable[Sequence[str]], prose: Iterable[int] = ()) -> Table:
    return Table(label, tuple(head), tuple(map(tuple, rows)), tuple(prose))


def escaped(value: object, longest: int = LONGEST) -> Markup:
    """User-given text on one line of at most `longest` characters."""
    return escape(clipped(value, longest))


def code_span(value: object) -> Markup:
    return Markup("<code>{}</code>").format(escaped(value))


def html(form: str, *parts: object) -> Markup:
    """`form` is HTML with `{}` for each part, which is escaped unless it is Markup."""
    return Markup(form).format(*(part if isinstance(part, Markup) else escaped(part) for part in parts))


def status_mark(status: str) -> Markup:
    tone = status.replace(" ", "-")
    return html('<span class="{}">{} {}</span>', tone, words.GLYPHS.get(status, ""), status)


def place(cell: Cell) -> Markup:
    return html("{} on {}", code_span(cell.variant), words.board(cell))
