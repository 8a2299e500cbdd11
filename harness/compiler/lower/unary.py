"""Lowering of reshape-like ops, clamping activations and type changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinyrig.compiler.lower.program import SUFFIX, Program, check, check_dtype, check_quantized, check_shape, constant, one_to_one
from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.litert.dynamic import real
from tinyrig.compiler.model.params import Clamp, Dequantize, Quantize, Rescale
from tinyrig.compiler.model.quant import FLOAT_ACTIVATIONS, INT_RANGE, activation_range, quantize_multiplier, round_half_away


def reshape(p: Program, op: Op) -> None:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the file's output shape is the result, whatever the second input says."""
    (x,), _ = p.inputs_and_optional(op, 1, 2)
    p.alias(op, x, p.output(op))


TO_ONE = {"RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}
"""Their bounds."""


def relu(p: Program, op: Op) -> None:
    """RELU rescales integers from the input's to the output's scale; RELU6 only clamps at the input's scale, as in TFLM. Those
    with an upper end of 1 are LiteRT's."""
    to_one = op.code in TO_ONE
    x, y = one_to_one(p, op, "float32", "int8", *(() if to_one else ("int16",)))
    check_shape(op, y, x.shape)
    if x.dtype == "float32":
        p.emit("clamp_f32", op, [x], [y], Clamp(x.size, *TO_ONE[op.code] if to_one else FLOAT_ACTIVATIONS[op.code]))
    elif to_one:
        check(op, y, x.scale == y.scale and x.zero_point == y.zero_point, "the input's scale and zero point", f"{y.scale}")
        lo, hi = (x.zero_point + round_half_away(float(np.float32(v) / x.scale)) for v in TO_ONE[op.code])
        p.emit("clamp_s8", op, [x], [y], Clamp(x.size, max(lo, -128), min(hi, 127)))
    elif op.code == "RELU6" or (x.scale == y.scale and x.zero_point == y.zero_point):
        lo, hi = _relu_bounds(op, x)
        p.emit(f"clamp_{SUFFIX[x.dtype]}", op, [x], [y], Clamp(x.size, lo, hi))
    else:
        bounds = activation_range("RELU", y.scale, y.zero_point, y.dtype)
        p.emit(f"rescale_{SUFFIX[x.dtype]}_{SUFFIX[y.dtype]}", op, [x], [y], _rescale(op, x, y, *bounds))


def _relu_bounds(op: Op, x: Tensor) -> tuple[int, int]:
    hi = INT_RANGE[x.dtype][1]
    six = x.zero_point + round_half_away(float(np.float32(6) / x.scale))
    return x.zero_point, min(hi, six) if op.code == "RELU6" else hi


def _rescale(op: Op, x: Tensor, y: Tensor, lo: int, hi: int) -> Rescale:
    multiplier, shift = quantize_multiplier(float(x.scale) / float(y.scale))
    check(op, y, shift <= 30, "scales nearer to each other")
    return Rescale(x.size, x.zero_point, multiplier, shift, y.zero_point, lo, hi)


_QUANTIZE = {
    "float32": ("int8", "int16"),
    "int8": ("int8", "int16", "uint8", "int32"),
    "int16": ("int8", "int16", "int32"),
    "int32": ("int8", "int16"),
    "uint8": ("int8",),
}
"""Input type -> types of the output."""


def quantize(p: Program, op: Op) -> None:
    (x,) = p.inputs(op, 1)
    y = p.output(op)
    check_dtype(op, x, *_QUANTIZE)
    check_dtype(op, y, *_QUANTIZE[x.dtype])
    check_quantized(op, x, y)
    check_shape(op, y, x.shape)
    if x.dtype == "float32":
        p.emit(f"quantize_{SUFFIX[y.dtype]}", op, [x], [y], Quantize(x.size, float(y.scale), y.zero_point))
    else:
        p.emit(f"rescale_{SUFFIX[x.dtype]}_{SUFFIX[y.dtype]}", op, [x], [y], _rescale(op, x, y, *INT_RANGE[y.dtype]))


def dequantize(p: Program, op: Op) -> None:
    (x,) = p.inputs(op, 1)
    y = p.output(op)
    check_dtype(op, x, "int8", "int16", "uint8", "float16")
    check_dtype(op, y, "float32")
    check_shape(op, y, x.shape)
    if x.dtype == "float16":
        p.fold(y, constant(op, x, "a float16 tensor").astype(np.float32))
        return
    if x.data is not None:  # weights that are stored as integers and computed with in float32
        _check_scales(op, x)
        p.fold(y, real(x))
        if x.dtype == "int8":  # by them a kernel finds the integers again
            p.tensors[y.index] = replace(p.tensors[y.index], scales=x.scales, zero_points=x.zero_points, axis=x.axis)
        return
    check_quantized(op, x)
    p.emit(f"dequantize_{SUFFIX[x.dtype]}", op, [x], [y], Dequantize(x.size, float(x.scale), x.zero_point))


def densify(p: Program, op: Op) -> None:
    """Of a constant that is stored sparsely: it was read as a dense one."""
    (x,) = p.inputs(op, 1)
    constant(op, x, "what is densified")
    p.alias(op, x, p.output(op))


def _check_scales(op: Op, x: Tensor) -> None:
    """Of integer weights: one scale, or one for each index of an axis."""
    n = len(x.scales)
    good = n == 1 or (n > 1 and 0 <= x.axis < len(x.shape) and x.shape[x.axis] == n)
    check(op, x, good, "one scale, or one for each index of an axis", f"{n} scales for {list(x.shape)}")
