"""A chip's memory system from a file of `tinyrig calibrate`: named in its place, or stored for it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tinyrig.core.errors import UserError
from tinyrig.places.project import project_folder
from tinyrig.virtual.timing.memory import MemorySystem
from tinyrig.virtual.timing.model import FUSED_RULE, WIDE_RULE
from tinyrig.virtual.timing.systems import CHIPS, Chip

CALIBRATED = "calibrated"
"""What the names of such chips begin with."""
BOARDS = "boards"
"""The folder of the project, beside rig.toml, that keeps a file for each calibrated chip; and the one of those shipped, here."""
_FLASH = (0, 1 << 20)  # the emulator's
_POWERS = ("line_bytes", "cache_bytes")
_LARGEST = {"line_bytes": 64, "cache_bytes": 16_384, "ways": 64, "queue": 6, "data_lines": 8}
"""What memory.c has room for; waits may be up to 255 cycles."""


def store_place(chip: str) -> Path:
    """Where a calibration of this chip is kept."""
    return project_folder() / BOARDS / f"{re.sub(r'[^A-Za-z0-9_.-]', '-', chip)}.json"


def stored(chip: str) -> Path | None:
    """The calibration of this chip by a physical board: the project's, or the one shipped."""
    places = (store_place(chip), Path(__file__).parent / BOARDS / f"{chip}.json")
    return next((place for place in places if place.is_file()), None)


def chip_of(name: str) -> Chip:
    """A known chip, as calibrated where it is, or the one whose file `name` is. Raises UserError where a file can't be used."""
    file = stored(name) if name in CHIPS else Path(name)
    if file is None:
        return CHIPS[name]
    try:
        found = json.loads(file.read_text())
        chip = _chip(found)
        if name in CHIPS and found["timing"] != "measured":  # MEASURED of core/records.py, which loads numpy
            raise ValueError("no physical board was measured")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"memory = {name!r} can't be used" if name not in CHIPS else f"the calibration {file} can't be used",
            expected=f"{', '.join(sorted(set(CHIPS) - {'stm32f401'}))}, or a file of `tinyrig calibrate --json`",
            received=f"{type(error).__name__}: {error}"[:300],
            remedy="name another, or calibrate again" if name not in CHIPS else "calibrate again, or remove that file",
        ) from error
    return chip


def _chip(found: dict[str, Any]) -> Chip:
    """Raises ValueError, KeyError, TypeError, AttributeError for what no calibration writes."""
    system = MemorySystem(*_FLASH, **found["system"])
    _check(found["system"])
    wide = found["wide_rule"]
    fused, spread = found.get("fused_rule", wide), found.get("spread", 0.0)
    if not (isinstance(wide, bool) and isinstance(fused, bool)):
        raise ValueError("a rule is neither true nor false")
    if not isinstance(spread, int | float) or not 0 <= spread < 1:
        raise ValueError(f"spread is {spread!r}")
    where = f" on {found['board']}, {found['date']}" if "date" in found else ""
    rules = (WIDE_RULE if wide else 0) | (FUSED_RULE if fused else 0)
    name = f"{CALIBRATED}{'' if wide else ' narrow'}{'' if fused else ' unfused'}{where}"
    return Chip(re.sub(r"[^\w .,-]", "?", name), system, system, system, rules=rules, spread=float(spread))


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
