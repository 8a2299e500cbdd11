"""What would make a model smaller or faster, from what the compiler sees in it."""

from __future__ import annotations

from tinyrig.compiler.emit import Unit
from tinyrig.preflight.records import Advice


def advice_for(unit: Unit) -> tuple[Advice, ...]:
    return ()
