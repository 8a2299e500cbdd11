"""Dynamic-range ("hybrid") layers: float32 activations with weights stored as integers, what a converter's default
optimisation writes.

They are computed in float32 with the real values of the weights. LiteRT rounds the activations to int8 in every inference
besides, which costs accuracy and lets a difference in the last bit of a float move a whole step: nothing could agree with it
within 1e-5, and a microcontroller with an FPU gains nothing by it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from tinyrig.compiler.model.graph import Graph, Op, Tensor

_LSTM = (*range(1, 9),)
WEIGHTS: dict[str, tuple[int, ...]] = {
    "CONV_2D": (1,),
    "CONV_3D": (1,),
    "DEPTHWISE_CONV_2D": (1,),
    "FULLY_CONNECTED": (1,),
    "TRANSPOSE_CONV": (1,),
    "BATCH_MATMUL": (1,),
    "SVDF": (1, 2),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _LSTM,
}
"""Operator -> its inputs that may be such weights."""
_DATA = {"TRANSPOSE_CONV": 2}
"""The input that says whether the layer is of floats, where it is not the first."""


def float_weights(graph: Graph) -> dict[int, np.ndarray]:
    """The real values, float32, of the constants that layers of floats read as integers, by tensor; without those that an
    operator of another kind reads too."""
    wanted, other = set[int](), set[int]()
    for op in (*graph.ops, *(o for part in graph.inner for o in part.ops)):
        hybrid = _hybrid(graph, op)
        wanted |= hybrid
        other |= set(op.inputs) - hybrid - (set(op.inputs[1:2]) if _rows_of_floats(graph, op) else set())
    return {i: real(graph.tensors[i]) for i in sorted(wanted - other)}


def _rows_of_floats(graph: Graph, op: Op) -> bool:
    """A lookup that takes a table of int8 or float32."""
    return op.code == "EMBEDDING_LOOKUP" and bool(op.outputs) and graph.tensors[op.outputs[0]].dtype == "float32"


def _hybrid(graph: Graph, op: Op) -> set[int]:
    places, at = WEIGHTS.get(op.code, ()), _DATA.get(op.code, 0)
    if not places or at >= len(op.inputs) or op.inputs[at] < 0 or graph.tensors[op.inputs[at]].dtype != "float32":
        return set()
    return {op.inputs[i] for i in places if i < len(op.inputs) and op.inputs[i] >= 0 and _integers(graph.tensors[op.inputs[i]])}


def _integers(t: Tensor) -> bool:
    n = len(t.scales)
    fits = n == 1 or (n > 1 and 0 <= t.axis < len(t.shape) and t.shape[t.axis] == n)
    return t.data is not None and t.dtype in ("int8", "uint8") and fits


def spread(values: np.ndarray, t: Tensor) -> np.ndarray:
    """One value, or one for each index of the tensor's axis, in a shape that broadcasts with the tensor's."""
    return values.reshape([len(values) if i == t.axis and len(values) > 1 else 1 for i in range(len(t.shape))])


def real(t: Tensor) -> np.ndarray:
    assert t.data is not None
    zeros = spread(t.zero_points, t).astype(np.float32)
    return np.asarray((t.data.astype(np.float32) - zeros) * spread(t.scales, t), np.float32)


def with_float_weights(graph: Graph) -> Graph:
    """They keep their scales: `Stored.of` finds the integers again."""
    tensors = list(graph.tensors)
    for i, value in float_weights(graph).items():
        tensors[i] = dataclasses.replace(tensors[i], dtype="float32", data=value)
    return dataclasses.replace(graph, tensors=tuple(tensors))


@dataclass(frozen=True, eq=False)
class Stored:
    """Weights of a float32 layer as int8 in their shape, and a scale for each output channel, float32 [C]: a quarter of the
    flash, for kernels that convert each weight as they read it."""

    weights: np.ndarray
    scales: np.ndarray

    @staticmethod
    def of(t: Tensor, axis: int) -> Stored | None:
        """None where the float32 constant is not int8 times a scale for all or for each index of `axis`, to the bit."""
        n = len(t.scales)
        if t.data is None or t.dtype != "float32" or n == 0 or t.zero_points.any() or not (n == 1 or t.axis == axis):
            return None
        scales = np.where(t.scales > 0, t.scales, np.float32(1))
        by = spread(scales, t)
        steps = np.rint(t.data / by)
        if np.abs(steps).max(initial=0) > 127 or not np.array_equal(np.asarray(steps * by, np.float32), t.data):
            return None
        return Stored(steps.astype(np.int8), np.broadcast_to(scales, t.shape[axis]).astype(np.float32))
