"""Cases of the operators that LiteRT runs and tflite-micro does not. See harness/compiler/tests/cases.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyrig.compiler.tests.cases import Workbench, same_or_valid, shapes
from tinyrig.compiler.tests.weightless_cases import broadcast_shapes

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Given:
    """An activation with values within `limits`."""

    shape: Shape
    dtype: str = "float32"
    limits: tuple[float, float] = (-3.0, 3.0)


@dataclass(frozen=True)
class Drawn:
    """An op of activations and constants, in the order of its inputs."""

    code: str
    inputs: tuple[Given | np.ndarray, ...]
    outputs: tuple[tuple[Shape, str], ...]
    options: dict[str, Any] = field(default_factory=dict)
    inside: str = ""
    """Type of the output, if COMPLEX_ABS, REAL or IMAG of it is what the model gives."""

    def __call__(self, b: Workbench) -> None:
        places = [self._constant(b, v) if isinstance(v, np.ndarray) else self._activation(b, v) for v in self.inputs]
        made = [b.output(shape, dtype) for shape, dtype in self.outputs]
        if not self.inside:
            b.model.op(self.code, places, made, **self.options)
            return
        middle = b.model.tensor(self.outputs[0][0], "complex64")
        b.model.op(self.code, places, [middle])
        b.model.op(self.inside, [middle], made)

    def _constant(self, b: Workbench, value: np.ndarray) -> int:
        return b.constant(value)

    def _activation(self, b: Workbench, v: Given) -> int:
        at = b.input(v.shape, v.dtype)
        if v.dtype != "bool":
            values = b.rng.uniform(*v.limits, v.shape)
            b.values[-1] = (values if v.dtype == "float32" else np.floor(values)).astype(v.dtype)
        return at


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


@st.composite
def of_two(draw: st.DrawFn) -> Drawn:
    code, pair = draw(st.sampled_from(["POW", "ATAN2", "BITWISE_XOR", "RIGHT_SHIFT"])), draw(broadcast_shapes())
    pair = (pair[1], pair[1]) if code == "ATAN2" else pair  # LiteRT broadcasts the others only
    together = tuple(np.broadcast_shapes(*pair))
    if code in ("POW", "ATAN2"):
        first = (0.1, 3.0) if code == "POW" else (-3.0, 3.0)
        return Drawn(code, (Given(pair[0], limits=first), Given(pair[1])), ((together, "float32"),))
    dtype = draw(st.sampled_from(["int8", "int16", "int32"]))
    limits = (-2.0, 40.0) if code == "RIGHT_SHIFT" else (-120.0, 120.0)
    return Drawn(code, (Given(pair[0], dtype, (-120.0, 120.0)), Given(pair[1], dtype, limits)), ((together, dtype),))


@st.composite
def reduce_any(draw: st.DrawFn) -> Drawn:
    shape = draw(shapes)
    axis = draw(st.integers(0, len(shape) - 1))
    kept = tuple(1 if i == axis else d for i, d in enumerate(shape))
    return Drawn("REDUCE_ANY", (Given(shape, "bool"), ints(axis)), ((kept, "bool"),), {"keepDims": True})


@st.composite
def whole_numbers(draw: st.DrawFn) -> Drawn:
    """What is counted in int32."""
    code = draw(st.sampled_from(["SUM", "REDUCE_MAX", "REDUCE_MIN", "FLOOR_DIV", "FLOOR_MOD"]))
    if code.startswith("FLOOR"):
        shape = draw(shapes)
        divisor = np.array(draw(st.sampled_from([-7, -3, -1, 1, 2, 5])), np.int32)
        return Drawn(code, (Given(shape, "int32", (-40.0, 40.0)), divisor), ((shape, "int32"),))
    shape = draw(shapes)
    axis = draw(st.integers(0, len(shape) - 1))
    kept = tuple(1 if i == axis else d for i, d in enumerate(shape))
    return Drawn(code, (Given(shape, "int32", (-1e9, 1e9)), ints(axis)), ((kept, "int32"),), {"keepDims": True})


@st.composite
def bucketize(draw: st.DrawFn) -> Drawn:
    shape, dtype = draw(shapes), draw(st.sampled_from(["float32", "int32"]))
    ends = sorted(draw(st.lists(st.integers(-3, 3), min_size=1, max_size=5, unique=True)))
    options = {"boundaries": np.array(ends, np.float32)}
    return Drawn("BUCKETIZE", (Given(shape, dtype, (-4.0, 4.0)),), ((shape, "int32"),), options)


@st.composite
def spectrum(draw: st.DrawFn) -> Drawn:
    rows, length = draw(st.integers(1, 3)), 2 ** draw(st.integers(2, 7))
    x = Given((rows, 1, draw(st.integers(1, length))), limits=(-1.0, 1.0))
    part = draw(st.sampled_from(["COMPLEX_ABS", "REAL", "IMAG"]))
    return Drawn("RFFT2D", (x, ints(1, length)), (((rows, 1, length // 2 + 1), "float32"),), {}, part)


@st.composite
def top_k(draw: st.DrawFn) -> Drawn:
    shape, dtype = draw(shapes), draw(st.sampled_from(["float32", "int8", "int32"]))
    k = draw(st.integers(1, shape[-1]))
    out = (*shape[:-1], k)
    return Drawn("TOPK_V2", (Given(shape, dtype), np.array(k, np.int32)), ((out, dtype), (out, "int32")))


@st.composite
def scatter(draw: st.DrawFn) -> Drawn:
    out, dtype = draw(shapes), draw(st.sampled_from(["float32", "int8", "int32"]))
    depth, count = draw(st.integers(1, len(out))), draw(st.integers(1, 6))
    places = np.array([[draw(st.integers(0, d - 1)) for d in out[:depth]] for _ in range(count)], np.int32)
    updates = Given((count, *out[depth:]), dtype, (-9.0, 9.0))
    return Drawn("SCATTER_ND", (places, updates, np.array(out, np.int32)), ((out, dtype),))


@st.composite
def segments(draw: st.DrawFn) -> Drawn:
    how = draw(st.sampled_from(["SEGMENT_SUM", *(f"UNSORTED_SEGMENT_{n}" for n in ("SUM", "PROD", "MAX", "MIN"))]))
    shape, dtype = draw(shapes), draw(st.sampled_from(["float32", "int32"]))
    ids = [draw(st.integers(0, 3)) for _ in range(shape[0])]
    x = Given(shape, dtype)
    if how == "SEGMENT_SUM":
        ids = sorted(ids)
        return Drawn(how, (x, np.array(ids, np.int32)), (((ids[-1] + 1, *shape[1:]), dtype),))
    count = max(ids) + 1 + draw(st.integers(0, 1))
    return Drawn(how, (x, np.array(ids, np.int32), np.array(count, np.int32)), (((count, *shape[1:]), dtype),))


@st.composite
def reverse_sequence(draw: st.DrawFn) -> Drawn:
    shape = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple))
    time, batch = draw(st.permutations(range(len(shape))))[:2]
    whole = draw(st.sampled_from([np.int32, np.int64]))
    lengths = np.array([draw(st.integers(1, shape[time])) for _ in range(shape[batch])], whole)
    x = Given(shape, draw(st.sampled_from(["float32", "int32", "int16"])))
    return Drawn("REVERSE_SEQUENCE", (x, lengths), ((shape, x.dtype),), {"seqDim": time, "batchDim": batch})


@st.composite
def diagonal(draw: st.DrawFn) -> Drawn:
    dtype, lead = draw(st.sampled_from(["float32", "int8", "int32"])), draw(st.lists(st.integers(1, 3), max_size=2).map(tuple))
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    if draw(st.booleans()):
        return Drawn("MATRIX_DIAG", (Given((*lead, rows), dtype),), (((*lead, rows, rows), dtype),))
    whole = (*lead, rows, columns)
    return Drawn("MATRIX_SET_DIAG", (Given(whole, dtype), Given((*lead, min(rows, columns)), dtype)), ((whole, dtype),))


@st.composite
def conv3d(draw: st.DrawFn) -> Drawn:
    padding, in_c, out_c = draw(st.sampled_from(["SAME", "VALID"])), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    taps, steps, dilations = ([draw(st.integers(1, m)) for _ in range(3)] for m in (3, 2, 2))
    dims = [(k - 1) * d + draw(st.integers(1, 3)) for k, d in zip(taps, dilations, strict=True)]
    each = zip(dims, taps, steps, dilations, strict=True)
    out = [same_or_valid(padding, n, k, s, d) for n, k, s, d in each]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    w = rng.standard_normal((*taps, in_c, out_c)).astype(np.float32) / np.float32(math.sqrt(math.prod(taps) * in_c))
    options = {f"stride{d}": s for d, s in zip("DHW", steps, strict=True)}
    options |= {f"dilation{d}Factor": s for d, s in zip("DHW", dilations, strict=True)}
    options |= {"padding": {"SAME": 0, "VALID": 1}[padding], "fusedActivationFunction": draw(st.sampled_from([0, 1]))}
    inputs = (Given((draw(st.integers(1, 2)), *dims, in_c)), w, rng.standard_normal(out_c).astype(np.float32))
    return Drawn("CONV_3D", inputs, (((inputs[0].shape[0], *out, out_c), "float32"),), options)


@st.composite
def cast(draw: st.DrawFn) -> Drawn:
    types = ("float32", "int8", "int16", "int32", "int64", "uint8", "bool")
    given, to = draw(st.sampled_from([(a, b) for a in types for b in types if a != b]))
    shape = draw(shapes)
    return Drawn("CAST", (Given(shape, given, (0.0, 100.0)),), ((shape, to),))


@st.composite
def best(draw: st.DrawFn) -> Drawn:
    shape, code = draw(shapes), draw(st.sampled_from(["ARG_MAX", "ARG_MIN"]))
    axis = draw(st.integers(0, len(shape) - 1))
    out = tuple(d for i, d in enumerate(shape) if i != axis)
    return Drawn(code, (Given(shape), ints(axis)), ((out, "int64"),), {"outputType": 4})


@st.composite
def local_response(draw: st.DrawFn) -> Drawn:
    shape = tuple(draw(st.integers(1, n)) for n in (2, 3, 3, 7))
    numbers = {"bias": draw(st.floats(0.5, 2.0)), "alpha": draw(st.floats(0.1, 1.0)), "beta": draw(st.floats(0.3, 1.0))}
    return Drawn(
        "LOCAL_RESPONSE_NORMALIZATION", (Given(shape),), ((shape, "float32"),), {"radius": draw(st.integers(0, 4)), **numbers}
    )


BY_LITERT: dict[str, st.SearchStrategy[Callable[[Workbench], None]]] = {
    "of_two": of_two(),
    "reduce_any": reduce_any(),
    "whole_numbers": whole_numbers(),
    "bucketize": bucketize(),
    "spectrum": spectrum(),
    "top_k": top_k(),
    "scatter": scatter(),
    "segments": segments(),
    "reverse_sequence": reverse_sequence(),
    "diagonal": diagonal(),
    "conv3d": conv3d(),
    "cast": cast(),
    "best": best(),
}
BY_TFLM: dict[str, st.SearchStrategy[Callable[[Workbench], None]]] = {
    "reduce_any": reduce_any(),
    "reverse_sequence": reverse_sequence().filter(lambda c: c.outputs[0][1] != "int32"),
    "local_response": local_response(),
    "best": best(),
}
"""What tflite-micro gets in terms of its own operators."""
