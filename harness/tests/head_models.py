"""Small models that differ in what comes out: class scores, one score, a class, a grid, real values, the input again."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.tests.model_builder import ModelBuilder

FEATURES, CLASSES = 8, 3


def _dense(b: ModelBuilder, x: int, size: int, weights: np.ndarray | None = None, name: str = "") -> int:
    """float32 [1, FEATURES] -> [1, size]."""
    values = np.random.default_rng(size).normal(0, 0.5, (size, FEATURES)) if weights is None else weights
    w, bias, out = b.tensor(values.shape, data=values), b.tensor((size,), data=np.zeros(size)), b.tensor((1, size), name=name)
    b.op("FULLY_CONNECTED", [x, w, bias], [out])
    return out


def _made(b: ModelBuilder, code: str, x: int, shape: tuple[int, ...], name: str = "", **options: float) -> int:
    out = b.tensor(shape, name=name)
    b.op(code, [x], [out], **options)
    return out


PICK = np.eye(CLASSES, FEATURES) * 9
"""Weights with which the largest of the first values decides."""


def classes() -> bytes:
    b = ModelBuilder()
    x = b.tensor((1, FEATURES), name="window")
    out = _made(b, "SOFTMAX", _dense(b, x, CLASSES, PICK), (1, CLASSES), "scores", beta=1.0)
    return b.finish([x], [out])


def two_heads(pose: int = 4) -> bytes:
    """The class head comes second, and only the signature tells what the user called it."""
    b = ModelBuilder()
    x = b.tensor((1, FEATURES), name="serving_default_window:0")
    other = _dense(b, x, pose, name="StatefulPartitionedCall:1")
    out = _made(b, "SOFTMAX", _dense(b, x, CLASSES, PICK), (1, CLASSES), "StatefulPartitionedCall:0", beta=1.0)
    b.sign({"window": x}, {"pose": other, "cls": out})
    return b.finish([x], [other, out])


def one_score(last: str = "LOGISTIC") -> bytes:
    """[1, 1]: the sum of the first value, through `last` ("": as it is)."""
    b = ModelBuilder()
    x = b.tensor((1, FEATURES), name="window")
    out = _dense(b, x, 1, PICK[:1])
    return b.finish([x], [_made(b, last, out, (1, 1), "score") if last else out])


def class_id() -> bytes:
    b = ModelBuilder()
    x, axis = b.tensor((1, FEATURES), name="window"), b.tensor((1,), "int32", data=[1])
    scores, out = _dense(b, x, CLASSES, PICK), b.tensor((1,), "int32", name="class")
    b.op("ARG_MAX", [scores, axis], [out], outputType=2)
    return b.finish([x], [out])


def values(size: int = 2) -> bytes:
    b = ModelBuilder()
    x = b.tensor((1, FEATURES), name="window")
    return b.finish([x], [_dense(b, x, size, np.eye(size, FEATURES), name="values")])


def grid() -> bytes:
    """2 x 2 cells of 2 classes."""
    b = ModelBuilder()
    x, shape = b.tensor((1, FEATURES), name="window"), b.tensor((4,), "int32", data=[1, 2, 2, 2])
    flat, out = _dense(b, x, 8, np.eye(8)), b.tensor((1, 2, 2, 2), name="cells")
    b.op("RESHAPE", [flat, shape], [out], newShape=[1, 2, 2, 2])
    return b.finish([x], [out])


def same_again() -> bytes:
    b = ModelBuilder()
    x = b.tensor((1, FEATURES), name="window")
    return b.finish([x], [_dense(b, x, FEATURES, np.eye(FEATURES), name="again")])


def image_int8(scale: float = 1 / 255) -> bytes:
    """[1, 8, 8, 3] int8 over 0 to 1 -> 3 scores."""
    b = ModelBuilder()
    x = b.tensor((1, 8, 8, 3), "int8", scale, -128, name="image")
    shape, flat = b.tensor((2,), "int32", data=[1, 192]), b.tensor((1, 192), "int8", scale, -128)
    b.op("RESHAPE", [x, shape], [flat], newShape=[1, 192])
    w = b.tensor((CLASSES, 192), "int8", 0.01, 0, data=np.random.default_rng(0).integers(-9, 9, (CLASSES, 192)))
    bias = b.tensor((CLASSES,), "int32", 0.01 * scale, 0, data=np.zeros(CLASSES))
    scores, out = b.tensor((1, CLASSES), "int8", 0.1, 0), b.tensor((1, CLASSES), "int8", 1 / 256, -128, name="scores")
    b.op("FULLY_CONNECTED", [flat, w, bias], [scores], version=4)
    b.op("SOFTMAX", [scores], [out], version=2, beta=1.0)
    return b.finish([x], [out])


def two_inputs() -> bytes:
    b = ModelBuilder()
    one, two = b.tensor((1, FEATURES), name="serving_default_acc:0"), b.tensor((1, FEATURES), name="serving_default_gyro:0")
    out = b.tensor((1, FEATURES), name="sum")
    b.op("ADD", [one, two], [out])
    b.sign({"acc": one, "gyro": two}, {"sum": out})
    return b.finish([one, two], [out])


def picked(labels: np.ndarray, wrong: int = 0) -> np.ndarray:
    """Windows float32 [N, FEATURES] that `classes`, `two_heads` and `class_id` give these labels; the last `wrong` of
    them the next one."""
    rng = np.random.default_rng(5)
    x = rng.uniform(0, 0.2, (len(labels), FEATURES)).astype(np.float32)
    given = np.where(np.arange(len(labels)) < len(labels) - wrong, labels, (labels + 1) % CLASSES)
    x[np.arange(len(labels)), given] += 1
    return x


def grid_input() -> bytes:
    """[1, 2, 3, 4] float32, as it comes."""
    b = ModelBuilder()
    x = b.tensor((1, 2, 3, 4), name="window")
    return b.finish([x], [_made(b, "RELU", x, (1, 2, 3, 4), "out")])
