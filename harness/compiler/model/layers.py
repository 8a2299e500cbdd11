"""What layers with weights or a window must compute: one frozen record a kind, all that TFLite leaves to run time already a
number. Constants are numpy arrays. Kinds are named <operation>_<element type>: s8, s16 and f32; see step.py for the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tinyrig.compiler.model.litert.dynamic import Stored


class Bounded(Protocol):
    """A record whose result is clamped; infinite where it is not."""

    @property
    def act_min(self) -> float: ...
    @property
    def act_max(self) -> float: ...


@dataclass(frozen=True)
class Window:
    """Geometry of a convolution or pooling, NHWC. Paddings are those before the first row and column; what lies behind
    the last one follows from the output's size. Padding means "tap left out" (the same as x = zero point)."""

    batch: int
    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    k_h: int
    k_w: int
    stride_h: int
    stride_w: int
    dil_h: int = 1
    dil_w: int = 1
    pad_top: int = 0
    pad_left: int = 0

    @property
    def padded(self) -> bool:
        """Does any tap of any output fall outside the input?"""
        right = (self.out_w - 1) * self.stride_w + (self.k_w - 1) * self.dil_w - self.pad_left
        return self.padded_rows or bool(self.pad_left or right >= self.in_w)

    @property
    def padded_rows(self) -> bool:
        """Does any fall above or below it?"""
        return bool(self.pad_top or (self.out_h - 1) * self.stride_h - self.pad_top + self.reach > self.in_h)

    @property
    def reach(self) -> int:
        """Rows from the filter's first to its last."""
        return (self.k_h - 1) * self.dil_h + 1


@dataclass(frozen=True, eq=False)
class Requant:
    """acc -> clamp(MultiplyByQuantizedMultiplier(acc, multiplier[c], shift[c]) + zero_point, act_min, act_max).

    multiplier int32 [C], Q0.31 in [2^30, 2^31) or 0; shift int32 [C], positive is to the left, before the multiplication;
    C is the number of output channels (a per-tensor scale is repeated). Double rounding, as TFLM does it.
    """

    multiplier: np.ndarray
    shift: np.ndarray
    zero_point: int
    act_min: int
    act_max: int

    @property
    def uniform(self) -> bool:
        """One multiplier and shift for all channels?"""
        return bool((self.multiplier == self.multiplier[0]).all() and (self.shift == self.shift[0]).all())


class _Layer:
    """What layers with weights share."""

    requant: Requant | None

    @property
    def quantized(self) -> Requant:
        """An integer layer's requantisation. Raises TypeError for a float layer."""
        if self.requant is None:
            raise TypeError(f"{type(self).__name__} of floats has no requantisation")
        return self.requant


@dataclass(frozen=True, eq=False)
class Conv2D(_Layer):
    """conv2d_s8, conv2d_s16, conv2d_f32: weights [out_c, k_h, k_w, in_c / groups]; bias [out_c], never None (zeros).

    s8: weights int8, bias int32, acc = bias + sum((x - in_zero) * w); s16: x int16, weights int8, bias int64, acc int64.
    f32: `requant` is None, the result is clamped to [act_min, act_max] (infinite where there is no activation).
    """

    window: Window
    weights: np.ndarray
    bias: np.ndarray
    in_zero: int = 0
    requant: Requant | None = None
    act_min: float = -np.inf
    act_max: float = np.inf
    stored: Stored | None = None
    """Of f32: the weights as the file has them, where that is int8."""

    @property
    def groups(self) -> int:
        return self.window.in_c // int(self.weights.shape[3])


@dataclass(frozen=True, eq=False)
class DepthwiseConv2D(_Layer):
    """depthwise_conv2d_s8 / _s16 / _f32: weights [k_h, k_w, out_c]; output channel c reads input channel c // multiplier.

    Everything else as in Conv2D; out_c = in_c * depth_multiplier.
    """

    window: Window
    weights: np.ndarray
    bias: np.ndarray
    depth_multiplier: int = 1
    in_zero: int = 0
    requant: Requant | None = None
    act_min: float = -np.inf
    act_max: float = np.inf
    stored: Stored | None = None


@dataclass(frozen=True, eq=False)
class FullyConnected(_Layer):
    """fully_connected_s8 / _s16 / _f32: weights [out_n, in_n], bias [out_n] (never None), `rows` input vectors.

    s8: acc = bias + sum((x - in_zero) * (w - weight_zero)); requant per output (a per-tensor scale is repeated).
    """

    rows: int
    in_n: int
    out_n: int
    weights: np.ndarray
    bias: np.ndarray
    in_zero: int = 0
    weight_zero: int = 0
    requant: Requant | None = None
    act_min: float = -np.inf
    act_max: float = np.inf
    stored: Stored | None = None


@dataclass(frozen=True, eq=False)
class TransposeConv(Conv2D):
    """transpose_conv_s8 / _s16 / _f32: weights [out_c, k_h, k_w, in_c]. The window's input and output are those of this
    op; output y takes input i through tap k where i * stride + k = y + pad."""


Weighted = Conv2D | DepthwiseConv2D | FullyConnected


@dataclass(frozen=True)
class Pool:
    """average_pool_s8 / _s16 / _f32 and max_pool_*: out_c == in_c. Averages divide by the taps inside the input, half away
    from zero for integers. Integer in and out share scale and zero point; clamped to [act_min, act_max]."""

    window: Window
    act_min: float = -np.inf
    act_max: float = np.inf


@dataclass(frozen=True)
class Mean:
    """mean_s8 / _s16 / _f32: the input as [outer, reduced, inner], the mean over `reduced` -> [outer, inner]. sum_f32,
    reduce_max_s8 / _f32 and reduce_min_* share the shape; an int8 sum is a mean whose multiplier lacks 1/reduced.

    Integers: acc = sum(x) - reduced * in_zero, then MultiplyByQuantizedMultiplier(acc, multiplier, shift) + out_zero,
    clamped to the type: 1/reduced is already folded into multiplier and shift exactly as TFLM folds it.
    Axes that don't form one block are first brought into this form by a transpose.
    """

    outer: int
    reduced: int
    inner: int
    in_zero: int = 0
    out_zero: int = 0
    multiplier: int = 0
    shift: int = 0


@dataclass(frozen=True, eq=False)
class ConvMean:
    """conv2d_mean_s8 / _f32: `mean` over all positions of `conv`'s output (batch 1), which is never stored whole."""

    conv: Conv2D
    mean: Mean
