"""Small models for end-to-end tests, written without TensorFlow: int8 and float dense nets, and what must be refused."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.tests.model_builder import ModelBuilder

FEATURES, HIDDEN, CLASSES = 20, 12, 4


def dense_int8(seed: int = 0) -> bytes:
    """[1, 20] int8 -> 12, relu -> 4, softmax."""
    rng = np.random.default_rng(seed)
    b = ModelBuilder()
    x = b.tensor((1, FEATURES), "int8", 0.05, -3, name="window")
    hidden = b.tensor((1, HIDDEN), "int8", 0.06, -128, name="hidden")
    logits = b.tensor((1, CLASSES), "int8", 0.1, 5, name="logits")
    out = b.tensor((1, CLASSES), "int8", 1 / 256, -128, name="probabilities")
    _dense(b, rng, x, hidden, (HIDDEN, FEATURES), 0.05 * 0.02, fusedActivationFunction=1)
    _dense(b, rng, hidden, logits, (CLASSES, HIDDEN), 0.06 * 0.02)
    b.op("SOFTMAX", [logits], [out], version=2, beta=1.0)
    return b.finish([x], [out])


WIDE = 8260


def wide_int8() -> bytes:
    """[1, 8260] int8 -> 4: as many input bytes as the float models of the paper have."""
    rng = np.random.default_rng(0)
    b = ModelBuilder()
    x = b.tensor((1, WIDE), "int8", 0.05, -3, name="window")
    out = b.tensor((1, CLASSES), "int8", 2.0, 5, name="logits")
    _dense(b, rng, x, out, (CLASSES, WIDE), 0.05 * 0.02)
    return b.finish([x], [out])


def _dense(
    b: ModelBuilder, rng: np.random.Generator, x: int, out: int, shape: tuple[int, int], bias_scale: float, **options: int
) -> None:
    weights = b.tensor(shape, "int8", 0.02, 0, data=rng.integers(-127, 128, shape))
    bias = b.tensor(shape[:1], "int32", bias_scale, 0, data=rng.integers(-500, 500, shape[0]))
    b.op("FULLY_CONNECTED", [x, weights, bias], [out], version=4, **options)


def dense_float(seed: int = 0) -> bytes:
    """[1, 20] float32 -> 4, softmax."""
    rng = np.random.default_rng(seed)
    b = ModelBuilder()
    x = b.tensor((1, FEATURES), name="window")
    weights = b.tensor((CLASSES, FEATURES), data=rng.normal(0, 0.3, (CLASSES, FEATURES)))
    bias = b.tensor((CLASSES,), data=rng.normal(0, 0.3, CLASSES))
    logits, out = b.tensor((1, CLASSES), name="logits"), b.tensor((1, CLASSES), name="probabilities")
    b.op("FULLY_CONNECTED", [x, weights, bias], [logits])
    b.op("SOFTMAX", [logits], [out], beta=1.0)
    return b.finish([x], [out])


def overflowing() -> bytes:
    """[1, 20] float32 -> 4, softmax: its weights overflow to infinity, so the softmax is NaN in every window."""
    b = ModelBuilder()
    x = b.tensor((1, FEATURES), name="window")
    weights = b.tensor((CLASSES, FEATURES), data=np.full((CLASSES, FEATURES), 3e38))
    bias = b.tensor((CLASSES,), data=np.zeros(CLASSES))
    logits, out = b.tensor((1, CLASSES), name="logits"), b.tensor((1, CLASSES), name="probabilities")
    b.op("FULLY_CONNECTED", [x, weights, bias], [logits])
    b.op("SOFTMAX", [logits], [out], beta=1.0)
    return b.finish([x], [out])


def unsupported() -> bytes:
    """A model with an op that no microcontroller engine of ours knows."""
    b = ModelBuilder()
    x, out = b.tensor((1, 4), name="x"), b.tensor((1, 4), name="y")
    b.op("COMPLEX_ABS", [x], [out])
    return b.finish([x], [out])


def too_large() -> bytes:
    """A dense layer of 1.2 MB: more than the board's flash."""
    b = ModelBuilder()
    x, out = b.tensor((1, 600), name="x"), b.tensor((1, 500), name="y")
    weights = b.tensor((500, 600), data=np.zeros((500, 600)), name="big")
    b.op("FULLY_CONNECTED", [x, weights, -1], [out])
    return b.finish([x], [out])
