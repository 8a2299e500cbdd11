"""A small .tflite writer for tests: tensors, ops, done. Uses the schema's generated object API; no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from tinyrig.compiler.model.options import OPTIONS

TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "uint8": schema.TensorType.UINT8,
    "bool": schema.TensorType.BOOL,
    "uint32": schema.TensorType.UINT32,
    "uint64": schema.TensorType.UINT64,
    "float16": schema.TensorType.FLOAT16,
    "int4": schema.TensorType.INT4,
    "resource": schema.TensorType.RESOURCE,
    "complex64": schema.TensorType.COMPLEX64,
}


class ModelBuilder:
    """Collects tensors and ops of one subgraph; `finish` gives the file's bytes."""

    def __init__(self) -> None:
        self._tensors: list[Any] = []
        self._ops: list[Any] = []
        self._codes: list[Any] = []
        self._buffers: list[Any] = [schema.BufferT()]
        self._signatures: list[Any] = []

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: str = "float32",
        scale: Any = None,
        zero: Any = 0,
        data: Any = None,
        axis: int = 0,
        name: str = "",
        signature: tuple[int, ...] | None = None,
    ) -> int:
        """-> the tensor's index. scale: a number or one for each index of `axis`; data: a constant's value."""
        t = schema.TensorT()
        t.name = name or f"t{len(self._tensors)}"
        t.shape, t.type, t.shapeSignature = list(shape), TYPES[dtype], list(signature) if signature else None
        t.buffer = 0
        if scale is not None:
            q = schema.QuantizationParametersT()
            q.scale = np.atleast_1d(np.asarray(scale, np.float32))
            q.zeroPoint = np.broadcast_to(np.asarray(zero, np.int64), q.scale.shape).copy()
            q.quantizedDimension = axis
            t.quantization = q
        self._tensors.append(t)
        if data is not None:
            self.make_constant(len(self._tensors) - 1, np.asarray(data).astype(dtype))
        return len(self._tensors) - 1

    def make_constant(self, index: int, data: np.ndarray) -> None:
        self._tensors[index].buffer = len(self._buffers)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self._buffers.append(buffer)

    def op(self, code: str, inputs: list[int], outputs: list[int], version: int = 1, custom: str = "", **options: Any) -> None:
        """`options` by the names of the schema's object API (strideH, fusedActivationFunction ...), or of the custom op."""
        o = schema.OperatorT()
        o.opcodeIndex = self._code(code, version, custom)
        o.inputs, o.outputs = list(inputs), list(outputs)
        if code in OPTIONS:
            table = OPTIONS[code][0]
            o.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            o.builtinOptions = getattr(schema, table + "T")()
            for key, value in options.items():
                assert hasattr(o.builtinOptions, key), key
                setattr(o.builtinOptions, key, value)
        elif custom and options:
            o.customOptions = np.frombuffer(flexbuffers.Dumps(options), np.uint8)
        self._ops.append(o)

    def _code(self, code: str, version: int, custom: str) -> int:
        c = schema.OperatorCodeT()
        c.builtinCode = getattr(schema.BuiltinOperator, code)
        c.deprecatedBuiltinCode = min(c.builtinCode, 127)
        c.version, c.customCode = version, custom or None
        self._codes.append(c)
        return len(self._codes) - 1

    def index(self, name: str) -> int:
        """The tensor of this name."""
        return [t.name for t in self._tensors].index(name)

    def patch(self, name: str, **fields: Any) -> None:
        """Sets schema fields of a tensor, to spoil it."""
        for key, value in fields.items():
            setattr(self._tensors[self.index(name)], key, value)

    def patch_op(self, index: int, **options: Any) -> None:
        """Sets option fields of an op, to spoil it."""
        for key, value in options.items():
            setattr(self._ops[index].builtinOptions, key, value)

    def sign(self, inputs: dict[str, int], outputs: dict[str, int]) -> None:
        """A SignatureDef: name -> tensor."""
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs, signature.outputs = _maps(inputs), _maps(outputs)
        self._signatures.append(signature)

    def inner(self) -> ModelBuilder:
        """A builder of another subgraph of the same file: give it to `finish` with its inputs and outputs."""
        other = ModelBuilder()
        other._codes, other._buffers = self._codes, self._buffers
        return other

    def subgraph(self, inputs: list[int], outputs: list[int]) -> Any:
        sub = schema.SubGraphT()
        sub.tensors, sub.operators, sub.inputs, sub.outputs = self._tensors, self._ops, list(inputs), list(outputs)
        return sub

    def finish(
        self,
        inputs: list[int],
        outputs: list[int],
        subgraphs: int = 1,
        inner: Sequence[tuple[ModelBuilder, list[int], list[int]]] = (),
    ) -> bytes:
        sub = self.subgraph(inputs, outputs)
        subs = [*[sub] * subgraphs, *(b.subgraph(i, o) for b, i, o in inner)]
        model = schema.ModelT()
        model.version, model.operatorCodes, model.buffers, model.subgraphs = 3, self._codes, self._buffers, subs
        model.signatureDefs = self._signatures or None
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _maps(names: dict[str, int]) -> list[Any]:
    found = []
    for name, index in names.items():
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        found.append(entry)
    return found
