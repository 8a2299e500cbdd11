"""For LiteRT, which rounds dense layers of int8 with a scale for each channel, and of int16, otherwise than microcontrollers do:
the same sums as a convolution of one tap, which it rounds as tflite-micro does."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrig.compiler.model.graph import Graph


def rounded_otherwise(graph: Graph) -> list[int]:
    """Of the first subgraph, by number."""
    found = []
    for op in graph.ops:
        if op.code == "FULLY_CONNECTED" and len(op.inputs) > 1 and min(op.inputs[:2]) >= 0:
            x, w = (graph.tensors[i] for i in op.inputs[:2])
            if w.data is not None and (x.dtype == "int16" or (x.dtype == "int8" and len(w.scales) > 1)):
                found.append(op.index)
    return found


def as_convolution(writer: Any, model: Any, index: int) -> None:
    """Puts RESHAPE, CONV_2D, RESHAPE in the place of op `index` of the first subgraph."""
    sub = model.subgraphs[0]
    op = sub.operators[index]
    x, w, y = (sub.tensors[int(i)] for i in (op.inputs[0], op.inputs[1], op.outputs[0]))
    out_n, in_n = (int(d) for d in w.shape)
    rows = int(np.prod([int(d) for d in y.shape])) // out_n
    flat, made = (_tensor(writer, sub, t, [rows, 1, 1, n]) for t, n in ((x, in_n), (y, out_n)))
    taps = _tensor(writer, sub, w, [out_n, 1, 1, in_n])
    sub.tensors[taps].buffer = w.buffer
    conv = writer.OperatorT()
    conv.opcodeIndex = _code(writer, model, "CONV_2D", 3)
    given = int(op.inputs[2]) if len(op.inputs) > 2 else -1
    conv.inputs, conv.outputs = [flat, taps, given if given >= 0 else _zeros(writer, model, x, out_n)], [made]
    conv.builtinOptionsType = writer.BuiltinOptions.Conv2DOptions
    conv.builtinOptions = writer.Conv2DOptionsT()
    conv.builtinOptions.strideW = conv.builtinOptions.strideH = 1
    conv.builtinOptions.fusedActivationFunction = getattr(op.builtinOptions, "fusedActivationFunction", 0)
    ends = (_reshape(writer, model, int(op.inputs[0]), flat), _reshape(writer, model, made, int(op.outputs[0])))
    sub.operators[index : index + 1] = [ends[0], conv, ends[1]]


def _zeros(writer: Any, model: Any, x: Any, n: int) -> int:
    """A bias, which LiteRT's convolution of integers demands."""
    sub, wide = model.subgraphs[0], x.type == writer.TensorType.INT16
    t = _tensor(writer, sub, x, [n])
    buffer = writer.BufferT()
    buffer.data = np.zeros(n * (8 if wide else 4), np.uint8)
    model.buffers.append(buffer)
    sub.tensors[t].buffer, sub.tensors[t].quantization = len(model.buffers) - 1, None
    sub.tensors[t].type = writer.TensorType.INT64 if wide else writer.TensorType.INT32
    return t


def _reshape(writer: Any, model: Any, source: int, target: int) -> Any:
    op, shape = writer.OperatorT(), writer.ReshapeOptionsT()
    shape.newShape = [int(d) for d in model.subgraphs[0].tensors[target].shape]
    op.opcodeIndex = _code(writer, model, "RESHAPE", 1)
    op.inputs, op.outputs = [source], [target]
    op.builtinOptionsType, op.builtinOptions = writer.BuiltinOptions.ReshapeOptions, shape
    return op


def _code(writer: Any, model: Any, name: str, version: int) -> int:
    code = writer.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(writer.BuiltinOperator, name)
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _tensor(writer: Any, sub: Any, like: Any, shape: list[int]) -> int:
    t = writer.TensorT()
    t.name, t.type, t.shape, t.buffer, t.quantization = f"oracle_{len(sub.tensors)}", like.type, shape, 0, like.quantization
    sub.tensors.append(t)
    return len(sub.tensors) - 1
