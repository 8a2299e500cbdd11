"""Small whole models for tests that need one rather than an op."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.tests.model_builder import ModelBuilder


def conv_net(seed: int = 0, dtype: str = "int8") -> ModelBuilder:
    """8x6x3 -> conv 3x3 relu -> depthwise -> separate relu6 -> mean -> dense -> softmax; ready for `finish_net`."""
    rng = np.random.default_rng(seed)
    b = ModelBuilder()
    quantized = dtype == "int8"

    def act(shape: tuple[int, ...], name: str, scale: float = 0.05, zero: int = 3) -> int:
        return b.tensor(shape, dtype, scale if quantized else None, zero, name=name)

    def weights(shape: tuple[int, ...], name: str) -> int:
        data = rng.integers(-127, 128, shape) if quantized else rng.standard_normal(shape) / 4
        return b.tensor(shape, dtype, 0.01 if quantized else None, data=data, name=name)

    def bias(n: int) -> int:
        data = rng.integers(-2000, 2000, n) if quantized else rng.standard_normal(n)
        return b.tensor((n,), "int32" if quantized else "float32", 0.0005 if quantized else None, data=data)

    x, c1, c2 = act((1, 8, 6, 3), "input"), act((1, 8, 6, 5), "net/conv/Relu"), act((1, 4, 3, 5), "net/depthwise")
    clipped, m, d = act((1, 4, 3, 5), "net/clip"), act((1, 5), "net/mean"), act((1, 4), "net/dense")
    y = act((1, 4), "out", 1 / 256, -128)
    axes = b.tensor((2,), "int32", data=[1, 2], name="axes")
    b.op("CONV_2D", [x, weights((5, 3, 3, 3), "k1"), bias(5)], [c1], strideH=1, strideW=1, fusedActivationFunction=1)
    b.op("DEPTHWISE_CONV_2D", [c1, weights((1, 3, 3, 5), "k2"), bias(5)], [c2], strideH=2, strideW=2, depthMultiplier=1)
    b.op("RELU6", [c2], [clipped])
    b.op("MEAN", [clipped, axes], [m], keepDims=False)
    b.op("FULLY_CONNECTED", [m, weights((4, 5), "k3"), bias(4)], [d])
    b.op("SOFTMAX", [d], [y], beta=1.0)
    return b


def finish_net(b: ModelBuilder) -> bytes:
    return b.finish([0], [b.index("out")])
