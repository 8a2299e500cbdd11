"""docs/operators.md names every operator that the compiler knows."""

from __future__ import annotations

import re
from pathlib import Path

from tinyrig.compiler.lower.lower import LOWER
from tinyrig.compiler.model.options import custom_name

PAGE = Path(__file__).parents[3] / "docs" / "operators.md"


def test_every_operator_stands_on_the_page() -> None:
    table = PAGE.read_text("utf-8").partition("Not run:")[0]
    named = set(re.findall(r"[A-Z][A-Z0-9_]+", table))
    named |= {custom_name(name) for name in re.findall(r"Signal\w+|TFLite_\w+", table)}
    assert sorted(set(LOWER) - named) == []
