"""Facts read out of a .tflite itself, and its accuracy on the host; needs no TensorFlow."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.records import TensorSpec

_WEIGHTED = ("CONV_2D", "FULLY_CONNECTED")
INTERPRETER = "LiteRT BUILTIN_REF"
"""The reference kernels; the interpreter's default (XNNPACK) rounds int8 differently."""


@dataclass(frozen=True)
class Weight:
    """One constant tensor of a weighted operation: role "kernel" or "bias", `nonzero` of its elements aren't 0."""

    op: str
    role: str
    shape: tuple[int, ...]
    nonzero: int

    @property
    def total(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


def zip_bytes(data: bytes) -> int:
    """Size of one zip member: deflate level 9, without the archive's own headers."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return len(packer.compress(data) + packer.flush())


def weights_and_macs(data: bytes) -> tuple[list[Weight], int]:
    """The constant tensors of convolutions and dense layers, and the multiply-accumulates of one inference."""
    import tflite

    model = tflite.Model.GetRootAsModel(data, 0)
    graph = model.Subgraphs(0)
    weights: list[Weight] = []
    macs = 0
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        name = tflite.opcode2name(model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode())
        if name not in _WEIGHTED:
            continue
        inputs = [operator.Inputs(k) for k in range(1, operator.InputsLength())]
        constants = [graph.Tensors(i) for i in inputs if i >= 0]  # -1: the converter dropped a bias of zeros
        roles = ("kernel", "bias")[: len(constants)]
        found = [Weight(name, role, _shape(t), _nonzero(model, t)) for role, t in zip(roles, constants, strict=True)]
        outputs = int(np.prod(_shape(graph.Tensors(operator.Outputs(0)))))
        macs += outputs * int(np.prod(found[0].shape[1:]))  # kernel: [outputs, ...] in both operations
        weights += found
    return weights, macs


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in tensor.ShapeAsNumpy())


def _nonzero(model: Any, tensor: Any) -> int:
    import tflite

    dtype = {tflite.TensorType.FLOAT32: "<f4", tflite.TensorType.INT8: "i1", tflite.TensorType.INT32: "<i4"}[tensor.Type()]
    raw = model.Buffers(tensor.Buffer()).DataAsNumpy()
    return int(np.count_nonzero(np.frombuffer(raw.tobytes(), dtype)))


def sparsity(weights: list[Weight]) -> float:
    """Share of zeros in all kernels, 0..1; biases don't count."""
    kernels = [w for w in weights if w.role == "kernel"]
    return 1 - sum(w.nonzero for w in kernels) / sum(w.total for w in kernels)


def host_outputs(data: bytes, windows: np.ndarray) -> np.ndarray:
    """What the model says to each window on the host: float32 [N,T,C] -> output dtype [N,classes]."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    inputs = _spec(source).quantize(windows).reshape(len(windows), *source["shape"])
    outputs = []
    for window in inputs:
        interpreter.set_tensor(source["index"], window)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result["index"])[0].copy())
    return np.array(outputs)


def _spec(details: dict[str, Any]) -> TensorSpec:
    scale, zero_point = details["quantization"]
    shape = tuple(int(n) for n in details["shape"])
    return TensorSpec(details["name"], shape, np.dtype(details["dtype"]).name, float(scale), int(zero_point))
