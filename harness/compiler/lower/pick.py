"""Lowering of what is picked or placed by numbers that are known only at run time, of sums along an axis and of L2 norms."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from tinyrig.compiler.lower import space
from tinyrig.compiler.lower.conv import clamp_f32, window_of
from tinyrig.compiler.lower.move import INTEGERS, MOVABLE, axis_of, check_same_scale, itemsize
from tinyrig.compiler.lower.program import SUFFIX, Program, check, check_dtype, check_quantized, check_shape, constant, one_to_one
from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.layers import Pool
from tinyrig.compiler.model.params import AddInt, Broadcast, CumSum, L2Norm, Pick, PickNd, UpdateSlice
from tinyrig.compiler.model.params import Unary as UnaryParams
from tinyrig.compiler.model.quant import quantize_multiplier


def indices_of(p: Program, op: Op, t: Tensor) -> Tensor:
    """As int32, which is what kernels count by: int64, as tf.argmax gives it, is narrowed first."""
    check_dtype(op, t, *INTEGERS)
    if t.dtype == "int32":
        return t
    narrow = dataclasses.replace(p.temporary(t, t.shape, f"{t.name}_32"), dtype="int32")
    p.tensors[narrow.index] = narrow
    if t.data is not None:
        p.fold(narrow, np.clip(t.data, -(1 << 31), (1 << 31) - 1))
    else:
        p.emit("cast_s64_s32", op, [t], [narrow], UnaryParams(t.size))
    return p.tensors[narrow.index]


def gather(p: Program, op: Op) -> None:
    """Rows along one axis: by copies where the indices are constant, else by a loop."""
    x, indices = p.inputs(op, 2)
    if indices.data is not None:
        space.gather(p, op)
        return
    y = p.output(op)
    _check_rows(op, x, y)
    indices = indices_of(p, op, indices)
    shared, axis = op.options.number("batch_dims"), axis_of(op, op.options.number("axis"), len(x.shape))
    alone = 0 <= shared <= min(axis, len(indices.shape)) and math.prod(indices.shape[:shared]) == 1 == math.prod(x.shape[:shared])
    check(op, None, alone, "no batch dimensions, or a batch of 1", str(shared))
    check_shape(op, y, (*x.shape[:axis], *indices.shape[shared:], *x.shape[axis + 1 :]))
    outer, row = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :]) * itemsize(x)
    p.emit("gather", op, [x, indices], [y], Pick(outer, x.shape[axis], indices.size, row))


MAX_ONE_HOT = 256
"""Of the depth: the table of rows has its square."""


def one_hot(p: Program, op: Op) -> None:
    """Rows of a table that is made here, along the last axis. An index beyond the depth gives a row of what is off, 0."""
    indices, depth_tensor, on, off = p.inputs(op, 4)
    y = p.output(op)
    indices = indices_of(p, op, indices)
    check_dtype(op, depth_tensor, "int32")
    check_dtype(op, y, "float32", "int8", "int16", "int32", "bool")
    for t in (on, off):
        check_dtype(op, t, y.dtype)
        check(op, t, t.size == 1, "one value", str(t.size))
    depth = int(constant(op, depth_tensor, "the depth").ravel()[0])
    check(op, depth_tensor, 1 <= depth <= MAX_ONE_HOT, f"a depth from 1 to {MAX_ONE_HOT}", str(depth))
    hot, cold = (constant(op, t, what).ravel()[0] for t, what in ((on, "the value of a hit"), (off, "the other value")))
    check(op, off, not cold, "0 for all others", str(cold))
    axis = op.options.number("axis")
    check(op, None, axis in (-1, len(indices.shape)), "the last axis", str(axis))
    check_shape(op, y, (*indices.shape, depth))
    table = p.temporary(y, (depth, depth), f"{y.name}_rows")
    p.fold(table, np.eye(depth) * hot)
    rows = p.tensors[table.index]
    p.emit("gather", op, [rows, indices], [y], Pick(1, depth, indices.size, depth * itemsize(rows)))


def _check_rows(op: Op, x: Tensor, y: Tensor) -> None:
    check_dtype(op, x, *MOVABLE)
    check_dtype(op, y, x.dtype)
    check_same_scale(op, x, y)


def embedding_lookup(p: Program, op: Op) -> None:
    """Rows of a table; int8 rows may come out as floats."""
    indices, table = p.inputs(op, 2)
    y = p.output(op)
    check_dtype(op, indices, "int32")
    check_dtype(op, table, "float32", "int8")
    check(op, table, len(table.shape) >= 2, "a table of rank 2 or more")
    check(op, indices, len(indices.shape) == 1, "a vector of indices")
    check_shape(op, y, (indices.size, *table.shape[1:]))
    row = math.prod(table.shape[1:])
    if table.dtype == "int8" and y.dtype == "float32":
        check_quantized(op, table)
        check(op, table, table.zero_point == 0, "zero point 0", str(table.zero_point))
        pick = Pick(1, table.shape[0], indices.size, row, float(table.scale))
        p.emit("lookup_s8_f32", op, [table, indices], [y], pick)
        return
    _check_rows(op, table, y)
    p.emit("gather", op, [table, indices], [y], Pick(1, table.shape[0], indices.size, row * itemsize(table)))


def gather_nd(p: Program, op: Op) -> None:
    x, indices = p.inputs(op, 2)
    y = p.output(op)
    _check_rows(op, x, y)
    indices = indices_of(p, op, indices)
    check(op, indices, len(indices.shape) >= 1, "indices of rank 1 or more")
    depth = indices.shape[-1]
    check(op, indices, 1 <= depth <= min(len(x.shape), 5), f"1 to {min(len(x.shape), 5)} parts of an index", str(depth))
    check_shape(op, y, (*indices.shape[:-1], *x.shape[depth:]))
    row = math.prod(x.shape[depth:]) * itemsize(x)
    p.emit("gather_nd", op, [x, indices], [y], PickNd(indices.size // depth, x.shape[:depth], row))


def dynamic_update_slice(p: Program, op: Op) -> None:
    """The operand with a block replaced; a start that leaves no room for the block is moved."""
    x, part, starts = p.inputs(op, 3)
    y = p.output(op)
    _check_rows(op, x, y)
    check_dtype(op, part, x.dtype)
    check_same_scale(op, part, y)
    check_dtype(op, starts, *INTEGERS)
    rank = len(x.shape)
    check(op, starts, starts.shape == (rank,), f"{rank} starts", str(list(starts.shape)))
    check(op, part, len(part.shape) == rank, f"rank {rank}")
    check(op, part, all(a <= b for a, b in zip(part.shape, x.shape, strict=True)), f"at most {list(x.shape)}")
    check_shape(op, y, x.shape)
    if part.shape == x.shape:
        p.alias(op, part, y)
        return
    kind = "update_slice_s32" if starts.dtype == "int32" else "update_slice_s64"
    p.emit(kind, op, [x, part, starts], [y], UpdateSlice(itemsize(x), x.nbytes, x.shape, part.shape))


def broadcast_args(p: Program, op: Op) -> None:
    """The shape that two shapes give together: of constants, where shapes are computed."""
    a, b = p.inputs(op, 2)
    check_dtype(op, a, *INTEGERS)
    check_dtype(op, b, a.dtype)
    shapes = [tuple(int(v) for v in constant(op, t, "the shape").ravel()) for t in (a, b)]
    check(op, None, max(map(len, shapes)) <= 8, "shapes of at most 8 dimensions", f"{[len(s) for s in shapes]}")
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        check(op, b, False, f"a shape that can be broadcast with {list(shapes[0])}", str(list(shapes[1])))
        return
    y = p.output(op)
    check_dtype(op, y, a.dtype)
    check(op, y, y.size == len(shape), f"{len(shape)} elements")
    p.fold(y, np.array(shape))


def cumsum(p: Program, op: Op) -> None:
    x, axis_tensor = p.inputs(op, 2)
    y = p.output(op)
    check_dtype(op, x, "float32", "int8")
    check_dtype(op, y, x.dtype)
    check_quantized(op, x, y)
    check_shape(op, y, x.shape)
    check_dtype(op, axis_tensor, "int32")
    check(op, axis_tensor, axis_tensor.size == 1, "one axis")
    axis = axis_of(op, int(constant(op, axis_tensor, "the axis").ravel()[0]), len(x.shape))
    flags = op.options.flag("exclusive"), op.options.flag("reverse")
    parts = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    if x.dtype == "float32":
        p.emit("cumsum_f32", op, [x], [y], CumSum(*parts, *flags))
        return
    half, out = _sum_scales(op, x, y)
    p.emit("cumsum_s8", op, [x], [y], CumSum(*parts, *flags, (x.zero_point, y.zero_point), half, out))


def _sum_scales(op: Op, x: Tensor, y: Tensor) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of ADD's arithmetic, for operands of one scale."""
    half, out = quantize_multiplier(0.5), quantize_multiplier(2.0 * float(x.scale) / ((1 << 20) * float(y.scale)))
    check(op, y, -31 <= out[1] <= 0, "an output scale nearer to the input's")
    return half, out


def add_n(p: Program, op: Op) -> None:
    """Floats as a chain of additions in the operands' order; int8 in one sum, all operands having one quantisation."""
    inputs = p.inputs(op, max(2, len(op.inputs)))
    y = p.output(op)
    check_dtype(op, y, "float32", "int8")
    for t in inputs:
        check_dtype(op, t, y.dtype)
        check_shape(op, y, t.shape)
    check_quantized(op, *inputs, y)
    if y.dtype == "float32":
        p.emit("add_n_f32", op, inputs, [y], Broadcast(((y.size, 1, 1),)))
        return
    x = inputs[0]
    for t in inputs[1:]:
        check_same_scale(op, t, x)
    half, out = _sum_scales(op, x, y)
    plain = Broadcast(((y.size, 1, 1),))
    zeros = (x.zero_point, x.zero_point, y.zero_point)
    p.emit("add_n_s8", op, inputs, [y], AddInt(plain, 20, zeros, half, half, out, -128, 127))


def l2_normalization(p: Program, op: Op) -> None:
    x, y = one_to_one(p, op, "float32", "int8")
    check_shape(op, y, x.shape)
    check(op, x, 1 <= len(x.shape) <= 4, "rank 1 to 4")
    check(op, None, op.options.word("activation") == "NONE", "no fused activation", op.options.word("activation"))
    if x.dtype == "int8":
        check(op, y, bool(y.scale == np.float32(1 / 128)) and y.zero_point == 0, "scale 1/128, zero point 0", str(y.scale))
    p.emit(f"l2_normalization_{SUFFIX[x.dtype]}", op, [x], [y], L2Norm(x.size // x.shape[-1], x.shape[-1], x.zero_point))


def l2_pool(p: Program, op: Op) -> None:
    x, y = one_to_one(p, op, "float32")
    check(op, x, len(x.shape) == 4, "rank 4 (NHWC)")
    window = window_of(op, x, y, op.options.number("filter_h"), op.options.number("filter_w"), x.shape[3])
    p.emit("l2_pool_f32", op, [x], [y], Pool(window, *clamp_f32(op, x)))
