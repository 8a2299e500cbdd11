"""The matrix as Markdown, and its place in docs/cores.md."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tinyrig.core.boards import BOARDS
from tinyrig.core.errors import UserError
from tinyrig.cores.matrix import Cell

BEGIN, END = "<!-- matrix: written by `python bench/matrix.py --page docs/cores.md` -->", "<!-- end of the matrix -->"


def table(cells: Sequence[Cell]) -> str:
    """One row a network and core."""
    lines = ["| network | core | instructions | RAM B | flash B | outputs |", "|:--|:--|--:|--:|--:|:--|"]
    for network, group in groupby(cells, lambda cell: cell.network):
        lines += [f"| {network} | {_core(cell)} | {_numbers(cell)} |" for cell in group]
    return "\n".join(lines)


def _core(cell: Cell) -> str:
    return f"{BOARDS[cell.core].title.split('(')[1].split(',')[0].rstrip(')')} (`{cell.core}`)"


def _numbers(cell: Cell) -> str:
    if cell.refused:
        return f"- | - | - | {cell.refused}"
    right = f"{cell.wrong} of {len(cell.outputs)} windows wrong" if cell.wrong else f"right in {len(cell.outputs)} windows"
    return f"{_number(cell.instructions)} | {_number(cell.ram)} | {_number(cell.flash)} | {right}"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def with_table(text: str, written: str) -> str:
    """`text` with what stands between the marks replaced. Raises UserError where they are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UserError("the page has no place for the matrix", expected=f"{BEGIN} and {END}", received="not both of them")
    return f"{before}{BEGIN}\n\n{written}\n\n{END}{after}"
