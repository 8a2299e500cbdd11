"""Cases of ops without weights: elementwise with broadcasting, functions, movers. See cases.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyrig.compiler.tests.cases import (
    ACTIVATION,
    Unary,
    Workbench,
    activations,
    near_quants,
    quants,
    ranges,
    scales,
    shapes,
    zero_points,
)

Quant = tuple[float, int]


@dataclass(frozen=True)
class Binary:
    """Two operands, one of them perhaps a constant."""

    code: str
    dtype: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    quant: tuple[Quant, Quant, Quant]
    options: dict[str, Any]
    constant: bool

    def __call__(self, b: Workbench) -> None:
        a = b.input(self.shapes[0], self.dtype, *self.quant[0])
        other = b.input(self.shapes[1], self.dtype, *self.quant[1])
        if self.constant:
            b.inputs.pop()
            b.model.make_constant(other, b.values.pop())
        y = b.output(np.broadcast_shapes(*self.shapes), self.dtype, *self.quant[2])
        b.model.op(self.code, [a, other], [y], **self.options)


@st.composite
def broadcast_shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Equal shapes half of the time; else dimensions of one, and missing ones in front, on either side."""
    full = draw(shapes)
    if draw(st.booleans()):
        return full, full
    sides = [tuple(1 if draw(st.integers(0, 2)) == 0 else d for d in full) for _ in range(2)]
    cut = draw(st.integers(0, len(full) - 1))
    sides[draw(st.integers(0, 1))] = sides[0][cut:] if cut else full
    return sides[0], sides[1]


@st.composite
def binary(draw: st.DrawFn, code: str, dtype: str) -> Binary:
    a, b = draw(near_quants(dtype))
    if code in ("MINIMUM", "MAXIMUM"):
        y = b = a
    elif code == "MUL" or code == "PRELU":
        steps = 127 if dtype == "int8" else 32767
        y = (float(np.float32(max(a[0] * b[0] * steps * draw(ranges), 1e-30))), draw(zero_points(dtype)))
    else:
        y = (float(np.float32(max(a[0], b[0]) * draw(scales(0.2, 20)))), draw(zero_points(dtype)))
    options = {"fusedActivationFunction": ACTIVATION[draw(activations)]} if code in ("ADD", "SUB", "MUL") else {}
    pair = draw(broadcast_shapes())
    if code == "PRELU":
        full = np.broadcast_shapes(*pair)
        pair = (full, (1,) * (len(full) - 1) + full[-1:])
    return Binary(code, dtype, pair, (a, b, y), options, code == "PRELU" or draw(st.booleans()))


_OUTPUT = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}


@st.composite
def function(draw: st.DrawFn, code: str, dtype: str) -> Unary:
    """LOGISTIC, TANH, HARD_SWISH, LEAKY_RELU, ABS: one input."""
    shape = draw(shapes)
    a, y = draw(near_quants(dtype))
    if dtype == "int8" and code in _OUTPUT:
        a, y = (draw(scales(1e-3, 0.3)), a[1]), _OUTPUT[code]
    if dtype == "int16" and code in _OUTPUT:
        a, y = (draw(scales(1e-6, 4)), 0), (2**-15, 0)
    if code == "HARD_SWISH":
        a = (draw(scales(0.01, 0.2)), a[1])
        y = (float(np.float32(a[0] * draw(scales(0.5, 4)))), y[1])
    options = {"alpha": draw(st.sampled_from([0.1, 0.3, 0.01, 1.5, -0.5]))} if code == "LEAKY_RELU" else {}
    return Unary(code, (shape, shape), (dtype, dtype), (a, y), options)


@st.composite
def rsqrt_s8(draw: st.DrawFn) -> Unary:
    """TFLM refuses values below the zero point at run time, so the zero point is the lowest value."""
    shape = draw(shapes)
    quant = ((draw(scales(1e-3, 1)), -128), (draw(scales(1e-2, 1)), draw(zero_points("int8"))))
    return Unary("RSQRT", (shape, shape), ("int8", "int8"), quant)


@st.composite
def log_softmax(draw: st.DrawFn, dtype: str) -> Unary:
    shape = (*draw(shapes)[:-1], draw(st.integers(1, 40)))
    quant = ((draw(scales(1e-3, 1.0)), draw(zero_points(dtype))), (16 / 256, 127))
    return Unary("LOG_SOFTMAX", (shape, shape), (dtype, dtype), quant)


@st.composite
def arg_max(draw: st.DrawFn, dtype: str) -> Unary:
    shape = draw(shapes)
    axis = draw(st.integers(0, len(shape) - 1))
    out = shape[:axis] + shape[axis + 1 :]
    quant = (draw(quants(dtype)), (None, 0))
    return Unary("ARG_MAX", (shape, out), (dtype, "int32"), quant, {"outputType": 2}, ((axis - len(shape),),))


TWO_TYPES = st.sampled_from(["int8", "float32"])
MOVE_TYPES = st.sampled_from(["int8", "int16", "float32"])


@st.composite
def transpose(draw: st.DrawFn) -> Unary:
    shape = draw(shapes)
    order = draw(st.permutations(range(len(shape))))
    q, dtype = draw(quants("int8")), draw(st.sampled_from(["int8", "float32"]))
    return Unary("TRANSPOSE", (shape, tuple(shape[i] for i in order)), (dtype, dtype), (q, q), {}, (order,))


@st.composite
def pad(draw: st.DrawFn, code: str) -> Unary:
    shape, dtype = draw(shapes), draw(st.sampled_from(["int8", "int16", "float32"] if code == "PAD" else ["int8", "float32"]))
    pads = [(draw(st.integers(0, 2)), draw(st.integers(0, 3))) for _ in shape]
    out = tuple(d + a + b for d, (a, b) in zip(shape, pads, strict=True))
    q = (draw(scales()), draw(zero_points(dtype)))
    value = (np.array([7], dtype),) if code == "PADV2" else ()
    return PadUnary(code, (shape, out), (dtype, dtype), (q, q), {}, (np.array(pads, np.int32), *value))


class PadUnary(Unary):
    """The padding value shares the activation's quantisation."""

    def __call__(self, b: Workbench) -> None:
        x = b.input(self.shapes[0], self.dtypes[0], *self.quant[0])
        y = b.output(self.shapes[1], self.dtypes[1], *self.quant[1])
        extra = [b.constant(self.constants[0])]
        if len(self.constants) > 1:
            scale = self.quant[0] if self.dtypes[0] != "float32" else (None, 0)
            extra.append(b.constant(self.constants[1], *scale))
        b.model.op(self.code, [x, *extra], [y])


@st.composite
def strided_slice(draw: st.DrawFn) -> Unary:
    shape, dtype = draw(shapes), draw(MOVE_TYPES)
    masks = {k: draw(st.integers(0, 15)) for k in ("beginMask", "endMask")}
    masks["shrinkAxisMask"] = draw(st.sampled_from([0, 0, 1, 2]))
    begin, end, step, out = [], [], [], []
    for i, d in enumerate(shape):
        s = draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        low = draw(st.integers(0, d - 1))
        high = draw(st.integers(low + 1, d))
        shrink = masks["shrinkAxisMask"] >> i & 1
        first, last = (low, high) if s > 0 or shrink else (high - 1, low - 1 - d if low == 0 else low - 1)
        begin.append(first)
        end.append(last)
        step.append(1 if shrink else s)
        whole = [None if masks[k] >> i & 1 else v for k, v in (("beginMask", first), ("endMask", last))]
        n = len(range(*slice(*whole, s).indices(d)))
        if not shrink:
            out.append(n)
    if 0 in out:
        whole = ([0] * len(shape), list(shape), [1] * len(shape))
        return Unary("STRIDED_SLICE", (shape, shape), (dtype, dtype), ((0.1, 0), (0.1, 0)), {}, whole)
    q = (draw(scales()), draw(zero_points(dtype)))
    return Unary("STRIDED_SLICE", (shape, tuple(out)), (dtype, dtype), (q, q), masks, (begin, end, step))


@dataclass(frozen=True)
class Joined:
    """CONCATENATION and PACK: several inputs of one quantisation."""

    code: str
    dtype: str
    shapes: tuple[tuple[int, ...], ...]
    out: tuple[int, ...]
    quant: Quant
    options: dict[str, Any]

    def __call__(self, b: Workbench) -> None:
        x = [b.input(s, self.dtype, *self.quant) for s in self.shapes]
        b.model.op(self.code, x, [b.output(self.out, self.dtype, *self.quant)], **self.options)


@st.composite
def concatenation(draw: st.DrawFn) -> Joined:
    shape, dtype = draw(shapes), draw(MOVE_TYPES)
    axis = draw(st.integers(0, len(shape) - 1))
    parts = [(*shape[:axis], draw(st.integers(1, 5)), *shape[axis + 1 :]) for _ in range(draw(st.integers(1, 4)))]
    out = (*shape[:axis], sum(s[axis] for s in parts), *shape[axis + 1 :])
    quant = (draw(scales()), draw(zero_points(dtype)))
    return Joined("CONCATENATION", dtype, tuple(parts), out, quant, {"axis": draw(st.sampled_from([axis, axis - len(shape)]))})


@st.composite
def pack(draw: st.DrawFn) -> Joined:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple))
    dtype = draw(TWO_TYPES)
    n, axis = draw(st.integers(1, 4)), draw(st.integers(0, len(shape)))
    out = (*shape[:axis], n, *shape[axis:])
    return Joined("PACK", dtype, (shape,) * n, out, draw(quants(dtype)), {"axis": axis, "valuesCount": n})


@st.composite
def unpack(draw: st.DrawFn) -> Unary:
    shape, dtype = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)), draw(TWO_TYPES)
    axis = draw(st.integers(0, len(shape) - 1))
    part, q = shape[:axis] + shape[axis + 1 :], draw(quants(dtype))
    return Unary("UNPACK", (shape, *[part] * shape[axis]), (dtype, dtype), (q, q), {"axis": axis, "num": shape[axis]})


@st.composite
def split(draw: st.DrawFn) -> Unary:
    shape, dtype, n = draw(shapes), draw(MOVE_TYPES), draw(st.integers(1, 4))
    axis = draw(st.integers(0, len(shape) - 1))
    whole = (*shape[:axis], shape[axis] * n, *shape[axis + 1 :])
    q = (draw(scales()), draw(zero_points(dtype)))
    constants = (np.array(axis, np.int32),)
    return Unary("SPLIT", (whole, *[shape] * n), (dtype, dtype), (q, q), {"numSplits": n}, constants, first=True)


@st.composite
def resize(draw: st.DrawFn) -> Unary:
    n, h, w, c, new_h, new_w = (draw(st.integers(1, k)) for k in (2, 7, 7, 5, 12, 12))
    q, dtype = draw(quants("int8")), draw(st.sampled_from(["int8", "float32"]))
    align = draw(st.booleans())
    options = {"alignCorners": align, "halfPixelCenters": not align and draw(st.booleans())}
    pair = ((n, h, w, c), (n, new_h, new_w, c))
    return Unary("RESIZE_NEAREST_NEIGHBOR", pair, (dtype, dtype), (q, q), options, ([new_h, new_w],))


@st.composite
def space_to_batch(draw: st.DrawFn, padded: bool = False) -> Unary:
    """Also its inverse, by the same drawing: the larger shape is what padding or cropping leaves. TFLM pads with what it
    finds in memory: as the oracle it gets a PAD instead."""
    n, c, dtype = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(TWO_TYPES)
    forward = padded or draw(st.booleans())
    size, cells, edges = [], [], []
    for _ in range(draw(st.integers(1, 2))):
        size.append(draw(st.integers(1, 3)))
        cells.append(draw(st.integers(2, 4)))
        before = draw(st.integers(0, size[-1])) if padded or not forward else 0
        after = draw(st.integers(0, size[-1] * cells[-1] - before - 1)) if padded or not forward else 0
        edges.append((before, after))
    whole = (n, *(k * m - a - b for k, m, (a, b) in zip(size, cells, edges, strict=True)), c)
    parts = (n * int(np.prod(size)), *cells, c)
    q = draw(quants(dtype))
    if forward:
        return Unary("SPACE_TO_BATCH_ND", (whole, parts), (dtype, dtype), (q, q), {}, (size, edges))
    return Unary("BATCH_TO_SPACE_ND", (parts, whole), (dtype, dtype), (q, q), {}, (size, edges))
