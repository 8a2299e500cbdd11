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
from tinyrig.compiler.model.params import Clamp, Lut

FUNCTIONS = ("EXP", "LOG", "SQRT", "GELU")
MOVERS_OF_INT16 = (
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


Stand = Lookup | Limits | Places | Renamed | Floated | Blended | Sign | Rows


def stand_ins(graph: Graph, lowered: Lowered) -> dict[int, Stand]:
    """By the op's number in the first subgraph."""
    params = {s.op_index: s.params for s in lowered.steps if s.block == 0}
    rows = {s.op_index: s.inputs[0].data for s in lowered.steps if s.block == 0 and s.op == "ONE_HOT"}
    found: dict[int, Stand] = {}
    for op in graph.ops:
        tensors = [lowered.tensors[i] for i in (*op.inputs, *op.outputs) if i >= 0]
        given = params.get(op.index)
        if op.code in FUNCTIONS and isinstance(given, Lut):
            found[op.index] = Lookup(given.table)
        elif op.code in CLAMPS and isinstance(given, Clamp):
            found[op.index] = Limits(given.act_min, given.act_max)
        elif op.code == "SIGN" and op.index in params:
            found[op.index] = Sign()
        elif op.code == "ONE_HOT" and (table := rows.get(op.index)) is not None:
            found[op.index] = Rows(table)
        elif op.code == "TILE" and tensors[0].dtype in ("int8", "int16", "float32"):
            found[op.index] = Places(_tiled(tensors[0], tensors[-1]))
        elif op.code in MOVERS_OF_INT16 and tensors[-1].dtype == "int16" and op.index in params:
            found[op.index] = Floated()
        elif op.code in ("SELECT", "SELECT_V2") and tensors[-1].dtype == "int32" and _broadcasts(op, tensors):
            found[op.index] = Blended()
        elif op.code == "SELECT" and _broadcasts(op, tensors):
            found[op.index] = Renamed("SELECT_V2")
    return found


def _tiled(x: Tensor, y: Tensor) -> np.ndarray:
    places = np.arange(x.size, dtype=np.int32).reshape(x.shape)
    return np.tile(places, tuple(n // m for n, m in zip(y.shape, x.shape, strict=True)))


def _broadcasts(op: Op, tensors: list[Tensor]) -> bool:
    """SELECT also takes a vector that picks rows, SELECT_V2 does not."""
    condition, y = tensors[0], tensors[-1]
    return condition.shape in ((), (1,), y.shape)


_OPTIONS = {"GATHER": "GatherOptions", "ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}


class Rewriter:
    """Puts ops into a model of the schema's object API."""

    def __init__(self, writer: Any, model: Any) -> None:
        self.writer, self.model, self.sub = writer, model, model.subgraphs[0]

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
        old = self.sub.operators[index]
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
