"""A sample of every op in real firmware on the virtual board, against tflite-micro on the host."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests.on_board import BOARD, run_on_board
from tinyrig.compiler.tests.test_ops import STRATEGIES
from tinyrig.workload.oracle import TflmOracle

ONCE = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)
"""The simplest model and a drawn one: an image and a board cost about three seconds, an op nearly nothing."""

# Makes the wire's payload large enough for a hello that lists dozens of tensors.
LARGE = cases.Unary("RELU6", ((1, 4000), (1, 4000)), ("int8", "int8"), ((0.1, 0), (0.1, 0)))

HALVES = (sorted(STRATEGIES)[::2], sorted(STRATEGIES)[1::2])


@pytest.mark.parametrize("engine", [pytest.param("portable", marks=pytest.mark.slow), "tinyrig"])
@pytest.mark.parametrize("half", [0, 1])
@ONCE
@given(data=st.data())
def test_ops_on_the_board_equal_tflm(
    engine: str, half: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    drawn = [data.draw(STRATEGIES[name]) for name in HALVES[half]]
    bench = cases.Workbench(np.random.default_rng(data.draw(cases.seeds())))
    for case in [LARGE, *drawn]:
        case(bench)
    tflite = bench.finish()
    model = compile_model(tflite, flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes, engine=engine)
    folder: Path = tmp_path_factory.mktemp("image")
    cases.compare(run_on_board(model, bench.values, folder), TflmOracle(tflite).run(bench.values), model.ops)
