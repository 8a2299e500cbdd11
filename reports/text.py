"""User-given text on its way into a report. Free of pandas: the nights' page is written without it."""

from __future__ import annotations


def one_line(text: object) -> str:
    """On one line, with a space in place of every character that nobody sees."""
    return "".join(c if c.isprintable() else " " for c in str(text))
