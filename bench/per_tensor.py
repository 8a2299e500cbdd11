"""A twin of an int8 network whose dense layers have one weight scale each, for a peer that knows no other kind."""

from __future__ import annotations

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema


def per_tensor_dense(data: bytes) -> bytes:
    """A .tflite -> the same with every per-channel dense layer requantised to its largest scale: another network by up to
    half an LSB of each weight, with the same shapes and the same number of operations."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    graph = model.subgraphs[0]
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.FULLY_CONNECTED:
            x, w = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]]
            bias = graph.tensors[op.inputs[2]] if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
            _requantise(model, x, w, bias)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _requantise(model: schema.ModelT, x: schema.TensorT, w: schema.TensorT, bias: schema.TensorT | None) -> None:
    scales = np.asarray(w.quantization.scale, np.float32)
    if len(scales) == 1:
        return
    ratio = (scales / scales.max())[:, None]
    weights = _values(model, w, np.int8).reshape(tuple(w.shape))
    _store(model, w, np.clip(np.round(weights * ratio), -127, 127).astype(np.int8), scales.max())
    if bias is not None:
        values = np.round(_values(model, bias, np.int32) * ratio[:, 0].astype(np.float64))
        _store(model, bias, values.astype(np.int32), x.quantization.scale[0] * scales.max())


def _values(model: schema.ModelT, tensor: schema.TensorT, dtype: type) -> np.ndarray:
    return np.frombuffer(np.asarray(model.buffers[tensor.buffer].data, np.uint8).tobytes(), dtype)


def _store(model: schema.ModelT, tensor: schema.TensorT, values: np.ndarray, scale: float) -> None:
    """Into a buffer of its own: the file may share one between tensors."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)
    tensor.quantization.scale, tensor.quantization.zeroPoint = np.array([scale], np.float32), np.array([0], np.int64)
    tensor.quantization.quantizedDimension = 0
