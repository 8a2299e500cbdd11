"""Pieces of the nights' page as HTML; what they are given as text is escaped, what they are given as HTML is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from tinyrig.reports.nights import words
from tinyrig.reports.nights.records import Cell
from tinyrig.reports.text import LONGEST, clipped


def escaped(value: object, longest: int = LONGEST) -> Markup:
    """User-given text on one line of at most `longest` characters."""
    return escape(clipped(value, longest))


def code_span(value: object) -> Markup:
    return Markup("<code>{}</code>").format(escaped(value))


def bullets(items: Iterable[str], rest: int = 0) -> str:
    more = f"<li>and {rest} more</li>" if rest > 0 else ""
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + more + "</ul>"


def html_table(label: str, head: Sequence[str], rows: Iterable[Sequence[str]], prose: Sequence[int] = ()) -> str:
    """Cells are HTML; the first column holds the rows' names, those in `prose` hold text that wraps."""
    left = (0, *prose)
    cells = "".join(f'<th scope="col"{" class=left" if i in left else ""}>{title}</th>' for i, title in enumerate(head))
    lines = [f"<thead><tr>{cells}</tr></thead>", "<tbody>"]
    for first, *others in rows:
        data = "".join(f"<td{' class=text' if i in prose else ''}>{c}</td>" for i, c in enumerate(others, 1))
        lines.append(f'<tr><th scope="row">{first}</th>{data}</tr>')
    return scrollable(label, "<table>\n" + "\n".join(lines) + "\n</tbody></table>")


def scrollable(label: str, inner: str) -> str:
    return f'<div class="wide" role="region" tabindex="0" aria-label="{escaped(label)}">{inner}</div>'


def status_mark(status: str, more: str = "") -> str:
    return f'<span class="{status.replace(" ", "-")}">{words.GLYPHS.get(status, "")} {escaped(status)}{more}</span>'


def place(cell: Cell) -> str:
    return f"{code_span(cell.variant)} on {escaped(words.board(cell))}"
