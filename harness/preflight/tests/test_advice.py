"""Advice is given where it helps, and not where the model has it already."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.preflight.check import check_model


def int8_net() -> bytes:
    return finish_net(conv_net())


def float_net() -> bytes:
    return finish_net(conv_net(dtype="float32"))


def float_border() -> bytes:
    b = ModelBuilder()
    x, q, y, out = b.tensor((1, 64)), b.tensor((1, 64), "int8", 0.1), b.tensor((1, 8), "int8", 0.1), b.tensor((1, 8))
    b.op("QUANTIZE", [x], [q])
    b.op("FULLY_CONNECTED", [q, b.tensor((8, 64), "int8", 0.01, data=np.ones((8, 64))), -1], [y])
    b.op("DEQUANTIZE", [y], [out])
    return b.finish([x], [out])


def padded() -> bytes:
    b = ModelBuilder()
    x, p, y = b.tensor((1, 8, 8, 4), "int8", 0.1), b.tensor((1, 10, 10, 4), "int8", 0.1), b.tensor((1, 4, 4, 4), "int8", 0.1)
    b.op("PAD", [x, b.tensor((4, 2), "int32", data=[[0, 0], [1, 1], [1, 1], [0, 0]])], [p])
    b.op("MAX_POOL_2D", [p], [y], strideH=2, strideW=2, padding=1, filterHeight=3, filterWidth=3)
    return b.finish([x], [y])


def flattened() -> bytes:
    b = ModelBuilder()
    tensors = [b.tensor((1, n), "int8", 0.1) for n in (16, 256, 32, 4)]
    for i, (a, n) in enumerate(((16, 256), (256, 32), (32, 4))):
        b.op("FULLY_CONNECTED", [tensors[i], b.tensor((n, a), "int8", 0.01, data=np.ones((n, a))), -1], [tensors[i + 1]])
    return b.finish([tensors[0]], [tensors[-1]])


@pytest.mark.parametrize(
    ("net", "told", "silent"),
    [
        (float_net, ("full int8",), ("inference_input_type",)),
        (float_border, ("inference_input_type", "inference_output_type"), ("full int8", "only change between")),
        (padded, ("pad inside the layer",), ("full int8",)),
        (flattened, ("holds 56 % of the weights", "step 1 FULLY_CONNECTED"), ("full int8",)),
        (int8_net, (), ("full int8", "inference_input_type", "pad inside", "of the weights", "portable")),
    ],
)
def test_advice(net: Callable[[], bytes], told: tuple[str, ...], silent: tuple[str, ...]) -> None:
    advice = check_model(net()).advice
    text = "\n".join(a.text for a in advice)
    assert [t for t in told if t not in text] == [] and [t for t in silent if t in text] == [], text
    assert all(a.saves_bytes >= 0 for a in advice)


def test_the_float_border_costs_what_the_advice_says() -> None:
    saves = {a.text.split(" (")[0]: a.saves_bytes for a in check_model(float_border()).advice}
    assert saves["make the input int8"] == 256 and saves["make the output int8"] == 32
