"""The setting of a list's element inside a loop, as Keras 3's LSTM and GRU with return_sequences=True have it."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.lower.flow.lists import with_updates
from tinyrig.compiler.model.graph import read_model
from tinyrig.compiler.tests.cases import compare
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.test_control_flow import RELU, less_than, one_more
from tinyrig.core.errors import ModelError
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import LitertRefOracle, TflmOracle

STEPS, WIDE = 5, 3


def running_sums(step: int = 1, axis: int = 0) -> bytes:
    """y[t] = x[0] + ... + x[t]. step: how far behind the element the rest begins."""
    b = ModelBuilder()
    x, zeros = b.tensor((STEPS, WIDE)), b.tensor((STEPS, WIDE), data=np.zeros((STEPS, WIDE)))
    none = b.tensor((1, WIDE), data=np.zeros((1, WIDE)))
    outs = [b.tensor((), "int32"), b.tensor((STEPS, WIDE)), b.tensor((1, WIDE)), b.tensor((STEPS, WIDE))]
    b.op("WHILE", [b.tensor((), "int32", data=0), zeros, none, x], outs, condSubgraphIndex=1, bodySubgraphIndex=2)
    body = b.inner()
    i, rows = body.tensor((), "int32"), body.tensor((STEPS, WIDE))
    total, given = body.tensor((1, WIDE)), body.tensor((STEPS, WIDE))
    now, flat, more, after = body.tensor((WIDE,)), body.tensor((1, WIDE)), body.tensor((1, WIDE)), body.tensor((), "int32")
    body.op("GATHER", [given, i], [now], axis=0)
    body.op("RESHAPE", [now, body.tensor((2,), "int32", data=[1, WIDE])], [flat])
    body.op("ADD", [total, flat], [more], **RELU)
    body.op("ADD", [i, body.tensor((), "int32", data=step)], [after], **RELU)
    size = _places(body, i, -1)
    begin = _places(body, after, 0)
    head, tail, joined = (body.tensor(s) for s in ((1, 1), (1, WIDE), (STEPS, WIDE)))
    for open_one, signature in ((head, [-1, -1]), (tail, [-1, WIDE])):
        body.patch(f"t{open_one}", shapeSignature=signature)
    body.op("SLICE", [rows, body.tensor((2,), "int32", data=[0, 0]), size], [head])
    body.op("SLICE", [rows, begin, body.tensor((2,), "int32", data=[-1, -1])], [tail])
    body.op("CONCATENATION", [head, more, tail], [joined], axis=axis, **RELU)
    shapes = [(STEPS, WIDE), (1, WIDE), (STEPS, WIDE)]
    inner = [less_than(b, STEPS, shapes), (body, [i, rows, total, given], [one_more(body, i), joined, more, given])]
    return b.finish([x], [outs[1], outs[2]], inner=inner)


def _places(body: ModelBuilder, number: int, rest: int) -> int:
    one, both = body.tensor((1,), "int32"), body.tensor((2,), "int32")
    body.op("RESHAPE", [number, body.tensor((1,), "int32", data=[1])], [one])
    body.op("CONCATENATION", [one, body.tensor((1,), "int32", data=[rest])], [both], axis=0, **RELU)
    return both


def test_both_oracles_and_the_engine_set_the_elements() -> None:
    data = running_sums()
    host = HostModel(compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18))
    x = np.random.default_rng(0).standard_normal((STEPS, WIDE)).astype(np.float32)
    found = host.invoke([x])
    np.testing.assert_allclose(found[0], np.cumsum(x, axis=0), rtol=1e-5)
    with TflmOracle(data) as tflm, LitertRefOracle(data) as litert:
        compare(found, tflm.run([x]), "tflm")
        compare(found, litert.run([x]), "litert")


def test_the_update_takes_the_place_of_six_ops() -> None:
    graph = read_model(running_sums())
    before, after = (g.inner[1].ops for g in (graph, with_updates(graph)))
    assert len(before) - len(after) == 4
    assert [op.code for op in after if op.code in ("SLICE", "DYNAMIC_UPDATE_SLICE")] == ["DYNAMIC_UPDATE_SLICE"]


@pytest.mark.parametrize("other", [running_sums(step=2), running_sums(axis=1)], ids=["a row is left out", "columns"])
def test_what_sets_no_element_is_left_as_it_is(other: bytes) -> None:
    graph = read_model(other)
    assert with_updates(graph) == graph
    with pytest.raises(ModelError):
        compile_model(other, flash_bytes=1 << 20, ram_bytes=1 << 18)
