"""Output shapes, as in shapes.py, of LiteRT's own operators and of a few others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.quant import out_size

Shape = tuple[int, ...]
Inputs = list[Tensor]


def _values(t: Tensor) -> list[int]:
    """Raises TypeError when it is no constant."""
    if t.data is None:
        raise TypeError(f"{t} is no constant")
    return [int(v) for v in t.data.ravel()]


def _first(op: Op, x: Inputs) -> list[Shape]:
    return [x[0].shape]


def _broadcast(op: Op, x: Inputs) -> list[Shape]:
    return [np.broadcast_shapes(x[0].shape, x[1].shape)]


def _top_k(op: Op, x: Inputs) -> list[Shape]:
    (k,) = _values(x[1])
    return [(*x[0].shape[:-1], k)] * 2


def _scatter(op: Op, x: Inputs) -> list[Shape]:
    return [tuple(_values(x[2]))]


def _segments(op: Op, x: Inputs) -> list[Shape]:
    """SEGMENT_SUM's ids are sorted; the others are told how many there are."""
    count = max(_values(x[1])) + 1 if op.code == "SEGMENT_SUM" else _values(x[2])[0]
    return [(count, *x[0].shape[1:])]


def _diagonal(op: Op, x: Inputs) -> list[Shape]:
    return [(*x[0].shape, x[0].shape[-1])]


def _range(op: Op, x: Inputs) -> list[Shape]:
    ends = [t.data.ravel()[0] for t in x if t.data is not None]
    return [(len(np.arange(*ends)),)] if len(ends) == 3 else []


def _rfft(op: Op, x: Inputs) -> list[Shape]:
    return [(*x[0].shape[:-1], _values(x[1])[1] // 2 + 1)]


def _volume(op: Op, x: Inputs) -> list[Shape]:
    o, taps, dims = op.options, x[1].shape[:3], x[0].shape[1:4]
    sizes = (
        out_size(o.word("padding"), n, k, o.number(f"stride_{d}"), o.number(f"dilation_{d}"))
        for n, k, d in zip(dims, taps, "dhw", strict=True)
    )
    return [(x[0].shape[0], *sizes, x[1].shape[4])]


def _one_hot(op: Op, x: Inputs) -> list[Shape]:
    axis, depth = op.options.number("axis"), _values(x[1])[0]
    at = len(x[0].shape) if axis < 0 else axis
    return [(*x[0].shape[:at], depth, *x[0].shape[at:])]


def _blocks(op: Op, x: Inputs) -> list[Shape]:
    k, (n, h, w, c) = op.options.number("block"), x[0].shape
    return [(n, h * k, w * k, c // k**2)] if op.code == "DEPTH_TO_SPACE" else [(n, h // k, w // k, c * k**2)]


def _broadcast_to(op: Op, x: Inputs) -> list[Shape]:
    return [tuple(_values(x[1]))]


RULES: dict[str, Callable[[Op, Inputs], list[Shape]]] = {
    **dict.fromkeys(("POW", "ATAN2", "BITWISE_XOR", "RIGHT_SHIFT"), _broadcast),
    **dict.fromkeys(("LOCAL_RESPONSE_NORMALIZATION", "BUCKETIZE", "REVERSE_SEQUENCE", "MATRIX_SET_DIAG"), _first),
    **dict.fromkeys(("COMPLEX_ABS", "REAL", "IMAG"), _first),
    **dict.fromkeys(("SEGMENT_SUM", *(f"UNSORTED_SEGMENT_{how}" for how in ("SUM", "PROD", "MAX", "MIN"))), _segments),
    "TOPK_V2": _top_k,
    "SCATTER_ND": _scatter,
    "MATRIX_DIAG": _diagonal,
    "RANGE": _range,
    "RFFT2D": _rfft,
    "CONV_3D": _volume,
    "ONE_HOT": _one_hot,
    **dict.fromkeys(("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"), _blocks),
    "BROADCAST_TO": _broadcast_to,
}
