"""Operators that tflite-micro lacks, in terms of those that it has: for its work as the oracle, see oracle_form.py.

An int8 function is a table of 256 values: CAST, ADD of 128, GATHER. Its values are the engine's own, which tests compare with
LiteRT's kernels; everything around it is judged as in any other model. Clamps become MAXIMUM and MINIMUM, and
what only moves values a GATHER of their places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyrig.compiler.lower.lower import Lowered
from tinyrig.compiler.model.graph import Graph, Op, Tensor
from tinyrig.compiler.model.litert.records import LocalResponse
from tinyrig.compiler.model.params import Clamp, Lut

FUNCTIONS = ("EXP", "LOG", "SQRT", "GELU")
MOVERS_OF_INT16 = (
    *("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"),
    *("GATHER", "GATHER_ND", "RESIZE_NEAREST_NEIGHBOR", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "MIRROR_PAD"),
    *("REVERSE_V2", "BROADCAST_TO", "REDUCE_MAX", "REDUCE_MIN"),
)
"""That tflite-micro has for other types only, or not in every version."""
CLAMPS = ("RELU_N1_TO_1", "RELU_0_TO_1")


@dataclass(frozen=True)
class Lookup:
    """int8 [256], by input + 128."""

    table: np.ndarray


@dataclass(frozen=True)
class Limits:
    """Of the stored values."""

    low: float
    high: float


@dataclass(frozen=True)
class Places:
    """Where in the flattened input each value of the output stands: int32, of the output's shape."""

    at: np.ndarray


@dataclass(frozen=True)
class Renamed:
    """The same operator under a name that tflite-micro knows."""

    code: str


@dataclass(frozen=True)
class Floated:
    """The same operator on float32 between two CASTs: every int16 is a float32, and nothing is computed with them."""


@dataclass(frozen=True)
class Sign:
    """(x > 0) - (x < 0)."""


@dataclass(frozen=True)
class Rows:
    """GATHER of a constant's rows, ONE_HOT's."""

    table: np.ndarray


@dataclass(frozen=True)
class Blended:
    """SELECT of int32, as Keras' Embedding has it: condition * a + (1 - condition) * b."""


@dataclass(frozen=True)
class AnyOf:
    """REDUCE_ANY: not all are false."""


@dataclass(frozen=True)
class Neighbours:
    """LOCAL_RESPONSE_NORMALIZATION: the squares' sums by a convolution of one tap, the power by EXP and LOG. `band` float32
    [C, C]: alpha for each pair of neighbours; `bias` and `beta` as the operator's."""

    band: np.ndarray
    bias: float
    beta: float


@dataclass(frozen=True)
class Segmented:
    """SEGMENT_SUM, which LiteRT has no reference kernel for, as UNSORTED_SEGMENT_SUM of so many segments."""

    count: int


Stand = AnyOf | Neighbours | Segmented | Lookup | Limits | Places | Renamed | Floated | Blended | Sign | Rows


def stand_ins(graph: Graph, lowered: Lowered) -> dict[int, Stand]:
    """By the op's number in the first subgraph."""
    params = {s.op_index: s.params for s in lowered.steps if s.block == 0}
    rows = {s.op_index: s.inputs[0].data for s in lowered.steps if s.block == 0 and s.op == "ONE_HOT"}
    found: dict[int, Stand] = {}
    for op in graph.ops:
        tensors = [lowered.tensors[i] for i in (*op.inputs, *op.outputs) if i >= 0]
        if not tensors:  # CALL_ONCE
            continue
        given = params.get(op.index)
        stand = _of_values(op, given, rows.get(op.index)) or _of_places(op, tensors, given is not None) or _chosen(op, tensors)
        if stand is not None:
            found[op.index] = stand
    return found


def _of_values(op: Op, given: object, rows: np.ndarray | None) -> Stand | None:
    """`given`: the parameters of its step; `rows`: of ONE_HOT."""
    if op.code in FUNCTIONS and isinstance(given, Lut):
        return Lookup(given.table)
    if op.code in CLAMPS and isinstance(given, Clamp):
        return Limits(given.act_min, given.act_max)
    if op.code == "LOCAL_RESPONSE_NORMALIZATION" and isinstance(given, LocalResponse):
        return _neighbours(given)
    if op.code == "ONE_HOT" and rows is not None:
        return Rows(rows)
    plain: dict[str, Stand] = {"SIGN": Sign(), "REDUCE_ANY": AnyOf()}
    return plain.get(op.code) if given is not None else None


def _of_places(op: Op, tensors: list[Tensor], runs: bool) -> Stand | None:
    x, y = tensors[0], tensors[-1]
    gathered = x.dtype in ("int8", "int16", "float32")
    if op.code == "REVERSE_SEQUENCE" and tensors[1].data is not None and gathered:
        return Places(_reversed(x, tensors[1].data, op))
    if op.code == "TILE" and gathered:
        return Places(_tiled(x, y))
    return Floated() if op.code in MOVERS_OF_INT16 and y.dtype == "int16" and runs else None


def _chosen(op: Op, tensors: list[Tensor]) -> Stand | None:
    if op.code not in ("SELECT", "SELECT_V2") or not _broadcasts(op, tensors):
        return None
    if tensors[-1].dtype == "int32":
        return Blended()
    return Renamed("SELECT_V2") if op.code == "SELECT" else None


def _tiled(x: Tensor, y: Tensor) -> np.ndarray:
    places = np.arange(x.size, dtype=np.int32).reshape(x.shape)
    return np.tile(places, tuple(n // m for n, m in zip(y.shape, x.shape, strict=True)))


def _neighbours(p: LocalResponse) -> Neighbours:
    apart = np.abs(np.subtract.outer(np.arange(p.depth), np.arange(p.depth)))
    return Neighbours(np.where(apart <= p.radius, p.alpha, 0).astype(np.float32), p.bias, p.beta)


def _reversed(x: Tensor, lengths: np.ndarray, op: Op) -> np.ndarray:
    time, batch = (op.options.number(key) % len(x.shape) for key in ("time", "batch"))
    places = np.arange(x.size, dtype=np.int32).reshape(x.shape)
    rows = np.moveaxis(places, (batch, time), (0, 1)).copy()
    for row, n in zip(rows, lengths.ravel(), strict=True):
        row[:n] = row[:n][::-1].copy()
    return np.ascontiguousarray(np.moveaxis(rows, (0, 1), (batch, time)))


def _broadcasts(op: Op, tensors: list[Tensor]) -> bool:
    """SELECT also takes a vector that picks rows, SELECT_V2 does not."""
    condition, y = tensors[0], tensors[-1]
    return condition.shape in ((), (1,), y.shape)


_OPTIONS = {"CONV_2D": "Conv2DOptions", "GATHER": "GatherOptions", "ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}


class Rewriter:
    """Puts ops into a model of the schema's object API."""

    def __init__(self, writer: Any, model: Any) -> None:
        self.writer, self.model, self.sub = writer, model, model.subgraphs[0]
        self.old: Any = None
        """The operator that is replaced."""

    def constant(self, value: np.ndarray, like: Any = None) -> int:
        types = {"int8": "INT8", "int32": "INT32", "float32": "FLOAT32"}
        t = self.tensor(getattr(self.writer.TensorType, types[value.dtype.name]), list(value.shape), like)
        buffer = self.writer.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        self.sub.tensors[t].buffer = len(self.model.buffers) - 1
        return t

    def tensor(self, kind: int, shape: list[int], like: Any = None) -> int:
        t = self.writer.TensorT()
        t.name, t.type, t.shape, t.buffer = f"oracle_{len(self.sub.tensors)}", kind, shape, 0
        t.quantization = like.quantization if like is not None else None
        self.sub.tensors.append(t)
        return len(self.sub.tensors) - 1

    def op(self, code: str, inputs: list[int], outputs: list[int]) -> Any:
        """With the options' defaults."""
        o = self.writer.OperatorT()
        o.opcodeIndex, o.inputs, o.outputs = self.code(code), inputs, outputs
        table = _OPTIONS.get(code)
        if table:
            o.builtinOptionsType = getattr(self.writer.BuiltinOptions, table)
            o.builtinOptions = getattr(self.writer, f"{table}T")()
        return o

    def code(self, name: str) -> int:
        c = self.writer.OperatorCodeT()
        c.builtinCode = getattr(self.writer.BuiltinOperator, name)
        c.deprecatedBuiltinCode, c.version = min(c.builtinCode, 127), 1
        self.model.operatorCodes.append(c)
        return len(self.model.operatorCodes) - 1

    def replace(self, index: int, stand: Stand) -> None:
        self.old = old = self.sub.operators[index]
        if isinstance(stand, Renamed):
            old.opcodeIndex = self.code(stand.code)
            return
        if isinstance(stand, Floated):
            self.sub.operators[index : index + 1] = self._floated(old)
            return
        if isinstance(stand, Blended):
            self.sub.operators[index : index + 1] = self._blended([int(i) for i in old.inputs], int(old.outputs[0]))
            return
        x, y = int(old.inputs[0]), int(old.outputs[0])
        self.sub.operators[index : index + 1] = getattr(self, f"_{type(stand).__name__.lower()}")(x, y, stand)

    def _lookup(self, x: int, y: int, stand: Lookup) -> list[Any]:
        shape, kind = list(self.sub.tensors[x].shape), self.writer.TensorType.INT32
        whole, place = self.tensor(kind, shape), self.tensor(kind, shape)
        shift = self.constant(np.array([128], np.int32))
        table = self.constant(stand.table, self.sub.tensors[y])
        return [self.op("CAST", [x], [whole]), self.op("ADD", [whole, shift], [place]), self.op("GATHER", [table, place], [y])]

    def _limits(self, x: int, y: int, stand: Limits) -> list[Any]:
        like = self.sub.tensors[x]
        dtype = "float32" if like.type == self.writer.TensorType.FLOAT32 else "int8"
        low, high = (self.constant(np.array([v]).astype(dtype), like) for v in (stand.low, stand.high))
        middle = self.tensor(like.type, list(like.shape), like)
        return [self.op("MAXIMUM", [x, low], [middle]), self.op("MINIMUM", [middle, high], [y])]

    def _places(self, x: int, y: int, stand: Places) -> list[Any]:
        like = self.sub.tensors[x]
        size = int(np.prod(like.shape, dtype=np.int64))
        flat, shape = self.tensor(like.type, [size], like), self.constant(np.array([size], np.int32))
        gather = self.op("GATHER", [flat, self.constant(stand.at)], [y])
        wide = like.type == self.writer.TensorType.INT16
        return [self.op("RESHAPE", [x, shape], [flat]), *(self._floated(gather) if wide else [gather])]

    def _floated(self, op: Any) -> list[Any]:
        wide, before = self.writer.TensorType, list[Any]()
        inputs = [int(i) for i in op.inputs]
        for n, i in enumerate(inputs):
            if i >= 0 and self.sub.tensors[i].type == wide.INT16:
                inputs[n] = self.tensor(wide.FLOAT32, list(self.sub.tensors[i].shape))
                before.append(self.op("CAST", [i], [inputs[n]]))
        y = int(op.outputs[0])
        made = self.tensor(wide.FLOAT32, list(self.sub.tensors[y].shape))
        op.inputs, op.outputs = inputs, [made]
        return [*before, op, self.op("CAST", [made], [y])]

    def _blended(self, operands: list[int], y: int) -> list[Any]:
        condition, a, b = operands
        kind, shape = self.writer.TensorType.INT32, list(self.sub.tensors[y].shape)
        yes, no = (self.tensor(kind, list(self.sub.tensors[condition].shape)) for _ in range(2))
        left, right = self.tensor(kind, shape), self.tensor(kind, shape)
        one = self.constant(np.array([1], np.int32))
        parts = [self.op("CAST", [condition], [yes]), self.op("SUB", [one, yes], [no])]
        return [*parts, self.op("MUL", [yes, a], [left]), self.op("MUL", [no, b], [right]), self.op("ADD", [left, right], [y])]

    def _anyof(self, x: int, y: int, stand: AnyOf) -> list[Any]:
        shapes = [list(self.sub.tensors[i].shape) for i in (x, y)]
        none, all_none = (self.tensor(self.writer.TensorType.BOOL, s) for s in shapes)
        reduce = self.old
        reduce.opcodeIndex, reduce.inputs, reduce.outputs = self.code("REDUCE_ALL"), [none, reduce.inputs[1]], [all_none]
        return [self.op("LOGICAL_NOT", [x], [none]), reduce, self.op("LOGICAL_NOT", [all_none], [y])]

    def _neighbours(self, x: int, y: int, stand: Neighbours) -> list[Any]:
        like, n = self.sub.tensors[x], len(stand.band)
        squares, sums, logs, powers, factors = (self.tensor(like.type, list(like.shape)) for _ in range(5))
        taps = self.constant(stand.band.reshape(n, 1, 1, n))
        bias, beta = self.constant(np.full(n, stand.bias, np.float32)), self.constant(np.full(1, -stand.beta, np.float32))
        conv = self.op("CONV_2D", [squares, taps, bias], [sums])
        conv.builtinOptions.strideW = conv.builtinOptions.strideH = 1
        made = [self.op("SQUARE", [x], [squares]), conv, self.op("LOG", [sums], [logs])]
        made += [self.op("MUL", [logs, beta], [powers]), self.op("EXP", [powers], [factors])]
        return [*made, self.op("MUL", [x, factors], [y])]

    def _segmented(self, x: int, y: int, stand: Segmented) -> list[Any]:
        self.old.opcodeIndex = self.code("UNSORTED_SEGMENT_SUM")
        self.old.builtinOptionsType = self.writer.BuiltinOptions.UnsortedSegmentSumOptions
        self.old.builtinOptions = self.writer.UnsortedSegmentSumOptionsT()
        self.old.inputs = [*(int(i) for i in self.old.inputs), self.constant(np.array([stand.count], np.int32))]
        return [self.old]

    def _rows(self, x: int, y: int, stand: Rows) -> list[Any]:
        return [self.op("GATHER", [self.constant(stand.table, self.sub.tensors[y]), x], [y])]

    def _sign(self, x: int, y: int, stand: Sign) -> list[Any]:
        like, zero = self.sub.tensors[x], self.constant(np.zeros(1, np.float32))
        made, sides = list[Any](), list[int]()
        for code in ("GREATER", "LESS"):
            flag = self.tensor(self.writer.TensorType.BOOL, list(like.shape))
            sides.append(self.tensor(like.type, list(like.shape)))
            made += [self.op(code, [x, zero], [flag]), self.op("CAST", [flag], sides[-1:])]
        return [*made, self.op("SUB", sides, [y])]
