"""Tensors that tflite-micro's copy of a model has as int32: of types that its operators lack, where the values are the same."""

from __future__ import annotations

from tinyrig.compiler.model.graph import Graph, Op

_VIEWS = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
_READS: dict[str, tuple[int, ...]] = {"CAST": (0,), "ONE_HOT": (0,), "GATHER": (1,), "GATHER_ND": (1,)}
"""Operators that take int32 for what they have as int64 or uint8, and in which inputs."""


def as_int32(graph: Graph) -> set[int]:
    """The places that ARG_MAX and ARG_MIN give as int64, and uint8 inputs of the model, where all that reads them is a CAST or
    takes them as indices."""
    found = {i for i in graph.inputs if graph.tensors[i].dtype == "uint8"}
    best = [op.outputs[0] for op in graph.ops if op.code in ("ARG_MAX", "ARG_MIN")]
    found |= {i for i in best if graph.tensors[i].dtype == "int64"}
    for op in graph.ops:
        if op.code in _VIEWS and op.inputs[0] in found:
            found.add(op.outputs[0])
    lost = {i for op in graph.ops for n, i in enumerate(op.inputs) if i in found and not _takes(op, n)}
    for op in reversed(graph.ops):
        if op.code in _VIEWS and op.outputs[0] in lost:
            lost.add(op.inputs[0])
    return found - _joined(graph, lost)


def _takes(op: Op, n: int) -> bool:
    return n in _READS.get(op.code, ()) or (op.code in _VIEWS and n == 0)


def _joined(graph: Graph, lost: set[int]) -> set[int]:
    """With all views of them."""
    for op in graph.ops:
        if op.code in _VIEWS and op.inputs[0] in lost:
            lost = lost | {op.outputs[0]}
    return lost
