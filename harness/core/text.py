"""Text from files and devices: made harmless once, where it is read, for terminals, tables, comments and file systems."""

from __future__ import annotations


def printable(name: str, most: int = 200) -> str:
    """One line of at most `most` characters: control characters, lone surrogates and the like become visible escapes (`\\x1b`), a
    longer name ends in an ellipsis."""
    line = "".join(map(_seen, name[: most + 1]))
    return line if len(line) <= most else line[: most - 1] + "…"


def visible(text: str) -> str:
    """Any text as a terminal or a log may show it: lines stay, whatever else moves a cursor becomes a visible escape."""
    return "".join(c if c in "\n\t" else _seen(c) for c in text)


def _seen(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()


NUMPY = "numpy float64 (tinyrig's own reference)"
"""The oracle `numpy`, wherever its verdict is shown: nobody should take it for one of the others."""


def oracle_label(name: str) -> str:
    """For people."""
    return NUMPY if name == "numpy" else name
