"""Names that come from files: made harmless once, where they are read, for terminals, tables, comments and file systems."""

from __future__ import annotations


def printable(name: str, most: int = 200) -> str:
    """One line of at most `most` characters: control characters, lone surrogates and the like become `?`, a longer name ends in
    an ellipsis."""
    line = "".join(c if c.isprintable() else "?" for c in name[: most + 1])
    return line if len(line) <= most else line[: most - 1] + "…"
