"""A .tflite file -> a Graph of plain frozen records. Everything the file can have wrong becomes a ModelError here."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from tinyrig.compiler.model import schema
from tinyrig.compiler.model.extent import Empty, Extent, Open, Shape, checked_shape, declared, settled
from tinyrig.compiler.model.obstacle import Obstacle, Refused
from tinyrig.compiler.model.options import OpOptions, custom_name, is_foreign, read_options
from tinyrig.compiler.model.stored.sparse import NotSparse, dense
from tinyrig.compiler.model.verify import EndsTooEarly, verify
from tinyrig.core.errors import ModelError, RigError
from tinyrig.core.text import printable

_NAMES = ("float32", "int8", "int16", "int32", "int64", "uint8", "bool", "float16", "uint32", "uint64", "complex64")
DTYPES = {name.upper(): name for name in _NAMES}
"""TFLite element type -> numpy name; a tensor of another type keeps its TFLite name and is refused where it is used."""

INT4 = "INT4"
"""Of constants, two numbers a byte: they are read as int8 with the same scales, which gives the same results."""

MAX_FILE_BYTES = 1 << 26
"""Far beyond any microcontroller's memory."""
MAX_OPS, MAX_TENSORS, MAX_OPERANDS, MAX_SUBGRAPHS = 4096, 1 << 14, 1 << 16, 256
"""What one model may list, all subgraphs together; operands are the inputs and outputs of all ops of one."""

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
    layer: str = ""
    """For messages, as its author knows it; "" where the file does not tell, or nobody has asked yet (refuse/names.py)."""

    def __str__(self) -> str:
        return f"op {self.index} {self.code}" + (f" (layer {self.layer})" if self.layer else "")


@dataclass(frozen=True)
class Inner:
    """A subgraph that control flow runs: its tensors stand among the graph's, behind those of the subgraphs before it."""

    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """`tensors`: of all subgraphs."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    obstacles: tuple[Obstacle, ...] = ()
    """What can be read and not be compiled. Where there are any, tensors may lack their values."""
    variables: tuple[int, ...] = ()
    """Tensors that keep their values between inferences."""
    subgraphs: int = 1
    """The file's."""
    inner: tuple[Inner, ...] = ()
    """Those behind the first."""
    inner_names: tuple[str, ...] = ()
    """Names of tensors inside the other subgraphs, the bodies of control flow."""


def read_model(data: bytes) -> Graph:
    """Raises ModelError for a file that is truncated, corrupt or beyond what a static compiler can take."""
    graph = read_graph(data)
    if found := (*graph.obstacles, *several_subgraphs(graph), *kept_state(graph)):
        raise Refused(found)
    return graph


def read_graph(data: bytes) -> Graph:
    """As read_model, but what can be read yet not be compiled goes into `obstacles`, so that all can be found at once. Raises
    ModelError for a file that is truncated or corrupt."""
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
    except EndsTooEarly as e:
        raise ModelError(
            "the .tflite file is truncated or corrupt: it ends before what it names",
            expected=f"at least {e.need:,} bytes",
            received=f"{len(data):,} bytes",
            remedy="copy or download the file again, and compare its size with the original's",
        ) from e
    except Exception as e:  # the generated readers raise whatever struct, numpy or a missing table leads to
        raise _corrupt(f"{type(e).__name__}: {e}") from e


def _corrupt(detail: str) -> ModelError:
    return ModelError("the .tflite file is truncated or corrupt", received=detail, remedy="convert or copy the model again")


def _read(data: bytes) -> Graph:
    model = schema.root(data)
    if model.SubgraphsLength() < 1:
        raise _corrupt("no subgraph")
    found = list[Obstacle]()
    constants = _Constants(model, data, found)
    codes = [_op_name(model.OperatorCodes(i)) for i in range(_count("operator codes", model.OperatorCodesLength(), MAX_OPS))]
    subs = [model.Subgraphs(g) for g in range(_count("subgraphs", model.SubgraphsLength(), MAX_SUBGRAPHS))]
    _count("tensors", sum(sub.TensorsLength() for sub in subs), MAX_TENSORS)
    _count("ops", sum(sub.OperatorsLength() for sub in subs), MAX_OPS)
    tensors, parts, variables = list[Tensor](), list[Inner](), list[int]()
    for sub in subs:
        base = len(tensors)
        parts.append(part := _part(sub, codes, base))
        written = {*part.inputs, *(i for op in part.ops for i in op.outputs)}
        tensors += [_tensor(constants, sub.Tensors(i), base + i, base + i in written) for i in range(sub.TensorsLength())]
        variables += [base + i for i in range(sub.TensorsLength()) if sub.Tensors(i).IsVariable()]
    first, *inner = parts
    names = _inner_names(model)
    graph = Graph(tuple(tensors), first.ops, first.inputs, first.outputs, (), tuple(variables), len(subs), tuple(inner), names)
    ends = [0, *itertools.accumulate(sub.TensorsLength() for sub in subs)]
    for part, begin, end in zip(parts, ends, ends[1:], strict=False):
        found += _check_references(graph, part, begin, end)
    return dataclasses.replace(graph, obstacles=(*found, *_check_inputs(graph)))


def _part(sub: schema.SubGraph, codes: list[tuple[str, int, str]], base: int) -> Inner:
    operators = [sub.Operators(i) for i in range(sub.OperatorsLength())]
    _count("inputs and outputs of ops", sum(o.InputsLength() + o.OutputsLength() for o in operators), MAX_OPERANDS)

    def moved(numbers: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(i + base if i >= 0 else i for i in numbers)

    ops = (_op(o, i, codes) for i, o in enumerate(operators))
    inputs, outputs = _ints("inputs", sub.InputsLength(), sub.Inputs), _ints("outputs", sub.OutputsLength(), sub.Outputs)
    placed = tuple(dataclasses.replace(op, inputs=moved(op.inputs), outputs=moved(op.outputs)) for op in ops)
    return Inner(placed, moved(inputs), moved(outputs))


def _inner_names(model: schema.Model) -> tuple[str, ...]:
    """Of at most MAX_TENSORS tensors."""
    subs = [model.Subgraphs(g) for g in range(1, _count("subgraphs", model.SubgraphsLength(), MAX_OPS))]
    names = ((sub.Tensors(i).Name() or b"").decode("utf-8", "replace") for sub in subs for i in range(sub.TensorsLength()))
    return tuple(printable(n, 300) for n in itertools.islice(names, MAX_TENSORS))


def several_subgraphs(graph: Graph) -> list[Obstacle]:
    if graph.subgraphs == 1 + len(_run_by_control_flow(graph)):
        return []
    return [
        Obstacle(
            "",
            -1,
            "",
            "the model must have exactly one subgraph",
            "convert only one signature: TFLiteConverter.from_saved_model(folder, signature_keys=[...])",
            "1",
            str(graph.subgraphs),
        )
    ]


def _run_by_control_flow(graph: Graph) -> set[int]:
    """Numbers of the subgraphs that WHILE and IF lead to from the first."""
    found, todo = set[int](), [graph.ops]
    while todo:
        for op in todo.pop():
            named = {op.options.number(k) for k in SUBGRAPHS.get(op.code, ())} - found
            new = {k for k in named if 1 <= k <= len(graph.inner)}
            found |= new
            todo += [graph.inner[k - 1].ops for k in new]
    return found


SUBGRAPHS = {"WHILE": ("cond", "body"), "IF": ("then", "else"), "CALL_ONCE": ("init",)}
"""Options that name subgraphs."""


def kept_state(graph: Graph, ops: Iterable[Op] | None = None) -> list[Obstacle]:
    """One obstacle for each variable that one of `ops` (default: all) reads or writes."""
    others = [op for op in (graph.ops if ops is None else ops) if op.code not in STATEFUL]
    users = {i: op for op in reversed(others) for i in (*op.inputs, *op.outputs)}
    return [
        Obstacle(
            users[i].code,
            users[i].index,
            graph.tensors[i].name,
            f"{users[i]}: {graph.tensors[i]} is a variable (state kept between inferences)",
            STATE_REMEDY,
            "a stateless model",
        )
        for i in graph.variables
        if i in users
    ]


STATEFUL = ("SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM")  # their variables are kept on the board
STATE_REMEDY = "make the state an input and an output of the model, and let the caller hand it on"


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
    scales, zeros, axis = _quantization(t, shape, where)
    dtype = DTYPES.get(type_name, type_name)
    value = constants.value(t, shape, dtype, where, written)
    if dtype == INT4 and value is not None:
        dtype = "int8"
    return Tensor(index, name, declared(shape, signature) if value is None else settled(shape), dtype, scales, zeros, axis, value)


def _check_inputs(graph: Graph) -> list[Obstacle]:
    """A free batch size is run with the batch the file's shape gives, as TFLM does; any other free dimension is refused."""
    found = []
    for t in (graph.tensors[i] for i in graph.inputs):
        if isinstance(t.extent, Open) and not t.extent.only_batch:
            shape = [-1 if d is None else d for d in t.extent.dims]
            reason = f"{t} has a dynamic shape"
            remedy = "fix the input shape before converting the model: keras.Input(batch_shape=(1, ...))"
            found.append(Obstacle("", -1, t.name, reason, remedy, "fixed dimensions behind the batch", str(shape)))
    return found


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
    """The values of the file's buffers, each copied out once: tensors may share them. What is there and can't be used goes into
    `found`, and has zeros for a value."""

    def __init__(self, model: schema.Model, data: bytes, found: list[Obstacle]) -> None:
        self._model = model
        self._file = data
        self._found = found
        self._known: dict[tuple[int, str], np.ndarray] = {}

    def value(self, t: schema.TensorTable, shape: Shape, dtype: str, where: str, written: bool) -> np.ndarray | None:
        """None for an activation: no bytes, and those of no elements only where nothing writes the tensor. INT4: as int8."""
        index = t.Buffer()
        if not 0 <= index < self._model.BuffersLength():
            raise _corrupt(f"{where} names buffer {index}")
        raw = self._bytes(index, where)
        if t.Sparsity() is not None:
            return self._dense(t, raw, shape, dtype, where)
        if 0 in shape and index != 0 and not written and not raw:
            return np.zeros(shape, dtype if dtype in DTYPES.values() else "uint8")
        if not raw:
            return None
        packed = dtype == INT4
        if dtype not in DTYPES.values() and not packed:
            return np.frombuffer(raw, np.uint8)
        want = -(-math.prod(shape) // 2) if packed else math.prod(shape) * np.dtype(dtype).itemsize
        if len(raw) != want:
            raise _corrupt(f"{where} needs {want} bytes of data and has {len(raw)}")
        if (index, dtype) not in self._known:
            self._known[index, dtype] = _nibbles(raw) if packed else self._decoded(raw, dtype, where)
        return self._known[index, dtype][: math.prod(shape)].reshape(shape)

    def _bytes(self, index: int, where: str) -> bytes:
        """In the FlatBuffer, or behind it, as writers do with large weights. Offsets 0 and 1 mean neither."""
        buffer = self._model.Buffers(index)
        if buffer.Offset() <= 1:
            return bytes(buffer.DataAsNumpy()) if buffer.DataLength() else b""
        begin, size = buffer.Offset(), buffer.Size()
        if begin + size > len(self._file):
            raise _corrupt(f"{where} lies at {begin} to {begin + size}, and the file has {len(self._file)} bytes")
        return self._file[begin : begin + size]

    def _decoded(self, raw: bytes, dtype: str, where: str) -> np.ndarray:
        """A NaN in a constant makes every output that depends on it NaN: no result of such a model means anything."""
        value = np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).astype(dtype)
        if value.dtype.kind == "f" and np.isnan(value).any():
            nans = f"{int(np.isnan(value).sum())} of {value.size} NaN"
            remedy = "train or convert the model again"
            self._found.append(Obstacle("", -1, where, f"{where} holds NaN", remedy, "numbers", nans))
            return np.zeros_like(value)
        return value

    def _dense(self, t: schema.TensorTable, raw: bytes, shape: Shape, dtype: str, where: str) -> np.ndarray:
        try:
            if dtype not in DTYPES.values() or len(raw) % np.dtype(dtype).itemsize:
                raise NotSparse(f"values of a known type, not {dtype}")
            return dense(t.Sparsity(), self._decoded(raw, dtype, where), shape)
        except NotSparse as e:
            raise _corrupt(f"{where} is stored sparsely, and its parts don't fit together: {e}") from e


def _nibbles(raw: bytes) -> np.ndarray:
    """Two numbers a byte, the low half first -> int8."""
    packed = np.frombuffer(raw, np.uint8)
    both = np.stack([packed & 15, packed >> 4], axis=1).ravel().astype(np.int8)
    return np.where(both > 7, both - 16, both).astype(np.int8)


def _op(o: schema.Operator, index: int, codes: list[tuple[str, int, str]]) -> Op:
    if not 0 <= o.OpcodeIndex() < len(codes):
        raise _corrupt(f"op {index} names operator code {o.OpcodeIndex()}")
    name, version, custom = codes[o.OpcodeIndex()]
    if name == "CUSTOM":
        name = custom_name(custom)
    inputs = _ints(f"inputs of op {index}", o.InputsLength(), o.Inputs)
    outputs = _ints(f"outputs of op {index}", o.OutputsLength(), o.Outputs)
    return Op(index, name, inputs, outputs, read_options(o, name), version)


def _check_references(graph: Graph, part: Inner, begin: int, end: int) -> list[Obstacle]:
    """Of one subgraph, whose tensors are those from `begin` to `end`: indices in range, every activation written once and before
    it is read, constants never written."""
    found = []
    known = {t.index for t in graph.tensors[begin:end] if t.data is not None} | {*part.inputs, *graph.variables}
    if not part.outputs and begin == 0:
        raise ModelError("the model has no outputs")
    for op in part.ops:
        for i in (*op.inputs, *op.outputs):
            if not (i == -1 or begin <= i < end):
                raise _corrupt(f"{op} names tensor {i - begin} of {end - begin}")
        missing = [i for i in op.inputs if i >= 0 and i not in known]
        known |= set(missing)
        if missing and not is_foreign(op.code):  # an op for another machine has scratch memory there
            t = graph.tensors[missing[0]]
            reason = f"{op} reads {t} before anything has written it"
            found.append(Obstacle(op.code, op.index, t.name, reason, "convert the model again"))
        # Converters let all unused parts of a SPLIT_V share one empty tensor.
        written = [i for i in op.outputs if i < 0 or not isinstance(graph.tensors[i].extent, Empty)]
        again = [i for i in written if (i in known and i not in graph.variables) or i < 0]
        if again or len(set(written)) != len(written):
            raise _corrupt(f"{op} writes tensor {(again or op.outputs)[0]} a second time")
        known |= set(op.outputs)
    loose = [i for i in (*part.inputs, *part.outputs) if i not in known or not begin <= i < end]
    if loose:
        raise _corrupt(f"tensor {loose[0]} is named as input or output, but nothing writes it")
    fixed = [i for i in part.inputs if graph.tensors[i].data is not None]
    if fixed or len(set(part.inputs)) != len(part.inputs):
        raise _corrupt("an input of the model is a constant or is named twice")
    return found
