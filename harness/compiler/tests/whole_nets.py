"""Small whole models for tests that need one rather than an op."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyrig.compiler.tests.cases import dead_channels
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


@dataclass(frozen=True)
class MobileNet:
    """MobileNet v1's shape with random weights, of whose channels the share `dead` is dead as in trained ones
    (cases.dead_channels). blocks: output channels and stride of each separable block."""

    size: int
    first: int
    blocks: tuple[tuple[int, int], ...]
    dead: float
    seed: int = 0

    def finish(self) -> bytes:
        rng, b = np.random.default_rng(self.seed), ModelBuilder()
        x, size, c = b.tensor((1, self.size, self.size, 3), "int8", 1 / 127, -1), self.size // 2, self.first
        given = x
        x = self._layer(b, rng, x, (1, size, size, c), (c, 3, 3, 3), 2)
        for out_c, stride in self.blocks:
            size = -(-size // stride)
            x = self._layer(b, rng, x, (1, size, size, c), (1, 3, 3, c), stride, "DEPTHWISE_CONV_2D", depthMultiplier=1)
            x = self._layer(b, rng, x, (1, size, size, out_c), (out_c, 1, 1, c), 1)
            c = out_c
        return b.finish([given], [x])

    def _layer(
        self,
        b: ModelBuilder,
        rng: np.random.Generator,
        x: int,
        out: tuple[int, ...],
        shape: tuple[int, ...],
        stride: int,
        code: str = "CONV_2D",
        **more: int,
    ) -> int:
        axis = 0 if code == "CONV_2D" else 3
        n, in_scale, out_scale = shape[axis], float(b._tensors[x].quantization.scale[0]), 6 / 255
        scale = (np.exp(rng.uniform(-0.5, 0.5, n)) / 150 / np.sqrt(np.prod(shape) / n)).astype(np.float32)
        bias = rng.integers(-500, 500, n).astype(np.int32)
        dead_channels(rng, self.dead, bias, scale, in_scale / out_scale)
        w = b.tensor(shape, "int8", scale, data=rng.integers(-127, 128, shape), axis=axis)
        offsets = b.tensor((n,), "int32", in_scale * scale, data=bias)
        y = b.tensor(out, "int8", out_scale, -128)
        b.op(code, [x, w, offsets], [y], padding=0, strideH=stride, strideW=stride, fusedActivationFunction=3, **more)
        return y
