"""The 16x8 kernels against tflite-micro, byte for byte: their C forms under sanitizers, the ARM code on a board."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.kernels.dsp.int16_scale import NARROW, TWICE, WIDE, pack, scales
from tinyrig.compiler.model.layers import Requant
from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests.on_board import run_on_board
from tinyrig.compiler.tests.test_m4_int8 import FEW, ROUNDS, Shape
from tinyrig.workload.oracle import TflmOracle

ENGINE = "tinyrig"


def layer(
    code: str, in_shape: Shape, out_shape: Shape, weights: Shape, bias_type: str | None = None, **options: int
) -> cases.Layer:
    axis = 3 if code.startswith("DEPTH") else 0
    per_channel = code != "FULLY_CONNECTED"
    return cases.Layer(
        code, "int16", in_shape, out_shape, weights, axis, options, 1e-4, (0, 0), 1.0, per_channel, True, bias_type
    )


SAME, VALID = cases.PADDING["SAME"], cases.PADDING["VALID"]
LAYERS = [
    layer("CONV_2D", (1, 6, 7, 8), (1, 6, 7, 5), (5, 1, 1, 8), padding=SAME, strideH=1, strideW=1),
    layer("CONV_2D", (2, 9, 11, 4), (2, 5, 6, 3), (3, 1, 1, 4), padding=SAME, strideH=2, strideW=2),
    layer("CONV_2D", (1, 9, 7, 3), (1, 5, 4, 6), (6, 3, 3, 3), padding=SAME, strideH=2, strideW=2),
    layer("CONV_2D", (1, 8, 9, 8), (1, 8, 9, 7), (7, 3, 3, 8), padding=SAME, strideH=1, strideW=1),
    layer("CONV_2D", (1, 1, 40, 12), (1, 1, 36, 4), (4, 1, 5, 12), padding=VALID, strideH=1, strideW=1),
    layer("CONV_2D", (1, 5, 4, 160), (1, 5, 4, 3), (3, 3, 3, 160), padding=SAME, strideH=1, strideW=1),
    layer("CONV_2D", (1, 2, 5, 1304), (1, 2, 5, 2), (2, 1, 1, 1304), padding=SAME, strideH=1, strideW=1),
    layer("CONV_2D", (1, 6, 6, 9), (1, 6, 6, 4), (4, 3, 3, 9), bias_type="int32", padding=SAME, strideH=1, strideW=1),
    layer("DEPTHWISE_CONV_2D", (1, 9, 10, 7), (1, 9, 10, 7), (1, 3, 3, 7), padding=SAME, strideH=1, strideW=1, depthMultiplier=1),
    layer("DEPTHWISE_CONV_2D", (2, 8, 9, 4), (2, 4, 5, 8), (1, 5, 3, 8), padding=SAME, strideH=2, strideW=2, depthMultiplier=2),
    layer("DEPTHWISE_CONV_2D", (1, 12, 9, 1), (1, 6, 5, 8), (1, 10, 8, 8), padding=SAME, strideH=2, strideW=2, depthMultiplier=8),
    layer("FULLY_CONNECTED", (1, 64), (1, 10), (10, 64)),
    layer("FULLY_CONNECTED", (3, 67), (3, 6), (6, 67)),
    layer("FULLY_CONNECTED", (1, 3999), (1, 5), (5, 3999)),
]
"""Read where they lie, gathered, with and without whole steps, sums of one part and of several, both kinds of bias."""


def test_each_kind_of_layer_equals_tflm() -> None:
    cases.check(list(LAYERS), 3, ENGINE)


@pytest.mark.slow
def test_each_kind_of_layer_on_a_board_and_under_sanitizers(tmp_path: Path) -> None:
    cases.check(list(LAYERS), 3, ENGINE, sanitize=True)
    bench = cases.Workbench(np.random.default_rng(3))
    for add in LAYERS:
        add(bench)
    data = bench.finish()
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE)
    assert not model.kernels
    cases.compare(run_on_board(model, bench.values, tmp_path), TflmOracle(data).run(bench.values), model.ops)


STRATEGIES = {"conv2d": cases.conv2d("int16"), "depthwise": cases.depthwise("int16"), "dense": cases.dense("int16")}


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
@ROUNDS
@given(data=st.data())
def test_kernel_equals_tflm(name: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(STRATEGIES[name], min_size=5, max_size=5))
    cases.check(drawn, data.draw(cases.seeds()), ENGINE, sanitize=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
@FEW
@given(data=st.data())
def test_arm_code_equals_tflm(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    bench = cases.Workbench(np.random.default_rng(data.draw(cases.seeds())))
    for add in data.draw(st.lists(STRATEGIES[name], min_size=4, max_size=4)):
        add(bench)
    model = compile_model(data_of := bench.finish(), flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE)
    got = run_on_board(model, bench.values, tmp_path_factory.mktemp("image"))
    cases.compare(got, TflmOracle(data_of).run(bench.values), model.ops)


def form(weights: np.ndarray, bias: int, shift: int, kind: str = "int64", multiplier: int = 3 << 29) -> tuple[int, int] | None:
    n = len(weights)
    q = Requant(np.full(n, multiplier, np.int64), np.full(n, shift), 0, -32768, 32767)
    s = scales(weights, np.full(n, bias, kind), q)
    return None if s is None else (s.form, s.parts)


def test_forms_by_what_the_sums_can_be() -> None:
    few, many = np.full((2, 8), -128, np.int8), np.full((1, 4096), 127, np.int8)
    assert form(few, 0, -9) == (NARROW, 0) and form(few, 1 << 45, -9) == (WIDE, 0)
    assert form(few, 0, 1) == (WIDE, 0) and form(few, 0, 15) is None and form(few, 0, 1, "int32") == (TWICE, 0)
    assert form(many, 0, -12) == (WIDE, 8)


@given(
    multiplier=st.sampled_from([0, 1 << 30, (1 << 31) - 1]) | st.integers(1 << 30, (1 << 31) - 1),
    shift=st.integers(-31, 1),
    bias=st.integers(-(1 << 34), 1 << 34),
    seed=cases.seeds(),
)
def test_the_upper_word_is_tflms_rounding(multiplier: int, shift: int, bias: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-128, 128, (1, 12)).astype(np.int8)
    q = Requant(np.array([multiplier]), np.array([shift]), 0, -32768, 32767)
    for doubled in (1, 2):
        s = scales(weights, np.array([bias]), q, doubled)
        assert s is not None
        offset, m, e = (int(c.data[0]) for c in s.constants)
        for x in (*rng.integers(-32768, 32768, (20, 12)), np.where(weights[0] > 0, 32767, -32768)):
            acc = int(x @ weights[0].astype(np.int64))
            reduced = (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF
            want = ((acc + bias) * reduced + (1 << (14 - shift))) >> (15 - shift)
            product = doubled * acc * m + offset
            assert -(1 << 63) <= product < 1 << 63
            assert (product >> 32 + e if s.form == NARROW else product >> e) == want


def test_packed_words_give_pairs() -> None:
    assert pack(np.array([[1, 2, 3, 4]], np.int8))[0, 0] == 0x04020301
