"""What streaming models bring along: a beginning behind other work, places counted in whole numbers, the last valid step."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.cases import compare
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.core.errors import ModelError
from tinyrig.workload.host_build import HostModel, run_sanitized
from tinyrig.workload.oracle import LitertRefOracle, NumpyOracle, TflmOracle

ROOM = {"flash_bytes": 1 << 20, "ram_bytes": 1 << 18}


def behind_quantize() -> bytes:
    """As the converter writes int8 streams from a saved model: QUANTIZE, CALL_ONCE, then the state."""
    b = ModelBuilder()
    x, inside, old, y = (b.tensor((1, 5), "int8", *q) for q in ((0.05, 3), (0.1, -2), (0.1, -2), (0.1, -2)))
    handle = b.tensor((), "resource")
    b.op("QUANTIZE", [x], [inside])
    b.op("CALL_ONCE", [], [], initSubgraphIndex=1)
    b.op("VAR_HANDLE", [], [handle], sharedName="ring")
    b.op("READ_VARIABLE", [handle], [old])
    b.op("ADD", [old, inside], [y], fusedActivationFunction=0)
    b.op("ASSIGN_VARIABLE", [handle, y], [])
    other = b.inner()
    start, there = other.tensor((1, 5), "int8", 0.1, -2, data=[5, 0, -9, 30, 1]), other.tensor((), "resource")
    other.op("VAR_HANDLE", [], [there], sharedName="ring")
    other.op("ASSIGN_VARIABLE", [there, start], [])
    return b.finish([x], [y], inner=[(other, [], [])])


def test_the_reset_may_stand_behind_other_work() -> None:
    data, rng = behind_quantize(), np.random.default_rng(1)
    model = compile_model(data, **ROOM)
    host, windows = HostModel(model), [[rng.integers(-128, 128, (1, 5)).astype(np.int8)] for _ in range(12)]
    with TflmOracle(data) as tflm, NumpyOracle(data) as judged:
        for i, x in enumerate(windows):
            ours, theirs, own = (
                o(x) for o in ((host.invoke, tflm.run, judged.run), (host.invoke_on, tflm.run_on, judged.run_on))[i % 7 > 0]
            )
            compare(ours, theirs, i)
            compare(own, theirs, i)
        for x, got in zip(windows, run_sanitized(model, windows), strict=True):
            compare(got, tflm.run(x))


@pytest.mark.parametrize("code", ["FLOOR_MOD", "FLOOR_DIV"])
def test_whole_numbers_are_divided_downwards(code: str) -> None:
    """Of every sign; tflite-micro has it for floats only."""
    b, rng = ModelBuilder(), np.random.default_rng(2)
    x, y = b.tensor((1, 64), "int32"), b.tensor((1, 64), "int32")
    b.op(code, [x, b.tensor((1, 64), "int32", data=rng.choice([-7, -5, -1, 1, 3, 5], (1, 64)))], [y])
    data, given = b.finish([x], [y]), [rng.integers(-40, 41, (1, 64)).astype(np.int32)]
    model, want = compile_model(data, **ROOM), LitertRefOracle(data).run(given)
    compare(HostModel(model).invoke(given), want)
    compare(run_sanitized(model, [given])[0], want)
    compare(NumpyOracle(data).run(given), want)


def last_step(batch: int) -> bytes:
    """The step of a sequence that its length names: tf.gather(h, n - 1, axis=1, batch_dims=1)."""
    b = ModelBuilder()
    x, n, y = b.tensor((batch, 6, 3)), b.tensor((batch,), "int32"), b.tensor((batch, 3))
    b.op("GATHER", [x, n], [y], axis=1, batchDims=1)
    return b.finish([x, n], [y])


def test_the_last_valid_step_is_picked() -> None:
    data, x = last_step(1), np.arange(18, dtype=np.float32).reshape(1, 6, 3)
    host = HostModel(compile_model(data, **ROOM))
    with TflmOracle(data) as tflm:
        for n in range(6):
            given = [x, np.array([n], np.int32)]
            compare(host.invoke(given), tflm.run(given), n)


def test_several_at_once_are_refused() -> None:
    with pytest.raises(ModelError, match="or a batch of 1"):
        compile_model(last_step(2), **ROOM)


def test_weights_that_are_missing_beside_a_state_have_a_remedy_that_keeps_it() -> None:
    """As a concrete function of a Keras 3 model leaves them out: said was 'convert the model again'."""
    b = ModelBuilder()
    x, w, y = b.tensor((1, 4)), b.tensor((1, 4)), b.tensor((1, 4))
    kernel, ring = b.tensor((), "resource"), b.tensor((), "resource")
    b.op("VAR_HANDLE", [], [kernel], sharedName="dense/kernel")
    b.op("VAR_HANDLE", [], [ring], sharedName="ring")
    b.op("READ_VARIABLE", [kernel], [w])
    b.op("ADD", [x, w], [y], fusedActivationFunction=0)
    b.op("ASSIGN_VARIABLE", [ring, y], [])
    with pytest.raises(ModelError, match="from_saved_model") as caught:
        compile_model(b.finish([x], [y]), **ROOM)
    assert "experimental_enable_resource_variables = True" in caught.value.remedy
