"""docs/operators.md names every operator that the compiler knows."""

from __future__ import annotations

import re

import pytest

from tinyrig.compiler.lower.lower import LOWER
from tinyrig.compiler.model.options import custom_name
from tinyrig.compiler.tests.op_types import BEGIN, END, PAGE, table, types_of


def test_every_operator_stands_on_the_page() -> None:
    head, _, rest = PAGE.read_text("utf-8").partition("Not run:")[0].partition(BEGIN)
    by_hand = head + rest.partition(END)[2]
    named = set(re.findall(r"[A-Z][A-Z0-9_]+", by_hand))
    named |= {custom_name(name) for name in re.findall(r"Signal\w+|TFLite_\w+", by_hand)}
    assert sorted(set(LOWER) - named) == []


def test_every_operator_stands_in_the_table_of_types() -> None:
    written = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    assert set(re.findall(r"[A-Z][A-Z0-9_]+", written)) == {code for code in LOWER if not code.startswith("CUSTOM")}


def test_types_are_what_the_compiler_takes() -> None:
    found = {code: types_of(code) for code in ("MUL", "ARG_MAX", "QUANTIZE")}
    assert found["MUL"] == "float32, int8, int16, int32" and found["ARG_MAX"] == "float32, int8 to int32, int64"
    assert all(f"| {types} |" in PAGE.read_text("utf-8") for types in found.values())


@pytest.mark.slow
def test_the_table_of_types_is_current() -> None:
    """Otherwise: `python -m tinyrig.compiler.tests.op_types`."""
    assert PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].strip() == table().strip()
