"""Operators that tflite-micro lacks against LiteRT's reference kernels, and against tflite-micro where it has a stand-in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.lower.litert.tests.litert_cases import BY_LITERT, BY_TFLM
from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.test_ops import LONG, ROUNDS
from tinyrig.core.errors import ModelError

BOTH = [*((name, "litert-ref") for name in BY_LITERT), *((name, "tflm") for name in BY_TFLM)]


def of(name: str, oracle: str) -> st.SearchStrategy[cases.Case]:
    return (BY_LITERT if oracle == "litert-ref" else BY_TFLM)[name]


@pytest.mark.parametrize(("name", "oracle"), BOTH)
@settings(ROUNDS, max_examples=1)
@given(data=st.data())
def test_an_op_equals_the_oracle(name: str, oracle: str, data: st.DataObject) -> None:
    cases.check(data.draw(st.lists(of(name, oracle), min_size=16, max_size=16)), data.draw(cases.seeds()), oracle=oracle)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "oracle"), BOTH)
@settings(LONG, max_examples=4)
@given(data=st.data())
def test_an_op_equals_the_oracle_in_many_random_models(name: str, oracle: str, data: st.DataObject) -> None:
    cases.check(data.draw(st.lists(of(name, oracle), min_size=1, max_size=25)), data.draw(cases.seeds()), oracle=oracle)


@pytest.mark.slow
@settings(ROUNDS, max_examples=1)
@given(data=st.data())
def test_ops_are_clean_under_sanitizers(data: st.DataObject) -> None:
    drawn = [case for strategy in BY_LITERT.values() for case in data.draw(st.lists(strategy, min_size=3, max_size=3))]
    cases.check(drawn, data.draw(cases.seeds()), sanitize=True, oracle="litert-ref")


@pytest.mark.parametrize("dtype", ["int8", "int16"])
@settings(ROUNDS, max_examples=2)
@given(data=st.data())
def test_a_dense_layer_with_a_scale_for_each_output_equals_litert_too(dtype: str, data: st.DataObject) -> None:
    """Which gets it as a convolution."""
    layers = cases.dense(dtype).filter(lambda layer: not (layer.bias and layer.bias_type == "int32"))
    cases.check(data.draw(st.lists(layers, min_size=12, max_size=12)), data.draw(cases.seeds()), oracle="litert-ref")


def test_what_makes_constants_costs_nothing() -> None:
    """RANK and a RANGE of constants are part of other shapes and lists."""
    b = ModelBuilder()
    x, y, rank, line = b.tensor((1, 4)), b.tensor((1, 4)), b.tensor((), "int32"), b.tensor((4,))
    b.op("RANK", [x], [rank])
    b.op("RANGE", [b.tensor((), data=0), b.tensor((), data=2), b.tensor((), data=0.5)], [line])
    b.op("ADD", [x, line], [y])
    model = compile_model(b.finish([x], [y]), flash_bytes=1 << 20, ram_bytes=1 << 18)
    assert [op.op for op in model.ops] == ["ADD"]


def test_the_number_of_segments_must_be_known() -> None:
    b = ModelBuilder()
    x, ids, y = b.tensor((4, 2)), b.tensor((4,), "int32"), b.tensor((1, 2), signature=(-1, 2))
    b.op("SEGMENT_SUM", [x, ids], [y])
    with pytest.raises(ModelError, match="SEGMENT_SUM"):
        compile_model(b.finish([x, ids], [y]), flash_bytes=1 << 20, ram_bytes=1 << 18)
