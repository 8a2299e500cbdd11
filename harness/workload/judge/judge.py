"""The numpy reference's verdict on the engine's portable kernels.

Each operator is judged by itself, on inputs that were judged before: a value within its tolerance is taken as the kernel wrote
it, any other as the reference computed it. So roundings don't add up along a network, and what a board gives is held against the
result as against any other oracle's: integers to the byte. A wrong kernel leaves the reference's value, from which the board
then differs."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.reference.interpreter import Interpreter
from tinyrig.reference.table import steps
from tinyrig.workload.judge.kernels import PortableKernels

FLOAT_TOLERANCE = 1e-5
"""Of one operator's float32 outputs: relative to the largest, and absolute below 1."""


class Judge:
    """Same calls as an oracle's library has in its child. Raises ModelError, HostError."""

    def __init__(self, data: bytes) -> None:
        self._reference = Interpreter(data)
        self._kernels = PortableKernels(data)

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return self._outputs(self._judged(inputs, reset=True))

    def run_on(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return self._outputs(self._judged(inputs, reset=False))

    def tensors(self, inputs: list[np.ndarray]) -> dict[int, np.ndarray]:
        return self._judged(inputs, reset=True)

    def _judged(self, inputs: list[np.ndarray], reset: bool) -> dict[int, np.ndarray]:
        if reset:
            self._reference.reset()
        written = self._kernels.run(inputs, reset)

        def settle(op: Op, index: int, value: np.ndarray) -> np.ndarray:
            found = written.get(index)
            if found is None or found.size != value.size or found.dtype != value.dtype:
                return value
            return accepted(op, self._reference.tensors[index], value, found.reshape(value.shape))

        return self._reference.run(inputs, settle)

    def _outputs(self, values: dict[int, np.ndarray]) -> list[np.ndarray]:
        return [self._reference.value(values, i) for i in self._reference.graph.outputs]


def accepted(op: Op, tensor: Tensor, reference: np.ndarray, written: np.ndarray) -> np.ndarray:
    """`written` where it lies within the operator's tolerance, `reference` elsewhere."""
    a, b = reference.astype(np.float64), written.astype(np.float64)
    with np.errstate(invalid="ignore"):
        near = (np.abs(a - b) <= _tolerance(op, tensor, a)) | (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(near, written, reference).astype(reference.dtype)


def _tolerance(op: Op, tensor: Tensor, reference: np.ndarray) -> float:
    if tensor.dtype == "float32":
        return FLOAT_TOLERANCE * max(1.0, float(np.abs(reference[np.isfinite(reference)]).max(initial=0.0)))
    return steps(op, tensor)
