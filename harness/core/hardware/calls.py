"""Calls in machine code: does one stand directly before an address, and where does it go?

Encodings: Armv7-M Architecture Reference Manual (DDI 0403), A7.7.18 BL (T1), A7.7.19 BLX; The RISC-V Instruction Set Manual,
volume I, 2.5 JAL and JALR, 16.4 C.JAL and C.JALR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_JAL, _JALR = 0x6F, 0x67
_LINKS = (1, 5)
"""ra, and t0 of millicode."""
_C_JAL_BITS = ((12, 11), (11, 4), (10, 9), (9, 8), (8, 10), (7, 6), (6, 7), (5, 3), (4, 2), (3, 1), (2, 5))
"""(bit of the instruction, bit of the distance)."""
_JAL_BITS = ((31, 20), *((30 - i, 10 - i) for i in range(10)), (20, 11), *((19 - i, 19 - i) for i in range(8)))


@dataclass(frozen=True)
class Call:
    """distance: from the address behind the call to where it goes; None through a register."""

    distance: int | None


def thumb_call(before: bytes) -> Call | None:
    """The call that ends with these four bytes."""
    first, second = int.from_bytes(before[:2], "little"), int.from_bytes(before[2:], "little")
    if first >> 11 == 0x1E and second >> 14 == 3 and second >> 12 & 1:
        sign = first >> 10 & 1
        i1, i2 = (1 ^ (second >> bit & 1) ^ sign for bit in (13, 11))
        distance = (i1 << 23) | (i2 << 22) | ((first & 0x3FF) << 12) | ((second & 0x7FF) << 1)
        return Call(distance - (sign << 24))
    return Call(None) if second & 0xFF87 == 0x4780 else None


def riscv_call(before: bytes) -> Call | None:
    """The call that ends with these four bytes, of which a compressed one takes two."""
    word, half = int.from_bytes(before, "little"), int.from_bytes(before[2:], "little")
    if word & 0x7F == _JAL and word >> 7 & 31 in _LINKS:
        return Call(_signed(word, _JAL_BITS, 20) - 4)
    if word & 0x7F == _JALR and word >> 7 & 31 in _LINKS:
        return Call(None)
    if half & 0xE003 == 0x2001:
        return Call(_signed(half, _C_JAL_BITS, 11) - 2)
    return Call(None) if half & 0xF07F == 0x9002 and half >> 7 & 31 else None


def _signed(word: int, bits: Sequence[tuple[int, int]], sign: int) -> int:
    value = sum((word >> of & 1) << to for of, to in bits)
    return value - (1 << (sign + 1)) if value >> sign else value
