"""A chip's memory system from a file of `tinyrig calibrate`, where a known chip's name could stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinyrig.core.errors import UserError
from tinyrig.virtual.timing.memory import MemorySystem
from tinyrig.virtual.timing.systems import CHIPS, Chip

CALIBRATED = "calibrated"
"""What the names of such chips begin with."""
_FLASH = (0, 1 << 20)  # the emulator's
_POWERS = ("line_bytes", "cache_bytes")
_LARGEST = {"line_bytes": 64, "cache_bytes": 16_384, "ways": 64, "queue": 6, "data_lines": 8}
"""What memory.c has room for; waits may be up to 255 cycles."""


def chip_of(name: str) -> Chip:
    """A known chip, or the one whose file `name` is. Raises UserError where it can't be used."""
    if name in CHIPS:
        return CHIPS[name]
    try:
        found = json.loads(Path(name).read_text())
        system = MemorySystem(*_FLASH, **found["system"])
        _check(found["system"])
        rules = found["wide_rule"]
        if not isinstance(rules, bool):
            raise ValueError("wide_rule is neither true nor false")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"memory = {name!r} can't be used",
            expected=f"{', '.join(sorted(set(CHIPS) - {'stm32f401'}))}, or a file of `tinyrig calibrate --json`",
            received=f"{type(error).__name__}: {error}"[:300],
            remedy="name another, or calibrate again",
        ) from error
    return Chip(f"{CALIBRATED}{'' if rules else ' narrow'}", system, system, system, rules=rules)


def _check(system: dict[str, Any]) -> None:
    for name, value in system.items():
        largest = _LARGEST.get(name, 255)
        least = 2 if name == "queue" else 1 if name in _LARGEST else 0
        if type(value) is not int or not least <= value <= largest or (name in _POWERS and value & (value - 1)):
            raise ValueError(f"{name} is {value!r}")
    lines, ways = system.get("cache_bytes", 16) // system.get("line_bytes", 16), system.get("ways", 1)
    sets = lines // ways
    if not 1 <= lines <= 1024 or sets * ways != lines or sets & (sets - 1):
        raise ValueError(f"{lines} lines in {ways} ways")
