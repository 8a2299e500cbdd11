"""Lowering of elementwise ops: two operands with broadcasting, and functions of one."""

from __future__ import annotations

import math

import numpy as np

from tinyrig.compiler.lower.conv import activation
from tinyrig.compiler.lower.move import strides
from tinyrig.compiler.lower.program import SUFFIX, Program, check, check_dtype, check_quantized, check_shape, constant, one_to_one
from tinyrig.compiler.model import tables
from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.params import AddInt, Binary, Broadcast, LeakyInt, Lut, MulInt, PreluInt, SigmoidInt, Unary
from tinyrig.compiler.model.quant import FLOAT_ACTIVATIONS, INT_RANGE, activation_range, quantize_multiplier

_FOLD = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "MINIMUM": np.minimum, "MAXIMUM": np.maximum}


def _operands(p: Program, op: Op, *dtypes: str) -> tuple[Tensor, Tensor, Tensor]:
    a, b = p.inputs(op, 2)
    y = p.output(op)
    check_dtype(op, a, *dtypes)
    for t in (b, y):
        check_dtype(op, t, a.dtype)
    if a.dtype in ("int8", "int16"):
        check_quantized(op, a, b, y)
    return a, b, y


def broadcast(op: Op, a: Tensor, b: Tensor, y: Tensor) -> Broadcast:
    """Shapes aligned at the end; a dimension of one is repeated. Neighbours that run on without a gap are merged."""
    rank = max(len(a.shape), len(b.shape))
    shapes = [(1,) * (rank - len(t.shape)) + t.shape for t in (a, b)]
    good = all(m == n or 1 in (m, n) for m, n in zip(*shapes, strict=True))
    check(op, b, good, f"a shape that can be broadcast with {list(a.shape)}", str(list(b.shape)))
    out = tuple(max(m, n) for m, n in zip(*shapes, strict=True))
    check_shape(op, y, out)
    steps = [[s if d > 1 else 0 for s, d in zip(strides(sh), sh, strict=True)] for sh in shapes]
    merged: list[tuple[int, int, int]] = []
    for d, i, j in reversed([row for row in zip(out, *steps, strict=True) if row[0] > 1]):
        if merged and i == merged[-1][0] * merged[-1][1] and j == merged[-1][0] * merged[-1][2]:
            merged[-1] = (d * merged[-1][0], *merged[-1][1:])
        else:
            merged.append((d, i, j))
    return Broadcast(tuple(reversed(merged)) or ((1, 1, 1),))


def _folds(p: Program, op: Op, a: Tensor, b: Tensor, y: Tensor) -> bool:
    """Shape arithmetic on constants happens here, not on the board."""
    if a.dtype != "int32" or a.data is None or b.data is None:
        return False
    check_shape(op, y, np.broadcast_shapes(a.shape, b.shape))
    p.fold(y, _FOLD[op.code](constant(op, a, "the first operand"), constant(op, b, "the second operand")))
    return True


def _whole_numbers(p: Program, op: Op, a: Tensor, b: Tensor, y: Tensor) -> bool:
    """int32 without quantisation, as indices and counters are: wraps."""
    if a.dtype != "int32":
        return False
    check(op, None, activation(op) == "NONE", "no fused activation for int32", activation(op))
    for t in (a, b, y):
        plain = len(t.scales) == 0 or op.code != "MUL"  # TFLM's MUL rescales quantised int32
        check(op, t, plain, "no quantisation of int32 operands", f"scale {t.scale}")
    p.emit(f"{op.code.lower()}_s32", op, [a, b], [y], Binary(broadcast(op, a, b, y)))
    return True


def floor_div_mod(p: Program, op: Op) -> None:
    """FLOOR_DIV and FLOOR_MOD: of floats as in TFLM, of int32 as in LiteRT, where a ring buffer counts its place."""
    a, b, y = _operands(p, op, "float32", "int32")
    check(op, b, b.data is None or bool(b.data.all()), "no divisor of 0")
    p.emit(f"{op.code.lower()}_{SUFFIX[a.dtype]}", op, [a, b], [y], Binary(broadcast(op, a, b, y)))


def add_sub(p: Program, op: Op) -> None:
    a, b, y = _operands(p, op, "float32", "int8", "int16", "int32")
    if _folds(p, op, a, b, y) or _whole_numbers(p, op, a, b, y):
        return
    shape, kind = broadcast(op, a, b, y), f"{op.code.lower()}_{SUFFIX[a.dtype]}"
    if a.dtype == "float32":
        p.emit(kind, op, [a, b], [y], Binary(shape, *FLOAT_ACTIVATIONS[activation(op)]))
        return
    left = 15 if a.dtype == "int16" else 20
    twice = 2.0 * float(max(a.scale, b.scale))
    parts = [quantize_multiplier(float(t.scale) / twice) for t in (a, b)]
    out = quantize_multiplier(twice / ((1 << left) * float(y.scale)))
    check(op, y, out[1] <= 0, "an output scale nearer to the inputs'")
    bounds = activation_range(activation(op), y.scale, y.zero_point, y.dtype)
    zeros = (a.zero_point, b.zero_point, y.zero_point)
    p.emit(kind, op, [a, b], [y], AddInt(shape, left, zeros, parts[0], parts[1], out, *bounds))


def mul(p: Program, op: Op) -> None:
    a, b, y = _operands(p, op, "float32", "int8", "int16", "int32")
    if _folds(p, op, a, b, y) or _whole_numbers(p, op, a, b, y):
        return
    shape, kind = broadcast(op, a, b, y), f"mul_{SUFFIX[a.dtype]}"
    if a.dtype == "float32":
        p.emit(kind, op, [a, b], [y], Binary(shape, *FLOAT_ACTIVATIONS[activation(op)]))
        return
    out = quantize_multiplier(float(a.scale) * float(b.scale) / float(y.scale))
    check(op, y, out[1] <= 30, "scales nearer to each other")
    bounds = activation_range(activation(op), y.scale, y.zero_point, y.dtype)
    p.emit(kind, op, [a, b], [y], MulInt(shape, (a.zero_point, b.zero_point, y.zero_point), out, *bounds))


def minimum_maximum(p: Program, op: Op) -> None:
    a, b, y = _operands(p, op, "float32", "int8", "int16", "int32", "int64")
    if a.data is not None and b.data is not None and _folds(p, op, a, b, y):
        return
    p.emit(f"{op.code.lower()}_{SUFFIX[a.dtype]}", op, [a, b], [y], Binary(broadcast(op, a, b, y)))


def prelu(p: Program, op: Op) -> None:
    a, b, y = _slopes(p, op)
    shape = broadcast(op, a, b, y)
    if a.dtype == "float32":
        p.emit("prelu_f32", op, [a, b], [y], Binary(shape))
        return
    positive = quantize_multiplier(float(a.scale) / float(y.scale))
    negative = quantize_multiplier(float(a.scale) * float(b.scale) / float(y.scale))
    check(op, y, positive[1] <= 30 and negative[1] <= 30, "scales nearer to each other")
    p.emit(
        f"prelu_{SUFFIX[a.dtype]}",
        op,
        [a, b],
        [y],
        PreluInt(shape, (a.zero_point, b.zero_point, y.zero_point), positive, negative),
    )


def _slopes(p: Program, op: Op) -> tuple[Tensor, Tensor, Tensor]:
    """PRELU's operands: int16 has slopes of int8."""
    a, b = p.inputs(op, 2)
    if a.dtype != "int16":
        return _operands(p, op, "float32", "int8")
    y = p.output(op)
    check_dtype(op, b, "int8")
    check_dtype(op, y, "int16")
    check_quantized(op, a, b, y)
    return a, b, y


_TABLES = {
    "LOGISTIC": tables.logistic,
    "TANH": tables.tanh,
    "HARD_SWISH": tables.hard_swish,
    "ABS": tables.absolute,
    "RSQRT": tables.rsqrt,
    "ELU": tables.elu,
}
_FIXED_OUTPUT = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
"""Scale and zero point that TFLite demands of the int8 output."""


def unary(p: Program, op: Op) -> None:
    """LOGISTIC, TANH, HARD_SWISH, ABS, RSQRT: a function for floats, a table for int8; the first two also for int16."""
    x, y = one_to_one(p, op, "float32", "int8", *(("int16",) if op.code in (*_LEFT_SHIFTS, "ABS") else ()))
    check_shape(op, y, x.shape)
    if x.dtype == "float32":
        p.emit(f"{op.code.lower()}_f32", op, [x], [y], Unary(x.size))
        return
    if x.dtype == "int16" and op.code == "ABS":
        ratio = quantize_multiplier(float(x.scale) / float(y.scale))
        check(op, y, ratio[1] <= 15, "scales nearer to each other", f"{x.scale}, {y.scale}")
        p.emit("abs_s16", op, [x], [y], LeakyInt(x.size, 0, 0, ratio, ratio))
        return
    if x.dtype == "int16":
        _sigmoid_s16(p, op, x, y)
        return
    if op.code == "HARD_SWISH":
        # Smaller ratios shift TFLM's 16-bit intermediates by more than their width.
        check(op, y, bool(1 / 512 <= x.scale / y.scale <= 128), "an output scale of 1/128 to 512 times the input's", str(y.scale))
        check(op, x, bool(x.scale >= 2e-7), "an input scale of at least 2e-7", str(x.scale))
    if op.code == "RSQRT":  # 20 more bits go to the right behind it, and 31 is the most that a shift can do
        check(op, y, -11 <= tables.rsqrt_multiplier(x, y)[1] <= 30, "scales nearer to each other", f"{x.scale}, {y.scale}")
    if op.code in ("ABS", "ELU"):  # 9 bits of a value and a left shift of 22 fill 31
        check(op, y, bool(np.float64(x.scale) / y.scale < 2.0**22), "scales nearer to each other", f"{x.scale}, {y.scale}")
    if op.code in _FIXED_OUTPUT:
        # Below it TFLM's input range leaves 32 bits.
        check(op, x, bool(x.scale >= 2.0**-28), "an input scale of at least 2^-28", str(x.scale))
        scale, zero = _FIXED_OUTPUT[op.code]
        good = y.scale == np.float32(scale) and y.zero_point == zero
        check(op, y, bool(good), f"scale {scale}, zero point {zero}", f"{y.scale}, {y.zero_point}")
    p.emit("lut_s8", op, [x], [y], Lut(x.size, _TABLES[op.code](x, y)))


_LEFT_SHIFTS = {"LOGISTIC": (0,), "TANH": (0, 1)}
"""Input scales of 2^(shift - 12) that TFLM's 16-bit forms take without a multiplier."""


def _sigmoid_s16(p: Program, op: Op, x: Tensor, y: Tensor) -> None:
    check(op, y, abs(math.log2(float(y.scale)) + 15) < 1e-3, f"scale {2**-15}", f"{y.scale}")
    multiplier, shift = tables.sigmoid_scaling(x, _LEFT_SHIFTS[op.code])
    # TFLM takes a multiplier of 0 for that of a scale of 2^(shift - 12).
    check(op, x, multiplier > 0, "an input scale of at least 4e-14", f"{x.scale}")
    check(op, x, multiplier < 1 << 16, "an input scale below 5.3", f"{x.scale}")  # products must fit 32 bits
    p.emit(f"{op.code.lower()}_s16", op, [x], [y], SigmoidInt(x.size, multiplier, shift))


_LITERT_TABLES = {"EXP": tables.exp, "LOG": tables.log, "SQRT": tables.sqrt, "GELU": tables.gelu}


def float_unary(p: Program, op: Op) -> None:
    """EXP, LOG, SQRT ...: TFLM has them for floats only; some of int8 are LiteRT's."""
    x, y = one_to_one(p, op, "float32", *(("int8",) if op.code in _LITERT_TABLES else ()))
    check_shape(op, y, x.shape)
    if x.dtype == "int8":
        approximate = op.code == "GELU" and op.options.flag("approximate")
        function = tables.gelu_approximate if approximate else _LITERT_TABLES[op.code]
        p.emit("lut_s8", op, [x], [y], Lut(x.size, function(x, y)))
        return
    if op.code == "GELU" and op.options.flag("approximate"):
        p.emit("gelu_tanh_f32", op, [x], [y], Unary(x.size))
        return
    p.emit(f"{op.code.lower()}_f32", op, [x], [y], Unary(x.size))


def div(p: Program, op: Op) -> None:
    a, b, y = _operands(p, op, "float32", "int32")
    if a.dtype == "int32":
        check(op, b, b.data is None or bool(b.data.all()), "no divisor of 0")
        for t in (a, b, y):
            check(op, t, len(t.scales) == 0, "no quantisation of int32 operands", f"scale {t.scale}")
        _whole_numbers(p, op, a, b, y)
        return
    bounds = FLOAT_ACTIVATIONS[activation(op)]
    p.emit("div_f32", op, [a, b], [y], Binary(broadcast(op, a, b, y), *bounds))


def squared_difference(p: Program, op: Op) -> None:
    """int8: as SUB, 7 bits up so that the square fits 32 bits; the output's scale takes the square."""
    a, b, y = _operands(p, op, "float32", "int8", "int16")
    shape = broadcast(op, a, b, y)
    if a.dtype == "float32":
        p.emit("squared_difference_f32", op, [a, b], [y], Binary(shape))
        return
    left, twice = 7 if a.dtype == "int8" else 0, 2.0 * float(max(a.scale, b.scale))
    parts = [quantize_multiplier(float(t.scale) / twice) for t in (a, b)]
    out = quantize_multiplier(twice * twice / ((1 << 2 * left) * float(y.scale)))
    check(op, y, out[1] <= 30, "scales nearer to each other")
    zeros = (a.zero_point, b.zero_point, y.zero_point)
    bounds = INT_RANGE[a.dtype]
    p.emit(f"squared_difference_{SUFFIX[a.dtype]}", op, [a, b], [y], AddInt(shape, left, zeros, parts[0], parts[1], out, *bounds))


def leaky_relu(p: Program, op: Op) -> None:
    x, y = one_to_one(p, op, "float32", "int8", "int16")
    check_shape(op, y, x.shape)
    alpha = op.options.real("alpha")
    check(op, None, bool(np.isfinite(alpha)), "a finite alpha", str(alpha))
    if x.dtype == "float32":
        p.emit("leaky_relu_f32", op, [x], [y], Unary(x.size, alpha))
    elif x.dtype == "int8":
        check(op, y, max(s for _, s in tables.leaky_multipliers(x, y, alpha)) <= 22, "scales nearer to each other")
        p.emit("lut_s8", op, [x], [y], Lut(x.size, tables.leaky_relu(x, y, alpha)))
    else:
        sides = tables.leaky_multipliers(x, y, alpha)
        check(op, y, max(s for _, s in sides) <= 15, "scales nearer to each other")
        p.emit("leaky_relu_s16", op, [x], [y], LeakyInt(x.size, x.zero_point, y.zero_point, *sides))
