"""Text from outside: one line, of a limited length, that moves no cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.core.text import printable, visible

anything = st.text(st.characters())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, größer", "plain, größer"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb", r"a\nb"),
        ("\udc80", r"\udc80"),
        ("\x9b", r"\x9b"),
    ],
)
def test_what_moves_a_cursor_becomes_a_visible_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(anything, st.integers(1, 30))
def test_printable_is_one_line_of_limited_length(text: str, most: int) -> None:
    shown = printable(text, most)
    assert shown.isprintable() and len(shown) <= most
    shown.encode()  # a lone surrogate could not be


@given(anything)
def test_visible_keeps_lines_and_nothing_else_that_moves(text: str) -> None:
    shown = visible(text)
    assert shown.replace("\n", "").replace("\t", "").isprintable() and shown.count("\n") == text.count("\n")
    shown.encode()
