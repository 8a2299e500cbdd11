"""Models of one op that keeps state: SVDF and the fused LSTM, in all types that TFLM takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrig.compiler.tests.model_builder import ModelBuilder


def _variable(b: ModelBuilder, shape: tuple[int, ...], dtype: str, scale: float | None = None, zero: int = 0) -> int:
    index = b.tensor(shape, dtype, scale, zero)
    b.patch(f"t{index}", isVariable=True)
    return index


def svdf(kind: str, seed: int, batch: int = 1) -> bytes:
    """kind: f32, or the integer type of the state, s8 or s16."""
    rng, b = np.random.default_rng(seed), ModelBuilder()
    inputs, rank, units, memory = (int(rng.integers(1, n)) for n in (9, 4, 6, 7))
    filters = rank * units
    if kind == "f32":
        x, y = b.tensor((batch, inputs)), b.tensor((batch, units))
        features = b.tensor((filters, inputs), data=rng.standard_normal((filters, inputs)))
        times = b.tensor((filters, memory), data=rng.standard_normal((filters, memory)))
        bias = b.tensor((units,), data=rng.standard_normal(units))
        state = _variable(b, (batch, filters * memory), "float32")
    else:
        wide = {"s8": "int8", "s16": "int16"}[kind]
        top, zero = (127, int(rng.integers(-20, 20))) if kind == "s8" else (32767, 0)
        x = b.tensor((batch, inputs), "int8", 0.05, int(rng.integers(-128, 128)))
        y = b.tensor((batch, units), "int8", 0.3, int(rng.integers(-128, 128)))
        features = b.tensor((filters, inputs), "int8", 0.02, data=rng.integers(-127, 128, (filters, inputs)))
        times = b.tensor((filters, memory), wide, 2.0 / top, data=rng.integers(-top, top + 1, (filters, memory)))
        state = _variable(b, (batch, filters * memory), wide, 10.0 / top, zero)
        bias = b.tensor((units,), "int32", 20.0 / top / top, data=rng.integers(-2000, 2001, units))
    b.op("SVDF", [x, features, times, bias, state], [y], rank=rank, fusedActivationFunction=1 if rng.random() < 0.5 else 0)
    return b.finish([x], [y])


QUANT: dict[str, tuple[tuple[Any, int], ...]] = {
    "f32": ((None, 0), (None, 0)),
    "s8": ((0.03, 11), (1 / 128, -3)),
    "s16": ((1e-4, 0), (2.0**-15, 0)),
}
"""Of an LSTM's input and output."""


def lstm(kind: str, seed: int, batch: int = 1) -> bytes:
    """kind: f32, s8 or s16 of the activations."""
    rng, b = np.random.default_rng(seed), ModelBuilder()
    inputs, units, time = (int(rng.integers(1, n)) for n in (7, 9, 8))
    major, clip = bool(rng.random() < 0.5), float(rng.choice([0.0, 1.5]))
    shape, out = ((time, batch, n) if major else (batch, time, n) for n in (inputs, units))
    dtype = {"f32": "float32", "s8": "int8", "s16": "int16"}[kind]
    quant: dict[str, tuple[Any, ...]] = {
        "f32": ((None, 0),) * 2,
        "s8": ((0.03, 11), (1 / 128, -3)),
        "s16": ((1e-4, 0), (2.0**-15, 0)),
    }
    x, y = b.tensor(shape, dtype, *quant[kind][0]), b.tensor(out, dtype, *quant[kind][1])
    weights = [_weights(b, rng, kind, (units, inputs if i < 4 else units)) for i in range(8)]
    bias = [_bias(b, rng, kind, units) for _ in range(4)]
    hidden = _variable(b, (batch, units), dtype, *QUANT[kind][1])
    cell = _variable(b, (batch, units), "float32" if kind == "f32" else "int16", None if kind == "f32" else 2.0**-11)
    operands = [x, *weights, -1, -1, -1, *bias, -1, -1, hidden, cell, -1, -1, -1, -1]
    options = {"fusedActivationFunction": 4, "cellClip": clip, "timeMajor": major}
    b.op("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, [y], **options)
    return b.finish([x], [y])


def _weights(b: ModelBuilder, rng: np.random.Generator, kind: str, shape: tuple[int, int]) -> int:
    if kind == "f32":
        return b.tensor(shape, data=rng.standard_normal(shape))
    return b.tensor(shape, "int8", float(rng.uniform(0.002, 0.02)), data=rng.integers(-127, 128, shape))


def _bias(b: ModelBuilder, rng: np.random.Generator, kind: str, units: int) -> int:
    if kind == "f32":
        return b.tensor((units,), data=rng.standard_normal(units))
    return b.tensor((units,), "int32" if kind == "s8" else "int64", 1e-4, data=rng.integers(-4000, 4001, units))


MODELS = {
    **{f"svdf_{kind}": (lambda seed, batch, kind=kind: svdf(kind, seed, batch)) for kind in ("f32", "s8", "s16")},
    **{f"lstm_{kind}": (lambda seed, batch, kind=kind: lstm(kind, seed, batch)) for kind in ("f32", "s8", "s16")},
}
