"""Layers row by row give the bytes of the layers one after the other, in a smaller arena."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tinyrig.compiler import compile as compiler
from tinyrig.compiler.compile import compile_model, plan_unit
from tinyrig.compiler.kernels.choose import select_kernel
from tinyrig.compiler.lower.lower import Lowered, lower_file
from tinyrig.compiler.model.step import CompileOptions, Kernel
from tinyrig.compiler.stream import choose
from tinyrig.compiler.stream.choose import ROOMY, Chooser
from tinyrig.compiler.stream.kernel import Stream
from tinyrig.compiler.stream.schedule import schedule
from tinyrig.compiler.stream.tests.chains import Chain, chains, inverted_residuals, residuals
from tinyrig.compiler.tests.cases import compare
from tinyrig.compiler.tests.on_board import run_on_board
from tinyrig.compiler.tests.whole_nets import MobileNet
from tinyrig.workload.host_build import HostModel, run_sanitized
from tinyrig.workload.oracle import TflmOracle

FEW = settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
MANY = settings(FEW, max_examples=20)
ROOM = {"flash_bytes": 1 << 24, "ram_bytes": 1 << 24}


def as_much_as_can_be(
    lowered: Lowered, kernels: list[Kernel], engine: str, options: CompileOptions
) -> tuple[Lowered, list[Kernel]]:
    """Instead of the choice by size: the longest groups."""
    chooser = Chooser(lowered, kernels, engine, options)
    chosen, i, n = list[tuple[int, int]](), 0, len(lowered.steps)
    while i < n:
        last = next((b for b in range(n - 1, i, -1) if chooser.group((i, b))), i)
        chosen += [(i, last)] if last > i else []
        i = last + 1
    return chooser.apply(tuple(chosen))


def longest(data: bytes) -> tuple[Lowered, list[Kernel]]:
    lowered, options = lower_file(data), CompileOptions("ram")
    kernels = [select_kernel(s, "portable", options) for s in lowered.steps]
    return as_much_as_can_be(lowered, kernels, "portable", options)


def check_by_rows(data: bytes, seed: int, engine: str, sanitize: bool, optimise: str = "ram") -> None:
    model = compile_model(data, **ROOM, engine=engine, optimise=optimise)
    inputs = [np.random.default_rng(seed).integers(-128, 128, t.shape).astype(t.dtype) for t in model.inputs]
    want = TflmOracle(data).run(inputs)
    compare(HostModel(model).invoke(inputs), want, model.ops)
    if sanitize:
        compare(run_sanitized(model, [inputs])[0], want, model.ops)


@pytest.fixture
def all_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "stream", as_much_as_can_be)


@pytest.mark.parametrize("engine", ["tinyrig", "portable"])
@FEW
@given(data=chains(), seed=st.integers(0, 99))
def test_rows_equal_tflm(all_by_rows: None, engine: str, data: bytes, seed: int) -> None:
    check_by_rows(data, seed, engine, sanitize=False)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["tinyrig", "portable"])
@MANY
@given(data=chains(), seed=st.integers(0, 99))
def test_many_rows_equal_tflm(all_by_rows: None, engine: str, data: bytes, seed: int) -> None:
    check_by_rows(data, seed, engine, sanitize=True)


def test_chosen_rows_equal_tflm() -> None:
    data = inverted_residuals(24, ((1, 8, 1), (3, 8, 2), (3, 8, 1), (3, 12, 2)), first=8)
    check_by_rows(data, 0, "tinyrig", sanitize=False)
    assert plan_unit(data, "tinyrig", CompileOptions("ram")).memory.arena_bytes < 0.7 * (
        plan_unit(data, "tinyrig", CompileOptions()).memory.arena_bytes
    )


@pytest.mark.slow
def test_rows_on_the_board_equal_tflm(tmp_path) -> None:
    """The kernels' inline assembly with a height that is no constant."""
    data = inverted_residuals(32, ((1, 8, 1), (3, 8, 2), (3, 8, 1), (3, 12, 2)), first=8)
    model = compile_model(data, **ROOM, optimise="ram")
    assert any("by rows" in op.op for op in model.ops)
    inputs = [np.random.default_rng(1).integers(-128, 128, t.shape).astype(t.dtype) for t in model.inputs]
    compare(run_on_board(model, inputs, tmp_path), TflmOracle(data).run(inputs))


V1 = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1))


def test_mobilenet_needs_little_more_than_its_input() -> None:
    """27,648 bytes of input; layer by layer it is 55,424."""
    memory = plan_unit(MobileNet(96, 8, V1, 0.0).finish(), "tinyrig", CompileOptions("ram")).memory
    assert memory.arena_bytes <= 32_000


def by_rows(data: bytes, optimise: str) -> list[Stream]:
    steps = plan_unit(data, "tinyrig", CompileOptions(optimise)).lowered.steps
    return [s.params for s in steps if isinstance(s.params, Stream)]


def test_a_large_arena_goes_by_rows_in_few_layers_under_speed() -> None:
    """Expanded sixfold, the first map of a 96x96 net is 110,592 bytes; "size" leaves it whole."""
    data = inverted_residuals(96, ((1, 8, 1), (6, 16, 2), (6, 24, 2)))
    speed, size = (plan_unit(data, "tinyrig", CompileOptions(o)).memory.arena_bytes for o in ("speed", "size"))
    assert size > 129_000 and speed <= ROOMY
    (group,) = by_rows(data, "speed")
    assert len(group.group.stages) < 4
    assert not by_rows(data, "size")


def test_a_small_arena_does_not_go_by_rows_under_speed() -> None:
    data = inverted_residuals(24, ((1, 8, 1), (3, 8, 2), (3, 12, 2)), first=8)
    assert not by_rows(data, "speed")


@pytest.mark.slow
def test_few_rows_equal_tflm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "ROOMY", 4_000)
    data = inverted_residuals(24, ((1, 8, 1), (6, 8, 2), (3, 12, 2)), first=8)
    assert by_rows(data, "speed")
    check_by_rows(data, 0, "tinyrig", sanitize=False, optimise="speed")


def test_maps_of_one_size_one_after_the_other_go_together() -> None:
    """The sum needs three maps of one size, two of which need the layers before it: only all by rows make the arena smaller."""
    memory = [plan_unit(residuals(32), "tinyrig", CompileOptions(o)).memory.arena_bytes for o in ("speed", "ram")]
    assert memory[0] >= 3 * 32 * 32 * 16 and memory[1] < 20_000


@settings(max_examples=20, deadline=None)
@given(data=chains())
def test_no_row_is_computed_twice(data: bytes) -> None:
    lowered, kernels = longest(data)
    for step, kernel in zip(lowered.steps, kernels, strict=True):
        if isinstance(step.params, Stream):
            assert kernel.timing is not None
            plan = schedule(step.params.group)
            heights = [s.height for s in step.params.group.stages]
            assert all(0 <= plan.order.count(k) <= h for k, h in enumerate(heights))
            assert all(n <= h for n, h in zip(plan.rings, heights, strict=True))
            assert all(p.live >> kernel.timing.ticks == 0 for w in kernel.timing.work for p in w)


def test_rows_that_a_stride_leaves_out_are_not_kept(all_by_rows: None) -> None:
    """The third row is wanted when the second, which nobody reads, is made."""
    chain = Chain((1, 7, 5, 4), 1)
    chain.conv(4, (3, 3), padding="VALID")
    chain.conv(4, (1, 1), (2, 2))
    check_by_rows(chain.finish(), 0, "portable", sanitize=False)


def test_a_chain_of_one_row_filters_keeps_single_rows() -> None:
    chain = Chain((1, 8, 8, 4), 0)
    for _ in range(4):
        chain.conv(4, (1, 1))
    lowered, _ = longest(chain.finish())
    (step,) = lowered.steps
    assert schedule(step.params.group).rings == (1, 1, 1, 0)
