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

STRATEGIES = {
    "slices": st.one_of(rare.slice_(), rare.split_v(), rare.gather()),
    "spread": st.one_of(rare.mirror_pad(), rare.broadcast_to(), rare.depth_blocks()),
    "reduction": rare.reduction(),
    "functions": st.one_of(rare.float_function(), rare.elu_s8(), cases.shapes.map(rare.Roots)),
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
