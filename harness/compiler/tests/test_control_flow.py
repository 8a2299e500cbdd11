"""WHILE and IF against tflite-micro: compiled to C control flow, one plan of the arena."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.model.graph import read_model
from tinyrig.compiler.model.obstacle import Refused
from tinyrig.compiler.tests.cases import compare
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.core.errors import ModelError
from tinyrig.workload.host_build import HostModel, run_sanitized
from tinyrig.workload.op_diff import compare_ops
from tinyrig.workload.oracle import TflmOracle

RELU = {"fusedActivationFunction": 0}


def less_than(b: ModelBuilder, limit: int, shapes: list[tuple[int, ...]]) -> tuple[ModelBuilder, list[int], list[int]]:
    """The condition: the first input, a counter, is below `limit`; the others are floats."""
    c = b.inner()
    given = [c.tensor((), "int32"), *(c.tensor(s) for s in shapes)]
    y = c.tensor((), "bool")
    c.op("LESS", [given[0], c.tensor((), "int32", data=limit)], [y])
    return c, given, [y]


def one_more(body: ModelBuilder, counter: int) -> int:
    y = body.tensor((), "int32")
    body.op("ADD", [counter, body.tensor((), "int32", data=1)], [y], **RELU)
    return y


def fibonacci() -> bytes:
    """Two carried values that change places; a third stays as it is."""
    b = ModelBuilder()
    x, z = b.tensor((1, 4)), b.tensor((1, 4))
    start = b.tensor((), "int32", data=0)
    outs = [b.tensor((), "int32"), *(b.tensor((1, 4)) for _ in range(3))]
    y = b.tensor((1, 4))
    b.op("WHILE", [start, x, z, x], outs, condSubgraphIndex=1, bodySubgraphIndex=2)
    b.op("SUB", [outs[1], outs[3]], [y], **RELU)
    body = b.inner()
    given = [body.tensor((), "int32"), *(body.tensor((1, 4)) for _ in range(3))]
    total, more = body.tensor((1, 4)), one_more(body, given[0])
    body.op("ADD", [given[1], given[2]], [total], **RELU)
    inner = [less_than(b, 5, [(1, 4)] * 3), (body, given, [more, given[2], total, given[3]])]
    return b.finish([x, z], [y, outs[2]], inner=inner)


def dense_loop() -> bytes:
    """A layer run again and again on its own result, with scratch tensors inside the loop and others around it."""
    rng, b = np.random.default_rng(0), ModelBuilder()
    x, before = b.tensor((1, 8)), b.tensor((1, 8))
    b.op("TANH", [x], [before])
    outs = [b.tensor((), "int32"), b.tensor((1, 8))]
    b.op("WHILE", [b.tensor((), "int32", data=0), before], outs, condSubgraphIndex=1, bodySubgraphIndex=2)
    y = b.tensor((1, 8))
    b.op("ADD", [outs[1], before], [y], **RELU)
    body = b.inner()
    given = [body.tensor((), "int32"), body.tensor((1, 8))]
    wide, mixed, end = body.tensor((1, 32)), body.tensor((1, 32)), body.tensor((1, 8))
    body.op("FULLY_CONNECTED", [given[1], body.tensor((32, 8), data=rng.standard_normal((32, 8)) / 3), -1], [wide])
    body.op("LOGISTIC", [wide], [mixed])
    body.op("FULLY_CONNECTED", [mixed, body.tensor((8, 32), data=rng.standard_normal((8, 32)) / 6), -1], [end])
    inner = [less_than(b, 7, [(1, 8)]), (body, given, [one_more(body, given[0]), end])]
    return b.finish([x], [y], inner=inner)


def choice() -> bytes:
    """IF whose branches differ in what they do; one hands its input through. A WHILE lies inside the other."""
    b = ModelBuilder()
    x, limit = b.tensor((1, 4)), b.tensor((1,), data=[0.0])
    told, one, y = b.tensor((1,), "bool"), b.tensor((1,)), b.tensor((1, 4))
    axes = b.tensor((1,), "int32", data=[1])
    b.op("SUM", [x, axes], [one], keepDims=False)
    b.op("GREATER", [one, limit], [told])
    b.op("IF", [told, x], [y], thenSubgraphIndex=1, elseSubgraphIndex=2)
    yes, no = b.inner(), b.inner()
    a = yes.tensor((1, 4))
    outs = [yes.tensor((), "int32"), yes.tensor((1, 4))]
    yes.op("WHILE", [yes.tensor((), "int32", data=0), a], outs, condSubgraphIndex=3, bodySubgraphIndex=4)
    kept = no.tensor((1, 4))
    body = b.inner()
    given = [body.tensor((), "int32"), body.tensor((1, 4))]
    twice = body.tensor((1, 4))
    body.op("ADD", [given[1], given[1]], [twice], **RELU)
    inner = [
        (yes, [a], [outs[1]]),
        (no, [kept], [kept]),
        less_than(b, 3, [(1, 4)]),
        (body, given, [one_more(body, given[0]), twice]),
    ]
    return b.finish([x], [y], inner=inner)


MODELS = {"fibonacci": fibonacci(), "dense_loop": dense_loop(), "choice": choice()}


@pytest.mark.parametrize("name", MODELS)
def test_control_flow_equals_tflm(name: str) -> None:
    data = MODELS[name]
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
    host, oracle, rng = HostModel(model), TflmOracle(data), np.random.default_rng(1)
    given = [[rng.standard_normal(t.shape).astype(np.float32) for t in model.inputs] for _ in range(8)]
    for x in given:
        compare(host.invoke(x), oracle.run(x), name)
    for got, x in zip(run_sanitized(model, given), given, strict=True):
        compare(got, oracle.run(x), name)
    assert all(row.differing == 0 or row.max_abs_diff < 1e-5 for row in compare_ops(data, given))


def test_the_work_of_a_loop_counts_by_its_rounds() -> None:
    model = compile_model(MODELS["dense_loop"], flash_bytes=1 << 20, ram_bytes=1 << 18)
    assert {op.op: op.macs for op in model.ops}["WHILE"] == 7 * 2 * 8 * 32
    assert [op.index for op in model.ops] == list(range(len(model.ops)))


def test_a_loop_whose_values_differ_in_shape_is_refused() -> None:
    b = ModelBuilder()
    x, outs = b.tensor((1, 4)), [b.tensor((), "int32"), b.tensor((1, 4))]
    b.op("WHILE", [b.tensor((), "int32", data=0), x], outs, condSubgraphIndex=1, bodySubgraphIndex=2)
    body = b.inner()
    given, wide = [body.tensor((), "int32"), body.tensor((1, 4))], body.tensor((2, 4))
    body.op("CONCATENATION", [given[1], given[1]], [wide], axis=0, **RELU)
    data = b.finish([x], [outs[1]], inner=[less_than(b, 3, [(1, 4)]), (body, given, [one_more(body, given[0]), wide])])
    with pytest.raises(ModelError, match="WHILE"):
        compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)


def test_a_subgraph_that_no_op_runs_is_refused() -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 4)), b.tensor((1, 4))
    b.op("RELU", [x], [y])
    other = b.inner()
    t = other.tensor((1, 4))
    with pytest.raises(ModelError, match="one subgraph"):
        read_model(b.finish([x], [y], inner=[(other, [t], [t])]))


def test_every_obstacle_at_any_depth_is_told() -> None:
    """Two in a loop's body, one in its condition, one in each branch of a choice inside the body; each by its own layer."""
    b = ModelBuilder()
    x, outs = b.tensor((1, 4)), [b.tensor((), "int32"), b.tensor((1, 4))]
    b.op("WHILE", [b.tensor((), "int32", data=0), x], outs, condSubgraphIndex=1, bodySubgraphIndex=2)
    cond = less_than(b, 3, [(1, 4)])
    cond[0].op("UNIQUE", [cond[1][1]], [cond[0].tensor((1, 4), name="net/outer/Unique")])
    body = b.inner()
    given, flag = [body.tensor((), "int32"), body.tensor((1, 4))], body.tensor((), "bool")
    first, second = body.tensor((1, 4), name="net/first/Unique"), body.tensor((1, 4), name="net/second/Random")
    body.op("UNIQUE", [given[1]], [first])
    body.op("RANDOM_UNIFORM", [first], [second])
    body.op("LESS", [given[0], body.tensor((), "int32", data=1)], [flag])
    chosen = body.tensor((1, 4))
    body.op("IF", [flag, second], [chosen], thenSubgraphIndex=3, elseSubgraphIndex=4)
    inner = [cond, (body, given, [one_more(body, given[0]), chosen])]
    for name in ("yes", "no"):
        branch = b.inner()
        t, y = branch.tensor((1, 4)), branch.tensor((1, 4), name=f"net/{name}/Draw")
        branch.op("MULTINOMIAL", [t], [y])
        inner.append((branch, [t], [y]))
    with pytest.raises(Refused) as refused:
        compile_model(b.finish([x], [outs[1]], inner=inner), flash_bytes=1 << 20, ram_bytes=1 << 18)
    assert [(o.op, o.name, o.index) for o in refused.value.obstacles] == [
        ("UNIQUE", "net/outer", 0),
        ("UNIQUE", "net/first", 0),
        ("RANDOM_UNIFORM", "net/second", 0),
        ("MULTINOMIAL", "net/yes", 0),
        ("MULTINOMIAL", "net/no", 0),
    ]
    assert refused.value.obstacles[3].reason.startswith("inside op 0 WHILE: inside op 3 IF (layer `net/second`): op 0 MULT")
