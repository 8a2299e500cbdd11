"""Fast kernels of 16x8 layers for Cortex-M4 (firmware/nn/m4/q16_*.h): convolution, depthwise convolution, dense."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from tinyrig.compiler.kernels.dsp.int16_scale import Scales, pack, scales
from tinyrig.compiler.kernels.m4_int8 import MAX_OFFSET, depthwise_planes, is_compact, spreads, unroll
from tinyrig.compiler.kernels.m4_int8_map import specialised
from tinyrig.compiler.kernels.m4_pack import pad_to
from tinyrig.compiler.model.layers import Conv2D, DepthwiseConv2D, FullyConnected, Window
from tinyrig.compiler.model.step import CompileOptions, Constant, Kernel, ProgramStep, Select


def conv2d(step: ProgramStep[Conv2D], options: CompileOptions) -> Kernel | None:
    """conv2d_s16."""
    p, w = step.params, step.params.window
    if p.groups != 1 or p.in_zero:
        return None
    flat = p.weights.reshape(w.out_c, -1)
    s = scales(flat, p.bias, p.quantized)
    if s is None:
        return None
    padded = pad_to(flat, 4 * max(s.parts, 1), 1)
    words = pack(pad_to(padded, 2, 0))
    pairs = np.ascontiguousarray(words.reshape(-1, 2, words.shape[1]).transpose(0, 2, 1)).ravel()
    weights = Constant("weights", pairs, "[channel pair][step][channel], four weights a word")
    steps, direct = words.shape[1] // max(s.parts, 1), _direct(w, words.shape[1])
    compact = is_compact("conv", flat.size * w.out_h * w.out_w, options)
    fields = (*astuple(w)[1:], steps, s.parts, 1 if compact else unroll(steps), int(direct), s.range)
    scratch = 0 if direct else 32 * words.shape[1] + (2 * flat.shape[1] if w.in_c % 4 else 0)
    sizes = w.batch, w.in_h * w.in_w * w.in_c, w.out_h * w.out_w * w.out_c
    return _kernel("q16_conv", fields, "m4/q16_conv.h", weights, s, scratch, sizes)


def _direct(w: Window, steps: int) -> bool:
    """Does every patch lie in the input as whole steps? Its four positions must be within reach of a load."""
    within = w.k_h == w.dil_w == 1 and not w.padded
    return within and w.k_w * w.in_c == 4 * steps and 3 * 2 * w.stride_w * w.in_c + 4 <= MAX_OFFSET


def fully_connected(step: ProgramStep[FullyConnected], options: CompileOptions) -> Kernel | None:
    """fully_connected_s16."""
    p = step.params
    flat = p.weights.reshape(p.out_n, p.in_n)
    s = None if p.weight_zero or p.in_zero else scales(flat, p.bias, p.quantized)
    if s is None:
        return None
    words = pack(pad_to(pad_to(flat, 4 * max(s.parts, 1), 1), 4, 0))
    quads = np.ascontiguousarray(words.reshape(-1, 4, words.shape[1]).transpose(0, 2, 1)).ravel()
    weights = Constant("weights", quads, "[four outputs][step][output], four weights a word")
    fields = (p.rows, p.in_n, p.out_n, words.shape[1] // max(s.parts, 1), s.parts, s.range)
    scratch = 0 if 4 * words.shape[1] == p.in_n else 8 * words.shape[1]
    return _kernel("q16_dense", fields, "m4/q16_dense.h", weights, s, scratch, (1, 0, 0))


def depthwise_conv2d(step: ProgramStep[DepthwiseConv2D], options: CompileOptions) -> Kernel | None:
    """depthwise_conv2d_s16."""
    p, w = step.params, step.params.window
    if w.in_c == 1:
        conv = Conv2D(w, p.weights.transpose(2, 0, 1)[..., None], p.bias, p.in_zero, p.requant)
        return conv2d(step.with_params(conv), options)
    taps, shape, planes = depthwise_planes(p, 2, options)
    s = None if p.in_zero else scales(taps.reshape(w.out_c, -1), p.bias, p.quantized, doubled=2)
    if s is None or not spreads(w, options):
        return None
    weights = Constant("weights", pad_to(taps, 4, 2) if planes.small else taps, "[channel][row][column]")
    in_place = (0,) if w.out_w <= w.in_w and w.out_h <= w.in_h and p.depth_multiplier == 1 else ()
    sizes = w.batch, w.in_h * w.in_w * w.in_c, w.out_h * w.out_w * w.out_c
    level = "O3" if options.fast else "O2"
    return _kernel("q16_depthwise", (shape, s.range), "m4/q16_depthwise.h", weights, s, planes.scratch, sizes, in_place, level)


def _kernel(
    template: str,
    fields: tuple[object, ...],
    header: str,
    weights: Constant,
    s: Scales,
    scratch: int,
    sizes: tuple[int, int, int],
    in_place: tuple[int, ...] = (),
    level: str = "O2",
) -> Kernel:
    """sizes: batches, and the values of one in and out."""
    shape = f"{{{', '.join(map(str, fields))}}}"
    parameters = ["const q16_channels *d", "const int16_t *in", "int16_t *out", "uint8_t *scratch"]
    name, text = specialised(template, f"{template}_shape", shape, parameters, ["d", "in", "out", "scratch"], level)
    count, in_size, out_size = sizes
    place = "scratch" if scratch else "0"

    def body(prefix: str) -> str:
        arrays = ", ".join(f"{prefix}_{c}" for c in ("weights", "offset", "multiplier", "shift"))
        record = f"static const q16_channels d = {{{arrays}}};\n"
        if count == 1:
            return f"{record}{name}(&d, in0, out0, {place});\n"
        return f"{record}for (int b = 0; b < {count}; b++) {name}(&d, in0 + b * {in_size}, out0 + b * {out_size}, {place});\n"

    return Kernel(body, (weights, *s.constants), lambda _: text, scratch, in_place, headers=(header,))


KERNELS: dict[str, Select] = {
    "conv2d_s16": conv2d,
    "depthwise_conv2d_s16": depthwise_conv2d,
    "fully_connected_s16": fully_connected,
}
"""Step kind -> choice, for the engine "tinyrig"."""
