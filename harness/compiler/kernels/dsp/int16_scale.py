"""Sums of 16x8 layers to outputs: which of the forms of firmware/nn/m4/q16_common.h, and the constants of each channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyrig.compiler.kernels.m4_pack import SEGMENTS, pad_to
from tinyrig.compiler.model.layers import Requant
from tinyrig.compiler.model.step import Constant

NARROW, WIDE, TWICE = range(3)
"""q16_common.h's Q16_NARROW, Q16_WIDE, Q16_TWICE."""
LOWEST = 1 << 15
"""The largest magnitude of an int16 input."""


@dataclass(frozen=True, eq=False)
class Scales:
    """`parts` 0: the sum fits 32 bits, or is taken modulo 2^32."""

    form: int
    parts: int
    constants: tuple[Constant, ...]
    range: str


def scales(weights: np.ndarray, bias: np.ndarray, q: Requant, doubled: int = 1) -> Scales | None:
    """weights int8 [n, k], k in the order of the sum; bias int64 [n], or int32, which is TFLM's other arithmetic. doubled: what
    the kernel's sums are multiplied by, 1 or 2. None where no form fits."""
    if q.zero_point:
        return None
    if bias.dtype == np.int32:
        return _made(TWICE, 0, q, bias, q.multiplier, q.shift) if doubled == 1 else None
    parts = _parts(weights, doubled)
    reduced = np.where(q.multiplier < 0x7FFF0000, (q.multiplier.astype(np.int64) + (1 << 15)) >> 16, 0x7FFF)
    total = np.where(reduced == 0, 32, 15 - q.shift.astype(np.int64)) + (doubled - 1)
    if parts is None or total.min() < 1 or total.max() > 62:
        return None
    offset = bias.astype(np.int64) * reduced * doubled + (1 << (total - 1))
    narrow = _narrow(weights, reduced, total, offset, doubled) if not parts else None
    if narrow is not None:
        return _made(NARROW, 0, q, *narrow)
    return _made(WIDE, parts, q, offset, reduced, total)


def _made(form: int, parts: int, q: Requant, offset: np.ndarray, multiplier: np.ndarray, shift: np.ndarray) -> Scales:
    constants = (
        Constant("offset", offset.astype(np.int64), "bias and rounding"),
        Constant("multiplier", multiplier.astype(np.int32)),
        Constant("shift", shift.astype(np.int8)),
    )
    return Scales(form, parts, constants, f"{{{form}, {q.act_min}, {q.act_max}}}")


def _parts(weights: np.ndarray, doubled: int) -> int | None:
    """The fewest parts whose sums fit 32 bits for every input; 0 for the sum as a whole."""
    k, widest = weights.shape[1], ((1 << 31) - 1) // (LOWEST * doubled)
    for parts in (0, *SEGMENTS) if doubled == 1 else (0,):
        size = 4 * max(parts, 1)
        whole = np.abs(pad_to(weights.astype(np.int64), size, 1)).reshape(len(weights), size // 4, -1)
        if k and int(whole.sum(2).max()) <= widest:
            return parts
    return None


def _narrow(
    weights: np.ndarray, reduced: np.ndarray, total: np.ndarray, offset: np.ndarray, doubled: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Offset, multiplier and shift for the upper word of the product; None where 64 bits don't hold it."""
    left, right = np.maximum(32 - total, 0), np.maximum(total - 32, 0)
    widest = LOWEST * doubled * np.abs(weights.astype(np.int64)).sum(1)
    for acc, m, up, at in zip(widest.tolist(), reduced.tolist(), left.tolist(), offset.tolist(), strict=True):
        if m << up >= 1 << 31 or acc * (m << up) + (abs(at) << up) >= 1 << 63:
            return None
    return offset << left, reduced << left, right


def pack(weights: np.ndarray) -> np.ndarray:
    """int8 [n, k], k a multiple of 4 -> uint32 [n, k / 4]: the bytes w0 w2 w1 w3."""
    w = weights.astype(np.uint8).reshape(len(weights), -1, 4)[:, :, [0, 2, 1, 3]]
    return np.ascontiguousarray(w).view("<u4")[:, :, 0]
