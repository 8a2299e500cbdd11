"""Runs a graph, operator by operator, with control flow and state."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tinyrig.compiler.lower.flow.lists import with_updates
from tinyrig.compiler.lower.lower import lower
from tinyrig.compiler.model.graph import Graph, Op, Tensor, read_model
from tinyrig.compiler.model.litert.dynamic import with_float_weights
from tinyrig.core.errors import ModelError
from tinyrig.reference.call import QUANTIZED, Call
from tinyrig.reference.moves import MOVES
from tinyrig.reference.recurrent import STATES
from tinyrig.reference.table import OPERATORS, objection

Settle = Callable[[Op, int, np.ndarray], np.ndarray]
"""(operator, tensor, its value here) -> the value that the operators behind it get. Of the first subgraph alone."""
FLOW = ("WHILE", "IF", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
_EXACT = {*MOVES, *FLOW}


class Interpreter:
    """`tensors` are the file's, with the shapes that follow from the input's. Raises ModelError for a model with an operator that
    it lacks."""

    def __init__(self, data: bytes) -> None:
        graph = read_model(data)
        shapes = [t.extent for t in lower(graph).tensors[: len(graph.tensors)]]
        graph = with_float_weights(with_updates(graph))
        self.tensors = tuple(dataclasses.replace(t, extent=e) for t, e in zip(graph.tensors, shapes, strict=False))
        self.tensors += graph.tensors[len(shapes) :]
        self.graph: Graph = graph
        _check(graph, self.tensors)
        self._handles = _handles(graph)
        self._resources: dict[str, np.ndarray] = {}
        self._states: dict[int, np.ndarray] = {}
        self._settle: Settle = _as_it_is
        self.reset()

    def reset(self) -> None:
        """The beginning of a sequence."""
        self._resources = {}
        self._states = {i: _empty(self.tensors[i]) for i in self.graph.variables}
        for op in (op for op in self.graph.ops if op.code == "CALL_ONCE"):
            self._run(self.graph.inner[op.options.number("init") - 1].ops, {}, _as_it_is)

    def run(self, inputs: Sequence[np.ndarray], settle: Settle | None = None) -> dict[int, np.ndarray]:
        """One inference on the state that the one before has left -> the first subgraph's values by tensor."""
        given = zip(self.graph.inputs, inputs, strict=True)
        values = {i: np.ascontiguousarray(x, self.tensors[i].dtype).reshape(self.tensors[i].shape) for i, x in given}
        self._run(self.graph.ops, values, settle or _as_it_is)
        return values

    def value(self, values: dict[int, np.ndarray], i: int) -> np.ndarray:
        if i in values:
            return values[i]
        if i in self._states:
            return self._states[i]
        constant = self.tensors[i].data
        assert constant is not None, f"{self.tensors[i]} has no value"
        return constant.reshape(self.tensors[i].shape)

    def _run(self, ops: Sequence[Op], values: dict[int, np.ndarray], settle: Settle) -> None:
        for op in ops:
            made = self._flow(op, values) if op.code in FLOW else OPERATORS[op.code](self._call(op, values))
            states = [op.inputs[i] for i in STATES.get(op.code, ())]
            for i, value in zip((*op.outputs, *states), made, strict=True):
                value = settle(op, i, value.reshape(self.tensors[i].shape))
                (self._states if i in states else values)[i] = value

    def _call(self, op: Op, values: dict[int, np.ndarray]) -> Call:
        x = tuple(self.tensors[i] if i >= 0 else None for i in op.inputs)
        given = tuple(self.value(values, i) if i >= 0 else None for i in op.inputs)
        return Call(op, x, given, tuple(self.tensors[i] for i in op.outputs))

    def _flow(self, op: Op, values: dict[int, np.ndarray]) -> list[np.ndarray]:
        if op.code in ("CALL_ONCE", "VAR_HANDLE"):
            return [np.zeros(self.tensors[i].shape, np.int32) for i in op.outputs]
        if op.code == "WHILE":
            return self._while(op, [self.value(values, i) for i in op.inputs])
        if op.code == "IF":
            condition, *given = (self.value(values, i) for i in op.inputs)
            return self._subgraph(op, "then" if condition.ravel()[0] else "else", given)
        name = self._handles[op.inputs[0]]
        if op.code == "ASSIGN_VARIABLE":
            self._resources[name] = self.value(values, op.inputs[1])
            return []
        y = self.tensors[op.outputs[0]]
        return [self._resources.get(name, _empty(y)).reshape(y.shape)]

    def _while(self, op: Op, carried: list[np.ndarray]) -> list[np.ndarray]:
        while self._subgraph(op, "cond", carried)[0].ravel()[0]:
            carried = self._subgraph(op, "body", carried)
        return carried

    def _subgraph(self, op: Op, key: str, given: list[np.ndarray]) -> list[np.ndarray]:
        inner = self.graph.inner[op.options.number(key) - 1]
        values = dict(zip(inner.inputs, given, strict=True))
        self._run(inner.ops, values, _as_it_is)
        return [self.value(values, i) for i in inner.outputs]


def _as_it_is(op: Op, index: int, value: np.ndarray) -> np.ndarray:
    return value


def _empty(t: Tensor) -> np.ndarray:
    return np.full(t.shape, t.zero_point if t.dtype in QUANTIZED else 0, t.dtype)


def _handles(graph: Graph) -> dict[int, str]:
    ops = [*graph.ops, *(op for part in graph.inner for op in part.ops)]
    return {op.outputs[0]: f"{op.options.word('container')}/{op.options.word('name')}" for op in ops if op.code == "VAR_HANDLE"}


def _check(graph: Graph, tensors: Sequence[Tensor]) -> None:
    inner = [op for part in graph.inner for op in part.ops]
    lacking = sorted({op.code for op in (*graph.ops, *inner) if op.code not in OPERATORS and op.code not in FLOW})
    if lacking:
        raise _uncovered(f"it does not have {', '.join(lacking)}")
    if objections := [why for op in (*graph.ops, *inner) if (why := objection(op, tensors))]:
        raise _uncovered(objections[0])
    rounded = [op for op in inner if op.code not in _EXACT and any(tensors[i].dtype in QUANTIZED for i in op.outputs)]
    if rounded:
        raise _uncovered(f"{rounded[0]} rounds to integers inside a loop or branch, where roundings add up unseen")
    peepholes = [op for op in (*graph.ops, *inner) if op.code == "UNIDIRECTIONAL_SEQUENCE_LSTM" and _is_special(op)]
    if peepholes:
        raise _uncovered(f"it has no peepholes, projection, layer normalisation or coupled gates, as {peepholes[0]} does")


def _is_special(op: Op) -> bool:
    present = [i < len(op.inputs) and op.inputs[i] >= 0 for i in range(24)]
    return not present[1] or any(present[i] for i in (9, 10, 11, 16, 17, 20, 21, 22, 23))


def _uncovered(why: str) -> ModelError:
    return ModelError(
        "the numpy reference can't judge this model",
        expected="outputs to compare the board's with: unverified, there is no timing",
        received=why,
        remedy="--oracle none shows whether it runs, without a timing",
    )
