"""A model in a form that tflite-micro takes as it is meant, for its work as the oracle.

tflite-micro reads a free batch's shapes literally, lacks ops that compute shapes, finds no values behind the FlatBuffer,
knows one scale of stored weights only and none under float activations, and pads SPACE_TO_BATCH_ND with what lies in its
memory. None of that is arithmetic of the network: shapes, values and float32 weights are written into a copy of the file.
What it has no operator for is put in terms of others (oracle_ops.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyrig.compiler.forms.dense import as_convolution, rounded_otherwise
from tinyrig.compiler.forms.types import as_int32
from tinyrig.compiler.lower.flow.lists import ListUpdate, list_updates
from tinyrig.compiler.lower.lower import lower
from tinyrig.compiler.model import schema
from tinyrig.compiler.model.graph import Graph, Op, Tensor, read_model
from tinyrig.compiler.model.litert.dynamic import float_weights
from tinyrig.compiler.oracle_ops import Rewriter, Segmented, Stand, stand_ins
from tinyrig.core.errors import ModelError


def oracle_form(data: bytes) -> bytes:
    """`data` itself where nothing must change. Raises ModelError for a model that can't be compiled."""
    graph = read_model(data)
    lowered = lower(graph)
    tensors = lowered.tensors[: len(graph.tensors)]
    shapes = {old.index: new.shape for old, new in zip(graph.tensors, tensors, strict=True) if old.shape != new.shape}
    values = _settled(graph, tensors) | _sparse(data, graph) | float_weights(graph)
    padded = [op.index for op in graph.ops if op.code == "SPACE_TO_BATCH_ND" and _pads(tensors, op)]
    stand = stand_ins(graph, lowered)
    updates = {k: list_updates(graph.tensors, part.ops) for k, part in enumerate(graph.inner, 1)}
    types = as_int32(graph)
    if not (shapes or values or padded or stand or types or any(updates.values()) or _is_stored_otherwise(data)):
        return data
    return _rewritten(data, _Changes(shapes, values, padded, stand, updates, types))


def litert_form(data: bytes) -> bytes:
    """For LiteRT, which would round the activations of dynamic-range layers, and dense layers otherwise than microcontrollers:
    `data` with float32 weights there, and convolutions."""
    graph = read_model(data)
    ids = {op.index: graph.tensors[op.inputs[1]].data for op in graph.ops if op.code == "SEGMENT_SUM"}
    joined = {i: Segmented(int(known.max()) + 1) for i, known in ids.items() if known is not None and known.size}
    changes = _Changes(values=float_weights(graph), dense=rounded_otherwise(graph), stand={**joined})
    return _rewritten(data, changes) if changes != _Changes() else data


def _pads(tensors: Sequence[Tensor], op: Op) -> bool:
    paddings = tensors[op.inputs[2]].data
    return paddings is not None and bool(paddings.any())


def _settled(graph: Graph, tensors: Sequence[Tensor]) -> dict[int, np.ndarray]:
    """What DEQUANTIZE makes of constants, and the integers of computed shapes, whose ops tflite-micro may not even have."""
    found: dict[int, np.ndarray] = {}
    for op in (*graph.ops, *(o for part in graph.inner for o in part.ops)):
        made = [tensors[i] for i in op.outputs if i >= 0]
        whole = op.code in ("DEQUANTIZE", "DENSIFY") or all(t.dtype in ("int32", "int64") for t in made)
        if whole and not any(t.index in graph.outputs for t in made):
            values = {t.index: t.data for t in made if t.data is not None}
            found |= values if len(values) == len(made) else {}
    return found


def _sparse(data: bytes, graph: Graph) -> dict[int, np.ndarray]:
    sub = schema.root(data).Subgraphs(0)
    stored = (graph.tensors[i] for i in range(sub.TensorsLength()) if sub.Tensors(i).Sparsity() is not None)
    return {t.index: t.data for t in stored if t.data is not None}


def _is_stored_otherwise(data: bytes) -> bool:
    """Behind the FlatBuffer, or sparsely."""
    model, sub = schema.root(data), schema.root(data).Subgraphs(0)
    if any(sub.Tensors(i).Sparsity() is not None for i in range(sub.TensorsLength())):
        return True
    return any(model.Buffers(i).Offset() > 1 for i in range(model.BuffersLength()))


@dataclass(frozen=True)
class _Changes:
    """By tensor: `shapes`, `values`, those that become int32 (`types`). By op of the first subgraph: those that get a PAD in
    front, stand-ins, and `dense` layers that become convolutions. By subgraph: `updates`."""

    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    values: dict[int, np.ndarray] = field(default_factory=dict)
    padded: list[int] = field(default_factory=list)
    stand: dict[int, Stand] = field(default_factory=dict)
    updates: dict[int, list[ListUpdate]] = field(default_factory=dict)
    types: set[int] = field(default_factory=set)
    dense: list[int] = field(default_factory=list)


def _rewritten(data: bytes, changes: _Changes) -> bytes:
    import flatbuffers
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as writer  # heavy; an oracle is at hand anyway

    try:  # it reads all, also what no op needs and nobody has checked
        model: Any = writer.ModelT.InitFromObj(writer.Model.GetRootAs(data))
    except Exception as e:  # whatever struct, numpy or a missing table leads to
        raise ModelError(
            "the .tflite file can't be copied", received=f"{type(e).__name__}: {e}", remedy="convert it again"
        ) from e
    for b in model.buffers:
        if b.offset > 1:
            b.data, b.offset, b.size = np.frombuffer(data[b.offset : b.offset + b.size], np.uint8), 0, 0
    _change(writer, model, changes)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _change(writer: Any, model: Any, changes: _Changes) -> None:
    sub = model.subgraphs[0]
    for i, shape in changes.shapes.items():
        sub.tensors[i].shape, sub.tensors[i].shapeSignature = list(shape), None
    for i in changes.types:
        sub.tensors[i].type, sub.tensors[i].quantization = writer.TensorType.INT32, None
    made = _write_values(writer, model, changes.values)
    _replace_ops(writer, model, changes)
    for one, gone in zip(model.subgraphs, made, strict=True):
        one.operators = [o for o in one.operators if not set(map(int, o.outputs)) & gone]
    for k, found in changes.updates.items():
        if found:
            _update_lists(writer, model, model.subgraphs[k], found)
    _drop_codes(model)


def _drop_codes(model: Any) -> None:
    """Of operators that are no longer there: LiteRT looks for a kernel of each."""
    ops = [op for sub in model.subgraphs for op in sub.operators]
    used = sorted({op.opcodeIndex for op in ops})
    model.operatorCodes = [model.operatorCodes[i] for i in used]
    for op in ops:
        op.opcodeIndex = used.index(op.opcodeIndex)


def _replace_ops(writer: Any, model: Any, changes: _Changes) -> None:
    """From the last on: the numbers of those in front stay."""
    for i in sorted({*changes.padded, *changes.stand, *changes.dense}, reverse=True):
        if i in changes.padded:
            _pad_before(writer, model, i)
        if i in changes.stand:
            Rewriter(writer, model).replace(i + (i in changes.padded), changes.stand[i])
        if i in changes.dense:
            as_convolution(writer, model, i)


def _write_values(writer: Any, model: Any, values: dict[int, np.ndarray]) -> list[set[int]]:
    """-> by subgraph the numbers of its tensors that have got one."""
    places = [(k, i) for k, sub in enumerate(model.subgraphs) for i in range(len(sub.tensors))]  # numbered as in a Graph
    made: list[set[int]] = [set() for _ in model.subgraphs]
    for number, value in values.items():
        k, i = places[number]
        made[k].add(i)
        t = model.subgraphs[k].tensors[i]
        t.buffer, t.sparsity = _buffer(writer, model, value), None
        if value.dtype == np.float32 and t.type != writer.TensorType.FLOAT32:
            t.type, t.quantization = writer.TensorType.FLOAT32, None
    return made


def _update_lists(writer: Any, model: Any, sub: Any, updates: list[ListUpdate]) -> None:
    """See lower/flow/lists.py. The tensors of unknown size that are left over belong to no op."""
    code = writer.OperatorCodeT()
    code.builtinCode = writer.BuiltinOperator.DYNAMIC_UPDATE_SLICE
    code.deprecatedBuiltinCode, code.version = 127, 1  # beyond what the old field holds
    model.operatorCodes.append(code)
    made = {int(i): op for op in sub.operators for i in op.outputs}
    for one in updates:
        join, size = sub.operators[one.join], sub.operators[one.size]
        begin = made[int(made[int(join.inputs[2])].inputs[1])]
        size.inputs = [size.inputs[0], begin.inputs[1]]
        head = made[int(join.inputs[0])]
        join.opcodeIndex, join.builtinOptions, join.builtinOptionsType = len(model.operatorCodes) - 1, None, 0
        join.inputs = [head.inputs[0], join.inputs[1], head.inputs[2]]
    gone = {i for one in updates for i in one.gone}
    sub.operators = [op for i, op in enumerate(sub.operators) if i not in gone]


def _buffer(writer: Any, model: Any, value: np.ndarray) -> int:
    buffer = writer.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _pad_before(writer: Any, model: Any, index: int) -> None:
    """SPACE_TO_BATCH_ND `index` with an op of its own for its padding: tflite-micro's pads with what it finds in memory."""
    sub = model.subgraphs[0]
    op = sub.operators[index]
    x = sub.tensors[op.inputs[0]]
    inner = sub.tensors[op.inputs[2]]
    pads = np.frombuffer(bytes(np.asarray(model.buffers[inner.buffer].data, np.uint8)), np.int32).reshape(-1, 2)
    whole = np.zeros((len(x.shape), 2), np.int32)
    whole[1 : 1 + len(pads)] = pads
    wide = _tensor(writer, sub, x.type, [int(n + a + b) for n, (a, b) in zip(x.shape, whole, strict=True)], 0)
    sub.tensors[wide].quantization = x.quantization
    whole_at = _tensor(writer, sub, writer.TensorType.INT32, list(whole.shape), _buffer(writer, model, whole))
    none_at = _tensor(writer, sub, writer.TensorType.INT32, list(pads.shape), _buffer(writer, model, np.zeros_like(pads)))
    code, pad = writer.OperatorCodeT(), writer.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = writer.BuiltinOperator.PAD
    code.version = 2
    model.operatorCodes.append(code)
    pad.opcodeIndex, pad.inputs, pad.outputs = len(model.operatorCodes) - 1, [op.inputs[0], whole_at], [wide]
    op.inputs = [wide, op.inputs[1], none_at]
    sub.operators.insert(index, pad)


def _tensor(writer: Any, sub: Any, kind: int, shape: list[int], buffer: int) -> int:
    t = writer.TensorT()
    t.name, t.type, t.shape, t.buffer = f"oracle_{len(sub.tensors)}", kind, shape, buffer
    sub.tensors.append(t)
    return len(sub.tensors) - 1
