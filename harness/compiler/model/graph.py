"""A .tflite file -> a Graph of plain frozen records. Everything the file can have wrong becomes a ModelError here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tinyrig.compiler.model import schema
from tinyrig.compiler.model.extent import Empty, Extent, Open, Shape, checked_shape, declared, settled
from tinyrig.compiler.model.options import OpOptions, read_options
from tinyrig.compiler.model.verify import verify
from tinyrig.core.errors import ModelError, RigError
from tinyrig.core.text import printable

DTYPES = {
    "FLOAT32": "float32",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "BOOL": "bool",
    "FLOAT16": "float16",
}
"""TFLite element type -> numpy name; a tensor of another type keeps its TFLite name and is refused where it is used."""

MAX_FILE_BYTES = 1 << 26
"""Far beyond any microcontroller's memory."""
MAX_OPS, MAX_TENSORS, MAX_OPERANDS = 4096, 1 << 14, 1 << 16
"""What one model may list; operands are the inputs and outputs of all ops together."""

_TYPE_NAMES = schema.enum_names("TensorType")
_OP_NAMES = schema.enum_names("BuiltinOperator")


@dataclass(frozen=True, eq=False)
class Tensor:
    """`dtype` is a numpy name. scales float32 [n], zero_points int64 [n]: n = 0 not quantised, 1 per tensor, else one for
    each index of dimension `axis`. `data` is a constant's value with the tensor's shape, None for an activation, which an op
    writes or the host; that decides, not the number of its elements."""

    index: int
    name: str
    extent: Extent
    dtype: str
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int = 0
    data: np.ndarray | None = None

    @property
    def shape(self) -> Shape:
        """Of an open extent: the file's, see there."""
        return self.extent.shape

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def scale(self) -> np.float32:
        """Per-tensor scale; 0 when not quantised."""
        return np.float32(self.scales[0]) if len(self.scales) else np.float32(0)

    @property
    def zero_point(self) -> int:
        return int(self.zero_points[0]) if len(self.zero_points) else 0

    def __str__(self) -> str:
        dims = "x".join(map(str, self.shape)) or "scalar"
        return f"tensor {self.index} {self.name!r} ({self.dtype} {dims})"


@dataclass(frozen=True)
class Op:
    """`inputs` holds tensor indices, -1 for an omitted optional one."""

    index: int
    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: OpOptions = field(default_factory=OpOptions)
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
        raise ModelError("this is not a .tflite file", expected="a FlatBuffer with the identifier TFL3", received=repr(data[4:8]))
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(
            "the .tflite file is too large for any board",
            expected=f"at most {MAX_FILE_BYTES} bytes",
            received=f"{len(data)} bytes",
        )
    try:
        verify(data)
        return _read(data)
    except RigError:
        raise
    except Exception as e:  # the generated readers raise whatever struct, numpy or a missing table leads to
        raise _corrupt(f"{type(e).__name__}: {e}") from e


def _corrupt(detail: str) -> ModelError:
    return ModelError("the .tflite file is truncated or corrupt", received=detail, remedy="convert or copy the model again")


def _read(data: bytes) -> Graph:
    model = schema.root(data)
    if model.SubgraphsLength() != 1:
        raise ModelError(
            "the model must have exactly one subgraph",
            expected="1",
            received=str(model.SubgraphsLength()),
            remedy="convert only one signature (signature_keys=[...]), without control flow (IF, WHILE, CALL)",
        )
    sub, constants = model.Subgraphs(0), _Constants(model)
    codes = [_op_name(model.OperatorCodes(i)) for i in range(_count("operator codes", model.OperatorCodesLength(), MAX_OPS))]
    _count("tensors", sub.TensorsLength(), MAX_TENSORS)
    operators = [sub.Operators(i) for i in range(_count("ops", sub.OperatorsLength(), MAX_OPS))]
    _count("inputs and outputs of ops", sum(o.InputsLength() + o.OutputsLength() for o in operators), MAX_OPERANDS)
    ops = tuple(_op(o, i, codes) for i, o in enumerate(operators))
    inputs = _ints("inputs of the model", sub.InputsLength(), sub.Inputs)
    outputs = _ints("outputs of the model", sub.OutputsLength(), sub.Outputs)
    written = {*inputs, *(i for op in ops for i in op.outputs)}
    tensors = tuple(_tensor(constants, sub.Tensors(i), i, i in written) for i in range(sub.TensorsLength()))
    graph = Graph(tensors, ops, inputs, outputs)
    _check_references(graph)
    _check_inputs(graph)
    return graph


def _count(what: str, n: int, most: int) -> int:
    """A list's length, refused where no model for a microcontroller can need it."""
    if n > most:
        raise ModelError(f"the model lists too many {what}", expected=f"at most {most}", received=str(n))
    return n


def _ints(what: str, n: int, get: Callable[[int], int], most: int = 4096) -> tuple[int, ...]:
    return tuple(int(get(i)) for i in range(_count(what, n, most)))


def _op_name(code: schema.OperatorCode) -> tuple[str, int, str]:
    """-> (name, version, custom code). Old files carry the number in a one-byte field, newer ones in a wider one; the larger
    counts."""
    number = max(schema.wide_builtin_code(code), code.DeprecatedBuiltinCode())
    custom = code.CustomCode()
    return _OP_NAMES.get(number, f"#{number}"), code.Version(), printable((custom or b"").decode("utf-8", "replace"))


def _tensor(constants: _Constants, t: schema.TensorTable, index: int, written: bool) -> Tensor:
    name = printable((t.Name() or b"").decode("utf-8", "replace"), 300)
    type_name = _TYPE_NAMES.get(t.Type(), f"type {t.Type()}")
    where = f"tensor {index} {name!r}"
    shape = _ints(f"dimensions of {where}", t.ShapeLength(), t.Shape, 64)
    signature = _ints(f"dimensions of {where}", t.ShapeSignatureLength(), t.ShapeSignature, 64)
    checked_shape(shape, where)
    if t.Sparsity() is not None:
        raise ModelError(f"{where} is stored sparsely", expected="dense tensors", remedy="convert without sparsity encoding")
    if t.IsVariable():
        raise ModelError(f"{where} is a variable (state kept between inferences)", expected="a stateless model")
    scales, zeros, axis = _quantization(t, shape, where)
    dtype = DTYPES.get(type_name, type_name)
    value = constants.value(t, shape, dtype, where, written)
    return Tensor(index, name, declared(shape, signature) if value is None else settled(shape), dtype, scales, zeros, axis, value)


def _check_inputs(graph: Graph) -> None:
    """A free batch size is run with the batch the file's shape gives, as TFLM does; any other free dimension is refused."""
    for t in (graph.tensors[i] for i in graph.inputs):
        if isinstance(t.extent, Open) and not t.extent.only_batch:
            shape = [-1 if d is None else d for d in t.extent.dims]
            raise ModelError(
                f"{t} has a dynamic shape",
                expected="fixed dimensions behind the batch",
                received=str(shape),
                remedy="fix the input shape before converting the model",
            )


def _quantization(t: schema.TensorTable, shape: Shape, where: str) -> tuple[np.ndarray, np.ndarray, int]:
    q = t.Quantization()
    if q is None or q.ScaleLength() == 0:
        return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    if q.DetailsType() != 0:
        raise ModelError(f"{where} has custom quantisation", expected="affine quantisation (scale, zero point)")
    n, axis = q.ScaleLength(), q.QuantizedDimension()
    if n > max((1, *shape)):
        raise ModelError(
            f"{where} has unusable quantisation parameters",
            expected="one scale, or one for each index",
            received=f"{n} scales for {list(shape)}",
        )
    scales = np.array(q.ScaleAsNumpy(), np.float32)
    # Without zero points runtimes take the tensor for one that is not quantised: the length check below refuses it.
    zeros = np.array(q.ZeroPointAsNumpy(), np.int64) if q.ZeroPointLength() else np.zeros(0, np.int64)
    if len(zeros) == 1 and n > 1:
        zeros = np.repeat(zeros, n)
    large = (zeros > 1 << 31) | (zeros < -(1 << 31))
    if len(zeros) != n or not np.isfinite(scales).all() or (scales < 0).any() or large.any():
        raise ModelError(
            f"{where} has unusable quantisation parameters",
            expected="as many zero points as finite scales >= 0",
            received=f"{n} scales from {scales[:1]}, {len(zeros)} zero points",
        )
    return scales, zeros, axis


class _Constants:
    """The values of the file's buffers, each copied out once: tensors may share them."""

    def __init__(self, model: schema.Model) -> None:
        self._model = model
        self._known: dict[tuple[int, str], np.ndarray] = {}

    def value(self, t: schema.TensorTable, shape: Shape, dtype: str, where: str, written: bool) -> np.ndarray | None:
        """None for an activation: no bytes, and those of no elements only where nothing writes the tensor."""
        index = t.Buffer()
        if not 0 <= index < self._model.BuffersLength():
            raise _corrupt(f"{where} names buffer {index}")
        buffer = self._model.Buffers(index)
        if 0 in shape and index != 0 and not written and buffer.DataLength() == 0:
            return np.zeros(shape, dtype if dtype in DTYPES.values() else "uint8")
        if buffer.Offset() > 1 or buffer.DataLength() == 0:  # offsets point behind the FlatBuffer: files over 2 GB only
            return None
        if dtype not in DTYPES.values():
            return np.frombuffer(buffer.DataAsNumpy(), np.uint8)
        want = math.prod(shape) * np.dtype(dtype).itemsize
        if buffer.DataLength() != want:
            raise _corrupt(f"{where} needs {want} bytes of data and has {buffer.DataLength()}")
        if (index, dtype) not in self._known:
            self._known[index, dtype] = _decoded(bytes(buffer.DataAsNumpy()), dtype, where)
        return self._known[index, dtype].reshape(shape)


def _decoded(raw: bytes, dtype: str, where: str) -> np.ndarray:
    """A NaN in a constant makes every output that depends on it NaN: no result of such a model means anything."""
    value = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).astype(dtype)
    if value.dtype.kind == "f" and np.isnan(value).any():
        raise ModelError(
            f"{where} holds NaN",
            expected="numbers",
            received=f"{int(np.isnan(value).sum())} of {value.size} NaN",
            remedy="train or convert the model again",
        )
    return value


def _op(o: schema.Operator, index: int, codes: list[tuple[str, int, str]]) -> Op:
    if not 0 <= o.OpcodeIndex() < len(codes):
        raise _corrupt(f"op {index} names operator code {o.OpcodeIndex()}")
    name, version, custom = codes[o.OpcodeIndex()]
    if name == "CUSTOM":
        name = f"CUSTOM {custom!r}"
    inputs = _ints(f"inputs of op {index}", o.InputsLength(), o.Inputs)
    outputs = _ints(f"outputs of op {index}", o.OutputsLength(), o.Outputs)
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
            raise ModelError(
                f"{op} reads {graph.tensors[missing[0]]} before anything has written it",
                remedy="variables and control flow are not supported",
            )
        # Converters let all unused parts of a SPLIT_V share one empty tensor.
        written = [i for i in op.outputs if i < 0 or not isinstance(graph.tensors[i].extent, Empty)]
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
