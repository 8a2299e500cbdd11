"""The fast LSTM and SVDF against tflite-micro, byte for byte, and their scales against the reference's rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.kernels.dsp.rescale import record, record_64
from tinyrig.compiler.tests.cases import compare, random_values
from tinyrig.compiler.tests.on_board import run_on_board
from tinyrig.compiler.tests.state_cases import MODELS
from tinyrig.core.records import CompiledModel
from tinyrig.workload.host_build import run_sanitized
from tinyrig.workload.oracle import TflmOracle

INTEGER = [name for name in MODELS if not name.endswith("f32")]


def compiled(data: bytes) -> CompiledModel:
    return compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18, engine="tinyrig")


def scaled(text: str, acc: int) -> int:
    """m4_scaled in Python's unbounded integers; fails where 32 bits would not do."""
    m, left, right, half, sign = map(int, text.strip("{}").split(","))
    assert -(1 << 31) <= acc << left < 1 << 31
    upper = ((acc << left) * m + (1 << 31)) >> 32
    upper += half + (-1 if sign and acc < 0 else 0)
    assert -(1 << 31) <= upper < 1 << 31
    return upper >> right


def twice_rounded(acc: int, multiplier: int, shift: int) -> int:
    """nn_requantize."""
    high = ((acc << max(shift, 0)) * multiplier + (1 << 30)) >> 31
    right = max(-shift, 0)
    return (high >> right) + int((high & ((1 << right) - 1)) > ((1 << right) - 1 >> 1) + (high < 0))


def once_rounded(acc: int, multiplier: int, shift: int) -> int:
    """nn_requantize_64."""
    reduced = (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF
    return (acc * reduced + (1 << (14 - shift))) >> (15 - shift)


@pytest.mark.parametrize(("made", "right"), [(record, twice_rounded), (record_64, once_rounded)])
def test_scales_give_the_references_rounding(made, right) -> None:
    rng, known = np.random.default_rng(4), 0
    for _ in range(1000):
        widest = int(2.0 ** rng.uniform(3, 30))
        scale = int(rng.choice([1 << 30, (1 << 31) - 1, rng.integers(1 << 30, 1 << 31)])), int(rng.integers(-22, 12))
        text = made(scale, widest)
        known += text is not None
        for acc in (-widest, -1, 0, 1, widest, int(rng.integers(-widest, widest)), 1 << max(-scale[1], 0) >> 1):
            if text is not None and abs(acc) <= widest:
                assert scaled(text, acc) == right(acc, *scale), (scale, acc)
    assert known > 500


def test_a_scale_whose_sums_would_leave_32_bits_is_refused() -> None:
    assert record((1 << 30, 3), 1 << 27) is None
    assert record((1 << 30, 3), (1 << 27) - 1) is not None
    assert record((1 << 30, -31), 1) is None
    assert record_64((1 << 30, -18), 1) is None


@pytest.mark.parametrize("name", INTEGER)
def test_nothing_runs_on_a_portable_kernel(name: str) -> None:
    assert not compiled(MODELS[name](0, 1)).kernels


@pytest.mark.slow
@pytest.mark.parametrize("name", INTEGER)
def test_many_shapes_equal_tflm_under_sanitizers_and_on_a_board(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    for seed in range(20, 22):
        data = MODELS[name](seed, 2)
        model = compiled(data)
        windows = [[random_values(rng, t.shape, t.dtype) for t in model.inputs] for _ in range(2)]
        want = [TflmOracle(data).run(x) for x in windows]
        for got, expected in zip(run_sanitized(model, windows), want, strict=True):
            compare(got, expected, (name, seed))
        if seed == 20:
            compare(run_on_board(model, windows[0], tmp_path), want[0], name)
