"""Dynamic-range layers: float32 activations with weights stored as integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.cases import compare
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import LitertRefOracle, TflmOracle

Add = Callable[[ModelBuilder, np.random.Generator], tuple[int, int]]


def weights(b: ModelBuilder, rng: np.random.Generator, shape: tuple[int, ...], axis: int | None, dtype: str = "int8") -> int:
    scale = 0.01 if axis is None else rng.uniform(0.003, 0.02, shape[axis])
    if axis is not None:
        scale[0] = 0.0  # type: ignore[index]  # of a channel whose weights are all 0
    values = rng.integers(-127, 128, shape)
    zero = 128 if dtype == "uint8" else 0
    if axis is not None:
        values[tuple(0 if i == axis else slice(None) for i in range(len(shape)))] = 0
    return b.tensor(shape, dtype, scale, zero, values + zero, axis or 0)


def dense(axis: int | None, dtype: str = "int8") -> Add:
    def add(b: ModelBuilder, rng: np.random.Generator) -> tuple[int, int]:
        x, y = b.tensor((3, 24)), b.tensor((3, 10))
        bias = b.tensor((10,), data=rng.standard_normal(10))
        b.op("FULLY_CONNECTED", [x, weights(b, rng, (10, 24), axis, dtype), bias], [y], fusedActivationFunction=1)
        return x, y

    return add


def image(code: str, shape: tuple[int, ...], axis: int, **options: Any) -> Add:
    def add(b: ModelBuilder, rng: np.random.Generator) -> tuple[int, int]:
        x, y = b.tensor((1, 6, 7, 4)), b.tensor((1, 6, 7, 8))
        bias = b.tensor((8,), data=rng.standard_normal(8))
        b.op(code, [x, weights(b, rng, shape, axis), bias], [y], padding=0, strideW=1, strideH=1, **options)
        return x, y

    return add


def product(b: ModelBuilder, rng: np.random.Generator) -> tuple[int, int]:
    x, y = b.tensor((2, 5, 12)), b.tensor((2, 5, 9))
    b.op("BATCH_MATMUL", [x, weights(b, rng, (12, 9), None)], [y])
    return x, y


LAYERS: dict[str, Add] = {
    "dense": dense(0),
    "dense, one scale": dense(None),
    "dense, uint8": dense(None, "uint8"),
    "convolution": image("CONV_2D", (8, 3, 3, 4), 0, dilationWFactor=1, dilationHFactor=1),
    "groups": image("CONV_2D", (8, 3, 3, 2), 0, dilationWFactor=1, dilationHFactor=1),
    "depthwise": image("DEPTHWISE_CONV_2D", (1, 3, 3, 8), 3, depthMultiplier=2, dilationWFactor=1, dilationHFactor=1),
    "product": product,
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_dynamic_range_layer_is_computed_in_float32(name: str) -> None:
    """As both oracles do with the weights' real values."""
    b, rng = ModelBuilder(), np.random.default_rng(5)
    x, y = LAYERS[name](b, rng)
    data = b.finish([x], [y])
    fast, small = (compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 20, optimise=how) for how in ("speed", "size"))
    given = [rng.standard_normal(fast.inputs[0].shape).astype(np.float32)]
    want = TflmOracle(data).run(given)
    for model in (fast, small):
        compare(HostModel(model).invoke(given), want)
    compare(LitertRefOracle(data).run(given), want)


def test_litert_itself_which_rounds_the_activations_is_near() -> None:
    b, rng = ModelBuilder(), np.random.default_rng(5)
    x, y = LAYERS["convolution"](b, rng)
    data = b.finish([x], [y])
    given = [rng.standard_normal((1, 6, 7, 4)).astype(np.float32)]
    rounding = litert.Interpreter(model_content=data, experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF)
    rounding.allocate_tensors()
    rounding.set_tensor(rounding.get_input_details()[0]["index"], given[0])
    rounding.invoke()
    rounded = rounding.get_tensor(rounding.get_output_details()[0]["index"])
    want = LitertRefOracle(data).run(given)[0]
    assert 1e-4 < np.abs(rounded - want).max() / np.abs(want).max() < 0.03


def test_where_size_counts_the_weights_stay_integers() -> None:
    b, rng = ModelBuilder(), np.random.default_rng(5)
    x, y = b.tensor((1, 64)), b.tensor((1, 100))
    b.op("FULLY_CONNECTED", [x, weights(b, rng, (100, 64), 0)], [y])
    data = b.finish([x], [y])
    fast, small = (compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 20, optimise=how) for how in ("speed", "size"))
    assert fast.weight_bytes >= 4 * 6400 and small.weight_bytes == 6400 + 2 * 400
    tight = compile_model(data, flash_bytes=44 << 10, ram_bytes=1 << 20)
    assert tight.weight_bytes == small.weight_bytes


def test_a_table_that_a_lookup_and_a_dense_layer_share() -> None:
    b, rng = ModelBuilder(), np.random.default_rng(5)
    index, rows, y = b.tensor((2,), "int32"), b.tensor((2, 6)), b.tensor((2, 9))
    table = weights(b, rng, (9, 6), None)
    b.op("EMBEDDING_LOOKUP", [index, table], [rows])
    b.op("FULLY_CONNECTED", [rows, table], [y])
    data = b.finish([index], [y])
    given = [np.array([3, 8], np.int32)]
    compiled = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 20)
    compare(HostModel(compiled).invoke(given), TflmOracle(data).run(given))
