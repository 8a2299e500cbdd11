"""Models converted with a free batch: the file has a 1 for each open dimension, and the right shapes follow from the ops."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.oracle_form import oracle_form
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.core.errors import ModelError
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import LitertRefOracle, TflmOracle


def dilated() -> bytes:
    """What converters make of a dilated convolution: its blocks become a batch of 2, written as 1."""
    rng = np.random.default_rng(0)
    b = ModelBuilder()
    x = b.tensor((1, 8, 1, 3), signature=(-1, 8, 1, 3))
    size, pads = b.tensor((2,), "int32", data=[2, 1]), b.tensor((2, 2), "int32", data=[[2, 2], [0, 0]])
    blocks, conv = b.tensor((1, 6, 1, 3), signature=(-1, 6, 1, 3)), b.tensor((1, 4, 1, 5), signature=(-1, 4, 1, 5))
    y = b.tensor((1, 8, 1, 5), signature=(-1, 8, 1, 5))
    w = b.tensor((5, 3, 1, 3), data=rng.standard_normal((5, 3, 1, 3)).astype(np.float32))
    bias = b.tensor((5,), data=rng.standard_normal(5).astype(np.float32))
    b.op("SPACE_TO_BATCH_ND", [x, size, pads], [blocks])
    b.op("CONV_2D", [blocks, w, bias], [conv], padding=1, strideH=1, strideW=1)
    b.op("BATCH_TO_SPACE_ND", [conv, size, b.tensor((2, 2), "int32", data=[[0, 0], [0, 0]])], [y])
    return b.finish([x], [y])


def computed_shape(last: int = 6) -> bytes:
    """A RESHAPE to (batch * steps, channels) computed with SHAPE, GATHER, REDUCE_PROD and PACK, and back."""
    b = ModelBuilder()
    x, all_dims = b.tensor((1, 4, 6), signature=(-1, 4, 6)), b.tensor((3,), "int32")
    front, rows, shape = b.tensor((2,), "int32"), b.tensor((), "int32"), b.tensor((2,), "int32")
    flat, soft = b.tensor((1, 1), signature=(-1, -1)), b.tensor((1, 1), signature=(-1, -1))
    y = b.tensor((1, 4, 6), signature=(-1, 4, 6))
    b.op("SHAPE", [x], [all_dims], outType=2)
    b.op("GATHER", [all_dims, b.tensor((2,), "int32", data=[0, 1])], [front], axis=0, batchDims=0)
    b.op("REDUCE_PROD", [front, b.tensor((1,), "int32", data=[0])], [rows], keepDims=False)
    b.op("PACK", [rows, b.tensor((), "int32", data=last)], [shape], axis=0, valuesCount=2)
    b.op("RESHAPE", [x, shape], [flat])
    b.op("SOFTMAX", [flat], [soft], beta=1.0)
    b.op("RESHAPE", [soft, all_dims], [y])
    return b.finish([x], [y])


@pytest.mark.parametrize("data", [dilated(), computed_shape()], ids=["dilated", "computed_shape"])
def test_open_shapes_follow_from_the_inputs(data: bytes) -> None:
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
    x = [np.random.default_rng(1).standard_normal(model.inputs[0].shape).astype(np.float32)]
    got, want = HostModel(model).invoke(x)[0], LitertRefOracle(data).run(x)[0]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelError, match="RESHAPE"):
        compile_model(computed_shape(last=5), flash_bytes=1 << 20, ram_bytes=1 << 18)


def test_a_shape_that_does_not_follow_is_refused_with_the_remedy() -> None:
    b = ModelBuilder()
    x, y, shape = b.tensor((1, 4), signature=(-1, 4)), b.tensor((1, 4), signature=(-1, -1)), b.tensor((2,), "int32")
    b.op("BROADCAST_TO", [x, shape], [y])
    with pytest.raises(ModelError, match="fixed batch of 1"):
        compile_model(b.finish([x, shape], [y]), flash_bytes=1 << 20, ram_bytes=1 << 18)


@pytest.mark.parametrize("data", [dilated(), computed_shape()], ids=["dilated", "computed_shape"])
def test_tflm_gets_the_shapes_that_follow(data: bytes) -> None:
    """As they stand in the file it would run, and give other values."""
    x = [np.random.default_rng(2).standard_normal(input_shape(data)).astype(np.float32)]
    want = LitertRefOracle(data).run(x)[0]
    np.testing.assert_allclose(TflmOracle(data).run(x)[0], want, rtol=0, atol=1e-5)
    assert oracle_form(oracle_form(data)) == oracle_form(data) != data


def input_shape(data: bytes) -> tuple[int, ...]:
    return compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18).inputs[0].shape
