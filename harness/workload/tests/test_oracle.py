"""The oracles agree with each other, keep the terminal clean, and refuse what their libraries refuse."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrig.compiler.tests.cases import random_values
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.errors import ModelError, UserError
from tinyrig.workload.op_diff import compare_ops, table
from tinyrig.workload.oracle import ORACLES


def windows(dtype: str, n: int = 3) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(5)
    return [[random_values(rng, (1, 8, 6, 3), dtype)] for _ in range(n)]


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_both_oracles_agree(dtype: str) -> None:
    data = finish_net(conv_net(dtype=dtype))
    for inputs in windows(dtype):
        tflm, litert = (ORACLES[name](data).run(inputs)[0] for name in ("tflm", "litert-ref"))
        assert tflm.dtype == litert.dtype and tflm.shape == litert.shape
        np.testing.assert_allclose(tflm.astype(float), litert.astype(float), atol=0 if dtype == "int8" else 1e-6)


@pytest.mark.parametrize("name", ORACLES)
def test_runs_do_not_depend_on_earlier_ones_and_tensors_end_in_the_output(name: str) -> None:
    b = conv_net()
    data, last = finish_net(b), b.index("out")
    first, second = windows("int8", 2)
    oracle = ORACLES[name](data)
    before = oracle.run(first)[0]
    assert not np.array_equal(before, oracle.run(second)[0])
    np.testing.assert_array_equal(before, oracle.run(first)[0])
    tensors = oracle.tensors(first)
    np.testing.assert_array_equal(tensors[last].ravel(), before.ravel())
    assert tensors[b.index("net/conv/Relu")].size == 8 * 6 * 5


@pytest.mark.parametrize("name", ["tflm", "litert-ref"])
def test_a_model_the_library_refuses_is_a_model_error_and_the_terminal_stays_clean(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 4)), b.tensor((1, 3))
    b.op("FULLY_CONNECTED", [x, b.tensor((3, 4), data=np.zeros((3, 4)), dtype="int32")], [y])
    with pytest.raises(ModelError, match="can't run the model"):
        ORACLES[name](b.finish([x], [y])).run([np.zeros((1, 4), np.float32)])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("engine", ["portable", "tinyrig"])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_per_op_comparison_finds_no_difference(engine: str, dtype: str) -> None:
    rows = compare_ops(finish_net(conv_net(dtype=dtype)), windows(dtype), engine=engine)
    assert [r.op for r in rows][:2] == ["CONV_2D", "DEPTHWISE_CONV_2D"] and rows[-1].op == "SOFTMAX"
    assert all(r.compared > 0 for r in rows)
    assert max(r.max_abs_diff for r in rows) <= (0 if dtype == "int8" else 1e-5)


def test_per_op_comparison_names_the_op_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle is given another model's weights: everything from the first convolution on differs."""
    other = finish_net(conv_net(seed=1))
    monkeypatch.setitem(ORACLES, "other", lambda _: ORACLES["tflm"](other))
    rows = compare_ops(finish_net(conv_net(seed=0)), windows("int8"), oracle="other")
    assert rows[0].op == "CONV_2D" and rows[0].differing > 0


def test_nan_on_both_sides_is_not_equal() -> None:
    """The root of a negative number: neither side has a value, so nothing is verified."""
    b = ModelBuilder()
    x, y = b.tensor((1, 4)), b.tensor((1, 4))
    b.op("SQRT", [x], [y])
    (row,) = compare_ops(b.finish([x], [y]), [[np.array([[4.0, -1.0, 9.0, -1.0]], np.float32)]])
    assert (row.no_numbers, row.differing, row.compared) == (2, 0, 4) and row.wrong(1.0) and not row.off(0.0)
    assert "2 are NaN on both sides: not verified" in table([row], 1.0)


def test_unknown_oracle() -> None:
    with pytest.raises(UserError, match="litert-ref"):
        compare_ops(b"", [], oracle="none")


@pytest.mark.parametrize("name", ["tflm", "litert-ref"])
def test_a_model_that_aborts_the_library_is_a_model_error(name: str) -> None:
    """A softmax input scale that small trips an assertion in both libraries, which ends the process."""
    b = ModelBuilder()
    x, y = b.tensor((1, 4), "int8", 1e-9), b.tensor((1, 4), "int8", 1 / 256, -128)
    b.op("SOFTMAX", [x], [y], beta=1.0)
    with pytest.raises(ModelError, match="ended with SIG"):
        ORACLES[name](b.finish([x], [y])).run([np.zeros((1, 4), np.int8)])
