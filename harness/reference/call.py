"""One call of one operator: what its function gets, and how real numbers become stored ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyrig.compiler.model.graph import Op, Tensor

QUANTIZED = ("int8", "int16", "uint8")


@dataclass(frozen=True)
class Call:
    """`given`: the stored values of the inputs `x`, None where one is omitted; `y`: the outputs, with their final shapes.
    `states`: the stored values of the inputs that are variables."""

    op: Op
    x: tuple[Tensor | None, ...]
    given: tuple[np.ndarray | None, ...]
    y: tuple[Tensor, ...]

    def has(self, i: int) -> bool:
        return i < len(self.given) and self.given[i] is not None

    def tensor(self, i: int) -> Tensor:
        t = self.x[i]
        assert t is not None, f"{self.op} has no input {i}"
        return t

    def stored(self, i: int) -> np.ndarray:
        value = self.given[i]
        assert value is not None, f"{self.op} has no input {i}"
        return value

    def real(self, i: int) -> np.ndarray:
        """float64: the numbers that the stored ones stand for."""
        return real(self.tensor(i), self.stored(i))

    def numbers(self, i: int) -> list[int]:
        return [int(v) for v in self.stored(i).ravel()]

    def centred(self, i: int) -> np.ndarray:
        """float64: without the zero point, before the scale."""
        t = self.tensor(i)
        return self.stored(i).astype(np.float64) - (_along(t, t.zero_points) if t.dtype in QUANTIZED else 0)

    def result(self, value: np.ndarray, i: int = 0) -> np.ndarray:
        """Stored, with output `i`'s type, quantisation and shape."""
        return stored(self.y[i], value).reshape(self.y[i].shape)

    def activated(self, value: np.ndarray) -> np.ndarray:
        """Behind the op's fused activation, which works on real numbers."""
        found: np.ndarray = ACTIVATIONS[self.op.options.word("activation", "NONE")](value)
        return found

    def same_numbers(self, i: int = 0) -> bool:
        """Do input `i` and the output store numbers alike, so that they need no new rounding?"""
        t, y = self.tensor(i), self.y[0]
        alike = np.array_equal(t.scales, y.scales) and np.array_equal(t.zero_points, y.zero_points)
        return t.dtype == y.dtype and (alike or t.dtype not in QUANTIZED)


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "NONE": lambda v: v,
    "RELU": lambda v: np.maximum(v, 0),
    "RELU_N1_TO_1": lambda v: np.clip(v, -1, 1),
    "RELU6": lambda v: np.clip(v, 0, 6),
    "TANH": np.tanh,
}


def _along(t: Tensor, values: np.ndarray) -> np.ndarray:
    """One number for all, or one for each index of the tensor's quantised dimension, so that numpy spreads it."""
    if len(values) <= 1:
        return values.astype(np.float64).reshape(()) if len(values) else np.zeros(())
    shape = [1] * len(t.shape)
    shape[t.axis] = len(values)
    return values.astype(np.float64).reshape(shape)


def real(t: Tensor, value: np.ndarray) -> np.ndarray:
    if t.dtype not in QUANTIZED or not len(t.scales):
        return value.astype(np.float64)
    return np.asarray((value.astype(np.float64) - _along(t, t.zero_points)) * _along(t, t.scales))


def scale(t: Tensor) -> np.ndarray:
    """For each channel, or one; 1 where the tensor is not quantised."""
    return t.scales.astype(np.float64) if t.dtype in QUANTIZED and len(t.scales) else np.ones(1)


def stored(t: Tensor, value: np.ndarray) -> np.ndarray:
    """With the type and steps of `t`: halves away from zero, saturated; whole numbers wrap as the machine's do."""
    if t.dtype in QUANTIZED and len(t.scales):
        steps = value / float(t.scale)
        return saturated(np.trunc(steps + np.copysign(0.5, steps)) + t.zero_point, t.dtype)
    with np.errstate(over="ignore"):
        found: np.ndarray = np.asarray(value).astype(t.dtype)
    return found


def saturated(value: np.ndarray, dtype: str) -> np.ndarray:
    info = np.iinfo(dtype)
    found: np.ndarray = np.clip(np.nan_to_num(value), info.min, info.max).astype(dtype)
    return found
