"""What steps of LiteRT's own operators must compute: one frozen record a kind, as in params.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LocalResponse:
    """local_response_f32: x * (bias + alpha * sum of squares within `radius` channels) ^ -beta, [rows, depth]."""

    rows: int
    depth: int
    radius: int
    bias: float
    alpha: float
    beta: float


@dataclass(frozen=True)
class TopK:
    """top_k_*: the `k` largest of each of `rows` rows of n, largest first, of equals the first; their places in output 1."""

    rows: int
    n: int
    k: int


@dataclass(frozen=True)
class Scatter:
    """scatter_nd_f32 / _s32 / _s8: `count` rows of `row` values, each added to the row of `sizes` that its index names."""

    count: int
    sizes: tuple[int, ...]
    row: int


@dataclass(frozen=True)
class Segments:
    """segment_sum_*, _prod_, _max_, _min_ of f32 / s32: `rows` rows of `row` values joined into `segments`, by their ids."""

    rows: int
    segments: int
    row: int


@dataclass(frozen=True)
class ReverseSequence:
    """reverse_sequence_s32 / _s64 (of the lengths), any type: [outer, first, middle, second, bytes] where one of the two
    dimensions is the batch and the other the time; the first `length` of each sequence are turned round."""

    outer: int
    first: int
    middle: int
    second: int
    bytes: int
    time_first: bool


@dataclass(frozen=True)
class Bucketize:
    """bucketize_f32 / _s32: how many of the `boundaries`, which ascend, are not above the value."""

    size: int
    boundaries: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Conv3D:
    """conv3d_f32: weights [k_d, k_h, k_w, in_c, out_c]; `shape`: batch, input (d, h, w, c), output (d, h, w, c), filter, strides,
    dilations, paddings in front."""

    shape: tuple[int, ...]
    weights: np.ndarray
    bias: np.ndarray
    act_min: float
    act_max: float


@dataclass(frozen=True)
class Computed:
    """computed_conv2d_* and so on: a layer whose weights are input 1 of the step; `layer` has none of its own."""

    layer: object
