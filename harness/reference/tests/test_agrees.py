"""The numpy reference against tflite-micro, which it shares no line with: within the tolerances that it states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tinyrig.compiler.model.graph import read_graph
from tinyrig.compiler.tests import cases, state_cases, test_control_flow
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.test_choice_ops import STRATEGIES as CHOICES
from tinyrig.compiler.tests.test_ops import LONG, ROUNDS
from tinyrig.compiler.tests.test_ops import STRATEGIES as COMMON
from tinyrig.compiler.tests.test_rare_ops import STRATEGIES as RARE
from tinyrig.core.errors import ModelError
from tinyrig.reference.interpreter import FLOW, Interpreter
from tinyrig.reference.table import OPERATORS, objection, steps
from tinyrig.workload.oracle import LitertRefOracle, TflmOracle

ALL = {**COMMON, **RARE, **{f"choice_{name}": strategy for name, strategy in CHOICES.items()}}


def held(reference: Interpreter, values: dict[int, np.ndarray], want: list[np.ndarray]) -> None:
    makers = {i: op for op in reference.graph.ops for i in op.outputs}
    for i, theirs in zip(reference.graph.outputs, want, strict=True):
        ours, op, t = reference.value(values, i), makers[i], reference.tensors[i]
        theirs = theirs.reshape(ours.shape)
        most = 1e-5 * max(1.0, float(np.abs(theirs).max(initial=0))) if t.dtype == "float32" else steps(op, t)
        np.testing.assert_allclose(ours.astype(np.float64), theirs.astype(np.float64), rtol=0, atol=most, err_msg=f"{op} {t}")


def objected(case: cases.Case) -> bool:
    alone = cases.Workbench(np.random.default_rng(0))
    case(alone)
    graph = read_graph(alone.finish())
    return any(objection(op, graph.tensors) for op in graph.ops)


def check(drawn: list[cases.Case], seed: int) -> None:
    """Without those of which the reference says that runtimes mean something else."""
    drawn = [case for case in drawn if not objected(case)]
    assume(drawn)
    bench = cases.Workbench(np.random.default_rng(seed))
    for case in drawn:
        case(bench)
    data = bench.finish()
    reference = Interpreter(data)
    held(reference, reference.run(bench.values), TflmOracle(data).run(bench.values))


@settings(ROUNDS, max_examples=4)
@given(data=st.data())
def test_operators_agree_with_tflm(data: st.DataObject) -> None:
    """One model of every kind of case."""
    for part in np.array_split(list(ALL), 4):
        check([data.draw(ALL[name]) for name in part], data.draw(cases.seeds()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_an_operator_agrees_with_tflm_in_many_models(name: str) -> None:
    @settings(LONG, max_examples=15)
    @given(drawn=st.lists(ALL[name], min_size=1, max_size=3), seed=cases.seeds())
    def run(drawn: list[cases.Case], seed: int) -> None:
        check(drawn, seed)

    run()


@pytest.mark.parametrize("name", state_cases.MODELS)
def test_states_agree_with_tflm_over_sequences(name: str) -> None:
    for seed in range(3):
        data = state_cases.MODELS[name](seed, 2)
        reference, rng = Interpreter(data), np.random.default_rng(seed)
        kinds = [reference.tensors[i] for i in reference.graph.inputs]
        with TflmOracle(data) as tflm:
            for k in range(8):
                window = [cases.random_values(rng, t.shape, t.dtype) for t in kinds]
                if k in (0, 5):
                    reference.reset()
                want = tflm.run(window) if k in (0, 5) else tflm.run_on(window)
                held(reference, reference.run(window), want)


@pytest.mark.parametrize("code", ["EXP", "LOG", "SQRT", "SIN", "COS", "GELU", "SIGN"])
def test_functions_of_floats_agree_with_litert(code: str) -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 64)), b.tensor((1, 64))
    b.op(code, [x], [y])
    data, given = b.finish([x], [y]), [np.linspace(0.1, 4, 64, dtype=np.float32).reshape(1, 64)]
    reference = Interpreter(data)
    held(reference, reference.run(given), LitertRefOracle(data).run(given))


def test_every_operator_of_the_compiler_is_there_or_named() -> None:
    from tinyrig.compiler.lower.lower import LOWER

    page = (Path(__file__).parents[3] / "docs" / "oracles.md").read_text()
    missing = {code for code in LOWER if code not in OPERATORS and code not in FLOW and not code.startswith("CUSTOM ")}
    assert not {code for code in missing if code not in page}


def test_what_it_lacks_is_named_with_the_consequence() -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 4), "int16"), b.tensor((1, 4), "int16")
    b.op("CUSTOM", [x, b.tensor((4,), "int16", data=[1, 2, 3, 4])], [y], custom="SignalWindow", shift=12)
    with pytest.raises(ModelError, match="unverified, there is no timing") as caught:
        Interpreter(b.finish([x], [y]))
    assert "SignalWindow" in caught.value.received and "--oracle none" in caught.value.remedy


@pytest.mark.parametrize("name", test_control_flow.MODELS)
def test_loops_and_branches_agree_with_tflm(name: str) -> None:
    data = test_control_flow.MODELS[name]
    reference, rng = Interpreter(data), np.random.default_rng(2)
    for _ in range(3):
        given = [cases.random_values(rng, reference.tensors[i].shape, reference.tensors[i].dtype) for i in reference.graph.inputs]
        held(reference, reference.run(given), TflmOracle(data).run(given))
