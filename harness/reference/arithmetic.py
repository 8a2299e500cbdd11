"""Operators that compute each value from those at its place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyrig.reference.call import QUANTIZED, Call, saturated

Function = Callable[[Call], list[np.ndarray]]
WHOLE = ("int32", "int64", "uint32", "uint64")


def _erf(v: np.ndarray) -> np.ndarray:
    from math import erf

    return np.array([erf(x) for x in v.ravel()]).reshape(v.shape)


def _rectified(low: float, high: float) -> Function:
    return lambda c: [c.result(np.clip(c.real(0), low, high))]


def _of_one(function: Callable[[np.ndarray], np.ndarray]) -> Function:
    def run(c: Call) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            return [c.result(function(c.real(0) if c.tensor(0).dtype not in WHOLE else c.stored(0)))]

    return run


def _of_two(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Function:
    def run(c: Call) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            if c.tensor(0).dtype in WHOLE:
                return [c.result(c.activated(function(c.stored(0), c.stored(1))))]
            return [c.result(c.activated(function(c.real(0), c.real(1))))]

    return run


def _div(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of whole numbers: towards zero, as C."""
    quotient: np.ndarray = a / b if a.dtype.kind != "i" else np.sign(a) * np.sign(b) * (np.abs(a) // np.maximum(np.abs(b), 1))
    return quotient


def _picked(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Function:
    """One of the operands' stored numbers, where both and the output are stored alike."""

    def run(c: Call) -> list[np.ndarray]:
        if c.same_numbers(0) and c.same_numbers(1):
            return [function(c.stored(0), c.stored(1)).reshape(c.y[0].shape)]
        return [c.result(function(c.real(0), c.real(1)))]

    return run


def _compared(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Function:
    def run(c: Call) -> list[np.ndarray]:
        quantized = c.tensor(0).dtype in QUANTIZED
        a, b = (c.real(i) if quantized else c.stored(i) for i in (0, 1))
        return [function(a, b).reshape(c.y[0].shape)]

    return run


def _floored(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Function:
    """In the type itself: a quotient just below a whole number in float64 may be that number in float32."""

    def run(c: Call) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            return [function(c.stored(0), c.stored(1)).astype(c.y[0].dtype).reshape(c.y[0].shape)]

    return run


def prelu(c: Call) -> list[np.ndarray]:
    x = c.real(0)
    return [c.result(np.where(x >= 0, x, x * c.real(1)))]


def leaky_relu(c: Call) -> list[np.ndarray]:
    x = c.real(0)
    return [c.result(np.where(x >= 0, x, x * c.op.options.real("alpha")))]


def gelu(c: Call) -> list[np.ndarray]:
    x = c.real(0)
    if c.op.options.flag("approximate"):
        return [c.result(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))]
    return [c.result(0.5 * x * (1 + _erf(x / np.sqrt(2))))]


def add_n(c: Call) -> list[np.ndarray]:
    whole = c.tensor(0).dtype in WHOLE
    parts = [c.stored(i) if whole else c.real(i) for i in range(len(c.given))]
    return [c.result(np.sum(parts, axis=0))]


def quantize(c: Call) -> list[np.ndarray]:
    """Also DEQUANTIZE. An int32 here stands for a real number if it has a scale."""
    t = c.tensor(0)
    value = c.real(0)
    if t.dtype in ("int32", "float16") and len(t.scales):
        value = (value - t.zero_point) * float(t.scale)
    y = c.y[0]
    if y.dtype == "int32" and len(y.scales):
        return [saturated(np.rint(value / float(y.scale)) + y.zero_point, "int32").reshape(y.shape)]
    return [c.result(value)]


def cast(c: Call) -> list[np.ndarray]:
    """Of stored numbers. A float beyond its integer type is left open by C: it saturates here."""
    value, dtype = c.stored(0), c.y[0].dtype
    if value.dtype.kind == "f" and dtype not in ("float32", "bool"):
        return [saturated(np.trunc(value.astype(np.float64)), dtype).reshape(c.y[0].shape)]
    return [value.astype(dtype).reshape(c.y[0].shape)]


def select(c: Call) -> list[np.ndarray]:
    condition, a, b = c.stored(0), c.stored(1), c.stored(2)
    if c.op.code == "SELECT" and condition.ndim == 1 and a.ndim > 1:  # picks rows
        condition = condition.reshape(-1, *([1] * (a.ndim - 1)))
    if c.same_numbers(1) and c.same_numbers(2):
        return [np.where(condition, a, b).astype(c.y[0].dtype).reshape(c.y[0].shape)]
    return [c.result(np.where(condition, c.real(1), c.real(2)))]


def sigmoid(v: np.ndarray) -> np.ndarray:
    found: np.ndarray = 1 / (1 + np.exp(-v))
    return found


ARITHMETIC: dict[str, Function] = {
    "ADD": _of_two(np.add),
    "SUB": _of_two(np.subtract),
    "MUL": _of_two(np.multiply),
    "DIV": _of_two(_div),
    "SQUARED_DIFFERENCE": _of_two(lambda a, b: (a - b) ** 2),
    "MINIMUM": _picked(np.minimum),
    "MAXIMUM": _picked(np.maximum),
    "FLOOR_DIV": _floored(np.floor_divide),
    "FLOOR_MOD": _floored(np.mod),
    "POW": _of_two(np.power),
    "ATAN2": _of_two(np.arctan2),
    "BITWISE_XOR": _compared(np.bitwise_xor),
    "ADD_N": add_n,
    "PRELU": prelu,
    "LEAKY_RELU": leaky_relu,
    "GELU": gelu,
    "RELU": _rectified(0, np.inf),
    "RELU6": _rectified(0, 6),
    "RELU_N1_TO_1": _rectified(-1, 1),
    "RELU_0_TO_1": _rectified(0, 1),
    "LOGISTIC": _of_one(sigmoid),
    "TANH": _of_one(np.tanh),
    "HARD_SWISH": _of_one(lambda v: v * np.clip(v + 3, 0, 6) / 6),
    "ELU": _of_one(lambda v: np.where(v < 0, np.expm1(np.minimum(v, 0)), v)),
    "ABS": _of_one(np.abs),
    "RSQRT": _of_one(lambda v: 1 / np.sqrt(v)),
    "EXP": _of_one(np.exp),
    "LOG": _of_one(np.log),
    "SQRT": _of_one(np.sqrt),
    "SQUARE": _of_one(np.square),
    "NEG": _of_one(np.negative),
    "SIGN": _of_one(np.sign),
    "FLOOR": _of_one(np.floor),
    "CEIL": _of_one(np.ceil),
    "ROUND": _of_one(np.rint),
    "SIN": _of_one(np.sin),
    "COS": _of_one(np.cos),
    "EQUAL": _compared(np.equal),
    "NOT_EQUAL": _compared(np.not_equal),
    "GREATER": _compared(np.greater),
    "GREATER_EQUAL": _compared(np.greater_equal),
    "LESS": _compared(np.less),
    "LESS_EQUAL": _compared(np.less_equal),
    "LOGICAL_AND": _compared(np.logical_and),
    "LOGICAL_OR": _compared(np.logical_or),
    "LOGICAL_NOT": lambda c: [np.logical_not(c.stored(0)).reshape(c.y[0].shape)],
    "SELECT": select,
    "SELECT_V2": select,
    "CAST": cast,
    "QUANTIZE": quantize,
    "DEQUANTIZE": quantize,
}
