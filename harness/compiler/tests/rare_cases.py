"""Cases of the ops that models from elsewhere bring: slices, gathers, reductions, products. See cases.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyrig.compiler.tests.cases import Unary, Workbench, near_quants, quants, ranges, scales, shapes, zero_points
from tinyrig.compiler.tests.weightless_cases import MOVE_TYPES, TWO_TYPES, Binary, Quant, broadcast_shapes

WIDE_TYPES = st.sampled_from(["int8", "int16", "float32"])
FLOAT_FUNCTIONS = ("EXP", "SQUARE", "NEG", "FLOOR", "CEIL", "ROUND", "SIN", "COS", "ELU")


def _moved(draw: st.DrawFn, code: str, x: tuple[int, ...], y: tuple[int, ...], constants: Any, options: Any = None) -> Unary:
    dtype = draw(TWO_TYPES)
    q = draw(quants(dtype))
    return Unary(code, (x, y), (dtype, dtype), (q, q), options or {}, constants)


@st.composite
def slice_(draw: st.DrawFn) -> Unary:
    shape = draw(shapes)
    begin = [draw(st.integers(0, d - 1)) for d in shape]
    out = tuple(draw(st.integers(1, d - b)) for d, b in zip(shape, begin, strict=True))
    size = [-1 if b + n == d and draw(st.booleans()) else n for d, b, n in zip(shape, begin, out, strict=True)]
    return _moved(draw, "SLICE", shape, out, (begin, size))


@st.composite
def split_v(draw: st.DrawFn) -> Unary:
    shape = draw(shapes)
    axis = draw(st.integers(0, len(shape) - 1))
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    parts = [(*shape[:axis], n, *shape[axis + 1 :]) for n in sizes]
    dtype = draw(MOVE_TYPES)
    q = (draw(scales()), draw(zero_points(dtype)))
    whole = (*shape[:axis], sum(sizes), *shape[axis + 1 :])
    constants = (sizes, np.array(axis - len(shape) if draw(st.booleans()) else axis, np.int32))
    return Unary("SPLIT_V", (whole, *parts), (dtype, dtype), (q, q), {"numSplits": len(sizes)}, constants)


@st.composite
def gather(draw: st.DrawFn) -> Unary:
    shape = draw(shapes)
    axis = draw(st.integers(0, len(shape) - 1))
    picked = draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=5))
    out = (*shape[:axis], len(picked), *shape[axis + 1 :])
    return _moved(draw, "GATHER", shape, out, (picked,), {"axis": axis, "batchDims": 0})


@st.composite
def mirror_pad(draw: st.DrawFn) -> Unary:
    shape = draw(shapes)
    mode = draw(st.integers(0, 1))
    pads = [tuple(draw(st.integers(0, min(2, d - 1 + mode))) for _ in range(2)) for d in shape]
    out = tuple(d + a + b for d, (a, b) in zip(shape, pads, strict=True))
    return _moved(draw, "MIRROR_PAD", shape, out, (pads,), {"mode": mode})


@st.composite
def broadcast_to(draw: st.DrawFn) -> Unary:
    out = draw(shapes)
    shape = tuple(1 if draw(st.booleans()) else d for d in out)[draw(st.integers(0, len(out) - 1)) :]
    return _moved(draw, "BROADCAST_TO", shape, out, (out,))


@st.composite
def depth_blocks(draw: st.DrawFn) -> Unary:
    n, h, w, c, k = (draw(st.integers(1, m)) for m in (2, 3, 3, 3, 3))
    flat, deep = (n, h * k, w * k, c), (n, h, w, c * k * k)
    if draw(st.booleans()):
        return _moved(draw, "DEPTH_TO_SPACE", deep, flat, (), {"blockSize": k})
    return _moved(draw, "SPACE_TO_DEPTH", flat, deep, (), {"blockSize": k})


@st.composite
def reduction(draw: st.DrawFn) -> Unary:
    """SUM rescales, the extremes keep the scale."""
    code, dtype, shape = draw(st.sampled_from(["SUM", "REDUCE_MAX", "REDUCE_MIN"])), draw(TWO_TYPES), draw(shapes)
    axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    keep = draw(st.booleans())
    out = tuple(1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes)
    pair = draw(near_quants(dtype))
    return Unary(code, (shape, out), (dtype, dtype), pair if code == "SUM" else pair[:1] * 2, {"keepDims": keep}, (axes,))


@st.composite
def float_function(draw: st.DrawFn) -> Unary:
    shape = draw(shapes)
    return Unary(draw(st.sampled_from(FLOAT_FUNCTIONS)), (shape, shape), ("float32",) * 2, ((1.0, 0),) * 2)


@st.composite
def elu_s8(draw: st.DrawFn) -> Unary:
    shape = draw(shapes)
    return Unary("ELU", (shape, shape), ("int8", "int8"), draw(near_quants("int8")))


@st.composite
def wide(draw: st.DrawFn) -> Unary | Binary:
    """ABS of int16; the extremes of int64."""
    shape = draw(shapes)
    if draw(st.booleans()):
        a, y = draw(near_quants("int16"))
        return Unary("ABS", (shape, shape), ("int16", "int16"), (a, a if draw(st.booleans()) else y))
    none = (None, 0)
    code = draw(st.sampled_from(["MINIMUM", "MAXIMUM"]))
    return Binary(code, "int64", draw(broadcast_shapes()), (none,) * 3, {}, draw(st.booleans()))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Slopes:
    """PRELU of int16, whose slopes are int8."""

    shape: tuple[int, ...]
    quant: tuple[Quant, Quant, Quant]

    def __call__(self, b: Workbench) -> None:
        x = b.input(self.shape, "int16", *self.quant[0])
        slopes = b.constant(b.rng.integers(-128, 128, self.shape[-1]).astype(np.int8), *self.quant[1])
        b.model.op("PRELU", [x, slopes], [b.output(self.shape, "int16", *self.quant[2])])


@st.composite
def slopes_s16(draw: st.DrawFn) -> Slopes:
    a, y = draw(near_quants("int16"))
    return Slopes(draw(shapes), (a, (draw(scales(1e-3, 0.1)), draw(zero_points("int8"))), y))


@st.composite
def squared_difference(draw: st.DrawFn) -> Binary:
    dtype = draw(WIDE_TYPES)
    a, b = draw(near_quants(dtype))
    y = (float(np.float32(max(a[0], b[0]) ** 2 * (60 if dtype == "int8" else 15000) * draw(ranges))), draw(zero_points(dtype)))
    return Binary("SQUARED_DIFFERENCE", dtype, draw(broadcast_shapes()), (a, b, y), {}, draw(st.booleans()))


@dataclass(frozen=True)
class Roots:
    """DIV, LOG and SQRT of floats behind EXP, so that their operands are positive."""

    shape: tuple[int, ...]

    def __call__(self, b: Workbench) -> None:
        x = b.input(self.shape, "float32")
        positive = b.model.tensor(self.shape)
        b.model.op("EXP", [x], [positive])
        for code in ("LOG", "SQRT"):
            b.model.op(code, [positive], [b.output(self.shape, "float32")])
        b.model.op("DIV", [x, positive], [b.output(self.shape, "float32")])


@dataclass(frozen=True)
class Matmul:
    """Two activations; each may be stored transposed."""

    dtype: str
    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    turned: tuple[bool, bool]
    quant: tuple[Quant, Quant, Quant]

    def __call__(self, b: Workbench) -> None:
        inputs = [b.input(s, self.dtype, *q) for s, q in zip(self.shapes[:2], self.quant[:2], strict=True)]
        y = b.output(self.shapes[2], self.dtype, *self.quant[2])
        b.model.op("BATCH_MATMUL", inputs, [y], adjX=self.turned[0], adjY=self.turned[1])


@st.composite
def batch_matmul(draw: st.DrawFn) -> Matmul:
    dtype = draw(WIDE_TYPES)
    batch = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple))
    rows, depth, columns = (draw(st.integers(1, 6)) for _ in range(3))
    turned = (draw(st.booleans()), draw(st.booleans()))
    a, b = draw(near_quants(dtype))
    y = (
        float(np.float32(a[0] * b[0] * (60 if dtype == "int8" else 15000) * np.sqrt(depth) * draw(ranges))),
        draw(zero_points(dtype)),
    )
    pair = ((depth, rows) if turned[0] else (rows, depth), (columns, depth) if turned[1] else (depth, columns))
    return Matmul(dtype, ((*batch, *pair[0]), (*batch, *pair[1]), (*batch, rows, columns)), turned, (a, b, y))


@st.composite
def resize_bilinear(draw: st.DrawFn) -> Unary:
    n, h, w, c, new_h, new_w = (draw(st.integers(1, k)) for k in (2, 7, 7, 5, 12, 12))
    align = draw(st.booleans())
    options = {"alignCorners": align, "halfPixelCenters": not align and draw(st.booleans())}
    return _moved(draw, "RESIZE_BILINEAR", (n, h, w, c), (n, new_h, new_w, c), ([new_h, new_w],), options)
