"""Chains of int8 layers for tests, drawn or as networks have them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tinyrig.compiler.tests.cases import PADDING, same_or_valid
from tinyrig.compiler.tests.model_builder import ModelBuilder


class Chain:
    """Layers one behind the other; `maps` are all that there are, with their shapes."""

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        self.rng, self.b = np.random.default_rng(seed), ModelBuilder()
        self.maps: list[tuple[int, tuple[int, ...]]] = []
        self.x = self._act(shape)
        self.given = self.x

    @property
    def shape(self) -> tuple[int, ...]:
        return next(s for i, s in self.maps if i == self.x)

    def _act(self, shape: tuple[int, ...]) -> int:
        t = self.b.tensor(shape, "int8", 0.05, int(self.rng.integers(-20, 20)))
        self.maps.append((t, shape))
        return t

    def _out(self, channels: int, k: tuple[int, int], stride: tuple[int, int], padding: str, dilation: int = 1) -> int:
        _, h, w, _ = self.shape
        size = (same_or_valid(padding, n, kk, s, dilation) for n, kk, s in zip((h, w), k, stride, strict=True))
        return self._act((1, *size, channels))

    def conv(
        self, channels: int, k: tuple[int, int], stride: tuple[int, int] = (1, 1), padding: str = "SAME", dilation: int = 1
    ) -> None:
        """channels 0: depthwise."""
        in_c, depthwise = self.shape[3], not channels
        out_c = channels or in_c
        x, shape = self.x, (1, *k, in_c) if depthwise else (out_c, *k, in_c)
        y = self._out(out_c, k, stride, padding, dilation)
        scale = (self.rng.uniform(0.5, 1.5, out_c) / 100 / np.sqrt(np.prod(shape) / out_c)).astype(np.float32)
        w = self.b.tensor(shape, "int8", scale, data=self.rng.integers(-128, 128, shape), axis=3 if depthwise else 0)
        bias = self.b.tensor((out_c,), "int32", 0.05 * scale, data=self.rng.integers(-3000, 3000, out_c))
        more = {"depthMultiplier": 1} if depthwise else {}
        code = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        steps = {"strideH": stride[0], "strideW": stride[1], "dilationHFactor": dilation, "dilationWFactor": dilation}
        activation = int(self.rng.choice([0, 1, 3]))
        self.b.op(code, [x, w, bias], [y], padding=PADDING[padding], fusedActivationFunction=activation, **steps, **more)
        self.x = y

    def pool(self, code: str, k: int, stride: int, padding: str) -> None:
        x = self.x
        y = self._out(self.shape[3], (k, k), (stride, stride), padding)
        self.b._tensors[y].quantization = self.b._tensors[x].quantization
        self.b.op(code, [x], [y], padding=PADDING[padding], filterHeight=k, filterWidth=k, strideH=stride, strideW=stride)
        self.x = y

    def plain(self, code: str) -> None:
        """With the earliest other map of the same shape where the op has two operands."""
        others = [i for i, s in self.maps if s == self.shape]
        inputs = [self.x] if code in ("HARD_SWISH", "RELU6") else [self.x, others[0]]
        y = self._act(self.shape)
        self.b.op(code, inputs, [y])
        self.x = y

    def finish(self, also: int = -1) -> bytes:
        """`also`: another map that is an output."""
        more = [self.maps[also][0]] if 0 < also < len(self.maps) and self.maps[also][0] not in (self.x, self.given) else []
        return self.b.finish([self.given], [self.x, *more])


@st.composite
def chains(draw: st.DrawFn) -> bytes:
    shape = (1, draw(st.integers(4, 11)), draw(st.integers(4, 9)), draw(st.sampled_from([1, 3, 4, 6, 8])))
    chain = Chain(shape, draw(st.integers(0, 2**32 - 1)))
    for _ in range(draw(st.integers(2, 6))):
        h, w = chain.shape[1:3]
        k, stride = draw(st.integers(1, min(3, h, w))), draw(st.sampled_from([1, 1, 2]))
        padding = draw(st.sampled_from(["SAME", "SAME", "VALID"]))
        kind = draw(st.sampled_from(["conv", "conv", "depthwise", "depthwise", "pool", "plain"]))
        if min(h, w) < 3 or kind == "plain":
            chain.plain(draw(st.sampled_from(["ADD", "SUB", "MUL", "HARD_SWISH", "RELU6"])))
        elif kind == "pool":
            chain.pool(draw(st.sampled_from(["MAX_POOL_2D", "AVERAGE_POOL_2D"])), k, stride, padding)
        else:
            dilation = draw(st.sampled_from([1, 1, 2])) if stride == 1 and min(h, w) > 4 else 1
            chain.conv(
                0 if kind == "depthwise" else draw(st.sampled_from([1, 4, 7, 8])), (k, k), (stride, stride), padding, dilation
            )
    return chain.finish(draw(st.integers(-1, 5)))


def inverted_residuals(size: int, blocks: tuple[tuple[int, int, int], ...], seed: int = 0, first: int = 16) -> bytes:
    """MobileNetV2's shape. blocks: expansion, output channels and stride; the sum where both maps have one shape."""
    chain = Chain((1, size, size, 3), seed)
    chain.conv(first, (3, 3), (2, 2))
    for expansion, channels, stride in blocks:
        before, shape = chain.x, chain.shape
        if expansion > 1:
            chain.conv(expansion * shape[3], (1, 1))
        chain.conv(0, (3, 3), (stride, stride))
        chain.conv(channels, (1, 1))
        if chain.shape == shape:
            y = chain._act(shape)
            chain.b.op("ADD", [chain.x, before], [y])
            chain.x = y
    return chain.finish()


def residuals(size: int, seed: int = 0) -> bytes:
    """Three pairs of 3x3 layers with a sum around each, as in a small residual net."""
    chain = Chain((1, size, size, 3), seed)
    chain.conv(16, (3, 3))
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        before = chain.x
        chain.conv(channels, (3, 3), (stride, stride))
        chain.conv(channels, (3, 3))
        after = chain.x
        if stride > 1:
            chain.x = before
            chain.conv(channels, (1, 1), (stride, stride))
            before = chain.x
        chain.x = chain._act(chain.shape)
        chain.b.op("ADD", [after, before], [chain.x])
    return chain.finish()
