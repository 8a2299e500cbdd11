"""The arithmetic TFLM does before the first inference: multipliers, activation ranges, paddings. Facts of TFLM's
kernel_util.cc, quantization_util.cc and padding.h; every float/double step is kept, because one bit shows in the outputs."""

from __future__ import annotations

import math

import numpy as np

INT_RANGE = {"int8": (-128, 127), "int16": (-32768, 32767), "uint8": (0, 255), "int32": (-(2**31), 2**31 - 1)}

FLOAT_ACTIVATIONS = {"NONE": (-np.inf, np.inf), "RELU": (0.0, np.inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
"""Fused activations as clamps; TANH and SIGN_BIT are legal in the schema, but TFLM knows no kernel that takes them."""


def round_half_away(x: float) -> int:
    """std::round."""
    return math.floor(x + 0.5) if x >= 0 else -math.floor(-x + 0.5)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """real > 0 -> (multiplier in [2^30, 2^31), shift) with real = multiplier / 2^31 * 2^shift; (0, 0) when it vanishes,
    a shift beyond all limits when it is infinite."""
    if real == 0.0:
        return 0, 0
    if math.isinf(real):
        return (1 << 31) - 1, 2000
    mantissa, shift = math.frexp(real)
    multiplier = round_half_away(mantissa * (1 << 31))
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def quantize_multipliers(reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As quantize_multiplier, for a float64 vector: int32 multipliers, int32 shifts."""
    pairs = [quantize_multiplier(float(r)) for r in reals]
    return np.array([m for m, _ in pairs], np.int32), np.array([s for _, s in pairs], np.int32)


def activation_range(activation: str, scale: np.float32, zero_point: int, dtype: str) -> tuple[int, int]:
    """The fused activation as a clamp of quantised values; f / scale is a float32 division."""
    lo, hi = INT_RANGE[dtype]
    act_lo, act_hi = FLOAT_ACTIVATIONS[activation]

    def q(f: float) -> int:
        return zero_point + round_half_away(float(np.float32(f) / np.float32(scale)))

    return (lo if math.isinf(act_lo) else max(lo, q(act_lo))), (hi if math.isinf(act_hi) else min(hi, q(act_hi)))


def out_size(padding: str, size: int, k: int, stride: int, dilation: int) -> int:
    if padding == "SAME":
        return -(-size // stride)
    return (size + stride - ((k - 1) * dilation + 1)) // stride


def pad_before(size: int, out: int, k: int, stride: int, dilation: int) -> int:
    """Half of what is missing, the smaller half in front; 0 for VALID by itself."""
    return max(0, (out - 1) * stride + (k - 1) * dilation + 1 - size) // 2


def fold_mean(multiplier: int, shift: int, n: int) -> tuple[int, int]:
    """Folds 1/n into a multiplier as TFLM's QuantizedMeanOrSum does: the quotient is truncated."""
    up = min(n.bit_length() - 1, 32, 31 + shift)
    return (multiplier << up) // n, shift - up


def softmax_scaling(beta: float, scale: np.float32) -> tuple[int, int, int]:
    """-> (multiplier, shift, diff_min) that bring a difference of int8 logits to Q5.26 (gemmlowp's exp input)."""
    real = min(float(np.float32(beta)) * float(scale) * (1 << 26), (1 << 31) - 1.0)
    multiplier, shift = quantize_multiplier(real)
    return multiplier, shift, -math.floor(31.0 * (1 << 26) / (1 << max(shift, 0)))
