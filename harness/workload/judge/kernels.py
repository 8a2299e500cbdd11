"""The engine's portable kernels on this machine, with all that they write."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.compile import compile_model, plan_unit
from tinyrig.compiler.model.graph import Tensor
from tinyrig.compiler.model.step import CompileOptions
from tinyrig.core.records import TensorSpec
from tinyrig.workload.host_build import HostModel

_NO_LIMIT = 1 << 30
"""Bytes: the host has no flash or RAM to exceed."""


class PortableKernels:
    """Not for two threads. Raises ModelError, HostError."""

    def __init__(self, data: bytes) -> None:
        self._unit = plan_unit(data, "portable", CompileOptions())
        self._host = HostModel(compile_model(data, flash_bytes=_NO_LIMIT, ram_bytes=_NO_LIMIT, engine="portable"))
        self._first = self._unit.memory.offsets[self._unit.lowered.inputs[0]]
        self._last = {t.index: i for i, s in enumerate(self._unit.lowered.top_steps) for t in s.outputs}

    def run(self, inputs: list[np.ndarray], reset: bool) -> dict[int, np.ndarray]:
        """Every tensor that a step has written, and every state, by its index in the file. Steps may have been fused: then what
        lay between them is not there."""
        steps, lowered, found = self._unit.lowered.top_steps, self._unit.lowered, dict[int, np.ndarray]()
        for i in self._host.run_ops(inputs, reset):
            found |= {t.index: self._value(t) for t in steps[i].outputs if self._last[t.index] == i}
        return found | {i: self._value(lowered.tensors[i]) for i in lowered.states}

    def _value(self, t: Tensor) -> np.ndarray:
        return self._host.tensor(self._unit.memory.offsets[t.index] - self._first, TensorSpec(t.name, t.shape, t.dtype))
