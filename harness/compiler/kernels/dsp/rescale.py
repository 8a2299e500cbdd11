"""Scales of sums in the form of firmware/nn/m4/state_common.h."""

from __future__ import annotations

from tinyrig.compiler.model.params import Scale

WIDEST = 1 << 31
"""What a sum shifted to the left must stay below."""


def record(scale: Scale, widest: int) -> str | None:
    """The initialiser of an m4_scale that gives nn_requantize of sums up to `widest`; None where it does not fit. The multiplier
    takes twice the sum, since the product's upper word counts 2^32ths."""
    multiplier, shift = scale
    left, right = max(shift, 0) + 1, max(-shift, 0)
    if widest << left >= WIDEST or right > 30:
        return None
    return f"{{{multiplier}, {left}, {right}, {1 << right >> 1}, {-1 if right else 0}}}"


def record_64(scale: Scale, widest: int) -> str | None:
    """As `record`, of nn_requantize_64: the multiplier has 16 bits, and there is one rounding."""
    multiplier, shift = scale
    reduced = (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF
    total = 15 - shift
    left = max(16 - total, 0)
    if total < 1 or total > 32 or widest << left >= WIDEST:
        return None
    return f"{{{reduced << min(32 - total, 16)}, {left}, 0, 0, 0}}"
