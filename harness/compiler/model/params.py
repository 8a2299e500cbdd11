"""What steps without weights must compute, as layers.py does for the others: one frozen record a kind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Softmax:
    """softmax_s8 / _s16 / _f32 over the last axis: [rows, depth]. s8: fixed point after gemmlowp, difference scaled by
    (multiplier, shift) to Q5.26, differences below diff_min give the lowest output; `out_dtype` int8 or int16. s16: two
    interpolated tables, see tables.softmax_tables."""

    rows: int
    depth: int
    multiplier: int = 0
    shift: int = 0
    diff_min: int = 0
    beta: float = 1.0
    out_dtype: str = "float32"


@dataclass(frozen=True)
class Clamp:
    """clamp_s8 / _s16 / _f32: `size` elements clamped to [act_min, act_max], same scale on both sides."""

    size: int
    act_min: float
    act_max: float


@dataclass(frozen=True)
class Rescale:
    """rescale_<in>_<out>: clamp(requantize(x - in_zero, multiplier, shift) + out_zero, act_min, act_max)."""

    size: int
    in_zero: int
    multiplier: int
    shift: int
    out_zero: int
    act_min: int
    act_max: int


@dataclass(frozen=True)
class Quantize:
    """quantize_s8 / _s16: float32 -> round half away(x / scale) + zero_point, saturated."""

    size: int
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Dequantize:
    """dequantize_s8 / _s16: (q - zero_point) * scale, the product in double as TFLM's."""

    size: int
    scale: float
    zero_point: int


@dataclass(frozen=True)
class CopyBlock:
    """Copies runs of `run` bytes from input `source` to output `target`: offsets in bytes, `dims` from the outermost as
    (count, input step, output step) in bytes; steps may be negative."""

    source: int
    target: int
    in_offset: int
    out_offset: int
    run: int
    dims: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Move:
    """move: any element type. Where `fill` is given (one element's bytes), output 0 is filled with it first. `before`: of a PAD,
    how many elements of it lie before the input along each dimension; empty for all else."""

    blocks: tuple[CopyBlock, ...]
    fill: bytes = b""
    before: tuple[int, ...] = ()


@dataclass(frozen=True)
class Broadcast:
    """Two operands: `dims` from the outermost as (count, step of a, step of b) in elements; a step of 0 repeats."""

    dims: tuple[tuple[int, int, int], ...]

    @property
    def plain(self) -> bool:
        """Same shapes, no repetition?"""
        return len(self.dims) == 1 and self.dims[0][1:] == (1, 1)

    @property
    def size(self) -> int:
        return int(np.prod([d[0] for d in self.dims], dtype=np.int64))


Scale = tuple[int, int]
"""(multiplier, shift) as in Requant."""


@dataclass(frozen=True)
class Binary:
    """add/sub/mul_f32 (clamped), minimum_*, maximum_*, prelu_f32."""

    shape: Broadcast
    act_min: float = -np.inf
    act_max: float = np.inf


@dataclass(frozen=True)
class AddInt:
    """add_s8 / _s16, sub_*, squared_difference_s8: each operand (x - zero) << left is scaled to twice the larger input
    scale, the sum, difference or its square to the output's; zeros are those of a, b and the output. All shifts are <= 0,
    but the square's."""

    shape: Broadcast
    left: int
    zeros: tuple[int, int, int]
    a: Scale
    b: Scale
    out: Scale
    act_min: int
    act_max: int


@dataclass(frozen=True)
class MulInt:
    """mul_s8 / _s16: zeros are those of a, b and the output."""

    shape: Broadcast
    zeros: tuple[int, int, int]
    out: Scale
    act_min: int
    act_max: int


@dataclass(frozen=True)
class PreluInt:
    """prelu_s8: x >= 0 scaled by `positive`, else x * alpha scaled by `negative`."""

    shape: Broadcast
    zeros: tuple[int, int, int]
    positive: Scale
    negative: Scale


@dataclass(frozen=True)
class Unary:
    """logistic, tanh, hard_swish, abs, rsqrt, elu, exp, log ... leaky_relu _f32; alpha is leaky_relu's."""

    size: int
    alpha: float = 0.0


@dataclass(frozen=True, eq=False)
class Lut:
    """lut_s8: out = table[x + 128]; table int8 [256]. Any int8 function of one int8."""

    size: int
    table: np.ndarray


@dataclass(frozen=True)
class LeakyInt:
    """leaky_relu_s16."""

    size: int
    in_zero: int
    out_zero: int
    positive: Scale
    negative: Scale


@dataclass(frozen=True)
class SigmoidInt:
    """logistic_s16, tanh_s16."""

    size: int
    multiplier: int
    shift: int


@dataclass(frozen=True)
class BatchMatmul:
    """batch_matmul_s8 / _f32: `batch` products [rows, depth] x [depth, columns]; steps between matrices in elements, 0
    repeats; turned: stored [depth, rows] or [columns, depth]. Zeros and out for int8."""

    batch: int
    rows: int
    depth: int
    columns: int
    a_step: int
    b_step: int
    a_turned: bool
    b_turned: bool
    zeros: tuple[int, int, int] = (0, 0, 0)
    out: Scale = (0, 0)


@dataclass(frozen=True, eq=False)
class Bilinear:
    """resize_bilinear_s8 / _f32: output row y mixes input rows[y] (uint16 [out_h, 2]), down[y] is the share of the second;
    columns and across alike. Shares are float32, or int16 in 1/1024 for int8."""

    batch: int
    in_h: int
    in_w: int
    channels: int
    rows: np.ndarray
    down: np.ndarray
    columns: np.ndarray
    across: np.ndarray


@dataclass(frozen=True, eq=False)
class Resize:
    """resize_nearest, any type: output pixel (y, x) is input pixel (rows[y], columns[x]); uint16 vectors."""

    batch: int
    in_h: int
    in_w: int
    pixel_bytes: int
    rows: np.ndarray
    columns: np.ndarray


@dataclass(frozen=True)
class ArgMax:
    """arg_max_s8 / _f32: [outer, n, inner] -> int32 [outer, inner]; the first of equal values."""

    outer: int
    n: int
    inner: int


@dataclass(frozen=True)
class LogSoftmax:
    """log_softmax_s8 / _f32 over the last axis; reverse: from Q5.26 back to input differences."""

    rows: int
    depth: int
    scale: Scale = (0, 0)
    reverse: Scale = (0, 0)
    diff_min: int = 0


@dataclass(frozen=True)
class CompareInt:
    """equal_s8 ... less_equal_s8: operands (x - zero) * 256, each times its own scale, compared."""

    shape: Broadcast
    zeros: tuple[int, int]
    a: Scale
    b: Scale


@dataclass(frozen=True)
class Select:
    """select, any type of `bytes` an element: dims from the outermost as (count, step of the condition in bytes, of a, of b);
    a step of 0 repeats."""

    bytes: int
    dims: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Pick:
    """gather, lookup_s8_f32: `picks` of `rows` rows for each of `outer`. lookup: `row_bytes` int8 values times `scale`."""

    outer: int
    rows: int
    picks: int
    row_bytes: int
    scale: float = 1.0


@dataclass(frozen=True)
class PickNd:
    """gather_nd: an index has one part for each of `sizes`."""

    picks: int
    sizes: tuple[int, ...]
    row_bytes: int


@dataclass(frozen=True)
class UpdateSlice:
    """update_slice_s32 / _s64 (of the starts): a block `part` put into `size`, in elements of `bytes`."""

    bytes: int
    total_bytes: int
    size: tuple[int, ...]
    part: tuple[int, ...]


@dataclass(frozen=True)
class CumSum:
    """cumsum_f32 / _s8: [outer, n, inner] along n. s8 as AddInt's: zeros and scales of input and output."""

    outer: int
    n: int
    inner: int
    exclusive: bool
    reverse: bool
    zeros: tuple[int, int] = (0, 0)
    half: Scale = (0, 0)
    out: Scale = (0, 0)


@dataclass(frozen=True)
class L2Norm:
    """l2_normalization_f32 / _s8 over the last axis."""

    rows: int
    depth: int
    zero_point: int


@dataclass(frozen=True)
class SvdfInt:
    """Of svdf_s8 / _s16: the features' sum to the state's scale, the times' sum to the output's."""

    in_zero: int
    state_zero: int
    out_zero: int
    feature: Scale
    time: Scale


@dataclass(frozen=True, eq=False)
class Svdf:
    """svdf_f32, svdf_s8 / _s16 (of the state): features [filters, inputs], times [filters, memory], bias [filters / rank]."""

    batch: int
    inputs: int
    filters: int
    rank: int
    memory: int
    features: np.ndarray
    times: np.ndarray
    bias: np.ndarray | None
    act_min: float = -np.inf
    act_max: float = np.inf
    integers: SvdfInt | None = None


@dataclass(frozen=True)
class LstmInt:
    """Of lstm_s8 / _s16: `gates` and `recurrent` by gate, to Q3.12; tanh: multiplier and shift that bring the cell to the table's
    steps; clip of the cell, 0: none."""

    in_zero: int
    hidden_zero: int
    gates: tuple[Scale, ...]
    recurrent: tuple[Scale, ...]
    forget_cell: Scale
    in_cell: Scale
    hidden: Scale
    tanh: Scale
    clip: int


@dataclass(frozen=True, eq=False)
class Lstm:
    """lstm_f32 / _s8 / _s16: weights of the input by gate (input, forget, cell, output) [units, inputs], then of the hidden state
    [units, units]; biases by gate [units]."""

    batch: int
    time: int
    inputs: int
    units: int
    time_major: bool
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    integers: LstmInt | None
    clip: float = 0.0

    def clipped(self, clip: float) -> Lstm:
        return replace(self, clip=clip)


@dataclass(frozen=True)
class While:
    """while: inputs are the condition's value, what the body gives for each of `carried` outputs, and what must stay alive."""

    cond: int
    body: int
    carried: int


@dataclass(frozen=True)
class If:
    """if: inputs are the condition, what each of two blocks gives for the outputs, and what must stay alive."""

    yes: int
    no: int
    outputs: int
