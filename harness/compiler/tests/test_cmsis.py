"""The peer engine: CMSIS-NN's results against tflite-micro, its scratch sizes against its own functions on the board, and
what it can't do falls back to the portable kernels, with a reason."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.kernels import cmsis
from tinyrig.compiler.lower.lower import lower
from tinyrig.compiler.model.graph import read_model
from tinyrig.compiler.model.step import AnyStep, CompileOptions
from tinyrig.compiler.tests import cases
from tinyrig.core.errors import HostError

pytestmark = pytest.mark.slow

ROUNDS = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))

STRATEGIES = {
    "conv2d": cases.conv2d("int8"),
    "depthwise": cases.depthwise("int8"),
    "dense": cases.dense("int8"),
    "pools": st.one_of(cases.pool("int8", "AVERAGE_POOL_2D"), cases.pool("int8", "MAX_POOL_2D")),
}


@pytest.mark.parametrize("name", STRATEGIES)
@ROUNDS
@given(data=st.data())
def test_op_equals_tflm(name: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(STRATEGIES[name], min_size=1, max_size=25))
    cases.check(drawn, data.draw(cases.seeds()), engine=cmsis.ENGINE)


def _steps(case: cases.Case) -> tuple[AnyStep, ...]:
    bench = cases.Workbench(np.random.default_rng(1))
    case(bench)
    return lower(read_model(bench.finish())).steps


def _layer(**change: object) -> cases.Layer:
    """A 3x3 convolution that CMSIS-NN can do, changed."""
    plain = cases.Layer(
        "CONV_2D",
        "int8",
        (1, 8, 8, 4),
        (1, 8, 8, 6),
        (6, 3, 3, 4),
        0,
        {"padding": 0, "strideH": 1, "strideW": 1},
        0.02,
        (3, -5),
        1.0,
        True,
        True,
    )
    return dataclasses.replace(plain, **change)  # type: ignore[arg-type]


def _dense(per_channel: bool) -> cases.Layer:
    shapes = {"in_shape": (2, 12), "out_shape": (2, 5), "weight_shape": (5, 12)}
    return _layer(code="FULLY_CONNECTED", options={}, per_channel=per_channel, **shapes)


def _unary(code: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], options: dict, *constants: tuple[int, ...]) -> cases.Unary:
    return cases.Unary(code, shapes, ("int8", "int8"), ((0.1, 0), (0.1, 0)), options, constants)


_POOL = {"padding": 0, "strideH": 1, "strideW": 1, "filterHeight": 2, "filterWidth": 2}


def test_what_it_can_do_has_no_reason() -> None:
    assert [cmsis.fallback(s) for s in (*_steps(_layer()), *_steps(_dense(False)))] == [None, None]


def test_a_per_channel_dense_layer_runs_as_a_convolution_and_says_so() -> None:
    (plain,), (per_channel,) = _steps(_dense(False)), _steps(_dense(True))
    assert cmsis.note(plain) is None and "1x1 convolution" in (cmsis.note(per_channel) or "")
    kernels = [cmsis.dense(step, CompileOptions()) for step in (plain, per_channel)]
    assert ["arm_fully_connected_s8(" in k.body("p") for k in kernels if k] == [True, False]
    assert cmsis.fallback(per_channel) is None and kernels[1] is not None and kernels[1].scratch_bytes == 0


@pytest.mark.parametrize(
    ("case", "word"),
    [
        (_layer(in_shape=(1, 8, 8, 8)), "groups"),
        (_layer(dtype="float32"), "no such function"),
        (_unary("MEAN", ((1, 4, 3), (1, 3)), {"keepDims": False}, (1,)), "no such function"),
        (_unary("MAX_POOL_2D", ((2, 4, 4, 3), (2, 4, 4, 3)), _POOL), "batch"),
    ],
    ids=["grouped convolution", "float", "mean", "batch of two"],
)
def test_what_it_cannot_do_is_left_to_the_portable_kernels(case: cases.Case, word: str) -> None:
    (step,) = _steps(case)
    assert word in (cmsis.fallback(step) or "")
    bench = cases.Workbench(np.random.default_rng(1))
    case(bench)
    model = compile_model(bench.finish(), flash_bytes=1 << 20, ram_bytes=1 << 20, engine=cmsis.ENGINE)
    assert not model.extra_sources and model.kernels


def test_a_right_overhang_beyond_one_column_is_refused_for_3x3() -> None:
    """arm_depthwise_conv_3x3_s8 would read past the row's end there; a PAD folded into the layer could ask for it."""
    layer = _layer(
        code="DEPTHWISE_CONV_2D",
        weight_shape=(1, 3, 3, 4),
        axis=3,
        out_shape=(1, 8, 8, 4),
        options={"padding": 0, "strideH": 1, "strideW": 1, "depthMultiplier": 1},
    )
    (step,) = _steps(layer)
    assert cmsis.fallback(step) is None
    wide = dataclasses.replace(step.params.window, out_w=9)
    changed = dataclasses.replace(step, params=dataclasses.replace(step.params, window=wide))
    assert "column" in (cmsis.fallback(changed) or "")


def test_a_missing_package_is_the_hosts_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cmsis, "PACKAGE", "no_such_package_here")
    with pytest.raises(HostError, match="pip install"):
        cmsis.vendor()
