"""Every op of the portable engine against tflite-micro's reference kernels: integers byte-equal, floats within 1e-5."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests import weightless_cases as weightless
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import TflmOracle

ROUNDS = settings(
    max_examples=6,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""Six models of up to 25 drawn ops each: the host compiler and the oracle run once a model. A failure names the drawn
cases as they are; shrinking them would cost minutes of compiling."""

LONG = settings(ROUNDS, max_examples=60, derandomize="TINYRIG_EXPLORE" not in os.environ)
"""Repeatable too, so that a red nightly means a change; TINYRIG_EXPLORE=1 draws other models at every run."""

STRATEGIES = {
    "conv2d_s8": cases.conv2d("int8"),
    "conv2d_f32": cases.conv2d("float32"),
    "conv2d_s16": cases.conv2d("int16"),
    "depthwise_s8": cases.depthwise("int8"),
    "depthwise_f32": cases.depthwise("float32"),
    "depthwise_s16": cases.depthwise("int16"),
    "dense_s8": cases.dense("int8"),
    "dense_f32": cases.dense("float32"),
    "dense_s16": cases.dense("int16"),
    "pools": st.one_of([cases.pool(t, c) for t in ("int8", "int16", "float32") for c in ("AVERAGE_POOL_2D", "MAX_POOL_2D")]),
    "mean": st.one_of([cases.mean(t) for t in ("int8", "int16", "float32")]),
    "softmax": st.one_of(cases.softmax("int8", "int8"), cases.softmax("int8", "int16"), cases.softmax("float32", "float32")),
    "relu": st.one_of([cases.elementwise(c, t) for c in ("RELU", "RELU6") for t in ("int8", "int16", "float32")]),
    "quantize": st.one_of(
        cases.quantize_float("int8"),
        cases.quantize_float("int16"),
        cases.elementwise("DEQUANTIZE", "int8", "float32"),
        cases.elementwise("DEQUANTIZE", "int16", "float32"),
        *[cases.elementwise("QUANTIZE", a, b) for a in ("int8", "int16") for b in ("int8", "int16")],
    ),
    "softmax_s16": cases.softmax("int16", "int16"),
    "quantize_u8": st.one_of(cases.elementwise("QUANTIZE", "uint8", "int8"), cases.elementwise("QUANTIZE", "int8", "uint8")),
    "add_sub": st.one_of([weightless.binary(c, t) for c in ("ADD", "SUB") for t in ("int8", "int16", "float32")]),
    "mul": st.one_of([weightless.binary("MUL", t) for t in ("int8", "int16", "float32")]),
    "min_max": st.one_of([weightless.binary(c, t) for c in ("MINIMUM", "MAXIMUM") for t in ("int8", "float32")]),
    "prelu": st.one_of([weightless.binary("PRELU", t) for t in ("int8", "float32")]),
    **{
        name: st.one_of([weightless.function(name.upper(), t) for t in ("int8", "float32")])
        for name in ("logistic", "tanh", "hard_swish", "abs")
    },
    "sigmoids_s16": st.one_of(weightless.function("LOGISTIC", "int16"), weightless.function("TANH", "int16")),
    "leaky_relu": st.one_of([weightless.function("LEAKY_RELU", t) for t in ("int8", "int16", "float32")]),
    "rsqrt": weightless.rsqrt_s8(),
    "log_softmax": st.one_of(weightless.log_softmax("int8"), weightless.log_softmax("float32")),
    "arg_max": st.one_of(weightless.arg_max("int8"), weightless.arg_max("float32")),
    "transpose": weightless.transpose(),
    "pad": st.one_of(weightless.pad("PAD"), weightless.pad("PADV2")),
    "strided_slice": weightless.strided_slice(),
    "concatenation": weightless.concatenation(),
    "pack_unpack_split": st.one_of(weightless.pack(), weightless.unpack(), weightless.split()),
    "space_to_batch": weightless.space_to_batch(),
    "resize": weightless.resize(),
    **{f"transpose_conv_{t}": cases.transpose_conv(t) for t in ("int8", "int16", "float32")},
    "reshape": st.one_of(cases.reshape("int8"), cases.reshape("float32")),
}


@pytest.mark.parametrize("name", STRATEGIES)
@ROUNDS
@given(data=st.data())
def test_op_equals_tflm(name: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(STRATEGIES[name], min_size=1, max_size=25))
    cases.check(drawn, data.draw(cases.seeds()))


@ROUNDS
@given(drawn=st.lists(weightless.space_to_batch(padded=True), min_size=1, max_size=25), seed=cases.seeds())
def test_padded_space_to_batch_equals_both_oracles(drawn: list[cases.Case], seed: int) -> None:
    cases.check(drawn, seed, oracle="litert-ref")
    cases.check(drawn, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
@LONG
@given(data=st.data())
def test_op_equals_tflm_in_many_random_models(name: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(STRATEGIES[name], min_size=1, max_size=25))
    cases.check(drawn, data.draw(cases.seeds()))


@pytest.mark.parametrize("scale", [0.0008770847925916314, 0.7467045783996582])
def test_leaky_relu_divides_scales_in_double(scale: float) -> None:
    """In float32, 1.5 * scale / scale is 1.5000001 for the first: seen in the last bit of int16 outputs."""
    quant = ((scale, 0), (scale, 0))
    drawn = [cases.Unary("LEAKY_RELU", ((4000,), (4000,)), ("int16", "int16"), quant, {"alpha": a}) for a in (1.5, 0.3, -0.5)]
    cases.check(drawn, seed=1)


def test_abs_divides_scales_in_double() -> None:
    """In float32, 1/256 over 0.1 is 1/25.6 exactly, so that 64 becomes a tie where TFLM has none."""
    drawn = [cases.Unary("ABS", ((4000,), (4000,)), ("int8", "int8"), ((1 / 256, z), (0.1, 0))) for z in (-128, -23, 0)]
    cases.check(drawn, seed=1)


def test_rsqrt_multiplies_scales_in_double() -> None:
    """In float32 the one value above the zero point is off by one."""
    b = ModelBuilder()
    x, y = b.tensor((1, 1), "int8", 0.5, 29), b.tensor((1, 1), "int8", 0.00392157, -58)
    b.op("RSQRT", [x], [y])
    data, value = b.finish([x], [y]), [np.full((1, 1), 37, np.int8)]
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 20)
    np.testing.assert_array_equal(HostModel(model).invoke(value)[0], TflmOracle(data).run(value)[0])


def _with_dead_channel(code: str, dtype: str) -> cases.Case:
    """A layer whose second and fourth output have the weight scale 0, as TensorFlow's 16x8 conversion writes it."""
    shape = {"DEPTHWISE_CONV_2D": (1, 3, 2, 4), "FULLY_CONNECTED": (4, 4)}.get(code, (4, 3, 2, 4))
    zero = 7 if dtype == "int8" else 0
    conv = {"padding": 0, "strideH": 1, "strideW": 1, "fusedActivationFunction": 1}
    options = {"FULLY_CONNECTED": {}, "DEPTHWISE_CONV_2D": {**conv, "depthMultiplier": 1}}.get(code, conv)

    def case(b: cases.Workbench) -> None:
        x = b.input((1, 6, 5, 4), dtype, 0.05, zero)
        weights = b.rng.integers(-127, 128, shape).astype(np.int8)
        w = b.constant(weights, [0.01, 0, 0.02, 0], 0, 3 if code[0] == "D" else 0)
        bias = b.constant(np.array([100, -100, 3000, 5], "int32" if dtype == "int8" else "int64"), 0.001)
        y = b.output((30, 4) if code[0] == "F" else (1, 6, 5, 4), dtype, 0.04, -zero)
        b.model.op(code, [x, w, bias], [y], 4, **options)

    return case


@pytest.mark.parametrize("engine", ["portable", "tinyrig", "cmsis-nn"])
def test_weight_scale_zero(engine: str) -> None:
    codes = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    cases.check([_with_dead_channel(c, t) for c in codes for t in ("int8", "int16")], seed=2, engine=engine)


@pytest.mark.parametrize("scale", [2.0**-11, 2.0**-12, 2.0**-10, 3e-4, 1e-5, 0.01, 4.0])
def test_sigmoids_of_every_int16(scale: float) -> None:
    """The whole table, its end, and scales with and without a multiplier."""

    def case(code: str) -> cases.Case:
        def add(b: cases.Workbench) -> None:
            x, y = b.input((256, 256), "int16", scale), b.output((256, 256), "int16", 2**-15)
            b.values[-1] = np.arange(-32768, 32768).astype(np.int16).reshape(256, 256)
            b.model.op(code, [x], [y])

        return add

    cases.check([case("LOGISTIC"), case("TANH")], seed=1)


@pytest.mark.slow
@settings(ROUNDS, max_examples=2)
@given(data=st.data())
def test_ops_are_clean_under_sanitizers(data: st.DataObject) -> None:
    """Two of every op: no byte outside its tensors, no undefined arithmetic; step by step and at once give the same."""
    drawn = [case for strategy in STRATEGIES.values() for case in data.draw(st.lists(strategy, min_size=2, max_size=2))]
    cases.check(drawn, data.draw(cases.seeds()), sanitize=True)
