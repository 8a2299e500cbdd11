"""Lookup tables: an int8 function of one int8 is 256 bytes, computed here exactly as TFLM computes each element."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinyrig.compiler import fixed_point
from tinyrig.compiler.model.graph import Tensor
from tinyrig.compiler.model.quant import quantize_multiplier, round_half_away

LOW, HIGH = -128, 127


def table(function: Callable[[int], int]) -> np.ndarray:
    """int8 [256]: entry i is function(i - 128), saturated."""
    return np.array([min(max(function(q), LOW), HIGH) for q in range(LOW, HIGH + 1)], np.int8)


def logistic(x: Tensor, y: Tensor) -> np.ndarray:
    return table(_sigmoid_like(x, lambda v: fixed_point.shift_right(fixed_point.logistic(v), 31 - 8) + LOW))


def tanh(x: Tensor, y: Tensor) -> np.ndarray:
    return table(_sigmoid_like(x, lambda v: fixed_point.shift_right(fixed_point.tanh(v), 31 - 7)))


def _sigmoid_like(x: Tensor, function: Callable[[int], int]) -> Callable[[int], int]:
    """Scales the input to Q4.27; beyond the range the output is at its end."""
    mantissa, shift = math.frexp(float(x.scale) * (1 << 27))
    multiplier = round_half_away(mantissa * (1 << 31))
    radius = math.floor(15.0 * (1 << 27) / 2.0**shift)

    def element(q: int) -> int:
        v = q - x.zero_point
        if abs(v) >= radius:
            return HIGH if v > 0 else LOW
        return function(fixed_point.requantize(v, multiplier, shift))

    return element


def hard_swish(x: Tensor, y: Tensor) -> np.ndarray:
    """x * relu6(x + 3) / 6 on 16-bit intermediates, after TFLM's hard_swish.h."""
    fine = np.float32(np.float32(1.0 / 128.0) * x.scale)
    out_multiplier, out_shift = _to_int16(quantize_multiplier(float(np.float32(fine / y.scale))))
    gate_multiplier, gate_shift = _to_int16(quantize_multiplier(float(np.float32(fine / np.float32(3.0 / 32768.0)))))

    def element(q: int) -> int:
        v = (q - x.zero_point) * 128
        scaled = _mul_high16(v, out_multiplier)
        gate = _shift_left16(v, gate_shift - 1) if gate_shift > 0 else v
        gate = _mul_high16(gate, gate_multiplier)
        gate = _shift_left16(gate, 1) if gate_shift > 0 else _shift_right16(gate, -gate_shift)
        gate = (gate + (1 << 15)) >> 1
        product = gate * scaled
        product = int(product / 32768) if abs(product) < 1 << 30 else (32767 if product > 0 else -32768)
        return _shift_right16(product, max(-out_shift, 0)) + y.zero_point

    return table(element)


def _to_int16(pair: tuple[int, int]) -> tuple[int, int]:
    multiplier, shift = pair
    return (0x7FFF if multiplier >= 0x7FFFFFFF - (1 << 15) else (multiplier + (1 << 15)) >> 16), shift


def _mul_high16(a: int, b: int) -> int:
    """round(a * b / 2^15), ties up, saturated."""
    return 32767 if a == b == -32768 else (a * b + (1 << 14)) >> 15


def _shift_left16(x: int, e: int) -> int:
    return max(-32768, min(32767, x << e))


def _shift_right16(x: int, e: int) -> int:
    """gemmlowp's rounding shift on int16: for e > 15 its mask has wrapped to -1, and TFLM's results follow from that."""
    mask = (1 << e) - 1 if e < 16 else -1
    return (x >> e) + ((x & mask) > (mask >> 1) + (x < 0))


def leaky_multipliers(x: Tensor, y: Tensor, alpha: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """(positive, negative) side as (multiplier, shift); TFLM divides in double. A negative multiplier stands for the
    negated result of the positive one: ties show that this is what TFLM's kernel does."""
    slope = float(x.scale) * float(np.float32(alpha)) / float(y.scale)
    negative = quantize_multiplier(abs(slope))
    return quantize_multiplier(float(x.scale) / float(y.scale)), (negative[0] if slope >= 0 else -negative[0], negative[1])


def leaky_relu(x: Tensor, y: Tensor, alpha: float) -> np.ndarray:
    positive, negative = leaky_multipliers(x, y, alpha)

    def element(q: int) -> int:
        v = q - x.zero_point
        multiplier, shift = positive if v >= 0 else negative
        scaled = fixed_point.requantize(v, abs(multiplier), shift)
        return (scaled if multiplier >= 0 else -scaled) + y.zero_point

    return table(element)


def absolute(x: Tensor, y: Tensor) -> np.ndarray:
    scale = quantize_multiplier(float(x.scale) / float(y.scale))  # in double: ties show it (0.1 from 1/256)

    def element(q: int) -> int:
        v = abs(q - x.zero_point)
        return (v if x.scale == y.scale else fixed_point.requantize(v, *scale)) + y.zero_point

    return table(element)


def elu(x: Tensor, y: Tensor) -> np.ndarray:
    """float32 arithmetic on each of the 256 values, as TFLM fills its table."""

    def element(q: int) -> int:
        v = np.float32(x.scale * np.float32(q - x.zero_point))
        f = np.float32(math.expm1(v)) if v < 0 else v
        return int(np.float32(np.float32(round_half_away(float(f * np.float32(1 / y.scale)))) + np.float32(y.zero_point)))

    return table(element)


def exp(x: Tensor, y: Tensor) -> np.ndarray:
    return _by_value(x, y, lambda v: math.exp(min(v, 80.0)))


def log(x: Tensor, y: Tensor) -> np.ndarray:
    """Where there is no logarithm the output is at its bottom."""
    bottom = (LOW - y.zero_point) * float(y.scale)
    return _by_value(x, y, lambda v: math.log(v) if v > 0 else bottom)


def gelu(x: Tensor, y: Tensor) -> np.ndarray:
    return _by_value(x, y, lambda v: v * (1 + math.erf(v * math.sqrt(0.5))) / 2)


def gelu_approximate(x: Tensor, y: Tensor) -> np.ndarray:
    return _by_value(x, y, lambda v: v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))) / 2)


def _by_value(x: Tensor, y: Tensor, function: Callable[[float], float]) -> np.ndarray:
    """A function of the real value, rounded half away, as LiteRT fills its tables. TFLM has no such kernels."""
    f32, most = np.float32, 1e30

    def element(q: int) -> int:
        value = f32(min(max(function(float(x.scale * f32(q - x.zero_point))), -most), most))
        return round_half_away(float(f32(min(max(value * f32(f32(1) / y.scale), f32(-1e9)), f32(1e9))))) + y.zero_point

    return table(element)


def sqrt(x: Tensor, y: Tensor) -> np.ndarray:
    """LiteRT's: rounded down. Below the zero point, where there is no root, that of 0."""

    def element(q: int) -> int:
        root = np.float32(math.sqrt(x.scale * np.float32(max(q - x.zero_point, 0))))
        return math.floor(min(float(root / y.scale), 1e9)) + y.zero_point

    return table(element)


def rsqrt_multiplier(x: Tensor, y: Tensor) -> tuple[int, int]:
    return quantize_multiplier(1.0 / max(math.sqrt(float(x.scale)) * float(y.scale), 1e-38))


def rsqrt(x: Tensor, y: Tensor) -> np.ndarray:
    """Below or at the zero point, where the root has no value, the output is at its top."""
    multiplier, shift = rsqrt_multiplier(x, y)

    def element(q: int) -> int:
        v = q - x.zero_point
        if v <= 0:
            return HIGH
        root, root_shift = fixed_point.inverse_sqrt(v)
        return fixed_point.requantize(fixed_point.requantize(1, root, root_shift + 20), multiplier, shift - 20) + y.zero_point

    return table(element)


def sigmoid_table() -> np.ndarray:
    """uint16 [256]: sigmoid(i / 24) in Q0.16, for 16-bit LOGISTIC and TANH; each value is shifted by half the error that linear
    interpolation makes in the middle of the interval behind it. The last is the top."""

    def f(i: float) -> float:
        return 65536 / (1 + math.exp(-i / 24))

    values = [math.floor(f(i) + (f(i + 0.5) - (f(i) + f(i + 1)) / 2) / 2 + 0.5) for i in range(255)]
    return np.array([*values, 65535], np.uint16)


def sigmoid_scaling(x: Tensor, left_shifts: tuple[int, ...]) -> tuple[int, int]:
    """-> (multiplier, right shift) that bring the input to steps of 1 / (3 * 4096). Scales of 2^(shift - 12) are taken as they
    are; all others get a multiplier of 15 bits, truncated."""
    exponent = round(math.log2(float(x.scale)))
    if abs(math.log2(float(x.scale)) - exponent) < 1e-3 and exponent + 12 in left_shifts:
        return 3 << (exponent + 12), 0
    real, shift = float(x.scale) * 4096 * 3, 0
    while real <= 32767 / 2 and shift <= 30:
        real, shift = real * 2, shift + 1
    return int(real), shift


def softmax_tables() -> tuple[np.ndarray, np.ndarray]:
    """int16 [513] each: exp on [-10, 0] and 1 / (1 + x) on [0, 1], for 16-bit softmax (TFLM's LUTPopulate)."""
    span = np.float32(65535)
    exponential = _interpolated(lambda v: np.float32(math.exp(v)), np.float32(10) / span, 32767)
    return exponential, _interpolated(lambda v: np.float32(1) / (np.float32(1) + v), np.float32(1) / span, -32768)


def _interpolated(function: Callable[[np.float32], np.float32], scale: np.float32, zero: int) -> np.ndarray:
    """512 intervals; each base is shifted by half the error that linear interpolation makes in the interval's middle."""
    f32 = np.float32
    low, high = scale * f32(-32768 - zero), scale * f32(32767 - zero)
    out_scale = f32(2) / f32(65535)
    inverse = f32(65536) / (out_scale * f32(32767) - out_scale * f32(-32768))
    step = f32((high - low) / f32(512))

    def rounded(v: np.float32) -> np.float32:
        return f32(round_half_away(float(v)))

    values = []
    for i in range(512):
        start, half = f32(low + f32(f32(i) * step)), f32(step / f32(2))
        here, middle, after = (f32(function(v)) for v in (start, f32(start + half), f32(low + f32(f32(i + 1) * step))))
        sample = rounded(here * inverse)
        error = rounded((after * inverse + sample) / f32(2)) - rounded(middle * inverse)
        values.append(sample - rounded(error / f32(2)))
    values.append(rounded(f32(function(high)) * inverse))
    return np.clip(np.array(values), -32768, 32767).astype(np.int16)
