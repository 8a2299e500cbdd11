"""Portable kernels held against the numpy reference, and the oracle that comes of it."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.state_cases import MODELS
from tinyrig.compiler.tests.test_state import accumulator
from tinyrig.core.errors import ModelError
from tinyrig.workload.judge.judge import Judge
from tinyrig.workload.oracle import LitertRefOracle, NumpyOracle, TflmOracle


def small_net(seed: int = 3) -> bytes:
    """int8: convolution, dense layer, softmax."""
    rng, b = np.random.default_rng(seed), ModelBuilder()
    x, hidden = b.tensor((1, 6, 6, 2), "int8", 0.05, 3), b.tensor((1, 6, 6, 4), "int8", 0.04, -5)
    flat, scores, y = (
        b.tensor((1, 144), "int8", 0.04, -5),
        b.tensor((1, 3), "int8", 0.2, 7),
        b.tensor((1, 3), "int8", 1 / 256, -128),
    )
    w = b.tensor((4, 3, 3, 2), "int8", 0.01, data=rng.integers(-127, 128, (4, 3, 3, 2)))
    dense = b.tensor((3, 144), "int8", 0.01, data=rng.integers(-127, 128, (3, 144)))
    b.op("CONV_2D", [x, w], [hidden], padding=0, strideH=1, strideW=1)
    b.op("RESHAPE", [hidden, b.tensor((2,), "int32", data=[1, 144])], [flat])
    b.op("FULLY_CONNECTED", [flat, dense], [scores])
    b.op("SOFTMAX", [scores], [y], beta=1.0)
    return b.finish([x], [y])


def test_it_gives_what_tflm_gives_to_the_byte() -> None:
    data, rng = small_net(), np.random.default_rng(1)
    with TflmOracle(data) as tflm, NumpyOracle(data) as judged:
        for _ in range(5):
            window = [cases.random_values(rng, (1, 6, 6, 2), "int8")]
            cases.compare(judged.run(window), tflm.run(window))


@pytest.mark.parametrize("name", ["svdf_s8", "lstm_s16", "lstm_f32", "float32", "int8"])
def test_sequences_keep_their_state(name: str) -> None:
    data = MODELS[name](2, 1) if name in MODELS else accumulator(name, True)
    rng, judge = np.random.default_rng(4), Judge(data)
    kinds = [judge._reference.tensors[i] for i in judge._reference.graph.inputs]
    with TflmOracle(data) as tflm:
        for k in range(8):
            window = [cases.random_values(rng, t.shape, t.dtype) for t in kinds]
            ours, theirs = (o.run(window) if k in (0, 5) else o.run_on(window) for o in (judge, tflm))
            cases.compare(ours, theirs, k)


def test_a_wrong_kernel_is_not_taken_for_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps in one value of the dense layer: behind it the reference's value counts."""
    data = small_net()
    judge, window = Judge(data), [np.full((1, 6, 6, 2), 20, np.int8)]
    right, run = judge.tensors(window), judge._kernels.run
    scores = next(op.outputs[0] for op in judge._reference.graph.ops if op.code == "FULLY_CONNECTED")

    def off_by(steps: int):
        def wrong(inputs, reset):
            found = run(inputs, reset)
            found[scores] = found[scores] + np.array([[0, steps, 0]], np.int8)
            return found

        monkeypatch.setattr(judge._kernels, "run", wrong)
        return judge.tensors(window)[scores]

    assert np.array_equal(off_by(100), right[scores]) or abs(int(off_by(100)[0, 1]) - int(right[scores][0, 1])) <= 1
    assert int(off_by(100)[0, 1]) != int(right[scores][0, 1]) + 100


def nobodys() -> bytes:
    """litert-ref loses the scales of the sum, tflm lacks GELU of floats."""
    b = ModelBuilder()
    x, hidden = b.tensor((1, 8), "int8", 0.05), b.tensor((1, 1), "int8", 0.1)
    real, y = b.tensor((1, 1)), b.tensor((1, 1))
    b.op("SUM", [x, b.tensor((1,), "int32", data=[1])], [hidden], keepDims=True)
    b.op("DEQUANTIZE", [hidden], [real])
    b.op("GELU", [real], [y])
    return b.finish([x], [y])


@pytest.mark.parametrize("oracle", [TflmOracle, LitertRefOracle])
def test_what_neither_runtime_can_judge_is_sent_to_numpy(oracle: type) -> None:
    """Before, each of them sent it to the other, or nowhere."""
    data, window = nobodys(), [np.full((1, 8), 5, np.int8)]
    with pytest.raises(ModelError, match=r"compare with --oracle numpy, numpy float64 \(tinyrig's own reference\), or none"):
        oracle(data).run(window)
    with NumpyOracle(data) as judged:
        assert np.isfinite(judged.run(window)[0]).all()


def test_what_nobody_can_judge_is_sent_to_none() -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 4), "int16"), b.tensor((1, 4), "int16")
    b.op("CUSTOM", [x, b.tensor((4,), "int16", data=[1, 2, 3, 4])], [y], custom="SignalWindow", shift=12)
    data = b.finish([x], [y])
    with pytest.raises(ModelError, match="numpy reference can't judge") as caught:
        NumpyOracle(data).run([np.zeros((1, 4), np.int16)])
    assert "unverified" in caught.value.expected and "--oracle none" in caught.value.remedy
    with pytest.raises(ModelError) as caught:
        LitertRefOracle(data).run([np.zeros((1, 4), np.int16)])
    assert "--oracle tflm" in caught.value.remedy
