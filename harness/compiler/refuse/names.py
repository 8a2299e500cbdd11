"""Tensor names -> the layer as its author knows it. Converters write the path of scopes that a tensor was made in:
`functional_1/sequential_1/gru_1/while;...` is Keras' layer gru_1."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from tinyrig.compiler.model.graph import Graph, Op

_WRAPPER = re.compile(
    r"(StatefulPartitionedCall|PartitionedCall|functional|model|sequential|main|jit\(.*\)|XlaCallModule)([_:]\d+)*"
)
"""Scopes that converters and Keras put around the layers."""
_INSIDE = re.compile(
    r"[A-Z]\w*([_:]\d+)*|(while|convolution|transpose|unstack|add|sub|mul|zeros|ones|einsum|moments|batchnorm|strided_slice|split|concat"
    r"|while_cond|while_body|convolution_\w+|\w*_cell)[_\d]*"
)
"""The first scope inside a layer: an operation of the framework, which begins with a capital or is one of these."""
_UNTOLD = re.compile(r"(tfl|arith|std|stablehlo)\.[a-z_]\w*|serving_default_.*|keras_tensor.*|[a-z]\d*|t\d+")
"""Names that no author gave."""
_TORCH = re.compile(r"torch\.(nn\.modules|ao)\.[\w.]*_(?P<name>[a-z]\w*)")
CELLS = {"lstm_cell": "LSTM", "gru_cell": "GRU", "simple_rnn_cell": "SimpleRNN"}
"""Scope of a Keras cell -> the layer's class."""
_FUSED = {"UNIDIRECTIONAL_SEQUENCE_LSTM": "LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM": "Bidirectional LSTM"}
_LONGEST = 80


def layer_in(tensor_name: str) -> str:
    """ "" where the name tells of no layer."""
    parts = [p for p in tensor_name.split(";")[0].split("/") if p]
    while parts and _WRAPPER.fullmatch(parts[0]):
        del parts[0]
    torch = [m["name"] for p in parts if (m := _TORCH.fullmatch(p))]
    if torch:
        return torch[-1][:_LONGEST]
    inner = next((i for i, p in enumerate(parts) if _INSIDE.fullmatch(p)), len(parts))
    if inner == 0 or (inner == len(parts) and len(parts) == 1):  # an operation of no layer, or a bare tensor's name
        return ""
    return "/".join(parts[:inner])[-_LONGEST:]


def told(tensor_name: str) -> bool:
    """Whether somebody may know the tensor by this name."""
    return bool(tensor_name) and not _UNTOLD.fullmatch(tensor_name)


def with_layers(graph: Graph) -> tuple[Op, ...]:
    """The graph's ops, each with the layer that it belongs to where the file tells."""
    return tuple(replace(op, layer=_layer(graph, op)) for op in graph.ops)


def shown_name(graph: Graph, op: Op) -> str:
    """The layer's name, else that of the first tensor the op writes."""
    names = [graph.tensors[i].name for i in op.outputs if 0 <= i < len(graph.tensors)][:64]
    layer = next((found for n in names if (found := layer_in(n))), "")
    return layer or next((n.split(";")[0] for n in names if told(n)), "") or next(iter(names), "")


def _layer(graph: Graph, op: Op) -> str:
    names = [graph.tensors[i].name for i in (*op.outputs, *op.inputs[1:]) if 0 <= i < len(graph.tensors)]
    name = next((layer for n in names[:64] if (layer := layer_in(n))), "")
    kind = _kind(graph, op, name)
    return " ".join(p for p in (kind, f"`{name}`" if name else "") if p)


def _kind(graph: Graph, op: Op, layer: str) -> str:
    """Keras' class of a recurrent layer, whether fused or written as a loop."""
    if op.code in _FUSED:
        return _FUSED[op.code]
    if op.code != "WHILE" or not layer:
        return ""
    return _class_of(n for n in graph.inner_names if f"/{layer}/" in f"/{n}")


def _class_of(names: Iterable[str]) -> str:
    return next((kind for n in names for cell, kind in CELLS.items() if cell in n), "")
