"""Ops that keep state, each window from the model's reset, against tflite-micro's reference kernels."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.cases import compare, random_values
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.state_cases import MODELS
from tinyrig.core.errors import ModelError
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


def accumulator(dtype: str, init: bool) -> bytes:
    """y = variable + x, which becomes the variable's value; read again behind the assignment. `init`: begins with a constant."""
    b = ModelBuilder()
    quant = {"float32": (), "int8": (0.1, 3)}[dtype]
    x, old, y, again, out = (b.tensor((1, 5), dtype, *quant) for _ in range(5))
    handle = b.tensor((), "resource")
    if init:
        b.op("CALL_ONCE", [], [], initSubgraphIndex=1)
    b.op("VAR_HANDLE", [], [handle], sharedName="sum")
    b.op("READ_VARIABLE", [handle], [old])
    b.op("ADD", [old, x], [y], fusedActivationFunction=0)
    b.op("ASSIGN_VARIABLE", [handle, y], [])
    b.op("READ_VARIABLE", [handle], [again])
    b.op("ADD", [again, x], [out], fusedActivationFunction=0)
    if not init:
        return b.finish([x], [y, out])
    other = b.inner()
    start = other.tensor((1, 5), dtype, *quant, data=np.arange(5)) if quant else other.tensor((1, 5), data=np.arange(5))
    inside = other.tensor((), "resource")
    other.op("VAR_HANDLE", [], [inside], sharedName="sum")
    other.op("ASSIGN_VARIABLE", [inside, start], [])
    return b.finish([x], [y, out], inner=[(other, [], [])])


@pytest.mark.parametrize("init", [False, True], ids=["from_zero", "call_once"])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_variables_begin_again_with_every_window(dtype: str, init: bool) -> None:
    data = accumulator(dtype, init)
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
    host, oracle = HostModel(model), TflmOracle(data)
    given = windows(model)
    for x in given:
        compare(host.invoke(x), oracle.run(x), (dtype, init))
    for got, x in zip(run_sanitized(model, given), given, strict=True):
        compare(got, oracle.run(x), "sanitized")


def test_a_variable_that_nothing_writes_is_refused_with_the_way_to_the_weights() -> None:
    b = ModelBuilder()
    x, y, handle, w = b.tensor((1, 4)), b.tensor((1, 4)), b.tensor((), "resource"), b.tensor((1, 4))
    b.op("VAR_HANDLE", [], [handle], sharedName="dense/kernel")
    b.op("READ_VARIABLE", [handle], [w])
    b.op("ADD", [x, w], [y], fusedActivationFunction=0)
    with pytest.raises(ModelError, match="the weights are not in the file"):
        compile_model(b.finish([x], [y]), flash_bytes=1 << 20, ram_bytes=1 << 18)
