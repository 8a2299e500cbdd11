"""A report's content, independent of how it is rendered. In texts and cells `backticks` mark code; all else is plain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tinyrig.reports.text import one_line


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Bullets:
    items: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A table of finished texts; the first `left` columns are aligned left, all others right."""

    frame: pd.DataFrame
    left: int = 1


@dataclass(frozen=True)
class Picture:
    """A PNG on disk; `alt` says what it shows."""

    path: Path
    alt: str


Block = Heading | Text | Bullets | Grid | Picture


def code(text: object) -> str:
    """User-given text as code, on one line; a backtick inside would end it."""
    return "`" + one_line(text).replace("`", "'") + "`"


def lower(block: Block) -> Block:
    """One level further down, if it is a heading."""
    return Heading(block.level + 1, block.text) if isinstance(block, Heading) else block
