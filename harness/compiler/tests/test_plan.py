"""The arena planner: nothing that lives at once overlaps, and the size is optimal or close to what no plan can beat."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model, plan_unit
from tinyrig.compiler.model.step import CompileOptions, Piece
from tinyrig.compiler.plan import Buffer, Placement, first_fit, lower_bound, plan
from tinyrig.compiler.stream.tests.chains import Chain
from tinyrig.compiler.tests.cases import compare, random_values
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import TflmOracle


@st.composite
def buffers(draw: st.DrawFn, most: int, times: int) -> list[Buffer]:
    rows = draw(st.lists(st.tuples(st.integers(1, 500), st.integers(0, times - 1), st.integers(0, 8)), min_size=1, max_size=most))
    return [Buffer(i, size, first, first + length) for i, (size, first, length) in enumerate(rows)]


def assert_sound(found: Placement, wanted: list[Buffer], align: int) -> None:
    """Aligned, inside the arena, and no two buffers that live at once share a byte."""
    for b in wanted:
        assert found.offsets[b.key] % align == 0 and 0 <= found.offsets[b.key] <= found.size - b.size
    for a, b in itertools.combinations(wanted, 2):
        if a.meets(b):
            x, y = found.offsets[a.key], found.offsets[b.key]
            assert x + a.size <= y or y + b.size <= x, (a, b)


@settings(max_examples=200, deadline=None)
@given(buffers(most=25, times=20), st.sampled_from([4, 16]))
def test_plans_are_sound_and_above_the_lower_bound(wanted: list[Buffer], align: int) -> None:
    found = plan(wanted, align)
    assert_sound(found, wanted, align)
    assert found.size >= found.lower_bound >= max(b.size for b in wanted)


@st.composite
def parted(draw: st.DrawFn) -> list[Buffer]:
    """Some buffers of pieces that are alive in ticks of their own."""

    def pieces(b: Buffer) -> tuple[Piece, ...]:
        cut = draw(st.integers(0, b.size))
        lives = [draw(st.integers(1, 2 ** (b.last - b.first + 1) - 1)) << (b.first + 1) for _ in range(2)]
        parts = ((0, cut), (cut, b.size - cut))
        return tuple(Piece(at, n, live) for (at, n), live in zip(parts, lives, strict=True) if n)

    return [replace(b, pieces=pieces(b)) if draw(st.booleans()) else b for b in draw(buffers(most=10, times=8))]


@settings(max_examples=200, deadline=None)
@given(parted())
def test_pieces_share_bytes_only_at_different_times(wanted: list[Buffer]) -> None:
    found = plan(wanted, search=False)
    assert found.size >= found.lower_bound
    for a, b in itertools.combinations(wanted, 2):
        for p, q in itertools.product(a.parts, b.parts):
            x, y = found.offsets[a.key] + p.offset, found.offsets[b.key] + q.offset
            assert not p.live & q.live or x + p.size <= y or y + q.size <= x, (a, b)


@settings(max_examples=40, deadline=None)
@given(buffers(most=6, times=6))
def test_small_plans_are_optimal(wanted: list[Buffer]) -> None:
    """First fit in the order of an optimal plan's offsets gives that plan or a smaller one, so all orders hold the optimum."""
    size = {b.key: b.size for b in wanted}
    best = min(max(o + size[k] for k, o in first_fit(list(order)).items()) for order in itertools.permutations(wanted))
    assert plan(wanted, align=1).size == best


def test_large_plans_stay_near_the_lower_bound() -> None:
    """Random lifetimes are harder than any network: at most 5 % above the bound, 1 % on average."""
    rng = np.random.default_rng(0)
    ratios = []
    for n in (10, 20, 30, 40):
        starts, sizes, lengths = rng.integers(0, n, n), rng.integers(1, 5000, n), rng.choice([0, 1, 1, 2, 3, 8], n)
        rows = enumerate(zip(sizes, starts, lengths, strict=True))
        found = plan([Buffer(i, int(s), int(a), int(a + d)) for i, (s, a, d) in rows])
        ratios.append(found.size / found.lower_bound)
    assert max(ratios) <= 1.05 and np.mean(ratios) <= 1.01


def test_lower_bound_counts_what_lives_at_once() -> None:
    assert lower_bound([Buffer("a", 10, 0, 1), Buffer("b", 20, 1, 2), Buffer("c", 15, 2, 3)]) == 35


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("engine", ["portable", "tinyrig"])
def test_network_arena_is_optimal(dtype: str, engine: str) -> None:
    memory = plan_unit(finish_net(conv_net(dtype=dtype)), engine, CompileOptions()).memory
    assert memory.arena_bytes == memory.lower_bound


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_the_arena_can_be_drawn(dtype: str) -> None:
    """Buffers fill the arena to its top, none that are in use at once share a byte, and input and output are among them."""
    model = compile_model(finish_net(conv_net(dtype=dtype)), flash_bytes=1 << 20, ram_bytes=1 << 20)
    assert max(b.offset + b.size for b in model.arena) <= model.arena_bytes < max(b.offset + b.size for b in model.arena) + 16
    for a, b in itertools.combinations(model.arena, 2):
        apart = a.offset + a.size <= b.offset or b.offset + b.size <= a.offset
        assert apart or a.last < b.first or b.last < a.first, (a, b)
    assert model.arena[0].first == -1 and model.arena[0].name == model.inputs[0].name
    assert max(b.last for b in model.arena) == len(model.ops)


def test_what_a_smaller_map_in_place_leaves_is_free() -> None:
    """The depthwise layer of stride 2 overwrites a quarter of its input; three quarters are free for what comes then."""
    chain = Chain((1, 16, 16, 8), 0)
    chain.conv(24, (1, 1))
    chain.conv(0, (3, 3), (2, 2))
    chain.conv(64, (1, 1))
    memory = plan_unit(chain.finish(), "tinyrig", CompileOptions()).memory
    assert 8192 <= memory.arena_bytes < 16 * 16 * (8 + 24) + 512  # not 6144 + 4096 more


def residual_net() -> tuple[ModelBuilder, int, list[int]]:
    """An input that is read twice, elementwise steps that could overwrite it, views of it, and two outputs, one of them
    read by a later step."""
    b = ModelBuilder()
    x, flat, r, s, back, t, u = (
        b.tensor(shape, "int8", 0.05, 3) for shape in ((1, 4, 6), (1, 24), (1, 24), (1, 24), (1, 4, 6), (1, 4, 6), (1, 4, 6))
    )
    b.op("RESHAPE", [x, b.tensor((2,), "int32", data=[1, 24])], [flat])
    b.op("HARD_SWISH", [flat], [r])
    b.op("ADD", [r, flat], [s])
    b.op("RESHAPE", [s, b.tensor((3,), "int32", data=[1, 4, 6])], [back])
    b.op("ADD", [back, x], [t])
    b.op("LEAKY_RELU", [t], [u], alpha=0.1)
    return b, x, [t, u, back]


def test_in_place_steps_never_lose_a_value_still_needed() -> None:
    b, x, outputs = residual_net()
    data = b.finish([x], outputs)
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 20, engine="portable")
    host, oracle, rng = HostModel(model), TflmOracle(data), np.random.default_rng(0)
    for _ in range(5):
        inputs = [random_values(rng, (1, 4, 6), "int8")]
        compare(host.invoke(inputs), oracle.run(inputs))
    assert model.arena_bytes <= 4 * 32  # 24 bytes a tensor: x, then three outputs and what is in flight share places
