"""Depthwise layers of large dilations: the fast kernels with zeros in the filters' gaps, against tflite-micro, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests import cases
from tinyrig.core.records import CompiledModel


def layer(dtype: str, size: tuple[int, int], k: tuple[int, int], dilation: int, channels: int = 6) -> cases.Layer:
    options = {"padding": cases.PADDING["SAME"], "strideH": 1, "strideW": 1, "depthMultiplier": 1}
    options |= {"dilationHFactor": dilation, "dilationWFactor": dilation}
    zeros = (-5, 3) if dtype == "int8" else (0, 0)
    shape = (1, *size, channels)
    return cases.Layer("DEPTHWISE_CONV_2D", dtype, shape, shape, (1, *k, channels), 3, options, 0.02, zeros, 1.0, True, True)


def compiled(case: cases.Layer, optimise: str) -> CompiledModel:
    bench = cases.Workbench(np.random.default_rng(2))
    case(bench)
    return compile_model(bench.finish(), flash_bytes=1 << 20, ram_bytes=1 << 18, engine="tinyrig", optimise=optimise)


SHAPES = [((9, 10), (3, 3), 3), ((11, 12), (3, 3), 4), ((1, 30), (1, 3), 8), ((20, 18), (5, 5), 4), ((1, 17), (1, 3), 8)]


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_dilated_layers_equal_tflm_and_leave_the_portable_kernel(dtype: str) -> None:
    drawn = [layer(dtype, *shape) for shape in SHAPES]
    assert not any(compiled(case, "speed").kernels for case in drawn)
    cases.check(list(drawn), 3, "tinyrig")


def test_zeros_in_the_gaps_are_not_paid_where_they_cost_more_than_they_save() -> None:
    wide, beyond = layer("int8", (20, 20), (5, 5), 9), layer("int8", (6, 6), (3, 3), 4)
    assert compiled(wide, "speed").kernels
    assert compiled(beyond, "speed").kernels
    assert compiled(layer("int8", *SHAPES[1]), "size").kernels
