"""Operators that look along dimensions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyrig.reference.call import Call

Function = Callable[[Call], list[np.ndarray]]


def _axes(c: Call) -> tuple[int, ...]:
    rank = c.stored(0).ndim
    return tuple({a % rank for a in c.numbers(1)}) if rank else ()


def _of_numbers(function: Callable[..., np.ndarray]) -> Function:
    """On real numbers."""

    def run(c: Call) -> list[np.ndarray]:
        value = c.stored(0) if c.tensor(0).dtype in ("int32", "int64") else c.real(0)
        return [c.result(function(value, axis=_axes(c)))]

    return run


def _of_stored(function: Callable[..., np.ndarray]) -> Function:
    """One of the stored numbers, as far as the output stores them alike."""

    def run(c: Call) -> list[np.ndarray]:
        if c.same_numbers():
            return [function(c.stored(0), axis=_axes(c)).reshape(c.y[0].shape)]
        return [c.result(function(c.real(0), axis=_axes(c)))]

    return run


def mean(c: Call) -> list[np.ndarray]:
    if c.tensor(0).dtype in ("int32", "int64"):
        return [c.result(np.trunc(c.stored(0).mean(axis=_axes(c))))]
    return [c.result(c.real(0).mean(axis=_axes(c)))]


def _log_softmax(v: np.ndarray) -> np.ndarray:
    v = v - v.max(axis=-1, keepdims=True)
    found: np.ndarray = v - np.log(np.exp(v).sum(axis=-1, keepdims=True))
    return found


def _best(function: Callable[..., np.ndarray]) -> Function:
    return lambda c: [function(c.stored(0), axis=c.numbers(1)[0]).astype(c.y[0].dtype).reshape(c.y[0].shape)]


def cumsum(c: Call) -> list[np.ndarray]:
    axis, options = c.numbers(1)[0], c.op.options
    v = c.real(0) if c.tensor(0).dtype not in ("int32", "int64") else c.stored(0)
    v = np.flip(v, axis) if options.flag("reverse") else v
    sums = np.cumsum(v, axis=axis) - (v if options.flag("exclusive") else 0)
    return [c.result(np.flip(sums, axis) if options.flag("reverse") else sums)]


def l2_normalization(c: Call) -> list[np.ndarray]:
    """Along the last dimension; a length below 1e-6 counts as that."""
    v = c.real(0)
    length = np.maximum(np.sqrt((v**2).sum(axis=-1, keepdims=True)), 1e-6)
    return [c.result(c.activated(v / length))]


REDUCTIONS: dict[str, Function] = {
    "MEAN": mean,
    "SUM": _of_numbers(np.sum),
    "REDUCE_PROD": _of_numbers(np.prod),
    "REDUCE_MAX": _of_stored(np.max),
    "REDUCE_MIN": _of_stored(np.min),
    "REDUCE_ALL": _of_stored(np.all),
    "REDUCE_ANY": _of_stored(np.any),
    "SOFTMAX": lambda c: [c.result(np.exp(_log_softmax(c.real(0) * c.op.options.real("beta"))))],
    "LOG_SOFTMAX": lambda c: [c.result(_log_softmax(c.real(0)))],
    "ARG_MAX": _best(np.argmax),
    "ARG_MIN": _best(np.argmin),
    "CUMSUM": cumsum,
    "L2_NORMALIZATION": l2_normalization,
}
