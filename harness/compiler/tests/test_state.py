"""Ops that keep state, each window from the model's reset, against tflite-micro's reference kernels."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.cases import compare, random_values
from tinyrig.compiler.tests.state_cases import MODELS
from tinyrig.workload.host_build import HostModel, run_sanitized
from tinyrig.workload.oracle import TflmOracle


def windows(model, n: int = 3) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(5)
    return [[random_values(rng, t.shape, t.dtype) for t in model.inputs] for _ in range(n)]


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_states_give_the_references_outputs_from_every_reset(name: str, batch: int) -> None:
    for seed in range(4):
        data = MODELS[name](seed, batch)
        model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
        host, oracle = HostModel(model), TflmOracle(data)
        given = windows(model)
        first = [host.invoke(x) for x in given]
        for x, got in zip(given, first, strict=True):
            compare(got, oracle.run(x), (name, seed))
        compare(host.invoke(given[0]), first[0], "again, behind others")


@pytest.mark.parametrize("name", MODELS)
def test_states_are_clean_under_sanitizers(name: str) -> None:
    data = MODELS[name](9, 2)
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
    given = windows(model, 2)
    for got, x in zip(run_sanitized(model, given), given, strict=True):
        compare(got, TflmOracle(data).run(x), name)
