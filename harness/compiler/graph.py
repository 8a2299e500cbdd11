"""A .tflite file -> a Graph of plain frozen records. Everything the file can have wrong becomes a ModelError here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tflite

from harness.compiler.options import enum_names, read_options
from harness.errors import ModelError, RigError

DTYPES = {
    "FLOAT32": "float32", "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "UINT8": "uint8", "BOOL": "bool",
    "FLOAT16": "float16",
}
"""TFLite element type -> numpy name; a tensor of another type keeps its TFLite name and is refused where it is used."""

MAX_TENSOR_BYTES = 1 << 30
"""Larger than any microcontroller's memory: such a shape is an error of the file."""

_TYPE_NAMES = enum_names(tflite.TensorType)
_OP_NAMES = enum_names(tflite.BuiltinOperator)


@dataclass(frozen=True, eq=False)
class Tensor:
    """`dtype` is a numpy name. scales float32 [n], zero_points int64 [n]: n = 0 not quantised, 1 per tensor, else one for
    each index of dimension `axis`. `data` is a constant's value with the tensor's shape, None for an activation. `free`: the
    dimensions that the converter left open; the shape then has a 1 there, which need not be right behind the inputs."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int = 0
    data: np.ndarray | None = None
    free: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def scale(self) -> np.float32:
        """Per-tensor scale; 0 when not quantised."""
        return self.scales[0] if len(self.scales) else np.float32(0)

    @property
    def zero_point(self) -> int:
        return int(self.zero_points[0]) if len(self.zero_points) else 0

    def __str__(self) -> str:
        dims = "x".join(map(str, self.shape)) or "scalar"
        return f"tensor {self.index} {self.name!r} ({self.dtype} {dims})"


@dataclass(frozen=True)
class Op:
    """`inputs` holds tensor indices, -1 for an omitted optional one. `options` maps the schema's field names to values,
    enums as their names ("SAME", "RELU6")."""

    index: int
    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)
    version: int = 1

    def __str__(self) -> str:
        return f"op {self.index} {self.code}"


@dataclass(frozen=True)
class Graph:
    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_model(data: bytes) -> Graph:
    """Raises ModelError for a file that is truncated, corrupt or beyond what a static compiler can take."""
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise ModelError("this is no .tflite file", expected="a FlatBuffer with the identifier TFL3", received=repr(data[4:8]))
    try:
        return _read(data)
    except RigError:
        raise
    except Exception as e:  # the generated readers raise whatever struct, numpy or a missing table leads to
        raise _corrupt(f"{type(e).__name__}: {e}") from e


def _corrupt(detail: str) -> ModelError:
    return ModelError("the .tflite file is truncated or corrupt", received=detail, remedy="convert or copy the model again")


def _read(data: bytes) -> Graph:
    model = tflite.Model.GetRootAsModel(data, 0)
    _count(model.SubgraphsLength(), data)
    if model.SubgraphsLength() != 1:
        raise ModelError("the model must have exactly one subgraph", expected="1", received=str(model.SubgraphsLength()),
                         remedy="control flow (IF, WHILE, CALL) is not supported: convert without it")
    sub = model.Subgraphs(0)
    codes = [_op_name(model.OperatorCodes(i)) for i in range(_count(model.OperatorCodesLength(), data))]
    tensors = tuple(_tensor(model, sub.Tensors(i), i, data) for i in range(_count(sub.TensorsLength(), data)))
    ops = tuple(_op(sub.Operators(i), i, codes, data) for i in range(_count(sub.OperatorsLength(), data)))
    graph = Graph(tensors, ops, _ints(sub.InputsLength, sub.Inputs, data), _ints(sub.OutputsLength, sub.Outputs, data))
    _check_references(graph)
    _check_inputs(graph)
    return graph


def _count(n: int, data: bytes) -> int:
    """A vector's length, refused when the file could not hold that many elements."""
    if not 0 <= n <= len(data):
        raise _corrupt(f"a list of {n} entries in a file of {len(data)} bytes")
    return n


def _ints(length: Callable[[], int], get: Callable[[int], int], data: bytes) -> tuple[int, ...]:
    return tuple(int(get(i)) for i in range(_count(length(), data)))


def _op_name(code: Any) -> tuple[str, int, str]:
    """-> (name, version, custom code). Old files carry the number in a one-byte field, newer ones in a wider one."""
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    custom = code.CustomCode()
    return _OP_NAMES.get(number, f"#{number}"), code.Version(), (custom or b"").decode("utf-8", "replace")


def _tensor(model: Any, t: Any, index: int, data: bytes) -> Tensor:
    name = (t.Name() or b"").decode("utf-8", "replace")
    type_name = _TYPE_NAMES.get(t.Type(), f"type {t.Type()}")
    shape = _ints(t.ShapeLength, t.Shape, data)
    where = f"tensor {index} {name!r}"
    signature = _ints(t.ShapeSignatureLength, t.ShapeSignature, data)
    checked_shape(shape, where)
    if t.Sparsity() is not None:
        raise ModelError(f"{where} is stored sparsely", expected="dense tensors", remedy="convert without sparsity encoding")
    if t.IsVariable():
        raise ModelError(f"{where} is a variable (state kept between inferences)", expected="a stateless model")
    scales, zeros, axis = _quantization(t, where, data)
    dtype = DTYPES.get(type_name, type_name)
    free = tuple(i for i, d in enumerate(signature) if d < 0)
    return Tensor(index, name, shape, dtype, scales, zeros, axis, _constant(model, t, shape, dtype, where, data), free)


def _check_inputs(graph: Graph) -> None:
    """A free batch size is run with the batch the file's shape gives, as TFLM does; any other free dimension is refused."""
    for t in (graph.tensors[i] for i in graph.inputs):
        if t.free not in ((), (0,)):
            shape = [-1 if i in t.free else d for i, d in enumerate(t.shape)]
            raise ModelError(f"{t} has a dynamic shape", expected="fixed dimensions behind the batch", received=str(shape),
                             remedy="fix the input shape before converting the model")


def checked_shape(shape: tuple[int, ...], where: str) -> tuple[int, ...]:
    """The same shape. Raises ModelError when no board could hold it."""
    if any(d < 0 for d in shape) or len(shape) > 6 or int(np.prod(shape, dtype=object)) * 8 > MAX_TENSOR_BYTES:
        raise ModelError(f"{where} has an unusable shape", expected="at most 6 dimensions, none below 0",
                         received=str(list(shape)))
    return shape


def _quantization(t: Any, where: str, data: bytes) -> tuple[np.ndarray, np.ndarray, int]:
    q = t.Quantization()
    if q is None or q.ScaleLength() == 0:
        return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    if q.DetailsType() != 0:
        raise ModelError(f"{where} has custom quantisation", expected="affine quantisation (scale, zero point)")
    n = _count(q.ScaleLength(), data)
    scales = np.array([q.Scale(i) for i in range(n)], np.float32)
    zeros = np.array(_ints(q.ZeroPointLength, q.ZeroPoint, data) or [0] * n, np.int64)
    if len(zeros) == 1 and n > 1:
        zeros = np.repeat(zeros, n)
    if len(zeros) != n or not np.isfinite(scales).all() or (scales < 0).any() or (np.abs(zeros) > 1 << 31).any():
        raise ModelError(f"{where} has unusable quantisation parameters", expected="as many zero points as finite scales >= 0",
                         received=f"{n} scales from {scales[:1]}, {len(zeros)} zero points")
    return scales, zeros, q.QuantizedDimension()


def _constant(model: Any, t: Any, shape: tuple[int, ...], dtype: str, where: str, data: bytes) -> np.ndarray | None:
    if not 0 <= t.Buffer() < _count(model.BuffersLength(), data):
        raise _corrupt(f"{where} names buffer {t.Buffer()}")
    buffer = model.Buffers(t.Buffer())
    if 0 in shape and t.Buffer() != 0:
        return np.zeros(shape, dtype if dtype in DTYPES.values() else "uint8")
    if buffer.Offset() > 1 or buffer.DataLength() == 0:  # offsets point behind the FlatBuffer: files over 2 GB only
        return None
    raw = bytes(buffer.DataAsNumpy())
    if dtype not in DTYPES.values():
        return np.frombuffer(raw, np.uint8)
    want = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if len(raw) != want:
        raise _corrupt(f"{where} needs {want} bytes of data and has {len(raw)}")
    return np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)


def _op(o: Any, index: int, codes: list[tuple[str, int, str]], data: bytes) -> Op:
    if not 0 <= o.OpcodeIndex() < len(codes):
        raise _corrupt(f"op {index} names operator code {o.OpcodeIndex()}")
    name, version, custom = codes[o.OpcodeIndex()]
    if name == "CUSTOM":
        name = f"CUSTOM {custom!r}"
    inputs, outputs = _ints(o.InputsLength, o.Inputs, data), _ints(o.OutputsLength, o.Outputs, data)
    return Op(index, name, inputs, outputs, read_options(o, name), version)


def _check_references(graph: Graph) -> None:
    """Indices in range, every activation written once and before it is read, constants never written."""
    n = len(graph.tensors)
    known = {t.index for t in graph.tensors if t.data is not None} | set(graph.inputs)
    if not graph.outputs:
        raise ModelError("the model has no outputs")
    for op in graph.ops:
        for i in (*op.inputs, *op.outputs):
            if not -1 <= i < n:
                raise _corrupt(f"{op} names tensor {i} of {n}")
        missing = [i for i in op.inputs if i >= 0 and i not in known]
        if missing:
            raise ModelError(f"{op} reads {graph.tensors[missing[0]]} before anything has written it",
                             remedy="variables and control flow are not supported")
        # Converters let all unused parts of a SPLIT_V share one empty tensor.
        written = [i for i in op.outputs if i < 0 or graph.tensors[i].size]
        again = [i for i in written if i in known or i < 0]
        if again or len(set(written)) != len(written):
            raise _corrupt(f"{op} writes tensor {(again or op.outputs)[0]} a second time")
        known |= set(op.outputs)
    loose = [i for i in (*graph.inputs, *graph.outputs) if i not in known]
    if loose:
        raise _corrupt(f"tensor {loose[0]} is named as input or output, but nothing writes it")
    fixed = [i for i in graph.inputs if graph.tensors[i].data is not None]
    if fixed or len(set(graph.inputs)) != len(graph.inputs):
        raise _corrupt("an input of the model is a constant or is named twice")
