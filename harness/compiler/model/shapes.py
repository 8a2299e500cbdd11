"""Output shapes from input shapes, for models converted with a free batch. Such files carry a 1 for each unknown dimension,
which is wrong behind a RESHAPE or SPACE_TO_BATCH_ND; with the batch fixed, each shape follows from the op's inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.litert.shapes import RULES
from tinyrig.compiler.model.quant import out_size

Shape = tuple[int, ...]


def infer(op: Op, inputs: list[Tensor | None]) -> list[Shape] | None:
    """A shape for each output; None when the op has no rule or lacks the constants for it, so that the file's must do."""
    if op.code not in _RULES:
        return None
    given = inputs[: inputs.index(None)] if None in inputs else inputs
    try:
        return [tuple(int(d) for d in shape) for shape in _RULES[op.code](op, [t for t in given if t is not None])]
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None  # a malformed op: its lowering says what is wrong with it


Inputs = list[Tensor]
"""Those in front of the first that is omitted."""


def _data(t: Tensor) -> np.ndarray:
    """Raises TypeError when it is no constant."""
    if t.data is None:
        raise TypeError(f"{t} is no constant")
    return t.data


def _values(t: Tensor) -> list[int]:
    return [int(v) for v in _data(t).ravel()]


def _pairs(t: Tensor) -> list[tuple[int, int]]:
    """Paddings or crops: in front and behind."""
    return [(int(a), int(b)) for a, b in _data(t)]


def _same(op: Op, x: Inputs) -> list[Shape]:
    return [x[0].shape]


def _broadcast(op: Op, x: Inputs) -> list[Shape]:
    return [np.broadcast_shapes(x[0].shape, x[1].shape)]


def _broadcast_all(op: Op, x: Inputs) -> list[Shape]:
    return [np.broadcast_shapes(*(t.shape for t in x))]


def _arg_best(op: Op, x: Inputs) -> list[Shape]:
    (axis,), rank = _values(x[1]), len(x[0].shape)
    return [tuple(d for i, d in enumerate(x[0].shape) if i != axis % rank)]


def _gather_nd(op: Op, x: Inputs) -> list[Shape]:
    return [(*x[1].shape[:-1], *x[0].shape[x[1].shape[-1] :])]


def _lookup(op: Op, x: Inputs) -> list[Shape]:
    return [(x[0].size, *x[1].shape[1:])]


def _window(op: Op, x: Inputs) -> list[Shape]:
    o, (n, *size, c) = op.options, x[0].shape
    if "filter_h" in o:
        taps = [o.number("filter_h"), o.number("filter_w")]
    else:
        taps, c = list(x[1].shape[1:3]), x[1].shape[0 if op.code == "CONV_2D" else 3]
    strides, dilation = [o.number("stride_h"), o.number("stride_w")], [o.number("dilation_h", 1), o.number("dilation_w", 1)]
    return [(n, *(out_size(o.word("padding"), size[i], taps[i], strides[i], dilation[i]) for i in range(2)), c)]


def _dense(op: Op, x: Inputs) -> list[Shape]:
    out_n, in_n = x[1].shape
    return [(*x[0].shape[:-1], out_n) if op.options.flag("keep_dims") else (x[0].size // in_n, out_n)]


def _reshape(op: Op, x: Inputs) -> list[Shape]:
    wanted = _values(x[1])
    known = int(np.prod([d for d in wanted if d != -1], dtype=np.int64))
    return [tuple(x[0].size // known if d == -1 else d for d in wanted)]


def _expand(op: Op, x: Inputs) -> list[Shape]:
    (axis,) = _values(x[1])
    axis += len(x[0].shape) + 1 if axis < 0 else 0
    return [(*x[0].shape[:axis], 1, *x[0].shape[axis:])]


def _squeeze(op: Op, x: Inputs) -> list[Shape]:
    dims, rank = op.options.numbers("dims"), len(x[0].shape)
    axes = {i for i, d in enumerate(x[0].shape) if d == 1} if dims is None else {a % rank for a in dims}
    return [tuple(d for i, d in enumerate(x[0].shape) if i not in axes)]


def _transpose(op: Op, x: Inputs) -> list[Shape]:
    return [tuple(x[0].shape[i] for i in _values(x[1]))]


def _reduce(op: Op, x: Inputs) -> list[Shape]:
    rank, keep = len(x[0].shape), op.options.flag("keep_dims")
    axes = {a % rank for a in _values(x[1])}
    return [tuple(1 if i in axes else d for i, d in enumerate(x[0].shape) if keep or i not in axes)]


def _pack(op: Op, x: Inputs) -> list[Shape]:
    axis = op.options.number("axis") % (len(x[0].shape) + 1)
    return [(*x[0].shape[:axis], len(x), *x[0].shape[axis:])]


def _unpack(op: Op, x: Inputs) -> list[Shape]:
    axis = op.options.number("axis") % len(x[0].shape)
    return [x[0].shape[:axis] + x[0].shape[axis + 1 :]] * len(op.outputs)


def _along(shape: Shape, axis: int, size: int) -> Shape:
    axis %= len(shape)
    return (*shape[:axis], size, *shape[axis + 1 :])


def _split(op: Op, x: Inputs) -> list[Shape]:
    (axis,), n = _values(x[0]), len(op.outputs)
    return [_along(x[1].shape, axis, x[1].shape[axis] // n)] * n


def _split_v(op: Op, x: Inputs) -> list[Shape]:
    sizes, (axis,) = _values(x[1]), _values(x[2])
    rest = x[0].shape[axis] - sum(s for s in sizes if s != -1)
    return [_along(x[0].shape, axis, rest if s == -1 else s) for s in sizes]


def _concatenation(op: Op, x: Inputs) -> list[Shape]:
    axis = op.options.number("axis")
    return [_along(x[0].shape, axis, sum(t.shape[axis] for t in x))]


def _pad(op: Op, x: Inputs) -> list[Shape]:
    return [tuple(d + a + b for d, (a, b) in zip(x[0].shape, _pairs(x[1]), strict=True))]


def _space_to_batch(op: Op, x: Inputs) -> list[Shape]:
    sizes, (n, *dims) = _values(x[1]), x[0].shape
    space = [(d + a + b) // s for d, s, (a, b) in zip(dims, sizes, _pairs(x[2]), strict=False)]
    return [(n * int(np.prod(sizes)), *space, *dims[len(sizes) :])]


def _batch_to_space(op: Op, x: Inputs) -> list[Shape]:
    sizes, (n, *dims) = _values(x[1]), x[0].shape
    space = [d * s - a - b for d, s, (a, b) in zip(dims, sizes, _pairs(x[2]), strict=False)]
    return [(n // int(np.prod(sizes)), *space, *dims[len(sizes) :])]


def _gather(op: Op, x: Inputs) -> list[Shape]:
    axis = op.options.number("axis") % len(x[0].shape)
    return [(*x[0].shape[:axis], *x[1].shape, *x[0].shape[axis + 1 :])]


def _slice(op: Op, x: Inputs) -> list[Shape]:
    parts = zip(x[0].shape, _values(x[1]), _values(x[2]), strict=True)
    return [tuple(d - begin if size == -1 else size for d, begin, size in parts)]


def _strided_slice(op: Op, x: Inputs) -> list[Shape]:
    begins, ends, shrinks = (op.options.number(f"{k}_mask") for k in ("begin", "end", "shrink"))
    shape: list[int] = []
    for i, (d, begin, end, step) in enumerate(zip(x[0].shape, *map(_values, x[1:]), strict=True)):
        first, last = (None if mask >> i & 1 else v for mask, v in ((begins, begin), (ends, end)))
        if not shrinks >> i & 1:
            shape.append(len(range(*slice(first, last, step).indices(d))))
    return [tuple(shape)]


def _tile(op: Op, x: Inputs) -> list[Shape]:
    return [tuple(d * n for d, n in zip(x[0].shape, _values(x[1]), strict=True))]


def _first_values(op: Op, x: Inputs) -> list[Shape]:
    return [tuple(_values(x[0]))]


def _resize(op: Op, x: Inputs) -> list[Shape]:
    return [(x[0].shape[0], *_values(x[1]), x[0].shape[3])]


def _matmul(op: Op, x: Inputs) -> list[Shape]:
    rows, columns = x[0].shape[-1 if op.options.flag("adjoint_x") else -2], x[1].shape[-2 if op.options.flag("adjoint_y") else -1]
    return [(*np.broadcast_shapes(x[0].shape[:-2], x[1].shape[:-2]), rows, columns)]


_RULES: dict[str, Callable[[Op, Inputs], list[Shape]]] = {
    **dict.fromkeys(
        (
            "RELU",
            "RELU6",
            "LEAKY_RELU",
            "PRELU",
            "ELU",
            "GELU",
            "RELU_N1_TO_1",
            "RELU_0_TO_1",
            "LOGISTIC",
            "TANH",
            "HARD_SWISH",
            "SOFTMAX",
            "LOG_SOFTMAX",
            "QUANTIZE",
            "DEQUANTIZE",
            "ABS",
            "RSQRT",
            "SQRT",
            "SQUARE",
            "EXP",
            "LOG",
            "NEG",
            "SIGN",
            "FLOOR",
            "CEIL",
            "ROUND",
            "SIN",
            "COS",
            "REVERSE_V2",
            "ZEROS_LIKE",
            "CAST",
            "CUMSUM",
            "LOGICAL_NOT",
            "L2_NORMALIZATION",
            "DYNAMIC_UPDATE_SLICE",
            "ADD_N",
        ),
        _same,
    ),
    **dict.fromkeys(
        ("ADD", "SUB", "MUL", "DIV", "MINIMUM", "MAXIMUM", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD"), _broadcast
    ),
    **dict.fromkeys(
        ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "LOGICAL_AND", "LOGICAL_OR"), _broadcast
    ),
    **dict.fromkeys(("SELECT", "SELECT_V2"), _broadcast_all),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), _window),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ALL", "REDUCE_ANY"), _reduce),
    "ARG_MAX": _arg_best,
    "ARG_MIN": _arg_best,
    "GATHER_ND": _gather_nd,
    "EMBEDDING_LOOKUP": _lookup,
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), _pad),
    **dict.fromkeys(("FILL", "TRANSPOSE_CONV"), _first_values),
    **dict.fromkeys(("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"), _resize),
    "FULLY_CONNECTED": _dense,
    "RESHAPE": _reshape,
    "EXPAND_DIMS": _expand,
    "SQUEEZE": _squeeze,
    "TRANSPOSE": _transpose,
    "PACK": _pack,
    "UNPACK": _unpack,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "CONCATENATION": _concatenation,
    "SPACE_TO_BATCH_ND": _space_to_batch,
    "BATCH_TO_SPACE_ND": _batch_to_space,
    "GATHER": _gather,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _tile,
    "BATCH_MATMUL": _matmul,
    **RULES,
}
