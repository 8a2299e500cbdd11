"""A model in a form that tflite-micro takes as it is meant, for its work as the oracle.

tflite-micro reads a free batch's shapes literally, lacks ops that compute shapes, finds no values behind the FlatBuffer,
and knows one scale of stored weights only. None of that is arithmetic of the network: shapes, values and float32 weights
are written into a copy of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyrig.compiler.lower.lower import lower
from tinyrig.compiler.model import schema
from tinyrig.compiler.model.graph import Graph, Tensor, read_model


def oracle_form(data: bytes) -> bytes:
    """`data` itself where nothing must change. Raises ModelError for a model that can't be compiled."""
    graph = read_model(data)
    tensors = lower(graph).tensors[: len(graph.tensors)]
    shapes = {old.index: new.shape for old, new in zip(graph.tensors, tensors, strict=True) if old.shape != new.shape}
    values = _settled(graph, tensors)
    if not (shapes or values or _has_values_behind(data)):
        return data
    return _rewritten(data, shapes, values)


def _settled(graph: Graph, tensors: Sequence[Tensor]) -> dict[int, np.ndarray]:
    """What DEQUANTIZE makes of constants, and the integers of computed shapes, whose ops tflite-micro may not even have."""
    found: dict[int, np.ndarray] = {}
    for op in graph.ops:
        made = [tensors[i] for i in op.outputs if i >= 0]
        whole = op.code == "DEQUANTIZE" or all(t.dtype in ("int32", "int64") for t in made)
        if whole and not any(t.index in graph.outputs for t in made):
            values = {t.index: t.data for t in made if t.data is not None}
            found |= values if len(values) == len(made) else {}
    return found


def _has_values_behind(data: bytes) -> bool:
    model = schema.root(data)
    return any(model.Buffers(i).Offset() > 1 for i in range(model.BuffersLength()))


def _rewritten(data: bytes, shapes: dict[int, tuple[int, ...]], values: dict[int, np.ndarray]) -> bytes:
    import flatbuffers
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as writer  # heavy; an oracle is at hand anyway

    model: Any = writer.ModelT.InitFromObj(writer.Model.GetRootAs(data))
    for b in model.buffers:
        if b.offset > 1:
            b.data, b.offset, b.size = np.frombuffer(data[b.offset : b.offset + b.size], np.uint8), 0, 0
    sub = model.subgraphs[0]
    for i, shape in shapes.items():
        sub.tensors[i].shape, sub.tensors[i].shapeSignature = list(shape), None
    for i, value in values.items():
        buffer = writer.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        sub.tensors[i].buffer = len(model.buffers)
        model.buffers.append(buffer)
    sub.operators = [o for o in sub.operators if not set(map(int, o.outputs)) & set(values)]
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
