"""Transposed convolutions taken apart into ordinary ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.kernels.dsp.transpose import axis_phases
from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests.on_board import run_on_board
from tinyrig.compiler.tests.test_m4_int8 import ROUNDS, Shape
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import TflmOracle

ENGINE = "tinyrig"


def turned(dtype: str, in_shape: Shape, out_shape: Shape, k: tuple[int, int], stride: int, padding: str) -> cases.TransposeConv:
    options = {"padding": cases.PADDING[padding], "strideH": stride, "strideW": stride}
    weights, zeros = (out_shape[3], *k, in_shape[3]), (-7, 5) if dtype == "int8" else (0, 0)
    scale = 0.05 if dtype == "int8" else 1e-4
    return cases.TransposeConv("TRANSPOSE_CONV", dtype, in_shape, out_shape, weights, 0, options, scale, zeros, 1.0, True, True)


LAYERS = [
    layer
    for dtype in ("int8", "int16")
    for layer in (
        turned(dtype, (1, 4, 5, 8), (1, 8, 10, 6), (2, 2), 2, "SAME"),
        turned(dtype, (2, 3, 4, 5), (2, 6, 8, 3), (3, 3), 2, "SAME"),
        turned(dtype, (1, 3, 3, 4), (1, 10, 10, 4), (4, 4), 3, "VALID"),
        turned(dtype, (1, 5, 5, 4), (1, 5, 5, 7), (3, 3), 1, "SAME"),
        turned(dtype, (1, 3, 2, 8), (1, 9, 6, 4), (2, 1), 3, "SAME"),
    )
]
"""Filters as wide as the stride, wider, and narrower; one phase."""


def test_phases_equal_tflm() -> None:
    cases.check(list(LAYERS), 5, ENGINE)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_outputs_that_no_input_reaches_read_nothing_behind_it(dtype: str) -> None:
    """Rows and columns at the end lie beyond the last input's reach: whatever the arena holds there must not come in."""
    bench = cases.Workbench(np.random.default_rng(5))
    turned(dtype, (1, 3, 2, 4), (1, 10, 7, 4), (2, 2), 3, "VALID")(bench)
    data = bench.finish()
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE)
    host = HostModel(model)
    host.fill(0x55)
    cases.compare(host.invoke(bench.values), TflmOracle(data).run(bench.values), dtype)


@pytest.mark.slow
def test_phases_on_a_board_and_under_sanitizers(tmp_path: Path) -> None:
    cases.check(list(LAYERS), 5, ENGINE, sanitize=True)
    bench = cases.Workbench(np.random.default_rng(5))
    for add in LAYERS:
        add(bench)
    data = bench.finish()
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE)
    assert not model.kernels
    cases.compare(run_on_board(model, bench.values, tmp_path), TflmOracle(data).run(bench.values), model.ops)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int8", "int16"])
@ROUNDS
@given(data=st.data())
def test_kernel_equals_tflm(dtype: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(cases.transpose_conv(dtype), min_size=4, max_size=4))
    cases.check(drawn, data.draw(cases.seeds()), ENGINE, sanitize=True)


@given(out=st.integers(1, 12), k=st.integers(1, 5), stride=st.integers(1, 4), pad=st.integers(0, 4))
def test_phases_take_every_tap_of_every_output_once(out: int, k: int, stride: int, pad: int) -> None:
    want = {(y, i, t) for y in range(out) for t in range(k) for i in range(-20, 20) if i * stride + t == y + pad}
    got = [
        (p.first + stride * j, j - p.pad + at, tap)
        for p in axis_phases(out, k, stride, pad)
        for j in range(p.count)
        for at, tap in enumerate(p.taps)
    ]
    assert sorted(got) == sorted(want)
