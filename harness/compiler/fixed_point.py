"""gemmlowp's fixed-point functions on Python integers, for tables computed at compile time. The same algorithms as in
firmware/nn/nn_fixed.h (published in gemmlowp's fixedpoint.h, Apache-2.0); raw values of 32 bits, Qm.n given by name."""

from __future__ import annotations

INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)

# exp(-1/4), exp(-1/2), ... exp(-16) in Q0.31
_EXP_FACTORS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def wrap32(x: int) -> int:
    return (x + 2**31) % 2**32 - 2**31


def saturate32(x: int) -> int:
    return max(INT32_MIN, min(INT32_MAX, x))


def mul_high(a: int, b: int) -> int:
    """round(a * b / 2^31), ties up."""
    return INT32_MAX if a == b == INT32_MIN else (a * b + (1 << 30)) >> 31


def shift_right(x: int, e: int) -> int:
    """round(x / 2^e), ties away from zero."""
    mask = (1 << e) - 1
    return (x >> e) + ((x & mask) > (mask >> 1) + (x < 0))


def requantize(x: int, multiplier: int, shift: int) -> int:
    """MultiplyByQuantizedMultiplier with double rounding."""
    return shift_right(mul_high(wrap32(x << max(shift, 0)), multiplier), max(-shift, 0))


def times_pot(x: int, e: int) -> int:
    """x * 2^e: saturating to the left, rounding to the right."""
    return saturate32(x << e) if e > 0 else shift_right(x, -e)


def exp_negative(a: int, integer_bits: int) -> int:
    """exp(a) in Q0.31 for a <= 0 with `integer_bits` (at most 5) in front of the point."""
    if a == 0:
        return INT32_MAX
    quarter = 1 << (31 - integer_bits - 2)
    remainder = (a & (quarter - 1)) - quarter
    result = _exp_quarter(wrap32(remainder << integer_bits))
    for i, factor in enumerate(_EXP_FACTORS[: integer_bits + 2]):
        if (remainder - a) & (quarter << i):
            result = mul_high(result, factor)
    return result


def _exp_quarter(a: int) -> int:
    """exp(a) for a in [-1/4, 0), Q0.31: series around -1/8."""
    exp_eighth, third = 1895147668, 715827883
    x = a + (1 << 28)
    x2 = mul_high(x, x)
    x3, x4 = mul_high(x2, x), mul_high(x2, x2)
    tail = shift_right(mul_high(shift_right(x4, 2) + x3, third) + x2, 1)
    return exp_eighth + mul_high(exp_eighth, x + tail)


def _newton_reciprocal(a: int) -> tuple[int, int]:
    """-> (x in Q2.29, half): x near 1 / half for half = (1 + a) / 2, a in [0, 1]."""
    total = a + INT32_MAX
    half = (total + 1) // 2 if total >= 0 else -((-total + 1) // 2)
    x = 1515870810 + mul_high(half, -1010580540)
    for _ in range(3):
        x = wrap32(x + times_pot(mul_high(x, (1 << 29) - mul_high(half, x)), 2))
    return x, half


def one_over_one_plus(a: int) -> int:
    """1 / (1 + a), Q0.31."""
    return times_pot(_newton_reciprocal(a)[0], 1)


def one_minus_over_one_plus(a: int) -> int:
    """(1 - a) / (1 + a), Q0.31."""
    return times_pot(_newton_reciprocal(a)[0] - (1 << 29), 2)


def logistic(a: int, integer_bits: int = 4) -> int:
    if a == 0:
        return 1 << 30
    positive = one_over_one_plus(exp_negative(-abs(a), integer_bits))
    return positive if a > 0 else INT32_MAX - positive


def tanh(a: int, integer_bits: int = 4) -> int:
    """tanh(a) by exp(-2|a|): the doubling is one more integer bit."""
    if a == 0:
        return 0
    t = one_minus_over_one_plus(exp_negative(-abs(a), integer_bits + 1))
    return t if a > 0 else -t


def inverse_sqrt(x: int) -> tuple[int, int]:
    """-> (multiplier, shift) of 1 / sqrt(x) for an integer x >= 0 (0 counts as 1): five Newton-Raphson steps in Q3.28."""
    if x <= 1:
        return INT32_MAX, 0
    shift = 11
    while x >= 1 << 29:
        x //= 4
        shift += 1
    pairs = (32 - x.bit_length() - 1) // 2 - 1
    shift -= pairs
    value = (x << 2 * pairs) >> 1
    half, y = shift_right(value, 1), 1 << 28
    for _ in range(5):
        cube = times_pot(mul_high(mul_high(y, y), y), 6)
        y = times_pot(wrap32(mul_high((1 << 28) + (1 << 27), y) - mul_high(half, cube)), 3)
    y = mul_high(y, 1518500250)
    if shift < 0:
        y, shift = wrap32(y << -shift), 0
    return y, -shift
