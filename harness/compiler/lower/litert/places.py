"""Sorting, scattering, joining by ids, turning sequences round; and what only makes constants or moves values."""

from __future__ import annotations

import math

import numpy as np

from tinyrig.compiler.lower.move import INTEGERS, MOVABLE, axis_of, block, check_same_scale, emit_move, itemsize, strides
from tinyrig.compiler.lower.program import SUFFIX, Program, check, check_dtype, check_shape, constant
from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.litert.records import ReverseSequence, Scatter, Segments, TopK


def top_k(p: Program, op: Op) -> None:
    x, k_tensor = p.inputs(op, 2)
    check(op, None, len(op.outputs) == 2, "2 outputs", str(len(op.outputs)))
    values, places = (p.tensors[i] for i in op.outputs)
    check_dtype(op, x, "float32", "int8", "int16", "int32")
    check_dtype(op, values, x.dtype)
    check_same_scale(op, x, values)
    check_dtype(op, places, "int32")
    check(op, k_tensor, k_tensor.size == 1, "one number")
    k = int(constant(op, k_tensor, "how many are asked for").ravel()[0])
    check(op, x, len(x.shape) >= 1, "rank 1 or more")
    check(op, k_tensor, 1 <= k <= x.shape[-1], f"1 to {x.shape[-1]}", str(k))
    for t in (values, places):
        check_shape(op, t, (*x.shape[:-1], k))
    p.emit(f"top_k_{SUFFIX[x.dtype]}", op, [x], [values, places], TopK(x.size // x.shape[-1], x.shape[-1], k))


def scatter_nd(p: Program, op: Op) -> None:
    """Rows of an output of zeros; what goes to one place is added up."""
    indices, updates, shape = p.inputs(op, 3)
    y = p.output(op)
    check_dtype(op, indices, "int32")
    check_dtype(op, updates, "float32", "int8", "int32")
    check_dtype(op, y, updates.dtype)
    check_same_scale(op, updates, y)
    check_shape(op, y, tuple(int(d) for d in constant(op, shape, "the shape").ravel()))
    check(op, indices, len(indices.shape) >= 1, "indices of rank 1 or more")
    depth = indices.shape[-1]
    check(op, indices, 1 <= depth <= min(len(y.shape), 5), f"1 to {min(len(y.shape), 5)} parts of an index", str(depth))
    check_shape(op, updates, (*indices.shape[:-1], *y.shape[depth:]))
    params = Scatter(indices.size // depth, y.shape[:depth], math.prod(y.shape[depth:]))
    p.emit(f"scatter_nd_{SUFFIX[y.dtype]}", op, [indices, updates], [y], params)


def segments(p: Program, op: Op) -> None:
    """SEGMENT_SUM and UNSORTED_SEGMENT_*: along the first dimension. Their number is a constant, or follows from constant ids."""
    (x, ids), (count,) = p.inputs_and_optional(op, 2, 3)
    y = p.output(op)
    check_dtype(op, x, "float32", "int32")
    check_dtype(op, y, x.dtype)
    check_dtype(op, ids, "int32")
    check(op, ids, len(x.shape) >= 1 and ids.shape == x.shape[:1], "one id for each row", str(list(ids.shape)))
    check(op, y, len(y.shape) == len(x.shape) and y.shape[1:] == x.shape[1:], f"rows of {list(x.shape[1:])}")
    told = constant(op, ids if op.code == "SEGMENT_SUM" else count, "the number of segments, or the sorted ids,").ravel()
    segments_ = int(told[-1]) + 1 if op.code == "SEGMENT_SUM" else int(told[0])
    check(op, y, y.shape[0] == segments_, f"{segments_} segments", str(y.shape[0]))
    name = op.code.lower().removeprefix("unsorted_")
    p.emit(f"{name}_{SUFFIX[x.dtype]}", op, [x, ids], [y], Segments(x.shape[0], y.shape[0], math.prod(x.shape[1:])))


def reverse_sequence(p: Program, op: Op) -> None:
    x, lengths = p.inputs(op, 2)
    y = p.output(op)
    check_dtype(op, x, *MOVABLE)
    check_dtype(op, y, x.dtype)
    check_same_scale(op, x, y)
    check_dtype(op, lengths, *INTEGERS)
    check_shape(op, y, x.shape)
    rank = len(x.shape)
    time, batch = (axis_of(op, op.options.number(key), rank) for key in ("time", "batch"))
    check(op, None, time != batch, "two dimensions", f"{time} for both")
    check(op, lengths, lengths.shape == (x.shape[batch],), f"{x.shape[batch]} lengths", str(list(lengths.shape)))
    a, b = sorted((time, batch))
    outer, middle, inner = (math.prod(s) for s in (x.shape[:a], x.shape[a + 1 : b], x.shape[b + 1 :]))
    params = ReverseSequence(outer, x.shape[a], middle, x.shape[b], inner * itemsize(x), time < batch)
    p.emit(f"reverse_sequence_{SUFFIX[lengths.dtype]}", op, [x, lengths], [y], params)


def diagonal(p: Program, op: Op) -> None:
    """MATRIX_DIAG and MATRIX_SET_DIAG: matrices of zeros, or given ones, whose diagonal is the last input."""
    given = p.inputs(op, 1 if op.code == "MATRIX_DIAG" else 2)
    x, y = given[-1], p.output(op)
    check_dtype(op, x, *MOVABLE)
    for t in (*given, y):
        check_dtype(op, t, x.dtype)
        check_same_scale(op, t, x)
    rank = len(y.shape)
    check(op, y, rank >= 2, "matrices")
    rows, columns = y.shape[-2:]
    check(op, x, x.shape == (*y.shape[:-2], min(rows, columns)), f"diagonals of {list(y.shape)}", str(list(x.shape)))
    whole = strides(y.shape)
    on = (strides(x.shape), [*whole[:-2], columns + 1])
    last = len(given) - 1
    blocks = [block(last, 0, (0, 0), x.shape, on, itemsize(x))]
    if last:
        check_shape(op, given[0], y.shape)
        blocks.insert(0, block(0, 0, (0, 0), y.shape, (whole, whole), itemsize(x)))
    emit_move(p, op, given, [y], blocks, b"" if last else bytes(itemsize(x)))


def range_(p: Program, op: Op) -> None:
    """Of constants: a list of known length."""
    start, end, step = (constant(op, t, "start, end and step of a RANGE") for t in _same_type(p, op, 3))
    y = p.output(op)
    check(op, None, all(v.size == 1 for v in (start, end, step)) and bool(step.ravel()[0]), "single numbers, and a step")
    values = np.arange(start.ravel()[0], end.ravel()[0], step.ravel()[0])
    check(op, y, y.size == values.size, f"{values.size} elements", str(y.size))
    p.fold(y, values)


def _same_type(p: Program, op: Op, count: int) -> list[Tensor]:
    inputs, y = p.inputs(op, count), p.output(op)
    check_dtype(op, y, "float32", "int32", "int64")
    for t in inputs:
        check_dtype(op, t, y.dtype)
    return inputs


def rank_(p: Program, op: Op) -> None:
    (x,) = p.inputs(op, 1)
    y = p.output(op)
    check_dtype(op, y, "int32")
    check(op, y, y.size == 1, "one number", str(y.size))
    p.fold(y, np.array(len(x.shape)))
