"""Texts on their way into a report. Free of pandas, which costs time that the page of nights does not need."""

from __future__ import annotations


def one_line(text: object) -> str:
    """On one line, with a space for every character that nobody sees."""
    return "".join(c if c.isprintable() else " " for c in str(text))


LONGEST = 300
"""Characters of a user-given text that are shown."""


def clipped(text: object, longest: int = LONGEST) -> str:
    """User-given text on one line of at most `longest` characters."""
    line = one_line(text)
    return line if len(line) <= longest else line[: longest - 1] + "…"


def count(number: int, noun: str) -> str:
    """`1 metric`, `2 metrics`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
