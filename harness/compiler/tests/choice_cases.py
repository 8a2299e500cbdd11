"""Cases of comparisons, choices, casts, picks at run time, running sums and norms. See cases.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyrig.compiler.tests.cases import (
    Unary,
    Workbench,
    geometry,
    near_quants,
    quants,
    same_or_valid,
    scales,
    shapes,
    zero_points,
)
from tinyrig.compiler.tests.weightless_cases import broadcast_shapes

Operand = tuple[tuple[int, ...], str, float | None, int]
"""Shape, dtype, scale, zero point."""


@dataclass(frozen=True)
class Several:
    """An op of several activations; `limits` bound the values of one, by its number."""

    code: str
    inputs: tuple[Operand, ...]
    output: Operand
    options: dict[str, Any] = field(default_factory=dict)
    limits: dict[int, tuple[float, float]] = field(default_factory=dict)

    def __call__(self, b: Workbench) -> None:
        x = []
        for i, (shape, dtype, scale, zero) in enumerate(self.inputs):
            x.append(b.input(shape, dtype, scale, zero))
            if i in self.limits:
                values = b.rng.uniform(*self.limits[i], shape)
                b.values[-1] = (values if dtype == "float32" else np.floor(values)).astype(dtype)
        shape, dtype, scale, zero = self.output
        b.model.op(self.code, x, [b.output(shape, dtype, scale, zero)], **self.options)


def _plain(shape: tuple[int, ...], dtype: str) -> Operand:
    return shape, dtype, None, 0


def _together(pair: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    return tuple(np.broadcast_shapes(*pair))


ORDERS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")


@st.composite
def compare(draw: st.DrawFn) -> Several:
    code = draw(st.sampled_from(ORDERS))
    dtype = draw(st.sampled_from(["float32", "int32", "int64", "int8", *(["bool"] if code in ORDERS[:2] else [])]))
    pair = draw(broadcast_shapes())
    if dtype == "int8":
        sides = tuple((s, dtype, draw(scales(1e-3, 0.9)), draw(zero_points(dtype))) for s in pair)
        return Several(code, sides, _plain(_together(pair), "bool"))
    limits = {} if dtype in ("float32", "bool") else {0: (-3.0, 3.0), 1: (-3.0, 3.0)}
    return Several(code, tuple(_plain(s, dtype) for s in pair), _plain(_together(pair), "bool"), {}, limits)


@st.composite
def logical(draw: st.DrawFn) -> Several:
    code = draw(st.sampled_from(["LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT"]))
    pair = draw(broadcast_shapes())
    if code == "LOGICAL_NOT":
        return Several(code, (_plain(pair[0], "bool"),), _plain(pair[0], "bool"))
    return Several(code, tuple(_plain(s, "bool") for s in pair), _plain(_together(pair), "bool"))


def _quant(draw: st.DrawFn, dtype: str) -> tuple[float | None, int]:
    return draw(quants(dtype)) if dtype in ("int8", "int16") else (None, 0)


@st.composite
def select(draw: st.DrawFn) -> Several:
    out, dtype = draw(shapes), draw(st.sampled_from(["float32", "int8", "int16"]))
    q = _quant(draw, dtype)
    parts = [out, *(tuple(1 if draw(st.integers(0, 3)) == 0 else d for d in out) for _ in range(2))]
    sides = [parts[i] for i in draw(st.permutations(range(3)))]
    return Several("SELECT_V2", (_plain(sides[0], "bool"), (sides[1], dtype, *q), (sides[2], dtype, *q)), (out, dtype, *q))


@st.composite
def reduce_all(draw: st.DrawFn) -> Unary:
    shape = draw(shapes)
    axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    keep = draw(st.booleans())
    out = tuple(1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes)
    return Unary("REDUCE_ALL", (shape, out), ("bool", "bool"), ((1.0, 0),) * 2, {"keepDims": keep}, (axes,))


@st.composite
def cast(draw: st.DrawFn) -> Several:
    shape = draw(shapes)
    given = draw(st.sampled_from(["float32", "int8", "int16", "int32", "bool"]))
    to = draw(st.sampled_from([t for t in ("float32", "int8", "int16", "int32") if t != given]))
    limits = {0: draw(st.sampled_from([(-100.0, 100.0), (-500.0, 500.0), (-4e9, 4e9)]))} if given == "float32" else {}
    return Several("CAST", (_plain(shape, given),), _plain(shape, to), {}, limits)


@st.composite
def whole_numbers(draw: st.DrawFn) -> Several:
    pair, code = draw(broadcast_shapes()), draw(st.sampled_from(["ADD", "SUB"]))
    limits = {0: (-9.0, 9.0), 1: (-9.0, 9.0)}
    return Several(code, tuple(_plain(s, "int32") for s in pair), _plain(_together(pair), "int32"), {}, limits)


@st.composite
def floor_parts(draw: st.DrawFn) -> Several:
    pair, code = draw(broadcast_shapes()), draw(st.sampled_from(["FLOOR_DIV", "FLOOR_MOD"]))
    limits = {0: (-20.0, 20.0), 1: draw(st.sampled_from([(0.5, 4.0), (-4.0, -0.5)]))}
    return Several(code, tuple(_plain(s, "float32") for s in pair), _plain(_together(pair), "float32"), {}, limits)


@st.composite
def gather(draw: st.DrawFn) -> Several:
    """Indices known at run time only."""
    shape, dtype = draw(shapes), draw(st.sampled_from(["float32", "int8"]))
    q = _quant(draw, dtype)
    axis, picks = draw(st.integers(0, len(shape) - 1)), draw(st.integers(1, 6))
    out = (*shape[:axis], picks, *shape[axis + 1 :])
    limits = {1: (0.0, float(shape[axis]))}
    return Several("GATHER", ((shape, dtype, *q), _plain((picks,), "int32")), (out, dtype, *q), {"axis": axis}, limits)


@st.composite
def gather_nd(draw: st.DrawFn) -> Several:
    shape, dtype = draw(shapes), draw(st.sampled_from(["float32", "int8"]))
    q = _quant(draw, dtype)
    depth, picks = draw(st.integers(1, len(shape))), draw(st.integers(1, 5))
    limits = {1: (0.0, float(min(shape[:depth])))}
    inputs = ((shape, dtype, *q), _plain((picks, depth), "int32"))
    return Several("GATHER_ND", inputs, ((picks, *shape[depth:]), dtype, *q), {}, limits)


@st.composite
def embedding_lookup(draw: st.DrawFn) -> Callable[[Workbench], None]:
    rows, columns, picks = (draw(st.integers(1, 6)) for _ in range(3))
    kind, scale, zero = draw(st.sampled_from(["float", "int8", "mixed"])), draw(scales()), draw(zero_points("int8"))

    def case(b: Workbench) -> None:
        x = b.input((picks,), "int32")
        b.values[-1] = b.rng.integers(0, rows, picks).astype(np.int32)
        if kind == "float":
            table, y = (
                b.constant(b.rng.standard_normal((rows, columns)).astype(np.float32)),
                b.output((picks, columns), "float32"),
            )
        else:
            values = b.rng.integers(-128, 128, (rows, columns)).astype(np.int8)
            table = b.constant(values, scale, 0 if kind == "mixed" else zero)
            y = b.output((picks, columns), *(("float32",) if kind == "mixed" else ("int8", scale, zero)))
        b.model.op("EMBEDDING_LOOKUP", [x, table], [y])

    return case


@st.composite
def update_slice(draw: st.DrawFn) -> Several:
    shape, dtype = draw(shapes), draw(st.sampled_from(["float32", "int8", "int16", "int32"]))
    q = _quant(draw, dtype)
    part = tuple(draw(st.integers(1, d)) for d in shape)
    index = draw(st.sampled_from(["int32", "int64"]))
    inputs = ((shape, dtype, *q), (part, dtype, *q), _plain((len(shape),), index))
    return Several("DYNAMIC_UPDATE_SLICE", inputs, (shape, dtype, *q), {}, {2: (-2.0, 7.0)})


@st.composite
def cumsum(draw: st.DrawFn) -> Unary:
    shape, dtype = draw(shapes), draw(st.sampled_from(["float32", "int8"]))
    a, b = draw(near_quants(dtype)) if dtype == "int8" else ((1.0, 0), (1.0, 0))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    options = {"exclusive": draw(st.booleans()), "reverse": draw(st.booleans())}
    return Unary("CUMSUM", (shape, shape), (dtype, dtype), (a, b), options, (np.array([axis], np.int32),))


@st.composite
def add_n(draw: st.DrawFn) -> Several:
    shape, n, dtype = draw(shapes), draw(st.integers(2, 5)), draw(st.sampled_from(["float32", "int8"]))
    a, b = draw(near_quants(dtype)) if dtype == "int8" else ((None, 0), (None, 0))
    return Several("ADD_N", ((shape, dtype, *a),) * n, (shape, dtype, *b))


@st.composite
def l2_normalization(draw: st.DrawFn) -> Unary:
    shape, dtype = draw(shapes), draw(st.sampled_from(["float32", "int8"]))
    return Unary("L2_NORMALIZATION", (shape, shape), (dtype, dtype), (draw(quants(dtype)), (1 / 128, 0)))


@st.composite
def l2_pool(draw: st.DrawFn) -> Unary:
    g, n, c = draw(geometry(dilate=False)), draw(st.integers(1, 2)), draw(st.integers(1, 5))
    padding = {"SAME": 0, "VALID": 1}[g["padding"]]
    out = tuple(same_or_valid(g["padding"], g[f"in_{d}"], g[f"k_{d}"], g[f"s_{d}"], 1) for d in "hw")
    options = {"padding": padding, "strideH": g["s_h"], "strideW": g["s_w"], "filterHeight": g["k_h"], "filterWidth": g["k_w"]}
    return Unary("L2_POOL_2D", ((n, g["in_h"], g["in_w"], c), (n, *out, c)), ("float32",) * 2, ((1.0, 0),) * 2, options)


@st.composite
def arg_min(draw: st.DrawFn) -> Unary:
    shape, dtype = draw(shapes), draw(st.sampled_from(["float32", "int8"]))
    axis = draw(st.integers(0, len(shape) - 1))
    out = tuple(d for i, d in enumerate(shape) if i != axis)
    return Unary("ARG_MIN", (shape, out), (dtype, "int32"), ((0.1, 0), (1.0, 0)), {}, (np.array([axis], np.int32),))


@st.composite
def quantize_whole(draw: st.DrawFn) -> Several:
    shape, narrow, up = draw(shapes), draw(st.sampled_from(["int8", "int16"])), draw(st.booleans())
    types = (narrow, "int32") if up else ("int32", narrow)
    a, b = ((shape, t, draw(scales(1e-3, 1.0)), 0) for t in types)
    return Several("QUANTIZE", (a,), b, {}, {} if up else {0: (-4000.0, 4000.0)})


STRATEGIES = {
    "compare": compare(),
    "logical": logical(),
    "select": select(),
    "reduce_all": reduce_all(),
    "cast": cast(),
    "int32": whole_numbers(),
    "floor_parts": floor_parts(),
    "gather": gather(),
    "gather_nd": gather_nd(),
    "embedding_lookup": embedding_lookup(),
    "update_slice": update_slice(),
    "cumsum": cumsum(),
    "add_n": add_n(),
    "l2_normalization": l2_normalization(),
    "l2_pool": l2_pool(),
    "arg_min": arg_min(),
    "quantize_int32": quantize_whole(),
}
