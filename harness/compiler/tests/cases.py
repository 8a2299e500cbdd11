"""Op cases for property tests. A case adds one op with its own inputs and outputs to a model; many cases make one model,
so one host build and one oracle run check them all. Used by every engine's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.workload.host_build import HostModel, run_sanitized
from tinyrig.workload.oracle import ORACLES

PADDING = {"SAME": 0, "VALID": 1}
ACTIVATION = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}
FLOAT_TOLERANCE = 1e-5
"""Relative to the output's largest magnitude, and absolute below 1."""

Case = Callable[["Workbench"], None]
"""Adds an op to the workbench's model."""


@dataclass
class Workbench:
    """A model under construction; `rng` gives weights and inputs."""

    rng: np.random.Generator
    model: ModelBuilder = field(default_factory=ModelBuilder)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)

    def input(self, shape: tuple[int, ...], dtype: str, scale: float | None = None, zero: int = 0) -> int:
        index = self.model.tensor(shape, dtype, scale if dtype not in ("float32", "bool") else None, zero)
        self.inputs.append(index)
        self.values.append(random_values(self.rng, shape, dtype))
        return index

    def output(self, shape: tuple[int, ...], dtype: str, scale: float | None = None, zero: int = 0) -> int:
        index = self.model.tensor(shape, dtype, scale if dtype not in ("float32", "bool") else None, zero)
        self.outputs.append(index)
        return index

    def constant(self, data: np.ndarray, scale: Any = None, zero: Any = 0, axis: int = 0) -> int:
        return self.model.tensor(data.shape, data.dtype.name, scale, zero, data, axis)

    def finish(self) -> bytes:
        return self.model.finish(self.inputs, self.outputs)


def random_values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Integers over their whole range with some at its ends; floats normal."""
    if dtype == "float32":
        return rng.standard_normal(shape).astype(np.float32) * 2
    if dtype == "bool":
        return rng.random(shape) < 0.5
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, shape, endpoint=True)
    ends = rng.random(shape)
    return np.where(ends < 0.05, info.min, np.where(ends > 0.95, info.max, x)).astype(dtype)


def check(
    cases: list[Case], seed: int, engine: str = "portable", optimise: str = "speed", sanitize: bool = False, oracle: str = "tflm"
) -> None:
    """Integers byte-equal to the oracle, floats within FLOAT_TOLERANCE."""
    bench = Workbench(np.random.default_rng(seed))
    for case in cases:
        case(bench)
    data = bench.finish()
    model = compile_model(data, flash_bytes=1 << 24, ram_bytes=1 << 24, engine=engine, optimise=optimise)
    want = ORACLES[oracle](data).run(bench.values)
    compare(HostModel(model).invoke(bench.values), want, model.ops)
    if sanitize:
        compare(run_sanitized(model, [bench.values])[0], want, model.ops)


def compare(got: list[np.ndarray], want: list[np.ndarray], note: object = "") -> None:
    for i, (a, b) in enumerate(zip(got, want, strict=True)):
        b = b.reshape(a.shape)
        assert a.dtype == b.dtype, (i, a.dtype, b.dtype)
        if a.dtype == np.float32:
            top = max(1.0, float(np.abs(b).max(initial=0)))
            np.testing.assert_allclose(a, b, rtol=0, atol=FLOAT_TOLERANCE * top, err_msg=f"output {i} {note}")
        else:
            np.testing.assert_array_equal(a, b, err_msg=f"output {i} {note}")


def seeds() -> st.SearchStrategy[int]:
    return st.integers(0, 2**32 - 1)


def scales(low: float = 1e-4, high: float = 4.0) -> st.SearchStrategy[float]:
    """Also powers of two: only their multipliers make ties in the rounding common."""
    powers = st.integers(int(np.ceil(np.log2(low))), int(np.floor(np.log2(high)))).map(lambda e: 2.0**e)
    return st.one_of(st.floats(np.log(low), np.log(high)).map(lambda v: float(np.float32(np.exp(v)))), powers)


def zero_points(dtype: str) -> st.SearchStrategy[int]:
    ranges = {"int8": (-128, 127), "uint8": (0, 255)}
    return st.integers(*ranges[dtype]) if dtype in ranges else st.just(0)


ranges = st.sampled_from([1.0, 1.0, 0.3, 0.03, 4.0, 60.0])
"""Output range against the expected spread: below 1 saturates often, far above gives few distinct values."""


@dataclass(frozen=True)
class Layer:
    """A drawn layer with weights, made concrete only when it is added to a model."""

    code: str
    dtype: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    axis: int
    options: dict[str, Any]
    scale: float
    zeros: tuple[int, int]
    spread: float
    per_channel: bool
    bias: bool
    bias_type: str | None = None
    dead: float = 0.0
    """Share of the channels that are dead, of int8 layers with bias and a scale for each channel."""

    def __call__(self, b: Workbench) -> None:
        n = self.weight_shape[self.axis]
        fan_in = int(np.prod(self.weight_shape)) // n
        x = b.input(self.in_shape, self.dtype, self.scale, self.zeros[0])
        w, biases, y = self.constants(b, n, fan_in)
        b.model.op(self.code, [x, w, *biases], [y], **self.options)

    def constants(self, b: Workbench, n: int, fan_in: int) -> tuple[int, list[int], int]:
        """-> weights, bias (or none), output."""
        if self.dtype != "float32":
            return self._quantized(b, n, fan_in)
        w = b.constant(b.rng.standard_normal(self.weight_shape).astype(np.float32) / np.float32(np.sqrt(fan_in)))
        biases = [b.constant(b.rng.standard_normal(n).astype(np.float32))] if self.bias else []
        return w, biases, b.output(self.out_shape, self.dtype)

    def _quantized(self, b: Workbench, n: int, fan_in: int) -> tuple[int, list[int], int]:
        w_scale = np.exp(b.rng.uniform(-7, -2, n if self.per_channel else 1)).astype(np.float32)
        w = b.constant(b.rng.integers(-127, 128, self.weight_shape).astype(np.int8), w_scale, 0, self.axis)
        typical = self.scale * float(w_scale.mean()) * np.sqrt(fan_in) * 60
        typical *= 1 if self.dtype == "int8" else 256
        steps = 100 if self.dtype == "int8" else 25000
        y = b.output(self.out_shape, self.dtype, max(typical * self.spread / steps, 1e-30), self.zeros[1])
        top = int(min(2**29, 60 * np.sqrt(fan_in) * (60 if self.dtype == "int8" else 15000)))
        kind = self.bias_type or ("int32" if self.dtype == "int8" else "int64")
        if not self.bias:
            return w, [], y
        bias = b.rng.integers(-top, top + 1, n).astype(kind)
        if self.dead:
            out_scale = float(b.model._tensors[y].quantization.scale[0])
            dead_channels(b.rng, self.dead, bias, w_scale, self.scale / out_scale)
            b.model._tensors[w].quantization.scale = w_scale
        return w, [b.constant(bias, self.scale * w_scale)], y


def dead_channels(rng: np.random.Generator, share: float, bias: np.ndarray, w_scale: np.ndarray, ratio: float) -> None:
    """Makes that share of the channels dead, in place: weights of a tiny scale (multipliers of 20 to 31 bits to the right) and
    biases up to their clamp, half of them at a threshold between two outputs. ratio: input scale / output scale."""
    for i in np.flatnonzero(rng.random(len(bias)) < share):
        w_scale[i] = 2.0 ** -rng.uniform(20, 31) / ratio
        limit = int(rng.choice([2**30, 2**30 - 1, 2**29, 2**26, 2**31 - 2**26]))
        at = int((rng.integers(-140, 140) + 0.5) / (ratio * float(w_scale[i]))) + int(rng.integers(-2000, 2000))
        bias[i] = np.clip(at, -limit, limit) if rng.random() < 0.5 else rng.choice([-1, 1]) * limit


def same_or_valid(padding: str, size: int, k: int, stride: int, dilation: int) -> int:
    effective = (k - 1) * dilation + 1
    return -(-size // stride) if padding == "SAME" else (size - effective) // stride + 1


@st.composite
def geometry(draw: st.DrawFn, max_k: int = 4, dilate: bool = True) -> dict[str, Any]:
    """Sizes, filter, strides, dilation and padding that fit one another."""
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    found: dict[str, Any] = {"padding": padding}
    for d in "hw":
        k, s = draw(st.integers(1, max_k)), draw(st.integers(1, 3))
        dil = draw(st.sampled_from([1, 1, 1, 2, 3])) if dilate else 1
        least = (k - 1) * dil + 1 if padding == "VALID" else 1
        size = draw(st.integers(least, least + 8))
        found |= {f"k_{d}": k, f"s_{d}": s, f"d_{d}": dil, f"in_{d}": size, f"out_{d}": same_or_valid(padding, size, k, s, dil)}
    return found


def _window_options(g: dict[str, Any], activation: str) -> dict[str, Any]:
    strides = {"strideH": g["s_h"], "strideW": g["s_w"]}
    return {"padding": PADDING[g["padding"]], **strides, "fusedActivationFunction": ACTIVATION[activation]}


def _dilation(g: dict[str, Any]) -> dict[str, int]:
    return {"dilationHFactor": g["d_h"], "dilationWFactor": g["d_w"]}


activations = st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])


@st.composite
def _weighted(draw: st.DrawFn, dtype: str, **more: Any) -> Layer:
    zeros = (draw(zero_points(dtype)), draw(zero_points(dtype)))
    return Layer(
        dtype=dtype,
        scale=draw(scales()),
        zeros=zeros,
        spread=draw(ranges),
        per_channel=draw(st.booleans()),
        bias=more.pop("bias", None) if "bias" in more else draw(st.booleans()),
        **more,
    )


@st.composite
def conv2d(draw: st.DrawFn, dtype: str) -> Layer:
    g = draw(geometry())
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    group_c, per_group = draw(st.integers(1, 9)), draw(st.integers(1, 9 if groups == 1 else 4))
    n, out_c = draw(st.sampled_from([1, 1, 2])), groups * per_group
    options = _window_options(g, draw(activations)) | _dilation(g)
    return draw(
        _weighted(
            dtype,
            code="CONV_2D",
            in_shape=(n, g["in_h"], g["in_w"], groups * group_c),
            out_shape=(n, g["out_h"], g["out_w"], out_c),
            weight_shape=(out_c, g["k_h"], g["k_w"], group_c),
            axis=0,
            options=options,
            bias_type=draw(st.sampled_from(["int64", "int32"])) if dtype == "int16" else None,
        )
    )


@st.composite
def depthwise(draw: st.DrawFn, dtype: str) -> Layer:
    g = draw(geometry())
    in_c, multiplier = draw(st.integers(1, 9)), draw(st.sampled_from([1, 1, 2, 3]))
    n, out_c = draw(st.sampled_from([1, 1, 2])), in_c * multiplier
    options = _window_options(g, draw(activations)) | _dilation(g) | {"depthMultiplier": multiplier}
    return draw(
        _weighted(
            dtype,
            code="DEPTHWISE_CONV_2D",
            in_shape=(n, g["in_h"], g["in_w"], in_c),
            out_shape=(n, g["out_h"], g["out_w"], out_c),
            weight_shape=(1, g["k_h"], g["k_w"], out_c),
            axis=3,
            options=options,
        )
    )


@st.composite
def dense(draw: st.DrawFn, dtype: str) -> Layer:
    rows, in_n, out_n = draw(st.integers(1, 3)), draw(st.integers(1, 40)), draw(st.integers(1, 12))
    layer = draw(
        _weighted(
            dtype,
            code="FULLY_CONNECTED",
            in_shape=(rows, in_n),
            out_shape=(rows, out_n),
            weight_shape=(out_n, in_n),
            axis=0,
            options={"fusedActivationFunction": ACTIVATION[draw(activations)]},
            bias_type=draw(st.sampled_from(["int64", "int32"])) if dtype == "int16" else None,
        )
    )
    # TFLM takes per-channel weights of this op for int8 only.
    return layer if dtype == "int8" else Layer(**{**vars(layer), "per_channel": False})


class TransposeConv(Layer):
    """Its activation is the third input, behind the output's shape and the weights."""

    def __call__(self, b: Workbench) -> None:
        n, fan_in = self.weight_shape[0], int(np.prod(self.weight_shape[1:]))
        x = b.input(self.in_shape, self.dtype, self.scale, self.zeros[0])
        w, biases, y = self.constants(b, n, fan_in)
        shape = b.constant(np.array(self.out_shape, np.int32))
        b.model.op(self.code, [shape, w, x, *biases], [y], **self.options)


@st.composite
def transpose_conv(draw: st.DrawFn, dtype: str) -> TransposeConv:
    g = draw(geometry(dilate=False))
    n, in_c, out_c = draw(st.sampled_from([1, 1, 2])), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    options = {"padding": PADDING[g["padding"]], "strideH": g["s_h"], "strideW": g["s_w"]}
    return TransposeConv(
        code="TRANSPOSE_CONV",
        dtype=dtype,
        in_shape=(n, g["out_h"], g["out_w"], in_c),
        out_shape=(n, g["in_h"], g["in_w"], out_c),
        weight_shape=(out_c, g["k_h"], g["k_w"], in_c),
        axis=0,
        options=options,
        scale=draw(scales()),
        zeros=(draw(zero_points(dtype)), draw(zero_points(dtype))),
        spread=draw(ranges),
        per_channel=draw(st.booleans()),
        bias=draw(st.booleans()),
    )


@dataclass(frozen=True)
class Unary:
    """An op of one activation (and perhaps constants): shapes, dtypes and quantisation of both sides."""

    code: str
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, str]
    quant: tuple[tuple[float, int], tuple[float, int]]
    options: dict[str, Any] = field(default_factory=dict)
    constants: tuple[Any, ...] = ()

    first: bool = False
    """Does the constant come before the activation (SPLIT)?"""

    def __call__(self, b: Workbench) -> None:
        x = b.input(self.shapes[0], self.dtypes[0], *self.quant[0])
        y = [b.output(shape, self.dtypes[1], *self.quant[1]) for shape in self.shapes[1:]]
        extra = [b.constant(c if isinstance(c, np.ndarray) else np.array(c, np.int32)) for c in self.constants]
        b.model.op(self.code, [*extra, x] if self.first else [x, *extra], y, **self.options)


def quants(dtype: str) -> st.SearchStrategy[tuple[float, int]]:
    return st.tuples(scales(), zero_points(dtype))


@st.composite
def near_quants(draw: st.DrawFn, dtype: str) -> tuple[tuple[float, int], tuple[float, int]]:
    """Two quantisations whose scales are equal or within a factor of 30."""
    scale, zero = draw(quants(dtype))
    if draw(st.integers(0, 3)) == 0:
        return (scale, zero), (scale, zero)
    return (scale, zero), (float(np.float32(scale * draw(scales(1 / 30, 30)))), draw(zero_points(dtype)))


shapes = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)


@st.composite
def pool(draw: st.DrawFn, dtype: str, code: str) -> Unary:
    g = draw(geometry(dilate=False))
    n, c = draw(st.sampled_from([1, 1, 2])), draw(st.integers(1, 9))
    q = draw(quants(dtype))
    options = _window_options(g, draw(activations)) | {"filterHeight": g["k_h"], "filterWidth": g["k_w"]}
    return Unary(code, ((n, g["in_h"], g["in_w"], c), (n, g["out_h"], g["out_w"], c)), (dtype, dtype), (q, q), options)


@st.composite
def mean(draw: st.DrawFn, dtype: str) -> Unary:
    shape = draw(st.lists(st.integers(1, 7), min_size=2, max_size=4).map(tuple))
    axes = sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1, max_size=len(shape))))
    keep = draw(st.booleans())
    out = tuple(1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes)
    signed = [a - len(shape) if draw(st.booleans()) else a for a in axes]
    return Unary("MEAN", (shape, out), (dtype, dtype), draw(near_quants(dtype)), {"keepDims": keep}, (signed,))


@st.composite
def softmax(draw: st.DrawFn, dtype: str, out: str) -> Unary:
    shape = (*draw(shapes)[:-1], draw(st.integers(1, 40)))
    wide = (1 / 65536, -32768) if dtype == "int8" else (1 / 32768, 0)
    q = {"int8": (1 / 256, -128), "int16": wide, "float32": (1.0, 0)}[out]
    beta = draw(st.sampled_from([1.0, 1.0, 0.5, 2.0]))
    quant = ((draw(scales(1e-3, 1.0)), draw(zero_points(dtype))), q)
    return Unary("SOFTMAX", (shape, shape), (dtype, out), quant, {"beta": beta})


@st.composite
def elementwise(draw: st.DrawFn, code: str, dtype: str, out: str | None = None) -> Unary:
    shape = draw(shapes)
    a, b = draw(near_quants(dtype))
    if out and out != dtype and out != "float32":
        b = (b[0], draw(zero_points(out)))
    return Unary(code, (shape, shape), (dtype, out or dtype), (a, b))


@st.composite
def quantize_float(draw: st.DrawFn, out: str) -> Unary:
    shape = draw(shapes)
    top = 4 / (127 if out == "int8" else 32767)
    q = (draw(scales(top / 5, top * 5)), draw(zero_points(out)))
    return Unary("QUANTIZE", (shape, shape), ("float32", out), ((1.0, 0), q))


@st.composite
def reshape(draw: st.DrawFn, dtype: str) -> Unary:
    shape = draw(shapes)
    size = int(np.prod(shape))
    q = draw(quants(dtype))
    out = draw(st.sampled_from([(size,), (1, size), (*shape, 1), (1, *shape)]))
    if len(out) == len(shape) + 1 and draw(st.booleans()):
        axis = 0 if out[0] == 1 and out[1:] == shape else len(shape)
        return Unary("EXPAND_DIMS", (shape, out), (dtype, dtype), (q, q), {}, (axis,))
    return Unary("RESHAPE", (shape, out), (dtype, dtype), (q, q), {}, (out,))
