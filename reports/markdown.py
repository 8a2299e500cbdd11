"""Blocks -> GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from tinyrig.reports.blocks import Block, Bullets, Grid, Heading, Picture, Text


def render(blocks: Sequence[Block], folder: Path) -> str:
    """The whole document; pictures are linked relative to `folder`, where the document will lie."""
    return "\n\n".join(_block_markdown(block, folder) for block in blocks) + "\n"


def _block_markdown(block: Block, folder: Path) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {escape(text)}"
        case Text(text):
            return escape(text)
        case Bullets(items):
            return "\n".join(f"- {escape(item)}" for item in items)
        case Grid():
            return table(block, "pipe")
        case Picture(path, alt):
            return f"![{escape(alt)}]({_link(path, folder)})"
    raise TypeError(f"no Markdown for {type(block).__name__}")


def table(grid: Grid, style: str) -> str:
    """`style` is tabulate's: "pipe" for Markdown (escaped), "simple" for a terminal (backticks dropped)."""
    adapt = _escaped_cell if style == "pipe" else _without_backticks
    headers = [adapt(title) for title in grid.frame.columns]
    rows = [[adapt(text) for text in values] for values in grid.frame.itertuples(index=False, name=None)]
    align = ["left" if i < grid.left else "right" for i in range(len(headers))]
    return tabulate(rows, headers, tablefmt=style, colalign=align, disable_numparse=True)


def _escaped_cell(text: str) -> str:
    return escape(text).replace("|", "\\|")


def _without_backticks(text: str) -> str:
    return text.replace("`", "")


def escape(text: str) -> str:
    """Plain text with `code` spans: everything outside them that Markdown or HTML would read becomes literal."""
    parts = re.split(r"(`[^`]*`)", text.replace("\n", " "))
    return "".join(part if i % 2 else re.sub(r"([\\*_`\[\]<~]|&(?=[#\w]))", r"\\\1", part) for i, part in enumerate(parts))


def _link(path: Path, folder: Path) -> str:
    relative = path.relative_to(folder).as_posix()
    return f"<{relative}>" if " " in relative else relative
