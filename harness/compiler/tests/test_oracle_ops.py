"""Operators that only LiteRT has: against its kernels, and in a model that tflite-micro judges with stand-ins for them."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.cases import compare
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.core.errors import ModelError
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import LitertRefOracle, TflmOracle

EVERY = np.arange(-128, 128).astype(np.int8).reshape(1, 256)


def both(b: ModelBuilder, x: list[int], y: list[int], given: list[np.ndarray], tflm: bool = True) -> None:
    """As LiteRT without stand-ins, and as tflite-micro with them."""
    data = b.finish(x, y)
    got = HostModel(compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)).invoke(given)
    with LitertRefOracle(data) as litert:
        compare(got, litert.run(given))
    if tflm:
        compare(got, TflmOracle(data).run(given))


@pytest.mark.parametrize("code", ["EXP", "LOG", "SQRT", "GELU", "GELU approximate"])
def test_functions_of_int8_have_litert_s_values(code: str) -> None:
    rng, b = np.random.default_rng(6), ModelBuilder()
    x, y, given = [], [], []
    for _ in range(8):
        zero = -128 if code == "SQRT" else int(rng.integers(-128, 100))  # LiteRT refuses roots of less than 0
        x.append(b.tensor((1, 256), "int8", np.exp(rng.uniform(-6, 0)), zero))
        y.append(b.tensor((1, 256), "int8", np.exp(rng.uniform(-6, 0)), int(rng.integers(-128, 128))))
        options = {"approximate": "approximate" in code} if "GELU" in code else {}
        b.op(code.split()[0], x[-1:], y[-1:], version=2 if "GELU" in code else 1, **options)
        given.append(EVERY)
    both(b, x, y, given)


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu_of_floats(approximate: bool) -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 99)), b.tensor((1, 99))
    b.op("GELU", [x], [y], approximate=approximate)
    both(b, [x], [y], [np.linspace(-6, 6, 99, dtype=np.float32).reshape(1, 99)], tflm=False)


@pytest.mark.parametrize("code", ["RELU_N1_TO_1", "RELU_0_TO_1"])
def test_clamps_to_one(code: str) -> None:
    b = ModelBuilder()
    x, y, q, r = b.tensor((1, 9)), b.tensor((1, 9)), *(b.tensor((1, 256), "int8", 0.03, 20) for _ in range(2))
    b.op(code, [x], [y])
    b.op(code, [q], [r])
    both(b, [x, q], [y, r], [np.linspace(-2, 2, 9, dtype=np.float32).reshape(1, 9), EVERY])


def test_tiles_and_choices() -> None:
    b = ModelBuilder()
    x, tiled, flag, other, chosen = (
        b.tensor((2, 3)),
        b.tensor((4, 9)),
        b.tensor((4, 9), "bool"),
        b.tensor((4, 9)),
        b.tensor((4, 9)),
    )
    b.op("TILE", [x, b.tensor((2,), "int32", data=[2, 3])], [tiled])
    b.op("SELECT", [flag, tiled, other], [chosen])
    rng = np.random.default_rng(0)
    given = [rng.standard_normal((2, 3)), rng.random((4, 9)) < 0.5, rng.standard_normal((4, 9))]
    types = (np.float32, np.bool_, np.float32)
    both(b, [x, flag, other], [tiled, chosen], [v.astype(t) for v, t in zip(given, types, strict=True)])


def test_tflm_judges_a_function_behind_a_layer_with_a_scale_for_each_output() -> None:
    """LiteRT rounds that layer otherwise: neither oracle could judge such a model alone."""
    rng, b = np.random.default_rng(1), ModelBuilder()
    x, hidden, y = b.tensor((1, 16), "int8", 0.05), b.tensor((1, 8), "int8", 0.03, -5), b.tensor((1, 8), "int8", 0.02, -100)
    w = b.tensor((8, 16), "int8", rng.uniform(0.002, 0.02, 8), data=rng.integers(-127, 128, (8, 16)))
    b.op("FULLY_CONNECTED", [x, w], [hidden])
    b.op("EXP", [hidden], [y])
    data = b.finish([x], [y])
    host, oracle = HostModel(compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)), TflmOracle(data)
    for _ in range(20):
        given = [rng.integers(-128, 128, (1, 16)).astype(np.int8)]
        compare(host.invoke(given), oracle.run(given))


def test_what_moves_16_bit_values_is_judged_by_way_of_floats() -> None:
    b = ModelBuilder()
    x = b.tensor((1, 4, 6, 8), "int16", 0.01)
    shapes: dict[str, tuple[int, ...]] = {
        "GATHER": (1, 4, 3, 8),
        "RESIZE_NEAREST_NEIGHBOR": (1, 8, 12, 8),
        "DEPTH_TO_SPACE": (1, 8, 12, 2),
        "REDUCE_MAX": (1, 8),
        "REDUCE_MIN": (1, 8),
        "REVERSE_V2": (1, 4, 6, 8),
        "MIRROR_PAD": (1, 6, 6, 8),
        "TILE": (1, 8, 6, 8),
    }
    constants = {
        "GATHER": [1, 5, 0],
        "RESIZE_NEAREST_NEIGHBOR": [8, 12],
        "REDUCE_MAX": [1, 2],
        "REDUCE_MIN": [1, 2],
        "REVERSE_V2": [2],
        "MIRROR_PAD": [[0, 0], [1, 1], [0, 0], [0, 0]],
        "TILE": [1, 2, 1, 1],
    }
    options = {"GATHER": {"axis": 2}, "DEPTH_TO_SPACE": {"blockSize": 2}}
    outputs = []
    for code, shape in shapes.items():
        outputs.append(b.tensor(shape, "int16", 0.01))
        value = np.array(constants.get(code, 0), np.int32)
        more = [b.tensor(value.shape, "int32", data=value)] if code in constants else []
        b.op(code, [x, *more], outputs[-1:], **options.get(code, {}))
    data = b.finish([x], outputs)
    given = [np.random.default_rng(2).integers(-32768, 32768, (1, 4, 6, 8)).astype(np.int16)]
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
    compare(HostModel(model).invoke(given), TflmOracle(data).run(given))


def test_litert_ref_does_not_judge_what_it_computes_otherwise() -> None:
    """Its SUM of int8 loses the scales: eight times 1.0 are no 8.0 there."""
    b = ModelBuilder()
    x, y = b.tensor((1, 8), "int8", 0.01), b.tensor((1, 1), "int8", 0.1)
    b.op("SUM", [x, b.tensor((1,), "int32", data=[1])], [y], keepDims=True)
    data, given = b.finish([x], [y]), [np.full((1, 8), 100, np.int8)]
    assert TflmOracle(data).run(given)[0].item() == 80
    with pytest.raises(ModelError, match="can't judge this model: LiteRT's reference kernel of op 0 SUM"):
        LitertRefOracle(data).run(given)


def test_signs_and_one_hot_rows() -> None:
    b = ModelBuilder()
    x, y, index, rows = b.tensor((1, 9)), b.tensor((1, 9)), b.tensor((1, 6), "int32"), b.tensor((1, 6, 5))
    b.op("SIGN", [x], [y])
    one, none = b.tensor((), data=2.5), b.tensor((), data=0)
    b.op("ONE_HOT", [index, b.tensor((), "int32", data=5), one, none], [rows], axis=-1)
    given = [np.linspace(-2, 2, 9, dtype=np.float32).reshape(1, 9), np.array([[0, 4, 1, 3, 2, 2]], np.int32)]
    both(b, [x, index], [y, rows], given)


@pytest.mark.parametrize("activation", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_dense_layers_with_computed_weights(dtype: str, activation: int) -> None:
    quant = ((0.05, 3), (0.03, -7), (0.4, 11)) if dtype == "int8" else ((None, 0),) * 3
    b = ModelBuilder()
    x, w, y = (b.tensor(s, dtype, *q) for s, q in zip(((3, 8), (5, 8), (3, 5)), quant, strict=True))
    b.op("FULLY_CONNECTED", [x, w, -1], [y], fusedActivationFunction=activation)
    data = b.finish([x, w], [y])
    host, oracle = HostModel(compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)), TflmOracle(data)
    rng = np.random.default_rng(0)
    for _ in range(3):
        given = (
            [rng.integers(-128, 128, s) for s in ((3, 8), (5, 8))]
            if dtype == "int8"
            else [rng.random(s) - 0.5 for s in ((3, 8), (5, 8))]
        )
        given = [v.astype(dtype) for v in given]
        compare(host.invoke(given), oracle.run(given))


def test_two_oracles_never_point_at_each_other() -> None:
    """A GELU of floats, which tflite-micro lacks, beside a SUM of int8, in which LiteRT loses the scales."""
    b = ModelBuilder()
    x, hidden, real, y = b.tensor((1, 8), "int8", 0.1), b.tensor((1, 1), "int8", 0.1), b.tensor((1, 1)), b.tensor((1, 1))
    b.op("SUM", [x, b.tensor((1,), "int32", data=[1])], [hidden], keepDims=True)
    b.op("DEQUANTIZE", [hidden], [real])
    b.op("GELU", [real], [y])
    data = b.finish([x], [y])
    with pytest.raises(ModelError, match=r"compare with --oracle numpy, .*, or none"):
        TflmOracle(data).run([np.zeros((1, 8), np.int8)])


def test_a_model_that_only_litert_runs_is_sent_there() -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 4)), b.tensor((1, 4))
    b.op("GELU", [x], [y])
    with pytest.raises(ModelError, match="compare with --oracle litert-ref, or none"):
        TflmOracle(b.finish([x], [y])).run([np.zeros((1, 4), np.float32)])


@pytest.mark.parametrize("code", ["CONV_2D", "DEPTHWISE_CONV_2D"])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_convolution_whose_weights_are_computed(dtype: str, code: str) -> None:
    b, scale = ModelBuilder(), 0.1 if dtype == "int8" else None
    shape = (4, 3, 3, 2) if code == "CONV_2D" else (1, 3, 3, 4)
    x, w, y = (b.tensor(s, dtype, scale) for s in ((1, 5, 6, 2), shape, (1, 5, 6, 4)))
    bias = b.tensor((4,), "int32" if dtype == "int8" else dtype, None if scale is None else 0.01, data=[1, -2, 3, 0])
    more = {} if code == "CONV_2D" else {"depthMultiplier": 2}
    options = {"padding": 0, "strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1, **more}
    b.op(code, [x, w, bias], [y], **options)
    data, rng = b.finish([x, w], [y]), np.random.default_rng(0)
    real = [rng.standard_normal(s) for s in ((1, 5, 6, 2), shape)]
    given = [(v * 30).astype(np.int8) if dtype == "int8" else v.astype(np.float32) for v in real]
    host = HostModel(compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18))
    compare(host.invoke(given), TflmOracle(data).run(given))
