"""Random indices point into their tables."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.cases import compare
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.windows.indices import index_rows
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import TflmOracle
from tinyrig.workload.windows import random_windows


def embedding(select: str) -> bytes:
    """As Keras writes it: negative indices count from the end."""
    b = ModelBuilder()
    types = ("int32", "bool", "int32", "int32")
    x, less, more, index = (b.tensor((1, 6), dtype) for dtype in types)
    y = b.tensor((1, 6, 4))
    table = b.tensor((20, 4), data=np.random.default_rng(0).standard_normal((20, 4)))
    b.op("LESS", [x, b.tensor((), "int32", data=0)], [less])
    b.op("ADD", [x, b.tensor((), "int32", data=20)], [more], fusedActivationFunction=0)
    b.op(select, [less, more, x], [index])
    b.op("GATHER", [table, index], [y], axis=0)
    return b.finish([x], [y])


def test_an_embedding_runs_beside_tflm_on_random_windows() -> None:
    for select in ("SELECT", "SELECT_V2"):
        data = embedding(select)
        assert index_rows(data) == (20,)
        model, oracle = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18), TflmOracle(data)
        host = HostModel(model)
        for window in random_windows(model.inputs, 5, 0, index_rows(data)).inputs:
            assert window[0].min() >= 0 and window[0].max() < 20
            compare(host.invoke(list(window)), oracle.run(list(window)))
        given = [np.array([[-20, -1, 0, 19, -7, 5]], np.int32)]
        compare(host.invoke(given), oracle.run(given))


def test_numbers_that_pick_nothing_are_no_indices() -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 6), "int32"), b.tensor((1, 6))
    b.op("CAST", [x], [y])
    assert index_rows(b.finish([x], [y])) == (0,)
