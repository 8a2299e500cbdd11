"""What a model calls its inputs and outputs, and which operator makes each output: for choosing by name, not for compiling."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinyrig.compiler.model import schema
from tinyrig.compiler.model.graph import Graph, read_model
from tinyrig.core.text import printable

_THROUGH = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST")
"""Operators that leave an output's meaning as it is: the one before them says it."""
_MOST = 4096
"""Entries of a list of names that is still read."""


@dataclass(frozen=True)
class End:
    """An input or output: `tensor` is its name in the graph; `signature` that of the file's SignatureDef (what the user called
    it in Keras or PyTorch), empty where there is none; `maker` the operator that gives an output its meaning."""

    tensor: str
    signature: str = ""
    maker: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.signature or self.tensor

    @property
    def names(self) -> tuple[str, ...]:
        """All that it may be called: as in the file, without what a converter puts before or behind it."""
        plain = self.tensor.removeprefix("serving_default_").partition(":")[0]
        return tuple(dict.fromkeys(name for name in (self.signature, self.tensor, plain) if name))


def ends(data: bytes) -> tuple[tuple[End, ...], tuple[End, ...]]:
    """(inputs, outputs) of a model, in the order of the file. Raises ModelError for what is none."""
    graph = read_model(data)
    sides = _signature(data)
    inputs = tuple(End(graph.tensors[i].name, sides[0].get(i, "")) for i in graph.inputs)
    outputs = tuple(End(graph.tensors[i].name, sides[1].get(i, ""), _maker(graph, i)) for i in graph.outputs)
    return _distinct(inputs), _distinct(outputs)


def _distinct(found: tuple[End, ...]) -> tuple[End, ...]:
    """Without signatures where two share a name: they would tell nothing apart."""
    named = [end.signature for end in found if end.signature]
    return found if len(set(named)) == len(named) else tuple(End(end.tensor, "", end.maker) for end in found)


def _maker(graph: Graph, tensor: int) -> str:
    made = {out: op for op in graph.ops for out in op.outputs}
    for _ in graph.ops:  # at most: a chain has no circles, but a file may claim anything
        op = made.get(tensor)
        if op is None or op.code not in _THROUGH or not op.inputs:
            return op.code if op else ""
        tensor = op.inputs[0]
    return ""


def _signature(data: bytes) -> tuple[dict[int, str], dict[int, str]]:
    """Tensor index -> name, of inputs and of outputs, by the first SignatureDef. Names are a help: a file whose list of them
    can't be read has none."""
    try:
        model: Any = schema.root(data)
        if not model.SignatureDefsLength():
            return {}, {}
        first = model.SignatureDefs(0)
        return _names(first.InputsLength(), first.Inputs), _names(first.OutputsLength(), first.Outputs)
    except (struct.error, ValueError, IndexError, TypeError, AttributeError, OverflowError, MemoryError):
        return {}, {}


def _names(count: int, get: Callable[[int], Any]) -> dict[int, str]:
    maps = [get(i) for i in range(count if count <= _MOST else 0)]
    return {int(m.TensorIndex()): printable((m.Name() or b"").decode("utf-8", "replace"), 300) for m in maps}
