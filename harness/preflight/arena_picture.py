"""The arena over time: a picture of characters, and one for a browser. Steps go to the right, bytes upward."""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrig.core.errors import HostError, UserError
from tinyrig.core.records import ArenaBuffer
from tinyrig.preflight.records import ModelCheck

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS, COLUMNS = 12, 72
"""Characters that the picture may fill; beyond them a column stands for several steps."""
_LONGEST = 60
_LETTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits


def picture(check: ModelCheck) -> str:
    """ "" for a model without an arena. Each tensor is a letter; several in one place and column show the largest."""
    pieces, steps = check.arena_map, len(check.ops)
    if not check.arena_bytes or not steps:
        return ""
    columns, rows = min(steps, COLUMNS), min(ROWS, -(-check.arena_bytes // 16))
    grid = [["."] * columns for _ in range(rows)]
    letters = {id(p): _LETTERS[i] if i < len(_LETTERS) else "#" for i, p in enumerate(_largest(pieces))}
    for piece in sorted(pieces, key=lambda p: p.size):
        _draw(grid, piece, letters.get(id(piece), "#"), steps, check.arena_bytes)
    width = len(f"{check.arena_bytes:,}")
    marks = [f"{check.arena_bytes:,}" if i == 0 else "0" if i == rows - 1 else "" for i in range(rows)]
    lines = [f"{mark:>{width}} |{''.join(row)}|" for mark, row in zip(marks, grid, strict=True)]
    title = f"arena in bytes over steps 0 to {steps - 1}" + (f", {-(-steps // columns)} a column" if steps > columns else "")
    legend = [f"  {letters[id(p)]} {p.size:,} bytes, {_life(p, steps)}: {_name(p)}" for p in _largest(pieces)[:20]]
    rest = [f"  and {len(pieces) - 20} smaller ones"] if len(pieces) > 20 else []
    return "\n".join([title, *lines, *legend, *rest])


def _largest(pieces: tuple[ArenaBuffer, ...]) -> list[ArenaBuffer]:
    return sorted(pieces, key=lambda p: -p.size)


def _name(piece: ArenaBuffer) -> str:
    full = piece.name.split(";")[0]
    return full if len(full) <= _LONGEST else "…" + full[1 - _LONGEST :]


def _life(piece: ArenaBuffer, steps: int) -> str:
    first, last = max(piece.first, 0), min(piece.last, steps - 1)
    return f"step {first}" if first == last else f"steps {first} to {last}"


def _draw(grid: list[list[str]], piece: ArenaBuffer, letter: str, steps: int, arena: int) -> None:
    """At least one character, however small it is."""
    rows, columns = len(grid), len(grid[0])
    low, high = piece.offset * rows // arena, max(piece.offset * rows // arena, ((piece.offset + piece.size) * rows - 1) // arena)
    left, right = max(piece.first, 0) * columns // steps, min(piece.last, steps - 1) * columns // steps
    for row in range(min(low, rows - 1), min(high, rows - 1) + 1):
        for column in range(left, right + 1):
            grid[rows - 1 - row][column] = letter


def save_picture(check: ModelCheck, path: Path) -> None:
    """`path` ends in .svg or .png. Raises UserError, HostError."""
    if path.suffix.lower() not in (".svg", ".png"):
        raise UserError("the picture's file type is not known", expected="FILE.svg or FILE.png", received=path.name)
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6, min(16, len(check.ops) / 3)), 5), layout="constrained")
    axes = figure.subplots()
    for i, piece in enumerate(_largest(check.arena_map)):
        _box(axes, piece, f"C{i % 10}", len(check.ops), check.arena_bytes)
    axes.set(xlim=(-0.5, len(check.ops) - 0.5), ylim=(0, check.arena_bytes or 1), xlabel="step", ylabel="arena, bytes")
    axes.set_title(f"{Path(check.file).name}: arena {check.arena_bytes:,} bytes", parse_math=False)
    try:
        figure.savefig(path, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    except OSError as error:
        raise HostError(f"{path} can't be written", received=str(error), remedy="name a writable file") from error


def _box(axes: Axes, piece: ArenaBuffer, color: str, steps: int, arena: int) -> None:
    left, right = max(piece.first, 0) - 0.5, min(piece.last, steps - 1) + 0.5
    axes.broken_barh(
        [(left, right - left)], (piece.offset, piece.size), facecolors=color, edgecolors="black", linewidth=0.5, alpha=0.7
    )
    if piece.size * 20 >= arena:
        shown = _name(piece).rsplit("/", 1)[-1][:24]
        middle = piece.offset + piece.size / 2
        axes.text(left + 0.1, middle, f"{shown} {piece.size:,}", fontsize=7, va="center", clip_on=True, parse_math=False)
