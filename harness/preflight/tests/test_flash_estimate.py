"""The estimate of flash against real builds."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from tinyrig.compiler.compile import plan_unit
from tinyrig.compiler.model.step import CompileOptions
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.boards import BOARDS
from tinyrig.core.config import Config
from tinyrig.measure.variant import compile_for
from tinyrig.preflight.code_parts import Part, parts_of
from tinyrig.preflight.flash_estimate import RIG_FLASH, RIG_RAM, estimate


def other_net() -> bytes:
    """Of shapes that no bounds were taken from: 20x20x2 -> conv 5x5 -> pool -> dense -> logistic."""
    b = ModelBuilder()
    x, c, p, d = (b.tensor(shape, "int8", 0.05, 3) for shape in ((1, 20, 20, 2), (1, 8, 8, 11), (1, 4, 4, 11), (1, 9)))
    flat, y = b.tensor((1, 176), "int8", 0.05, 3), b.tensor((1, 9), "int8", 1 / 256, -128)
    k, w = (
        b.tensor((11, 5, 5, 2), "int8", 0.01, data=np.ones((11, 5, 5, 2))),
        b.tensor((9, 176), "int8", 0.01, data=np.ones((9, 176))),
    )
    b.op("CONV_2D", [x, k, -1], [c], strideH=2, strideW=2, padding=1)
    b.op("MAX_POOL_2D", [c], [p], strideH=2, strideW=2, filterHeight=2, filterWidth=2)
    b.op("RESHAPE", [p, b.tensor((2,), "int32", data=[1, 176])], [flat])
    b.op("FULLY_CONNECTED", [flat, w, -1], [d])
    b.op("LOGISTIC", [d], [y])
    return b.finish([x], [y])


NETS = {
    "conv": lambda: finish_net(conv_net()),
    "conv of floats": lambda: finish_net(conv_net(dtype="float32")),
    "other shapes": other_net,
}


@pytest.mark.parametrize("name", NETS)
def test_a_real_build_lies_between_the_bounds(name: str, tmp_path: Path) -> None:
    data, board = NETS[name](), BOARDS["virtual"]
    found = estimate(plan_unit(data, "tinyrig", CompileOptions()))
    footprint = compile_for(data, board, Config(), build_dir=tmp_path).footprint
    assert footprint is not None
    assert found.weight_bytes == footprint.flash_weights
    assert found.low <= footprint.flash_model <= found.high
    assert footprint.flash_rig <= RIG_FLASH[board.builder]


def test_the_parts_are_the_functions_that_steps_call() -> None:
    unit = plan_unit(finish_net(conv_net(dtype="float32")), "portable", CompileOptions())
    kinds = {part.kind for part in parts_of(unit)}
    assert {"nn_conv2d_f32", "nn_softmax_f32", "step conv2d_f32"} <= kinds
    assert Part("nn_mean_f32", "nn_mean_f32") in parts_of(unit)


def test_equal_steps_share_their_function() -> None:
    def dense(layers: int) -> int:
        b = ModelBuilder()
        tensors = [b.tensor((1, 8), "int8", 0.05, 3) for _ in range(layers + 1)]
        for x, y in itertools.pairwise(tensors):
            b.op("FULLY_CONNECTED", [x, b.tensor((8, 8), "int8", 0.01, data=np.ones((8, 8))), -1], [y])
        return estimate(plan_unit(b.finish([tensors[0]], [tensors[-1]]), "tinyrig", CompileOptions())).code_low

    one, two, three = dense(1), dense(2), dense(3)
    assert one < two and three - two == pytest.approx(two - one, abs=4) and two - one < 120


def test_the_stack_that_images_reserve_is_counted() -> None:
    from tinyrig.workload.image import PAYLOAD_RANGE, STACK_RESERVE

    assert STACK_RESERVE + 2 * PAYLOAD_RANGE[0] <= RIG_RAM
