"""Blocks -> one self-contained HTML file: no scripts, nothing fetched, pictures embedded."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from html import escape

from tinyrig.reports.blocks import Block, Bullets, Grid, Heading, Picture, Text
from tinyrig.reports.text import one_line

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff; max-width: 1100px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.3rem; margin-top: 2.2rem; border-bottom: 1px solid #d8dee4; padding-bottom: .2rem; }
h3 { font-size: 1.05rem; margin-top: 1.6rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #e3e7eb; text-align: right; white-space: nowrap; }
th { border-bottom: 2px solid #8c959f; background: #f6f8fa; }
.left { text-align: left; }
code { font: .9em ui-monospace, monospace; background: #f3f4f6; padding: .05rem .25rem; border-radius: 3px;
  overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; margin: .6rem 0; }
"""


def render(blocks: Sequence[Block], title: str) -> str:
    """The whole document."""
    head = '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">'
    head += f"\n<title>{escape(title)}</title>\n<style>{_STYLE}</style>"
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body(blocks)}\n</body>\n</html>\n'


def body(blocks: Sequence[Block]) -> str:
    """The blocks alone, for a document of its own or of another."""
    return "\n".join(_block_html(block) for block in blocks)


def _block_html(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{_inline(text)}</h{level}>"
        case Text(text):
            return f"<p>{_inline(text)}</p>"
        case Bullets(items):
            return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + "</ul>"
        case Grid():
            return _table(block)
        case Picture(path, alt):
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            return f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">'
    raise TypeError(f"no HTML for {type(block).__name__}")


def _table(grid: Grid) -> str:
    rows = [_table_row("th", list(grid.frame.columns), grid.left)]
    rows += [_table_row("td", list(values), grid.left) for values in grid.frame.itertuples(index=False, name=None)]
    return '<div class="wide"><table>\n' + "\n".join(rows) + "\n</table></div>"


def _table_row(tag: str, texts: list[str], left: int) -> str:
    cells = (f"<{tag}{' class=left' if i < left else ''}>{_inline(text)}</{tag}>" for i, text in enumerate(texts))
    return "<tr>" + "".join(cells) + "</tr>"


def _inline(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(one_line(text)))
