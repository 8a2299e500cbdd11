"""The fast int8 kernels against tflite-micro, byte for byte: their C forms under sanitizers, the ARM code on a board."""

from __future__ import annotations

import ctypes
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from tinyrig.board.rig import Rig
from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.kernels import m4_fit, m4_int8, m4_int8_map, m4_pack
from tinyrig.compiler.kernels.dsp import dense
from tinyrig.compiler.model.layers import Requant
from tinyrig.compiler.model.params import Softmax
from tinyrig.compiler.model.quant import softmax_scaling
from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests import weightless_cases as weightless
from tinyrig.compiler.tests.whole_nets import MobileNet
from tinyrig.core.boards import BOARDS, BoardTarget
from tinyrig.core.config import Config
from tinyrig.measure.parity import split_outputs
from tinyrig.workload.host_build import FAST_FLAGS, NN_DIR, HostModel, _cc
from tinyrig.workload.image import build_image
from tinyrig.workload.oracle import TflmOracle

ENGINE = "tinyrig"
ROUNDS = settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
"""No shrinking: each attempt is a build, and every layer its own specialised code. A failure names the drawn layers."""
FEW = settings(ROUNDS, max_examples=2, derandomize=True, database=None)


@st.composite
def usual(draw: st.DrawFn, code: str) -> cases.Layer:
    """Layers as networks have them: 1x1, 3x3, 1x3, 5x5 and 10x4 filters, maps up to 14 wide, up to 70 channels."""
    k_h, k_w = draw(st.sampled_from([(1, 1), (1, 1), (3, 3), (3, 3), (1, 3), (5, 5), (10, 4)]))
    stride, padding = draw(st.sampled_from([1, 1, 2])), draw(st.sampled_from(["SAME", "VALID"]))
    in_h, in_w = draw(st.integers(k_h, 14)), draw(st.integers(k_w, 14))
    out_h, out_w = (cases.same_or_valid(padding, n, k, stride, 1) for n, k in ((in_h, k_h), (in_w, k_w)))
    in_c = draw(st.sampled_from([1, 3, 4, 7, 8, 16, 35, 64, 70]))
    depthwise = code.startswith("DEPTHWISE")
    out_c = in_c if depthwise else draw(st.sampled_from([1, 2, 5, 8, 16, 33]))
    options = {"padding": cases.PADDING[padding], "strideH": stride, "strideW": stride}
    options["fusedActivationFunction"] = cases.ACTIVATION[draw(cases.activations)]
    options |= {"depthMultiplier": 1} if depthwise else {}
    weights = (1, k_h, k_w, out_c) if depthwise else (out_c, k_h, k_w, in_c)
    return draw(
        cases._weighted(
            "int8",
            code=code,
            in_shape=(1, in_h, in_w, in_c),
            out_shape=(1, out_h, out_w, out_c),
            weight_shape=weights,
            axis=3 if depthwise else 0,
            options=options,
        )
    )


@st.composite
def wide_dense(draw: st.DrawFn) -> cases.Layer:
    layer = draw(cases.dense("int8"))
    in_n, out_n = draw(st.integers(1, 300)), draw(st.integers(1, 40))
    rows = layer.in_shape[0]
    return dataclasses.replace(layer, in_shape=(rows, in_n), out_shape=(rows, out_n), weight_shape=(out_n, in_n))


@dataclasses.dataclass(frozen=True)
class Averaged:
    """A convolution whose only reader is the mean over its map."""

    conv: cases.Layer
    scale: float
    zero: int

    def __call__(self, b: cases.Workbench) -> None:
        self.conv(b)
        made, (n, _, _, c) = b.outputs.pop(), self.conv.out_shape
        axes = b.constant(np.array([1, 2], np.int32))
        t = b.model._tensors[made].quantization
        b.model.op("MEAN", [made, axes], [b.output((n, c), "int8", float(t.scale[0]) * self.scale, self.zero)], keepDims=False)


@st.composite
def averaged(draw: st.DrawFn) -> Averaged:
    return Averaged(draw(usual("CONV_2D")), draw(cases.scales(0.1, 2.0)), draw(cases.zero_points("int8")))


@st.composite
def with_dead(draw: st.DrawFn, layers: st.SearchStrategy[cases.Layer]) -> cases.Layer:
    layer = draw(layers)
    return dataclasses.replace(layer, per_channel=True, bias=True, dead=draw(st.sampled_from([0.1, 0.5, 1.0])))


STRATEGIES = {
    "conv2d_mean": averaged(),
    "conv2d": st.one_of(cases.conv2d("int8"), usual("CONV_2D")),
    "depthwise": st.one_of(cases.depthwise("int8"), usual("DEPTHWISE_CONV_2D")),
    "dense": st.one_of(cases.dense("int8"), wide_dense()),
    "dead conv2d": with_dead(st.one_of(cases.conv2d("int8"), usual("CONV_2D"))),
    "dead depthwise": with_dead(st.one_of(cases.depthwise("int8"), usual("DEPTHWISE_CONV_2D"))),
    "dead dense": with_dead(st.one_of(cases.dense("int8"), wide_dense())),
    "maps": st.one_of(
        cases.pool("int8", "AVERAGE_POOL_2D"),
        cases.pool("int8", "MAX_POOL_2D"),
        cases.mean("int8"),
        weightless.binary("ADD", "int8"),
        weightless.binary("SUB", "int8"),
    ),
    "softmax": cases.softmax("int8", "int8"),
}


FORMS = [(name, "as chosen") for name in STRATEGIES] + [(name, "unrolled") for name in ("conv2d", "conv2d_mean", "dense")]
FORMS += [("dense", "in pieces"), ("conv2d", "by two")]
RARE = [("dead dense", "in pieces"), ("conv2d_mean", "by two"), ("conv2d", "by one")]
EVERY = FORMS + [pytest.param(*form, marks=pytest.mark.slow) for form in RARE]
"""Layers as small as most of these are built compact unless a test asks otherwise."""


POSITIONS = {"by one": 1, "by two": 2}


@pytest.fixture
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "unrolled":
        monkeypatch.setattr(m4_int8, "COMPACT_MACS", {"conv": 0, "dense": 0})
    if request.param in POSITIONS:
        monkeypatch.setattr(m4_int8, "positions", lambda options: POSITIONS[request.param])
    if request.param == "in pieces":
        monkeypatch.setattr(dense, "_pieces", lambda p, options: dense.Pieces(2, 2) if p.in_n > 24 else None)


@pytest.mark.parametrize(("name", "form"), EVERY, indirect=["form"])
@ROUNDS
@given(data=st.data())
def test_kernel_equals_tflm(name: str, form: None, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(STRATEGIES[name], min_size=5, max_size=5))
    cases.check(drawn, data.draw(cases.seeds()), ENGINE, sanitize=True)


@pytest.mark.parametrize(("name", "form"), EVERY, indirect=["form"])
@FEW
@given(data=st.data())
def test_arm_code_equals_tflm(tmp_path_factory: pytest.TempPathFactory, name: str, form: None, data: st.DataObject) -> None:
    """The inline assembly, which the host never runs. Four layers: more tensors would outgrow the hello of a tiny image."""
    bench = cases.Workbench(np.random.default_rng(data.draw(cases.seeds())))
    for add in data.draw(st.lists(STRATEGIES[name], min_size=4, max_size=4)):
        add(bench)
    check_on_board(bench, tmp_path_factory.mktemp("image"))


def pooled(code: str, size: int, channels: int) -> cases.Unary:
    options = {"padding": cases.PADDING["VALID"], "strideH": 1, "strideW": 1, "filterHeight": size, "filterWidth": size}
    return cases.Unary(code, ((1, size, size, channels), (1, 1, 1, channels)), ("int8", "int8"), ((0.1, 3), (0.1, 3)), options)


def test_sums_of_more_values_than_int16_holds() -> None:
    long = cases.Unary("MEAN", ((1, 700, 8), (1, 8)), ("int8", "int8"), ((0.1, -128), (0.05, 4)), {"keepDims": False}, ((1,),))
    bench = cases.Workbench(np.random.default_rng(1))
    for add in (long, pooled("AVERAGE_POOL_2D", 16, 6), pooled("AVERAGE_POOL_2D", 17, 4), pooled("MAX_POOL_2D", 17, 5)):
        add(bench)
    for extreme in (-128, 127):
        bench.values = [np.full_like(v, extreme) for v in bench.values]
        data = bench.finish()
        model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 20, engine=ENGINE)
        cases.compare(HostModel(model).invoke(bench.values), TflmOracle(data).run(bench.values), model.ops)


@pytest.mark.parametrize("channels", [3, 4, 5, 8])
def test_a_step_that_stands_alone_is_not_left_out(tmp_path: Path, channels: int) -> None:
    """GCC 12 dropped the only call of a pooling of four channels; with a second pooling beside it, it did not."""
    options = {"padding": cases.PADDING["VALID"], "strideH": 2, "strideW": 1, "filterHeight": 2, "filterWidth": 1}
    shapes = ((1, 55, 1, channels), (1, 27, 1, channels))
    bench = cases.Workbench(np.random.default_rng(channels))
    cases.Unary("MAX_POOL_2D", shapes, ("int8", "int8"), ((0.1, 3), (0.1, 3)), options)(bench)
    check_on_board(bench, tmp_path)


def check_on_board(bench: cases.Workbench, folder: Path) -> None:
    data, board = bench.finish(), BOARDS["virtual"]
    model = compile_model(data, flash_bytes=board.flash_bytes, ram_bytes=board.ram_bytes, engine=ENGINE)
    assert "m4/q8_" in model.sources["model.c"]
    image = build_image(model, board, folder)
    with Rig(BoardTarget(board, None), Config(), clock="off") as rig:
        session, _ = rig.prepare(image)
        outputs = session.run([x.tobytes() for x in bench.values]).outputs
    cases.compare(split_outputs(outputs, model.outputs), TflmOracle(data).run(bench.values), model.ops)


PROBE = """#include "m4/q8_common.h"
void requant(const int32_t *acc, int32_t n, int32_t m, int32_t e, int32_t zero, int8_t *out) {
    const q8_range r = {zero, -128, 127, e <= 0};
    for (int32_t i = 0; i < n; i++) out[i] = (int8_t)q8_requant((int32_t)(2u * (uint32_t)acc[i]), m, e, q8_half(e, &r), &r);
}
"""


@pytest.fixture(scope="module")
def requant(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("requant")
    (folder / "probe.c").write_text(PROBE)
    return ctypes.CDLL(str(_cc(folder / "probe.so", *FAST_FLAGS, "-shared", f"-I{NN_DIR}", folder / "probe.c")))


def reference(acc: np.ndarray, m: int, e: int, zero: int) -> np.ndarray:
    """gemmlowp's SaturatingRoundingDoublingHighMul, then RoundingDivideByPOT, in its own terms. acc int64 [n]."""
    product = (acc << max(0, -e)) * m
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    x = np.where(nudged < 0, -(-nudged >> 31), nudged >> 31)
    e = max(0, e)
    mask = (1 << e) - 1
    x = (x >> e) + ((x & mask) > (mask >> 1) + (x < 0))
    return np.clip(x + zero, -128, 127).astype(np.int8)


@given(
    m=st.one_of(st.sampled_from([1 << 30, (1 << 30) + 1, (1 << 31) - 1, 3 << 29]), st.integers(1 << 30, (1 << 31) - 1)),
    e=st.integers(-6, 31),
    wide=st.booleans(),
    zero=st.integers(-128, 127),
    seed=cases.seeds(),
)
def test_one_multiplication_equals_two_roundings(requant: ctypes.CDLL, m: int, e: int, wide: bool, zero: int, seed: int) -> None:
    """Accumulators around every tie that the output range has, both signs, at random, and the widest that the compiler allows."""
    q = Requant(np.array([m]), np.array([-e]), zero, -128, 127)
    tops = [t for t in range(30 if wide else 23, 0, -1) if allowed(q, (1 << t) - 1)]
    assume(tops)
    top = (1 << tops[0]) - 1
    halves = (2 * np.arange(-140, 140) + 1) * 2.0 ** (e + 30) / m
    near = (np.floor(halves)[:, None] + np.arange(-2, 4)).ravel()
    random = np.random.default_rng(seed).integers(-top, top, 500)
    acc = np.concatenate([np.clip(near, -top, top).astype(np.int64), random, np.arange(-300, 300), [-top, top]])
    out = np.zeros(acc.size, np.int8)
    values = acc.astype(np.int32)
    requant.requant(ctypes.c_void_p(values.ctypes.data), acc.size, m, e, zero, ctypes.c_void_p(out.ctypes.data))
    np.testing.assert_array_equal(out, reference(acc, m, e, zero))


def allowed(q: Requant, top: int) -> bool:
    return bool(m4_fit.requantised_exactly(q, np.array([-top]), np.array([top]))[0])


def test_extremes_are_reached_by_an_input() -> None:
    rng = np.random.default_rng(3)
    w, b = rng.integers(-128, 128, (3, 8)), rng.integers(-999, 999, 3)
    for zero in (-128, 5, 127):
        low, high = m4_fit.extremes(w, b, zero)
        best = np.where(w > 0, 127, -128) - zero
        worst = np.where(w > 0, -128, 127) - zero
        assert (high == b + (best * w).sum(1)).all() and (low == b + (worst * w).sum(1)).all()


def qualifies(weights: np.ndarray, bias: int = 0, shift: int = -8, segments: int = 1, zero: int = 0) -> bool:
    n = len(weights)
    q = Requant(np.full(n, 1 << 30, np.int32), np.full(n, shift, np.int32), zero, -128, 127)
    return m4_pack.channels(weights, np.full(n, bias, np.int32), 0, q, 4, segments) is not None


def test_layers_beyond_the_format_are_left_to_the_portable_kernels() -> None:
    ones = np.ones((1, 4), np.int8)
    assert qualifies(ones, bias=(1 << 30) - 520) and not qualifies(ones, bias=(1 << 30) - 100)
    assert not accumulates(ones, (1 << 23) - 100) and accumulates(ones, (1 << 22))
    assert qualifies(ones, shift=-31) and qualifies(ones, shift=-23, zero=-128) and not qualifies(ones, shift=-25, zero=-128)
    assert qualifies(ones, bias=1 << 20, shift=9) and not qualifies(ones, bias=1 << 20, shift=10)


def accumulates(weights: np.ndarray, bias: int) -> bool:
    """In one accumulator?"""
    return qualifies(weights, bias, segments=0)


Shape = tuple[int, ...]


def fixed(code: str, in_shape: Shape, out_shape: Shape, weights: Shape, **options: int) -> cases.Layer:
    return cases.Layer(
        code,
        "int8",
        in_shape,
        out_shape,
        weights,
        3 if code.startswith("DEPTH") else 0,
        options,
        0.05,
        (-128, 3),
        1.0,
        True,
        True,
    )


LONG = [
    fixed("FULLY_CONNECTED", (1, 3999), (1, 6), (6, 3999)),
    fixed("CONV_2D", (1, 5, 6, 160), (1, 5, 6, 3), (3, 3, 3, 160), padding=0, strideH=1, strideW=1),
    fixed("CONV_2D", (1, 2, 3, 1303), (1, 2, 3, 4), (4, 1, 1, 1303), padding=1, strideH=1, strideW=1),
    fixed("DEPTHWISE_CONV_2D", (1, 12, 9, 1), (1, 6, 5, 8), (1, 10, 8, 8), padding=0, strideH=2, strideW=2, depthMultiplier=8),
]
"""Sums that need several accumulators, and a depthwise layer that is an ordinary convolution."""


def test_long_sums_are_taken_in_parts(tmp_path: Path) -> None:
    bench = cases.Workbench(np.random.default_rng(7))
    for add in LONG:
        add(bench)
    text = compile_model(bench.finish(), flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE).sources["model.c"]
    assert text.count("1 times the bias") == 3 and "nn_depthwise_s8" not in text
    cases.check(list(LONG), 7, ENGINE, sanitize=True)
    check_on_board(bench, tmp_path)


def test_no_layer_of_a_net_with_dead_channels_is_left_to_the_portable_kernels() -> None:
    """Channels with two values among them. All outputs of the last layer, for inputs at both ends and at random."""
    data = MobileNet(24, 8, ((16, 1), (32, 2), (32, 1), (64, 2)), dead=0.4).finish()
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE)
    assert not model.kernels and "q8_rest" not in model.sources["model.c"]
    rng = np.random.default_rng(5)
    for x in (*rng.integers(-128, 128, (4, 1, 24, 24, 3)), np.full((1, 24, 24, 3), -128), np.full((1, 24, 24, 3), 127)):
        values = [x.astype(np.int8)]
        cases.compare(HostModel(model).invoke(values), TflmOracle(data).run(values), model.ops)


@dataclasses.dataclass(frozen=True)
class Lowest:
    """A layer that has a weight of -128 beside a negative one in every channel, or only in channel 1."""

    layer: cases.Layer
    everywhere: bool

    def __call__(self, b: cases.Workbench) -> None:
        self.layer(b)
        shape = self.layer.weight_shape
        w = b.rng.integers(-128, 128, shape).clip(-127)
        at = [slice(None)] * len(shape)
        at[self.layer.axis] = slice(None) if self.everywhere else slice(1, 2)
        w[tuple(at)] = -128
        b.model.make_constant(b.model._ops[-1].inputs[1], w.astype(np.int8))


UNPACKABLE = [
    Lowest(layer, everywhere)
    for everywhere in (False, True)
    for layer in (
        fixed("CONV_2D", (2, 5, 6, 9), (2, 5, 6, 4), (4, 3, 3, 9), padding=0, strideH=1, strideW=1),
        fixed("CONV_2D", (1, 4, 5, 12), (1, 4, 5, 6), (6, 1, 1, 6), padding=0, strideH=1, strideW=1),
        fixed("CONV_2D", (1, 4, 5, 70), (1, 4, 5, 3), (3, 1, 1, 70), padding=0, strideH=1, strideW=1),
        fixed("CONV_2D", (1, 5, 6, 160), (1, 5, 6, 3), (3, 3, 3, 160), padding=0, strideH=1, strideW=1),
        fixed("FULLY_CONNECTED", (3, 70), (3, 5), (5, 70)),
        fixed("FULLY_CONNECTED", (1, 3999), (1, 6), (6, 3999)),
    )
]
"""Sliding and gathered patches, groups, sums in one part and in several."""


WIDE = fixed("FULLY_CONNECTED", (1, 640), (1, 128), (128, 640))


@pytest.mark.parametrize(("optimise", "most"), [("speed", 256), ("size", 128)])
def test_a_dense_layer_that_would_need_the_largest_arena_widens_its_input_in_pieces(optimise: str, most: int) -> None:
    bench = cases.Workbench(np.random.default_rng(3))
    WIDE(bench)
    data = bench.finish()
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE, optimise=optimise)
    assert "q8_dense_pieces(" in model.sources["model.c"] and model.arena_bytes <= 640 + 128 + most
    cases.compare(HostModel(model).invoke(bench.values), TflmOracle(data).run(bench.values))


@pytest.mark.parametrize(("optimise", "positions"), [("speed", 4), ("size", 2)])
def test_a_convolution_takes_fewer_positions_at_a_time_where_four_would_need_the_largest_arena(
    optimise: str, positions: int
) -> None:
    bench = cases.Workbench(np.random.default_rng(3))
    fixed("CONV_2D", (1, 6, 6, 64), (1, 3, 3, 64), (64, 3, 3, 64), padding=0, strideH=2, strideW=2)(bench)
    data = bench.finish()
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE, optimise=optimise)
    assert f", {positions}}};" in model.sources["model.c"]
    cases.compare(HostModel(model).invoke(bench.values), TflmOracle(data).run(bench.values))


def test_it_is_widened_at_once_where_others_need_more() -> None:
    bench = cases.Workbench(np.random.default_rng(3))
    WIDE(bench)
    fixed("CONV_2D", (1, 20, 20, 8), (1, 20, 20, 8), (8, 3, 3, 8), padding=0, strideH=1, strideW=1)(bench)
    text = compile_model(bench.finish(), flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE).sources["model.c"]
    assert "q8_dense(" in text and "q8_dense_pieces(" not in text


def test_pairs_that_do_not_pack_are_mended(tmp_path: Path) -> None:
    for add in UNPACKABLE:
        alone = cases.Workbench(np.random.default_rng(11))
        add(alone)
        model = compile_model(alone.finish(), flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE)
        grouped = add.layer.weight_shape == (6, 1, 1, 6)
        assert not model.kernels and ("_mend[" in model.sources["model.c"]) != grouped
    bench = cases.Workbench(np.random.default_rng(11))
    for add in UNPACKABLE:
        add(bench)
    cases.check(list(UNPACKABLE), 11, ENGINE, sanitize=True)
    check_on_board(bench, tmp_path)


def test_pairs_out_of_reach_are_left_to_exact_loops() -> None:
    far = Lowest(fixed("CONV_2D", (1, 1, 1, 16400), (1, 1, 1, 2), (2, 1, 1, 16400), padding=1, strideH=1, strideW=1), False)
    bench = cases.Workbench(np.random.default_rng(5))
    far(bench)
    weights = np.ones((2, 1, 1, 16400), np.int8)
    weights[1, 0, 0, -2:] = -1, -128
    bench.model.make_constant(bench.model._ops[-1].inputs[1], weights)
    data = bench.finish()
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE)
    assert "q8_rest_put(" in model.sources["model.c"]
    cases.compare(HostModel(model).invoke(bench.values), TflmOracle(data).run(bench.values))


@given(data=st.data())
def test_packed_words_hold_the_weights(data: st.DataObject) -> None:
    k = 4 * data.draw(st.integers(1, 5))
    w = np.array(data.draw(st.lists(st.integers(-127, 127), min_size=k, max_size=k)), np.int64)[None]
    halves = m4_pack.pack_words(w).view(np.int16)
    low = halves.astype(np.int8).astype(np.int64)
    assert np.array_equal(low, w[:, ::2]) and np.array_equal((halves - low) // 256, w[:, 1::2])


def test_unrolling_covers_the_steps_with_little_left_over() -> None:
    assert [m4_int8.unroll(n) for n in (1, 9, 16, 27, 144)] == [1, 9, 8, 9, 9]


SMALL = fixed("CONV_2D", (1, 1, 59, 6), (1, 1, 57, 12), (12, 1, 3, 6), padding=1, strideH=1, strideW=1)
LARGE = fixed("CONV_2D", (1, 1, 59, 6), (1, 1, 57, 33), (33, 1, 3, 6), padding=1, strideH=1, strideW=1)


@pytest.mark.parametrize(
    ("layer", "optimise", "compact"),
    [
        (SMALL, "speed", 1),
        (LARGE, "speed", 0),
        (LARGE, "size", 1),
        (fixed("FULLY_CONNECTED", (1, 30), (1, 6), (6, 30)), "speed", 1),
        (fixed("FULLY_CONNECTED", (1, 30), (1, 70), (70, 30)), "speed", 0),
    ],
)
def test_small_layers_are_built_compact(layer: cases.Layer, optimise: str, compact: int) -> None:
    bench = cases.Workbench(np.random.default_rng(1))
    layer(bench)
    model = compile_model(bench.finish(), flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE, optimise=optimise)
    text = model.sources["model.c"]
    assert re.search(r"shape = \{.*, (\d)(?:, \d|, \{.*\})\};", text)[1] == str(compact)


@given(scale=st.floats(1e-4, 10.0), beta=st.sampled_from([0.5, 1.0, 3.0]))
def test_the_table_of_exponentials_ends_where_they_count_as_zero(scale: float, beta: float) -> None:
    p = Softmax(1, 4, *softmax_scaling(beta, np.float32(scale)), beta, "int8")
    exps = m4_int8_map.exponentials(p)
    assert len(exps) == min(256, 1 - p.diff_min) and exps[0] == (1 << 31) - 1 and (np.diff(exps) <= 0).all()
    assert np.allclose(exps / 2**31, np.exp(-np.arange(len(exps)) * beta * scale), atol=1e-6)
