"""The float kernels for Cortex-M4F against tflite-micro: their C twins under sanitizers, the ARM code on the virtual board."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tinyrig.board.rig import Rig
from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.kernels.m4_f32 import pack_tiles, pack_winograd
from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests import weightless_cases as weightless
from tinyrig.core.boards import BOARDS, BoardTarget
from tinyrig.core.config import Config
from tinyrig.measure.parity import split_outputs
from tinyrig.workload.image import build_image
from tinyrig.workload.oracle import TflmOracle

ROUNDS = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
"""No shrinking: each attempt is a build. A failure names the drawn layers."""
ENGINE = "tinyrig"


def layer(
    code: str,
    in_shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    k: tuple[int, int],
    stride: int,
    act: str,
    padding: str = "SAME",
) -> cases.Layer:
    depthwise = code.startswith("DEPTHWISE")
    weights = (1, *k, out_shape[3]) if depthwise else (out_shape[3], *k, in_shape[3])
    options = {"padding": cases.PADDING[padding], "strideH": stride, "strideW": stride}
    options |= {"fusedActivationFunction": cases.ACTIVATION[act]} | ({"depthMultiplier": 1} if depthwise else {})
    return float_layer(code, in_shape, out_shape, weights, 3 if depthwise else 0, options)


def float_layer(
    code: str, in_shape: tuple[int, ...], out_shape: tuple[int, ...], weights: tuple[int, ...], axis: int, options: dict[str, int]
) -> cases.Layer:
    return cases.Layer(code, "float32", in_shape, out_shape, weights, axis, options, 1.0, (0, 0), 1.0, False, True)


@st.composite
def usual(draw: st.DrawFn, code: str) -> cases.Layer:
    """Layers as networks have them: 1x1, 3x3, 1x3 and 5x5 kernels of stride 1 and 2 on maps up to 14 wide, many channels."""
    k_h, k_w = draw(st.sampled_from([(1, 1), (3, 3), (3, 3), (1, 3), (5, 5)]))
    stride, padding = draw(st.sampled_from([1, 1, 2])), draw(st.sampled_from(["SAME", "VALID"]))
    in_h, in_w = draw(st.integers(k_h, 14)), draw(st.integers(k_w, 14))
    out_h, out_w = (cases.same_or_valid(padding, n, k, stride, 1) for n, k in ((in_h, k_h), (in_w, k_w)))
    in_c, out_c = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    act = draw(st.sampled_from(["NONE", "RELU", "RELU", "RELU6"]))
    out_c = in_c if code.startswith("DEPTHWISE") else out_c
    return layer(code, (1, in_h, in_w, in_c), (1, out_h, out_w, out_c), (k_h, k_w), stride, act, padding)


@given(st.integers(1, 6), st.integers(1, 6), cases.seeds())
def test_winograd_weights_give_the_convolution(out_c: int, in_c: int, seed: int) -> None:
    """F(2x2, 3x3) of one 4x4 patch in float64 against the four plain sums."""
    rng = np.random.default_rng(seed)
    weights, bias = rng.standard_normal((out_c, 3, 3, in_c)), rng.standard_normal(out_c)
    patch = rng.standard_normal((4, 4, in_c))
    packed = pack_winograd(weights, bias).astype(np.float64).transpose(0, 3, 1, 2).reshape(-1, 16, 1 + in_c)[:out_c]
    b = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    a = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
    tile = np.einsum("ik,klc,jl->ijc", b, patch, b).reshape(16, in_c)
    sums = packed[:, :, 0] + np.einsum("oec,ec->oe", packed[:, :, 1:], tile)
    got = np.einsum("ik,okl,jl->oij", a, sums.reshape(out_c, 4, 4), a)
    want = [[(weights * patch[y : y + 3, x : x + 3]).sum((1, 2, 3)) + bias for x in (0, 1)] for y in (0, 1)]
    np.testing.assert_allclose(got, np.array(want).transpose(2, 0, 1), atol=1e-5)


def conv_mean(conv: cases.Layer) -> cases.Case:
    """The convolution, then the mean of its whole map: one step for the engine."""

    def add(b: cases.Workbench) -> None:
        n, c = conv.out_shape[0], conv.out_shape[3]
        x = b.input(conv.in_shape, "float32")
        weights = [b.constant(b.rng.standard_normal(shape).astype(np.float32) / 4) for shape in (conv.weight_shape, (c,))]
        between = b.model.tensor(conv.out_shape)
        b.model.op("CONV_2D", [x, *weights], [between], **conv.options)
        b.model.op("MEAN", [between, b.constant(np.array([1, 2], np.int32))], [b.output((n, c), "float32")], keepDims=False)

    return add


def plain(code: str, shape: tuple[int, ...], inputs: int = 1, out: tuple[int, ...] = (), **options: int) -> cases.Case:
    """An op without weights."""

    def add(b: cases.Workbench) -> None:
        operands = [b.input(shape, "float32") for _ in range(inputs)]
        b.model.op(code, operands, [b.output(out or shape, "float32")], **options)

    return add


POOL = {"padding": 0, "strideH": 2, "strideW": 2, "filterHeight": 3, "filterWidth": 3}

STRATEGIES = {
    "conv2d_mean": usual("CONV_2D").map(conv_mean),
    "conv2d": st.one_of(cases.conv2d("float32"), usual("CONV_2D")),
    "depthwise": st.one_of(cases.depthwise("float32"), usual("DEPTHWISE_CONV_2D")),
    "dense": cases.dense("float32"),
    "pools": st.one_of(cases.pool("float32", "AVERAGE_POOL_2D"), cases.pool("float32", "MAX_POOL_2D"), cases.mean("float32")),
    "elementwise": st.one_of(
        weightless.binary("ADD", "float32"),
        weightless.function("TANH", "float32"),
        weightless.function("LOGISTIC", "float32"),
        cases.softmax("float32", "float32"),
    ),
}


@pytest.mark.parametrize(("name", "optimise"), [*((n, "speed") for n in STRATEGIES), ("conv2d", "size"), ("conv2d_mean", "size")])
@ROUNDS
@given(data=st.data())
def test_kernel_equals_tflm(name: str, optimise: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(STRATEGIES[name], min_size=1, max_size=25))
    cases.check(drawn, data.draw(cases.seeds()), ENGINE, optimise, sanitize=True)


@given(st.integers(1, 9), st.integers(1, 9), cases.seeds())
def test_packed_weights_hold_every_weight_once(out_c: int, in_c: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, bias = rng.uniform(1, 2, (out_c, 2, 1, in_c)).astype(np.float32), rng.uniform(1, 2, out_c).astype(np.float32)
    packed = pack_tiles(weights, bias)
    assert packed.shape == (-(-out_c // 4), 1 + 2 * in_c, 4)
    assert np.array_equal(np.sort(packed[packed != 0]), np.sort(np.concatenate([weights.ravel(), bias])))
    assert np.array_equal(packed[:, 0].ravel()[:out_c], bias)


ARM_LAYERS = [
    layer("CONV_2D", (1, 8, 8, 16), (1, 8, 8, 16), (3, 3), 1, "RELU"),
    layer("CONV_2D", (1, 7, 9, 11), (1, 4, 5, 6), (3, 3), 2, "NONE"),
    layer("CONV_2D", (1, 9, 8, 3), (1, 5, 4, 8), (3, 3), 2, "RELU6"),
    layer("CONV_2D", (1, 12, 5, 1), (1, 6, 3, 5), (10, 4), 2, "RELU"),
    layer("CONV_2D", (2, 3, 3, 13), (2, 3, 3, 10), (1, 1), 1, "RELU"),
    layer("CONV_2D", (1, 1, 3, 4), (1, 1, 3, 4), (1, 3), 1, "NONE"),
    layer("CONV_2D", (1, 1, 11, 7), (1, 1, 11, 6), (1, 3), 1, "RELU"),
    layer("CONV_2D", (1, 10, 7, 5), (1, 10, 7, 9), (3, 3), 1, "RELU"),
    layer("CONV_2D", (1, 9, 15, 6), (1, 7, 13, 10), (3, 3), 1, "RELU", "VALID"),
    layer("CONV_2D", (2, 5, 7, 9), (2, 5, 7, 8), (3, 3), 1, "NONE"),
    layer("DEPTHWISE_CONV_2D", (1, 9, 4, 5), (1, 9, 4, 5), (3, 3), 1, "RELU"),
    layer("DEPTHWISE_CONV_2D", (1, 5, 8, 6), (1, 5, 8, 6), (3, 3), 1, "NONE"),
    layer("DEPTHWISE_CONV_2D", (1, 8, 8, 7), (1, 4, 4, 7), (3, 3), 2, "RELU"),
    layer("DEPTHWISE_CONV_2D", (2, 7, 5, 4), (2, 4, 3, 4), (3, 3), 2, "RELU6"),
    layer("DEPTHWISE_CONV_2D", (1, 2, 1, 9), (1, 2, 1, 9), (3, 3), 1, "RELU"),
    layer("DEPTHWISE_CONV_2D", (1, 6, 6, 9), (1, 6, 6, 9), (5, 5), 1, "RELU"),
    conv_mean(layer("CONV_2D", (1, 1, 17, 5), (1, 1, 15, 6), (1, 3), 1, "RELU", "VALID")),
    conv_mean(layer("CONV_2D", (1, 5, 9, 3), (1, 5, 9, 4), (3, 3), 1, "NONE")),
    conv_mean(layer("CONV_2D", (1, 7, 6, 4), (1, 4, 3, 9), (3, 3), 2, "RELU")),
    float_layer(
        "DEPTHWISE_CONV_2D",
        (1, 5, 6, 3),
        (1, 5, 6, 21),
        (1, 3, 3, 21),
        3,
        {"padding": 0, "strideH": 1, "strideW": 1, "depthMultiplier": 7, "fusedActivationFunction": 1},
    ),
    plain("ADD", (1, 5, 3, 3), 2, fusedActivationFunction=1),
    plain("ADD", (1, 4, 3, 3), 2, fusedActivationFunction=3),
    plain("AVERAGE_POOL_2D", (1, 5, 7, 11), 1, (1, 3, 4, 11), **POOL),
    plain("MAX_POOL_2D", (1, 5, 7, 11), 1, (1, 3, 4, 11), **POOL),
    plain("TANH", (1, 50)),
    plain("LOGISTIC", (1, 50)),
    plain("SOFTMAX", (3, 7), beta=1),
    *(
        float_layer("FULLY_CONNECTED", (rows, n), (rows, m), (m, n), 0, {"fusedActivationFunction": act})
        for rows, n, m, act in ((1, 33, 10, 0), (1, 8, 4, 1), (5, 6, 3, 1), (2, 7, 5, 3))
    ),
]


@pytest.mark.parametrize("optimise", ["speed", pytest.param("size", marks=pytest.mark.slow)])
def test_arm_code_equals_tflm(optimise: str, tmp_path: Path) -> None:
    """The inline assembly, which the host never runs."""
    bench = cases.Workbench(np.random.default_rng(5))
    for add in ARM_LAYERS:
        add(bench)
    data, board = bench.finish(), BOARDS["virtual"]
    model = compile_model(data, flash_bytes=board.flash_bytes, ram_bytes=board.ram_bytes, engine=ENGINE, optimise=optimise)
    used = ["conv", "wide", "dense", "depthwise", "depthwise_taps", "pool", "add", "exp"]
    assert {f"m4/f32_{name}.c" for name in used} <= set(model.kernels)
    assert ("m4/f32_winograd.c" in model.kernels) == (optimise == "speed")
    image = build_image(model, board, tmp_path)
    with Rig(BoardTarget(board, None), Config(), clock="off") as rig:
        session, _ = rig.prepare(image)
        outputs = session.run([x.tobytes() for x in bench.values]).outputs
    cases.compare(split_outputs(outputs, image.outputs), TflmOracle(data).run(bench.values), model.ops)


@pytest.mark.parametrize("tight", ["flash", "ram"])
def test_winograd_gives_way_where_the_board_has_no_room_for_it(tight: str) -> None:
    bench = cases.Workbench(np.random.default_rng(7))
    layer("CONV_2D", (1, 8, 8, 64), (1, 8, 8, 64), (3, 3), 1, "RELU")(bench)
    data = bench.finish()
    sizes = {
        optimise: compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE, optimise=optimise)
        for optimise in ("speed", "size")
    }
    assert sizes["speed"].weight_bytes > sizes["size"].weight_bytes and sizes["speed"].arena_bytes > sizes["size"].arena_bytes
    room = {"flash_bytes": 1 << 20, "ram_bytes": 1 << 18}
    room |= {"flash_bytes": sizes["speed"].weight_bytes} if tight == "flash" else {"ram_bytes": sizes["speed"].arena_bytes}
    model = compile_model(data, **room, engine=ENGINE, optimise="speed")
    assert (model.weight_bytes, model.arena_bytes) == (sizes["size"].weight_bytes, sizes["size"].arena_bytes)
