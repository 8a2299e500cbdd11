"""The fast product of two int8 activations against tflite-micro, byte for byte: in C on the host, in ARM code on a board."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests.on_board import run_on_board
from tinyrig.compiler.tests.rare_cases import Matmul
from tinyrig.workload.oracle import TflmOracle

ENGINE = "tinyrig"


def product(batch: int, rows: int, depth: int, columns: int, turned: bool, zeros: tuple[int, int]) -> Matmul:
    second = (columns, depth) if turned else (depth, columns)
    quant = (0.05, zeros[0]), (0.03, zeros[1]), (0.09 * float(np.sqrt(depth)), -9)
    return Matmul("int8", ((batch, rows, depth), (batch, *second), (batch, rows, columns)), (False, turned), quant)


SIZES = [(1, 3, 1, 1), (2, 1, 3, 5), (1, 5, 4, 4), (2, 4, 9, 6), (1, 7, 16, 11), (3, 2, 30, 8), (1, 6, 67, 3)]
"""Below, at and above whole fours of depth and columns."""
PRODUCTS = [product(*size, turned, zeros) for size in SIZES for turned in (False, True) for zeros in ((-128, 127), (5, -7))]


def test_products_equal_tflm() -> None:
    cases.check(list(PRODUCTS), 3, ENGINE)


@pytest.mark.slow
def test_products_on_a_board_and_under_sanitizers(tmp_path: Path) -> None:
    cases.check(list(PRODUCTS), 4, ENGINE, sanitize=True)
    bench = cases.Workbench(np.random.default_rng(4))
    for add in PRODUCTS:
        add(bench)
    data = bench.finish()
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18, engine=ENGINE)
    assert not model.kernels
    cases.compare(run_on_board(model, bench.values, tmp_path), TflmOracle(data).run(bench.values), model.ops)
