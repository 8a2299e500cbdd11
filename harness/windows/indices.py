"""Which inputs of a model are indices, and of how many rows: random numbers of their whole type would point nowhere."""

from __future__ import annotations

from tinyrig.compiler.model.graph import Graph, Op, read_model

_WHOLE = ("int32", "int64")
_TABLE = {"GATHER": (0, 1), "EMBEDDING_LOOKUP": (1, 0), "GATHER_ND": (0, 1)}
"""Operator -> (number of its table, of its indices)."""


def index_rows(data: bytes) -> tuple[int, ...]:
    """For each input the rows of the smallest table that it picks from, 0 where it is no index. Keras' Embedding adds the
    table's size to negative ones: whole numbers that follow from an input are taken for it. Raises ModelError."""
    graph = read_model(data)
    return tuple(_rows(graph, i) if graph.tensors[i].dtype in _WHOLE else 0 for i in graph.inputs)


def _rows(graph: Graph, tensor: int) -> int:
    known, found = {tensor}, list[int]()
    for op in graph.ops:
        if not known & set(op.inputs):
            continue
        if op.code in _TABLE and len(op.inputs) > 1 and op.inputs[_TABLE[op.code][1]] in known:
            found.append(_height(graph, op))
        known |= {i for i in op.outputs if i >= 0 and graph.tensors[i].dtype in _WHOLE and op.code not in _TABLE}
    return min((n for n in found if n > 0), default=0)


def _height(graph: Graph, op: Op) -> int:
    shape = graph.tensors[op.inputs[_TABLE[op.code][0]]].shape
    axis = op.options.number("axis") if op.code == "GATHER" else 0
    if op.code == "GATHER_ND":
        depth = graph.tensors[op.inputs[1]].shape[-1:]
        return min(shape[: depth[0]] if depth else shape, default=0)
    return shape[axis] if -len(shape) <= axis < len(shape) else 0
