"""Lowering of comparisons, logical ops, choices and casts. bool is a byte of 0 or 1."""

from __future__ import annotations

from tinyrig.compiler.lower.elementwise import broadcast
from tinyrig.compiler.lower.move import MOVABLE, check_same_scale, itemsize, strides
from tinyrig.compiler.lower.program import Program, check, check_dtype, check_quantized, check_shape
from tinyrig.compiler.lower.reduce import reduction_block
from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.layers import Mean
from tinyrig.compiler.model.params import Binary, CompareInt, Select, Unary
from tinyrig.compiler.model.quant import quantize_multiplier

_TYPES = {"float32": "f32", "int32": "s32", "int64": "s64", "int8": "s8", "bool": "u8"}


def _pair(p: Program, op: Op, *dtypes: str) -> tuple[Tensor, Tensor, Tensor]:
    """Two operands of one of `dtypes`, and the bool output."""
    a, b = p.inputs(op, 2)
    y = p.output(op)
    check_dtype(op, a, *dtypes)
    check_dtype(op, b, a.dtype)
    check_dtype(op, y, "bool")
    return a, b, y


def compare(p: Program, op: Op) -> None:
    """EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL. int8 operands are compared in real values, times 256, in the
    reference's fixed point: two that differ by less may be equal."""
    order = op.code not in ("EQUAL", "NOT_EQUAL")
    a, b, y = _pair(p, op, "float32", "int32", "int64", "int8", *(() if order else ("bool",)))
    kind, shape = f"{op.code.lower()}_{_TYPES[a.dtype]}", broadcast(op, a, b, y)
    if a.dtype != "int8":
        p.emit(kind, op, [a, b], [y], Binary(shape))
        return
    check_quantized(op, a, b)
    for t in (a, b):
        check(op, t, bool(t.scale < 1), "a scale below 1", str(t.scale))
    scales = quantize_multiplier(float(a.scale)), quantize_multiplier(float(b.scale))
    p.emit(kind, op, [a, b], [y], CompareInt(shape, (a.zero_point, b.zero_point), *scales))


def logical(p: Program, op: Op) -> None:
    """LOGICAL_AND, LOGICAL_OR."""
    a, b, y = _pair(p, op, "bool")
    p.emit(f"{op.code.lower()}_u8", op, [a, b], [y], Binary(broadcast(op, a, b, y)))


def logical_not(p: Program, op: Op) -> None:
    (x,) = p.inputs(op, 1)
    y = p.output(op)
    for t in (x, y):
        check_dtype(op, t, "bool")
    check_shape(op, y, x.shape)
    p.emit("logical_not_u8", op, [x], [y], Unary(x.size))


def reduce_all(p: Program, op: Op) -> None:
    x, y, parts = reduction_block(p, op, "bool")
    p.emit("reduce_all_u8", op, [x], [y], Mean(*parts))


def select(p: Program, op: Op) -> None:
    """SELECT and SELECT_V2. SELECT's condition may also be a vector that picks rows."""
    condition, a, b = p.inputs(op, 3)
    y = p.output(op)
    check_dtype(op, condition, "bool")
    check_dtype(op, a, *MOVABLE)
    for t in (b, y):
        check_dtype(op, t, a.dtype)
        check_same_scale(op, t, a)
    picks_rows = op.code == "SELECT" and len(condition.shape) == 1 and len(a.shape) > 1
    shape = (*condition.shape, *[1] * (len(a.shape) - 1)) if picks_rows else condition.shape
    rank = max(len(shape), len(a.shape), len(b.shape))
    shapes = [(1,) * (rank - len(s)) + s for s in (shape, a.shape, b.shape)]
    out = tuple(max(sizes) for sizes in zip(*shapes, strict=True))
    for t, s in zip((condition, a, b), shapes, strict=True):
        check(op, t, all(d in (1, n) for d, n in zip(s, out, strict=True)), f"a shape that can be broadcast to {list(out)}")
    check(op, y, y.size == _size(out), f"{_size(out)} elements", str(list(y.shape)))
    steps = [[n if d > 1 else 0 for n, d in zip(strides(s), s, strict=True)] for s in shapes]
    size = itemsize(a)
    dims = [(n, c, i * size, j * size) for n, c, i, j in zip(out, *steps, strict=True) if n > 1]
    check(op, y, len(dims) <= 6, "at most 6 dimensions", str(len(dims)))
    p.emit("select", op, [condition, a, b], [y], Select(size, tuple(dims)))


def _size(shape: tuple[int, ...]) -> int:
    n = 1
    for d in shape:
        n *= d
    return n


_CASTS = {
    "int8": "s8",
    "int16": "s16",
    "int32": "s32",
    "int64": "s64",
    "uint8": "u8",
    "uint32": "u32",
    "float32": "f32",
    "bool": "bool",
}


def cast(p: Program, op: Op) -> None:
    """The stored number becomes the same number of another type; scales play no part in it."""
    (x,) = p.inputs(op, 1)
    y = p.output(op)
    for t in (x, y):
        check_dtype(op, t, *_CASTS)
    check_shape(op, y, x.shape)
    if x.data is not None:
        p.fold(y, x.data.astype(y.dtype))
    elif x.dtype == y.dtype:
        p.alias(op, x, y)
    else:
        check(op, y, (x.dtype, y.dtype) != ("float32", "uint32"), "a signed integer of a float", y.dtype)
        p.emit(f"cast_{_CASTS[x.dtype]}_{_CASTS[y.dtype]}", op, [x], [y], Unary(x.size))
