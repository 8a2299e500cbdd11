"""Lowering of pooling, mean and softmax."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tinyrig.compiler.lower.conv import activation, clamp_f32, window_of
from tinyrig.compiler.lower.move import check_same_scale, emit_transpose
from tinyrig.compiler.lower.program import SUFFIX, Program, check, check_dtype, check_quantized, check_shape, constant, one_to_one
from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.layers import Mean, Pool
from tinyrig.compiler.model.params import ArgMax, LogSoftmax, Softmax, Unary
from tinyrig.compiler.model.quant import activation_range, fold_mean, quantize_multiplier, softmax_scaling


def pool2d(p: Program, op: Op) -> None:
    x, y = one_to_one(p, op, "float32", "int8", "int16")
    check(op, x, len(x.shape) == 4, "rank 4 (NHWC)")
    window = window_of(op, x, y, op.options.number("filter_h"), op.options.number("filter_w"), x.shape[3])
    bounds = clamp_f32(op, x) if x.dtype == "float32" else activation_range(activation(op), y.scale, y.zero_point, y.dtype)
    kind = {"AVERAGE_POOL_2D": "average_pool", "MAX_POOL_2D": "max_pool"}[op.code]
    p.emit(f"{kind}_{SUFFIX[x.dtype]}", op, [x], [y], Pool(window, *bounds))


def mean(p: Program, op: Op) -> None:
    """MEAN and SUM."""
    x, y, axes = _reduction(p, op, "float32", "int8", "int16", *(("int32",) if op.code == "SUM" else ()))
    x, (outer, reduced, inner) = _block(p, op, x, axes)
    if x.dtype == "int32":
        p.emit("sum_s32", op, [x], [y], Mean(outer, reduced, inner))
        return
    multiplier, shift = 0, 0
    if x.dtype != "float32":
        multiplier, shift = quantize_multiplier(float(x.scale) / float(y.scale))
        if op.code == "MEAN":
            multiplier, shift = fold_mean(multiplier, shift, reduced)
        check(op, y, -31 <= shift <= 30, "scales nearer to each other")
    params = Mean(outer, reduced, inner, x.zero_point, y.zero_point, multiplier, shift)
    kind = "sum" if op.code == "SUM" and x.dtype == "float32" else "mean"
    p.emit(f"{kind}_{SUFFIX[x.dtype]}", op, [x], [y], params)


def extreme(p: Program, op: Op) -> None:
    """REDUCE_MAX and REDUCE_MIN."""
    x, y, axes = _reduction(p, op, "float32", "int8", "int16", "int32")
    check_same_scale(op, x, y)
    x, parts = _block(p, op, x, axes)
    p.emit(f"{op.code.lower()}_{SUFFIX[x.dtype]}", op, [x], [y], Mean(*parts))


def product(p: Program, op: Op) -> None:
    """REDUCE_PROD: only of constants, where shapes are computed."""
    x, axes = p.inputs(op, 2)
    y = p.output(op)
    check_dtype(op, x, "int32", "int64")
    values = np.prod(constant(op, x, "the factors"), axis=tuple(_axes(op, x, axes)), dtype=np.int64)
    check(op, y, y.size == values.size, f"{values.size} elements")
    p.fold(y, values)


def reduction_block(p: Program, op: Op, *dtypes: str) -> tuple[Tensor, Tensor, tuple[int, int, int]]:
    """-> input, output, [outer, reduced, inner]."""
    x, y, axes = _reduction(p, op, *dtypes)
    x, parts = _block(p, op, x, axes)
    return x, y, parts


def _reduction(p: Program, op: Op, *dtypes: str) -> tuple[Tensor, Tensor, set[int]]:
    """-> input, output, the axes to reduce."""
    x, axes_tensor = p.inputs(op, 2)
    y = p.output(op)
    check_dtype(op, x, *dtypes)
    check_dtype(op, y, x.dtype)
    if x.dtype != "int32":
        check_quantized(op, x, y)
    axes = _axes(op, x, axes_tensor)
    kept = [1 if i in axes else d for i, d in enumerate(x.shape)]
    check(op, y, y.size == int(np.prod(kept)), f"{int(np.prod(kept))} elements")
    return x, y, axes


def _axes(op: Op, x: Tensor, axes_tensor: Tensor) -> set[int]:
    check_dtype(op, axes_tensor, "int32")
    rank = len(x.shape)
    axes = {int(a) for a in constant(op, axes_tensor, "the axes").ravel()}
    check(op, axes_tensor, all(-rank <= a < rank for a in axes), f"axes within rank {rank}", str(sorted(axes)))
    return {a % rank for a in axes}


def _block(p: Program, op: Op, x: Tensor, axes: set[int]) -> tuple[Tensor, tuple[int, int, int]]:
    """The axes as one block [outer, reduced, inner]; where they don't form one, a transpose puts the reduced ones last."""
    wide = [i for i, d in enumerate(x.shape) if d > 1]
    marks = [i in axes for i in wide]
    first = marks.index(True) if True in marks else 0
    n = sum(marks)
    if all(marks[first : first + n]):
        dims = [x.shape[i] for i in wide]
        return x, (math.prod(dims[:first]), math.prod(dims[first : first + n]), math.prod(dims[first + n :]))
    order = [i for i in range(len(x.shape)) if i not in axes] + sorted(axes)
    turned = p.temporary(x, tuple(x.shape[i] for i in order), f"{x.name}_transposed")
    emit_transpose(p, op, x, turned, tuple(order))
    reduced = int(np.prod([x.shape[i] for i in axes]))
    return turned, (x.size // reduced, reduced, 1)


MAX_BETA = 1e6


def softmax(p: Program, op: Op) -> None:
    (x,) = p.inputs(op, 1)
    y = p.output(op)
    check_dtype(op, x, "float32", "int8", "int16")
    check_dtype(op, y, *{"float32": ("float32",), "int8": ("int8", "int16"), "int16": ("int16",)}[x.dtype])
    check_quantized(op, x, y)
    check_shape(op, y, x.shape)
    check(op, x, 1 <= len(x.shape) <= 4, "rank 1 to 4")
    depth = x.shape[-1]
    beta = op.options.real("beta")
    check(op, None, 0 < beta < MAX_BETA, f"a beta above 0 and below {MAX_BETA:g}", str(beta))
    if x.dtype == "float32":
        params = Softmax(x.size // depth, depth, beta=beta)
    elif x.dtype == "int16":
        _check_output_scale(op, y, 1 / 32768, 0)
        multiplier, shift = quantize_multiplier(float(x.scale) * float(np.float32(beta)) / (10.0 / 65535.0))
        check(op, x, shift <= 14, "an input scale * beta below 2", str(float(x.scale) * beta))
        params = Softmax(x.size // depth, depth, multiplier, shift, 0, beta, y.dtype)
    else:
        _check_softmax_scale(op, x, beta)
        _check_output_scale(op, y, *((1 / 256, -128) if y.dtype == "int8" else (1 / 65536, -32768)))
        params = Softmax(x.size // depth, depth, *softmax_scaling(beta, x.scale), beta, y.dtype)
    p.emit(f"softmax_{SUFFIX[x.dtype]}", op, [x], [y], params)


def _check_output_scale(op: Op, y: Tensor, scale: float, zero_point: int) -> None:
    """TFLite fixes the output's quantisation."""
    good = abs(y.scale - scale) <= 0.001 * scale and y.zero_point == zero_point
    check(op, y, bool(good), f"scale {scale} and zero point {zero_point}", f"{y.scale}, {y.zero_point}")


def _check_softmax_scale(op: Op, x: Tensor, beta: float) -> None:
    """TFLM's fixed point takes no smaller one: such a tensor's values are all nearly equal."""
    check(op, x, float(x.scale) * beta > 2.0**-26, "an input scale * beta above 2^-26", str(float(x.scale) * beta))


def log_softmax(p: Program, op: Op) -> None:
    x, y = one_to_one(p, op, "float32", "int8")
    check_shape(op, y, x.shape)
    check(op, x, len(x.shape) >= 1, "rank 1 or more")
    depth = x.shape[-1]
    params = LogSoftmax(x.size // depth, depth)
    if x.dtype == "int8":
        _check_output_scale(op, y, 16 / 256, 127)
        _check_softmax_scale(op, x, 1.0)
        multiplier, shift, diff_min = softmax_scaling(1.0, x.scale)
        reverse = quantize_multiplier((1 << (31 - shift)) / float(multiplier))
        params = LogSoftmax(x.size // depth, depth, (multiplier, shift), reverse, diff_min)
    p.emit(f"log_softmax_{SUFFIX[x.dtype]}", op, [x], [y], params)


def arg_best(p: Program, op: Op) -> None:
    """ARG_MAX and ARG_MIN."""
    x, axis_tensor = p.inputs(op, 2)
    y = p.output(op)
    check_dtype(op, x, "float32", "int8")
    check_dtype(op, y, "int32", "int64")  # the second is what tf.argmax gives by itself
    check_dtype(op, axis_tensor, "int32")
    check(op, axis_tensor, axis_tensor.size == 1, "one axis")
    axis, rank = int(constant(op, axis_tensor, "the axis").ravel()[0]), len(x.shape)
    check(op, axis_tensor, -rank <= axis < rank, f"an axis within rank {rank}", str(axis))
    axis %= rank
    outer, n, inner = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    check(op, y, y.size == outer * inner, f"{outer * inner} elements")
    best = y if y.dtype == "int32" else replace(p.temporary(y, y.shape, f"{y.name}_32"), dtype="int32")
    p.tensors[best.index] = best
    p.emit(f"{op.code.lower()}_{SUFFIX[x.dtype]}", op, [x], [best], ArgMax(outer, n, inner))
    if best is not y:
        p.emit("cast_s32_s64", op, [best], [y], Unary(y.size))
