"""A PAD before a convolution is no step of its own, and the bytes stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model, plan_unit
from tinyrig.compiler.model.step import CompileOptions
from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests.model_builder import ModelBuilder

FEW = settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
ROOM = {"flash_bytes": 1 << 24, "ram_bytes": 1 << 24}


@dataclass(frozen=True)
class Padded:
    """A layer whose input a PAD has made larger. pads: top, bottom, left, right."""

    layer: cases.Layer
    pads: tuple[int, int, int, int]

    def __call__(self, b: cases.Workbench) -> None:
        self.layer(b)
        wide, _ = b.inputs.pop(), b.values.pop()
        n, h, w, c = self.layer.in_shape
        top, bottom, left, right = self.pads
        t = b.model._tensors[wide].quantization
        scale, zero = (float(t.scale[0]), int(t.zeroPoint[0])) if t else (None, 0)
        x = b.input((n, h - top - bottom, w - left - right, c), self.layer.dtype, scale, zero)
        given = b.constant(np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32))
        b.model.op("PAD", [x, given], [wide])
        b.model._ops.insert(-2, b.model._ops.pop())


@st.composite
def padded(draw: st.DrawFn, dtype: str) -> Padded:
    layer = draw(st.one_of(cases.conv2d(dtype), cases.depthwise(dtype)))
    _, h, w, _ = layer.in_shape
    top, left = draw(st.integers(0, min(2, h - 1))), draw(st.integers(0, min(2, w - 1)))
    bottom, right = draw(st.integers(0, min(2, h - 1 - top))), draw(st.integers(0, min(2, w - 1 - left)))
    return Padded(layer, (top, bottom, left, right))


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32"])
@FEW
@given(data=st.data(), seed=cases.seeds())
def test_padded_layers_equal_tflm(dtype: str, data: st.DataObject, seed: int) -> None:
    cases.check(data.draw(st.lists(padded(dtype), min_size=6, max_size=6)), seed, "tinyrig")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["tinyrig", "portable"])
@pytest.mark.parametrize("dtype", ["int8", "int16", "float32"])
@settings(FEW, max_examples=20)
@given(data=st.data(), seed=cases.seeds())
def test_many_padded_layers_equal_tflm(dtype: str, engine: str, data: st.DataObject, seed: int) -> None:
    cases.check(data.draw(st.lists(padded(dtype), min_size=10, max_size=10)), seed, engine, sanitize=True)


def pad_then(code: str, value: int | None = None, keep: bool = False) -> bytes:
    """8x8x4 int8, padded by one row and column on each side -> a 3x3 layer of stride 2; keep: the padded map is an output."""
    b = ModelBuilder()
    x, p = b.tensor((1, 8, 8, 4), "int8", 0.1, 3), b.tensor((1, 10, 10, 4), "int8", 0.1, 3)
    pads = b.tensor((4, 2), "int32", data=[[0, 0], [1, 1], [1, 1], [0, 0]])
    more = [] if value is None else [b.tensor((1,), "int8", 0.1, 3, data=[value])]
    b.op("PAD" if value is None else "PADV2", [x, pads, *more], [p])
    y = b.tensor((1, 4, 4, 4), "int8", 0.1, 3)
    steps = {"strideH": 2, "strideW": 2, "padding": 1}
    if code == "MAX_POOL_2D":
        b.op(code, [p], [y], filterHeight=3, filterWidth=3, **steps)
    else:
        b.op(code, [p, b.tensor((4, 3, 3, 4), "int8", 0.01, data=np.ones((4, 3, 3, 4))), -1], [y], **steps)
    return b.finish([x], [y, *[p] * keep])


@pytest.mark.parametrize(
    ("data", "steps"),
    [
        (pad_then("CONV_2D"), ["PAD+CONV_2D"]),
        (pad_then("CONV_2D", value=3), ["PADV2+CONV_2D"]),
        (pad_then("CONV_2D", value=4), ["PADV2", "CONV_2D"]),
        (pad_then("CONV_2D", keep=True), ["PAD", "CONV_2D"]),
        (pad_then("MAX_POOL_2D"), ["PAD", "MAX_POOL_2D"]),
    ],
)
def test_only_padding_that_means_nothing_goes(data: bytes, steps: list[str]) -> None:
    assert [op.op for op in compile_model(data, **ROOM).ops] == steps


def test_the_padded_map_takes_no_memory() -> None:
    data = pad_then("CONV_2D")
    assert plan_unit(data, "tinyrig", CompileOptions()).memory.arena_bytes < 400 + 256
