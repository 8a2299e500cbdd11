"""Where does a model go wrong? Every step's outputs on the host beside the oracle's tensors. A debugging tool."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tinyrig.compiler.compile import compile_model, plan_unit
from tinyrig.compiler.model.graph import Tensor
from tinyrig.compiler.model.step import AnyStep, CompileOptions
from tinyrig.core.errors import UserError
from tinyrig.core.records import TensorSpec
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import ORACLES

_NO_LIMIT = 1 << 30
"""Bytes: the host has no flash or RAM to exceed."""


@dataclass(frozen=True)
class OpDiff:
    """One output tensor of one step over all windows. `max_abs_diff` in LSB for integers, real units for floats;
    `differing` elements of `compared`; None where the oracle has no such tensor (the compiler's own temporaries). `no_numbers`
    elements are NaN on both sides: neither equal nor different, and nothing behind them is verified."""

    index: int
    op: str
    name: str
    tensor: str
    dtype: str
    max_abs_diff: float | None
    differing: int
    compared: int
    no_numbers: int = 0

    def wrong(self, tolerance: float) -> bool:
        """Any difference of an integer; of a float, one beyond `tolerance` (absolute), or NaN, also where the oracle has it."""
        return self.no_numbers > 0 or self.off(tolerance)

    def off(self, tolerance: float) -> bool:
        """The same without regard to NaN on both sides."""
        limit = tolerance if self.dtype.startswith("float") else 0.0
        return self.max_abs_diff is not None and not self.max_abs_diff <= limit


def compare_ops(
    data: bytes, windows: Iterable[list[np.ndarray]], *, oracle: str = "tflm", engine: str = "tinyrig", optimise: str = "speed"
) -> list[OpDiff]:
    """Runs each window (a list of input tensors) step by step and compares every tensor a step has written. Differences
    add up along the network: the first row that differs names the culprit. Raises ModelError, UserError, HostError."""
    if oracle not in ORACLES:
        raise UserError(f"unknown oracle {oracle!r}", expected=" or ".join(ORACLES), received=oracle)
    unit = plan_unit(data, engine, CompileOptions(optimise))
    compiled = compile_model(data, flash_bytes=_NO_LIMIT, ram_bytes=_NO_LIMIT, engine=engine, optimise=optimise)
    host, reference = HostModel(compiled), ORACLES[oracle](data)
    base = unit.memory.offsets[unit.lowered.inputs[0]]
    steps = unit.lowered.top_steps
    last = {t.index: i for i, s in enumerate(steps) for t in s.outputs}  # what a loop carries is written before it, too
    rows = {(i, t.index): _Row(i, s, t) for i, s in enumerate(steps) for t in s.outputs if last[t.index] == i}
    for inputs in windows:
        want = reference.tensors(inputs)
        for i in host.run_ops(inputs):
            for t in steps[i].outputs:
                if t.index in want and (i, t.index) in rows:
                    spec = TensorSpec(t.name, t.shape, t.dtype)
                    rows[i, t.index].add(host.tensor(unit.memory.offsets[t.index] - base, spec), want[t.index])
    return [row.result() for row in rows.values()]


class _Row:
    def __init__(self, index: int, step: AnyStep, tensor: Tensor) -> None:
        self._index, self._step, self._tensor = index, step, tensor
        self._worst: float | None = None
        self._differing = self._compared = self._no_numbers = 0

    def add(self, got: np.ndarray, want: np.ndarray) -> None:
        a, b = got.astype(np.float64), want.astype(np.float64).reshape(got.shape)
        with np.errstate(invalid="ignore"):
            # A NaN on one side only, or infinities of two signs, are an infinite difference, not none.
            nothing = np.isnan(a) & np.isnan(b)
            difference = np.where((a == b) | nothing, 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf))
        self._worst = max(self._worst or 0.0, float(difference.max(initial=0.0)))
        self._differing += int(np.count_nonzero(difference))
        self._no_numbers += int(np.count_nonzero(nothing))
        self._compared += difference.size

    def result(self) -> OpDiff:
        s, t = self._step, self._tensor
        return OpDiff(self._index, s.op, s.name, t.name, t.dtype, self._worst, self._differing, self._compared, self._no_numbers)


def table(rows: Iterable[OpDiff], tolerance: float) -> str:
    """The rows for people, as Markdown. The first marked `differs` is the culprit; of a fused tensor the first name is shown."""
    from tabulate import tabulate

    header = ("step", "op", "tensor", "dtype", "largest difference", "differing", "of", "")
    cells = [(r.index, r.op, r.tensor.split(";")[0], r.dtype, *_figures(r, tolerance)) for r in rows]
    return tabulate(cells, header, "github", disable_numparse=True)


def _figures(r: OpDiff, tolerance: float) -> tuple[str, int, int, str]:
    if r.max_abs_diff is None:
        return "-", r.differing, r.compared, "not in the oracle"
    said = ["differs"] if r.off(tolerance) else []
    said += [f"{r.no_numbers} are NaN on both sides: not verified"] if r.no_numbers else []
    return f"{r.max_abs_diff:.3g}", r.differing, r.compared, "; ".join(said)
