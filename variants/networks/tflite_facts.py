"""Facts read out of a .tflite itself, and its accuracy on the host; needs no TensorFlow."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyrig.core.records import TensorSpec

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
INTERPRETER = "LiteRT BUILTIN_REF"
"""The reference kernels; the interpreter's default (XNNPACK) rounds int8 differently."""


@dataclass(frozen=True)
class Weight:
    """One constant tensor of a weighted operation: role "kernel" or "bias", and its values as stored."""

    op: str
    role: str
    shape: tuple[int, ...]
    values: np.ndarray

    @property
    def nonzero(self) -> int:
        return int(np.count_nonzero(self.values))

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
    stored = _stored(model, graph)
    weights: list[Weight] = []
    macs = 0
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        name = _name(model, operator)
        if name not in _WEIGHTED:
            continue
        found = [
            Weight(name, role, _shape(tensor), _values(model, tensor))
            for role, k in zip(("kernel", "bias"), range(1, operator.InputsLength()), strict=False)
            if operator.Inputs(k) >= 0  # -1: no bias
            for tensor in [graph.Tensors(stored.get(operator.Inputs(k), operator.Inputs(k)))]
        ]
        outputs = int(np.prod(_shape(graph.Tensors(operator.Outputs(0)))))
        taps = found[0].shape[1:-1] if name == "DEPTHWISE_CONV_2D" else found[0].shape[1:]  # else: [outputs, ...]
        macs += outputs * int(np.prod(taps))
        weights += found
    return weights, macs


def _name(model: Any, operator: Any) -> str:
    import tflite

    return str(tflite.opcode2name(model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()))


def _stored(model: Any, graph: Any) -> dict[int, int]:
    """Widened tensors -> the float16 ones that they are made of."""
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    return {o.Outputs(0): o.Inputs(0) for o in operators if _name(model, o) == "DEQUANTIZE"}


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in tensor.ShapeAsNumpy())


def _values(model: Any, tensor: Any) -> np.ndarray:
    """[] where the tensor isn't constant."""
    import tflite

    kinds = tflite.TensorType
    dtype = {
        kinds.FLOAT32: "<f4",
        kinds.FLOAT16: "<f2",
        kinds.INT8: "i1",
        kinds.INT16: "<i2",
        kinds.INT32: "<i4",
        kinds.INT64: "<i8",
    }
    raw = model.Buffers(tensor.Buffer()).DataAsNumpy()
    return np.frombuffer(raw.tobytes() if isinstance(raw, np.ndarray) else b"", dtype[tensor.Type()])


def sparsity(weights: list[Weight]) -> float:
    """Share of zeros in all kernels, 0..1; biases don't count."""
    kernels = [w for w in weights if w.role == "kernel"]
    return 1 - sum(w.nonzero for w in kernels) / sum(w.total for w in kernels)


def shapes(weights: list[Weight]) -> dict[str, list[int]]:
    """Shape of each tensor by operation and role; several of a kind are numbered from the second on."""
    found: dict[str, list[int]] = {}
    for weight in weights:
        name = f"{weight.op} {weight.role}"
        same = sum(key.split(" #")[0] == name for key in found)
        found[f"{name} #{same + 1}" if same else name] = list(weight.shape)
    return found


def host_outputs(data: bytes, windows: np.ndarray) -> np.ndarray:
    """What the model answers to each window on the host: float32 [N,T,C] -> output dtype [N,classes]."""
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
