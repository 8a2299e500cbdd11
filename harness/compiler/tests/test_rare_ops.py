"""Ops that models from elsewhere bring, against tflite-micro; each strategy is one or a few drawn models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests import rare_cases as rare
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.test_ops import ROUNDS
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import TflmOracle

STRATEGIES = {
    "slices": st.one_of(rare.slice_(), rare.split_v(), rare.gather()),
    "spread": st.one_of(rare.mirror_pad(), rare.broadcast_to(), rare.depth_blocks()),
    "reduction": rare.reduction(),
    "functions": st.one_of(rare.float_function(), rare.elu_s8(), cases.shapes.map(rare.Roots)),
    "wide": st.one_of(rare.wide(), rare.slopes_s16()),
    "squared_difference": rare.squared_difference(),
    "batch_matmul": rare.batch_matmul(),
    "resize_bilinear": rare.resize_bilinear(),
}


@pytest.mark.parametrize("name", STRATEGIES)
@ROUNDS
@given(data=st.data())
def test_rare_op_equals_tflm(name: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(STRATEGIES[name], min_size=1, max_size=25))
    cases.check(drawn, data.draw(cases.seeds()))


def test_tile_and_reverse_which_tflm_lacks() -> None:
    b = ModelBuilder()
    x, tiled, turned = b.tensor((2, 3)), b.tensor((4, 9)), b.tensor((2, 3))
    b.op("TILE", [x, b.tensor((2,), "int32", data=[2, 3])], [tiled])
    b.op("REVERSE_V2", [x, b.tensor((1,), "int32", data=[1])], [turned])
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    model = compile_model(b.finish([x], [tiled, turned]), flash_bytes=1 << 20, ram_bytes=1 << 20)
    for got, want in zip(HostModel(model).invoke([values]), (np.tile(values, (2, 3)), values[:, ::-1]), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_transposed_convolution_whose_shape_is_an_input_has_the_files_shape() -> None:
    """As tflite-micro, which never reads the values."""
    b = ModelBuilder()
    shape, x, y = b.tensor((4,), "int32"), b.tensor((1, 2, 3, 2)), b.tensor((1, 4, 6, 3))
    rng = np.random.default_rng(0)
    w = b.tensor((3, 3, 3, 2), data=rng.standard_normal((3, 3, 3, 2)))
    b.op("TRANSPOSE_CONV", [shape, w, x], [y], padding=0, strideH=2, strideW=2)
    data = b.finish([shape, x], [y])
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 20)
    given = [np.array([1, 4, 6, 3], np.int32), rng.standard_normal((1, 2, 3, 2)).astype(np.float32)]
    cases.compare(HostModel(model).invoke(given), TflmOracle(data).run(given))


def test_a_quantised_softmax_of_16_bits_becomes_32() -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 9), "int16", 2.0**-16, -32768), b.tensor((1, 9), "int32", 2.0**-15)
    b.op("QUANTIZE", [x], [y])
    data = b.finish([x], [y])
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 20)
    given = [np.array([[-32768, -32767, -5, -1, 0, 1, 2, 32766, 32767]], np.int16)]
    cases.compare(HostModel(model).invoke(given), TflmOracle(data).run(given))


def test_a_mirrored_pad_without_its_table_is_symmetric_as_tflm_takes_it() -> None:
    b = ModelBuilder()
    x, y = b.tensor((2, 3)), b.tensor((4, 5))
    b.op("MIRROR_PAD", [x, b.tensor((2, 2), "int32", data=[[1, 1], [1, 1]])], [y])
    b._ops[-1].builtinOptions, b._ops[-1].builtinOptionsType = None, 0
    data = b.finish([x], [y])
    window = [np.arange(6, dtype=np.float32).reshape(2, 3)]
    host = HostModel(compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18))
    with TflmOracle(data) as oracle:
        cases.compare(host.invoke(window), oracle.run(window), oracle.name)
    assert host.invoke(window)[0][0, 0] == 0.0, "the corner is mirrored with its edge"
