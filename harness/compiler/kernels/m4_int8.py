"""Fast int8 kernels for Cortex-M4 (firmware/nn/m4/q8_*.h): which template for which layer, with what constants.

Every template is specialised for its layer by the C compiler: the shape is a constant of the call. Layers of equal shape
share one function. Measured figures stand in the headers; a layer that does not fit gets None, i.e. the portable kernel.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, replace

import numpy as np

from tinyrig.compiler.kernels import m4_int8_map
from tinyrig.compiler.kernels.m4_fit import Channels, fittings
from tinyrig.compiler.kernels.m4_pack import (
    PER_CHANNEL,
    SEGMENTS,
    channels,
    mends,
    pack_words,
    pad_to,
    plain_channels,
    with_channels,
)
from tinyrig.compiler.kernels.m4_rest import RestLayer, all_rest, with_rest
from tinyrig.compiler.model.layers import Conv2D, ConvMean, DepthwiseConv2D, Requant, Window
from tinyrig.compiler.model.step import CompileOptions, Constant, Kernel, ProgramStep, Select

COMPACT_MACS = {"conv": 20_000, "dense": 2_000}
"""A layer of fewer multiply-accumulates is built compact: unrolled it would save some 100 or 10 us at most (at 64 MHz) and cost
about 1,000 or 200 B of flash."""
MAX_UNROLL = 9
"""What q8_rounds() knows."""
MAX_OFFSET = 4095
"""Largest offset of a load instruction (Thumb-2, positive immediate)."""


@dataclass(frozen=True, eq=False)
class ConvParts:
    """What the convolution kernels are made of: template's ending, initialiser of q8_conv_shape, constants, scratch bytes, and
    the channels that are not among them."""

    kind: str
    shape: str
    constants: tuple[Constant, ...]
    scratch: int
    rest: tuple[int, ...] = ()


def conv_parts(p: Conv2D, options: CompileOptions) -> ConvParts | None:
    """Four positions by two channels (q8_conv.h); None for groups, and where no channel fits the number format."""
    if p.groups != 1:
        return None
    n = p.window.out_c
    for fit in fittings(Channels(p.weights.reshape(n, -1), p.bias, p.in_zero, p.quantized)):
        c = fit.channels
        parts = _conv_plans(replace(p, weights=c.weights.reshape(p.weights.shape), bias=c.bias, requant=c.requant), options)
        if parts is not None:
            return replace(parts, rest=fit.rest)
    return None


def _conv_plans(p: Conv2D, options: CompileOptions) -> ConvParts | None:
    """The first way that suits all channels."""
    plans = [(True, 0), (True, p.window.k_h)] if _slides(p.window) else []
    plans += [(False, n) for n in (0, *SEGMENTS)]
    for slide, segments in plans:
        weights = _conv_weights(p, slide, segments)
        constants = channels(weights, p.bias, p.in_zero, p.quantized, 2, segments)
        mended = mends(weights, 2, segments, _step_bytes(p.window, slide, weights.shape[1] // 4, positions(options)))
        if constants is not None and mended is not None:
            return _conv_plan(p, options, slide, segments, weights, constants + mended)
    return None


def positions(options: CompileOptions) -> int:
    """Of a convolution's tile. With two it takes half the scratch, as CMSIS-NN does, and 40 % longer; with one a quarter, and
    nearly twice as long."""
    return (4, 2, 1)[options.lean]


def _step_bytes(w: Window, slide: bool, steps: int, tile: int) -> np.ndarray:
    """Where the words of each step lie behind those of the first (q8_layout)."""
    if not slide:
        return 8 * tile * np.arange(steps)
    run, row = steps // w.k_h, ((tile - 1) * w.stride_w + w.k_w) * _round4(w.in_c) * 2
    return np.add.outer(row * np.arange(w.k_h), 8 * np.arange(run)).ravel()


def _conv_plan(
    p: Conv2D, options: CompileOptions, slide: bool, segments: int, weights: np.ndarray, constants: tuple[Constant, ...]
) -> ConvParts:
    words = pack_words(pad_to(weights, 2, 0))
    pairs = words.reshape(-1, 2, words.shape[1]).transpose(0, 2, 1)
    run = words.shape[1] // (p.window.k_h if slide else max(segments, 1))
    tile = positions(options)
    compact = is_compact("conv", math.prod(weights.shape) * p.window.out_h * p.window.out_w, options)
    fields = (
        *_geometry(p.window),
        p.in_zero,
        range_text(p.quantized),
        1 if compact else unroll(run),
        segments,
        has_mends(constants),
        int(compact),
        tile,
    )
    shape = f"{{{', '.join(map(str, fields))}}}"
    scratch = _slide_scratch(p.window, tile) if slide else _patch_scratch(p.window, weights.shape[1], tile)
    return ConvParts("slide" if slide else "patch", shape, with_channels(pairs, constants), scratch)


def conv2d(step: ProgramStep[Conv2D], options: CompileOptions) -> Kernel | None:
    """conv2d_s8."""
    p = step.params
    w, parts, given = p.window, conv_parts(p, options), m4_int8_map.given_rows(p.window, options)
    whole = RestLayer(w, p.weights, p.bias, p.in_zero, p.quantized, given)
    if parts is None:
        return all_rest(whole)
    kernel = shaped_kernel(
        f"q8_conv_{parts.kind}",
        "q8_conv_shape",
        parts.shape,
        "m4/q8_conv.h",
        parts.constants,
        parts.scratch,
        _batches(w, w.out_h * w.out_w * w.out_c),
        (0,) if _in_place(w) else (),
        given=given,
    )
    return with_rest(kernel, whole, parts.rest)


def conv2d_mean(step: ProgramStep[ConvMean], options: CompileOptions) -> Kernel | None:
    """conv2d_mean_s8: the map is summed, never stored (q8_conv_mean.h)."""
    w, mean, parts = step.params.conv.window, step.params.mean, conv_parts(step.params.conv, options)
    if parts is None or parts.rest:
        return None
    shape = f"{{{parts.shape}, {mean.in_zero}, {mean.out_zero}, {mean.multiplier}, {mean.shift}}}"
    return shaped_kernel(
        f"q8_conv_mean_{parts.kind}",
        "q8_conv_mean_shape",
        shape,
        "m4/q8_conv_mean.h",
        parts.constants,
        parts.scratch + 4 * w.out_c,
        _batches(w, w.out_c),
    )


def has_mends(constants: tuple[Constant, ...]) -> int:
    """The field `mends` of a shape."""
    return int(any(c.name == "mend" for c in constants))


def is_compact(kind: str, macs: int, options: CompileOptions) -> bool:
    """Whether a layer's code is to be small rather than fast."""
    return not options.fast or macs * max(options.rows, 1) < COMPACT_MACS[kind]


def _batches(w: Window, out_size: int) -> tuple[int, int, int]:
    """Batches, and the bytes of one in and out."""
    return w.batch, w.in_h * w.in_w * w.in_c, out_size


def _in_place(w: Window) -> bool:
    """A 1x1 filter reads four positions before it writes them, never behind what it writes."""
    return (w.k_h, w.k_w) == (1, 1) and not w.padded and w.out_c <= w.in_c


def _slides(w: Window) -> bool:
    """A sliding window pays where neighbouring positions share columns, and must be reachable by load offsets."""
    pitch = w.stride_w * _round4(w.in_c) * 2
    dense = _round4(w.in_c) * 4 <= w.in_c * 5
    return dense and w.dil_w == 1 and w.k_w > 1 and w.stride_w <= w.k_w and w.out_w > 1 and 3 * pitch <= MAX_OFFSET


def _conv_weights(p: Conv2D, slide: bool, segments: int) -> np.ndarray:
    """[out_c, k] in the order the kernel walks: channels of a tap padded to 4, or the whole patch padded to its segments."""
    w = pad_to(p.weights, 4, 3) if slide else p.weights
    return pad_to(w.reshape(w.shape[0], -1), 4 if slide else 4 * max(segments, 1), 1)


def _slide_scratch(w: Window, tile: int) -> int:
    return w.k_h * ((tile - 1) * w.stride_w + w.k_w) * _round4(w.in_c) * 2


def _patch_scratch(w: Window, padded: int, tile: int) -> int:
    return 2 * tile * padded + (0 if _direct(w) else _round4(w.k_h * w.k_w * w.in_c))


def _direct(w: Window) -> bool:
    """q8_direct() of q8_conv.h."""
    return w.k_h == w.dil_w == 1 and not w.padded


def unroll(steps: int) -> int:
    """Steps a round: as few rounds and as little left over as possible, 112 bytes of code a step."""
    if steps <= MAX_UNROLL:
        return steps
    return min(range(1, MAX_UNROLL + 1), key=lambda u: (5 * (steps // u) + (8 if steps % u else 0), u))


BAND_BYTES = (3072, 1024, 0)
"""Planes of a depthwise layer's band may take so much scratch, by how little is wanted, if one output row at a time does not need
more."""


MAX_SPREAD = 17
"""Columns of a depthwise filter's row with the gaps of its dilation, zeros that cost flash and time. A row of three taps at
dilation 8 takes 23 cycles for a multiply-accumulate, the portable kernel 85; of five at dilation 9 the portable one is faster."""


def spreads(w: Window, options: CompileOptions) -> bool:
    """May a depthwise filter's gaps be filled with zeros? Always at dilation 2."""
    width = (w.k_w - 1) * w.dil_w + 1
    return w.dil_w <= 2 or (options.fast and width <= min(MAX_SPREAD, w.in_w))


def depthwise_conv2d(step: ProgramStep[DepthwiseConv2D], options: CompileOptions) -> Kernel | None:
    """depthwise_conv2d_s8: bands of four channel planes (q8_depthwise.h); the output may overwrite the input."""
    p = step.params
    w = p.window
    if w.in_c == 1:
        # One input channel: an ordinary convolution.
        conv = Conv2D(w, p.weights.transpose(2, 0, 1)[..., None], p.bias, p.in_zero, p.requant)
        return conv2d(step.with_params(conv), options)
    if not spreads(w, options):
        return None
    given = m4_int8_map.given_rows(w, options)
    for fit in fittings(Channels(p.weights.reshape(-1, w.out_c).T, p.bias, p.in_zero, p.quantized)):
        kernel = _depthwise_kernel(replace(p, weights=fit.channels.weights.T.reshape(p.weights.shape)), options, fit.channels)
        if kernel is not None:
            weights = p.weights.transpose(2, 0, 1)[..., None]
            return with_rest(kernel, RestLayer(w, weights, p.bias, p.in_zero, p.quantized, given), fit.rest)
    return None


def _depthwise_kernel(p: DepthwiseConv2D, options: CompileOptions, c: Channels) -> Kernel | None:
    w, taps = p.window, _spread_taps(p)
    constants = plain_channels(taps.reshape(w.out_c, -1), c.bias, p.in_zero, c.requant)
    if constants is None:
        return None
    planes = _planes(w, taps.shape[2], options)
    weights = Constant("weights", pad_to(taps, 4, 2) if planes.small else taps, "[channel][row][column]")
    in_place = w.out_w <= w.in_w and w.out_h <= w.in_h and p.depth_multiplier == 1
    return shaped_kernel(
        "q8_depthwise",
        "q8_depthwise_shape",
        _depthwise_shape(replace(p, requant=c.requant), taps.shape[2], planes, options),
        "m4/q8_depthwise.h",
        (weights, *constants),
        planes.scratch,
        _batches(w, w.out_h * w.out_w * w.out_c),
        (0,) if in_place else (),
        "O3" if options.fast else "O2",
        m4_int8_map.given_rows(w, options),
    )


def depthwise_planes(p: DepthwiseConv2D, channels: int, options: CompileOptions) -> tuple[np.ndarray, str, Planes]:
    """-> spread taps, initialiser of q8_depthwise_shape, and the planes of so many channels at a time."""
    taps = _spread_taps(p)
    planes = _planes(p.window, taps.shape[2], options, channels)
    return taps, _depthwise_shape(p, taps.shape[2], planes, options), planes


@dataclass(frozen=True)
class Planes:
    """How a depthwise layer's input is laid out: output rows a band, pairs of columns a row, bytes of scratch; `small` is
    the unrolled 3x3 kernel."""

    band: int
    pitch: int
    small: bool
    scratch: int


def _spread_taps(p: DepthwiseConv2D) -> np.ndarray:
    """int8 [channel, row, column]: a dilated row with zeros in its gaps."""
    w = p.window
    taps = np.zeros((w.out_c, w.k_h, (w.k_w - 1) * w.dil_w + 1), np.int8)
    taps[:, :, :: w.dil_w] = p.weights.transpose(2, 0, 1)
    return taps


def _planes(w: Window, k_w: int, options: CompileOptions, channels: int = 4) -> Planes:
    pairs = -(-w.out_w // 2)
    pitch = max(((2 * pairs - 1) * w.stride_w + k_w + 1) // 2, (w.out_w - 1) * w.stride_w // 2 + (k_w + 2) // 2)
    small = (w.k_h, k_w, w.dil_h) == (3, 3, 1) and w.stride_w <= 2 and 8 * pitch < 4096
    band = _band(w, pitch, 4 * channels, BAND_BYTES[options.lean])
    scratch = 4 * channels * _band_rows(w, band) * pitch + 4 * (2 * pairs + 2) + (0 if small else 8 * w.k_h * ((k_w + 2) // 2))
    return Planes(band, pitch, small, scratch)


def _depthwise_shape(p: DepthwiseConv2D, k_w: int, planes: Planes, options: CompileOptions) -> str:
    """The initialiser of q8_depthwise_shape."""
    w = p.window
    sizes = (w.in_h, w.in_w, w.in_c, w.out_h, w.out_w, p.depth_multiplier, w.k_h, k_w)
    steps = (w.stride_h, w.stride_w, w.dil_h, w.pad_top, w.pad_left)
    fields = (*sizes, *steps, p.in_zero, range_text(p.quantized), planes.band, planes.pitch, int(not options.fast))
    return f"{{{', '.join(map(str, fields))}}}"


def _band(w: Window, pitch: int, word_bytes: int, most: int) -> int:
    """Output rows at a time; word_bytes: of one word in every plane; most: bytes of all planes."""
    fits = [b for b in range(1, w.out_h + 1) if word_bytes * _band_rows(w, b) * pitch <= most]
    return fits[-1] if fits else 1


def _band_rows(w: Window, band: int) -> int:
    return (band - 1) * w.stride_h + (w.k_h - 1) * w.dil_h + 1


def shaped_kernel(
    template: str,
    shape_type: str,
    shape: str,
    header: str,
    constants: tuple[Constant, ...],
    scratch_bytes: int,
    batches: tuple[int, int, int] = (1, 0, 0),
    inplace: tuple[int, ...] = (),
    level: str = "O2",
    given: tuple[str, ...] = (),
) -> Kernel:
    """A kernel whose code is `template` specialised for `shape`; steps with the same shape share the function. `level`: the
    templates say themselves what is to be unrolled, so -O3 mostly costs flash. `given`: fields of the shape that are in scope."""
    parameters = ["const q8_channels *d", "const int8_t *in", "int8_t *out", "uint8_t *scratch"]
    arguments = ["d", "in", "out", "scratch"]
    name, file_scope = m4_int8_map.specialised(template, shape_type, shape, parameters, arguments, level, given)
    count, in_size, out_size = batches
    more = "".join(f", {g}" for g in given)

    def body(prefix: str) -> str:
        mended = f"{prefix}_mend_from, {prefix}_mend" if has_mends(constants) else "0, 0"
        own = {c.name for c in constants}
        arrays = ", ".join(f"{prefix}_{name}" if name in own else "0" for name in ("weights", *PER_CHANNEL))
        record = f"static const q8_channels d = {{{arrays}, {mended}}};\n"
        if count == 1:
            return f"{record}{name}(&d, in0, out0, scratch{more});\n"
        return f"{record}for (int b = 0; b < {count}; b++) {name}(&d, in0 + b * {in_size}, out0 + b * {out_size}, scratch);\n"

    return Kernel(body, constants, lambda _: file_scope, scratch_bytes, inplace, headers=(header,), rows=bool(given))


def range_text(q: Requant) -> str:
    """The initialiser of a q8_range."""
    left = int((q.shift[q.multiplier != 0] >= 0).any())
    return f"{{{q.zero_point}, {q.act_min}, {q.act_max}, {left}}}"


def _geometry(w: Window) -> tuple[int, ...]:
    """All fields but the batch, in q8_conv_shape's order."""
    return astuple(w)[1:]


def _round4(n: int) -> int:
    return -(-n // 4) * 4


KERNELS: dict[str, Select] = {
    "conv2d_s8": conv2d,
    "conv2d_mean_s8": conv2d_mean,
    "depthwise_conv2d_s8": depthwise_conv2d,
    **m4_int8_map.KERNELS,
}
"""Step kind -> choice, for the engine "tinyrig"."""
