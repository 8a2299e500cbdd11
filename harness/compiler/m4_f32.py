"""Float kernels for Cortex-M4F: which step gets which kernel of firmware/nn/m4/f32_*, its weights re-laid, its call.

Every convolution and dense layer runs through one register tile of 4 positions x 4 output channels; its weights are
stored in the order in which the tile reads them, a group of four output channels (biases first) after the other.
"""

from __future__ import annotations

import numpy as np

from harness.compiler.ctext import c_float, c_window
from harness.compiler.step import Constant, Conv2D, DepthwiseConv2D, FullyConnected, Kernel, Options, Select, Step, Window

GATHER_CHANNELS = 8
"""Below so many input channels a tile at the padding is copied together (measured: 3.2 against 4.7 cycles a MAC with one
channel, equal at six); above, its taps are read in place, which needs no copy."""

TABLE_BYTES = 16
"""Of one kernel tap in the tile's table: four 32-bit pointers."""


def pack_tiles(weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """[out_c, ...] and [out_c] -> float32 [ceil(out_c / 4), 1 + K, 4]: a group's biases, then K steps of four weights."""
    out_c = weights.shape[0]
    groups = -(-out_c // 4)
    flat = np.zeros((groups * 4, 1 + weights[0].size), np.float32)
    flat[:out_c, 0] = bias
    flat[:out_c, 1:] = weights.reshape(out_c, -1)
    return np.ascontiguousarray(flat.reshape(groups, 4, -1).transpose(0, 2, 1))


def is_relu(params: Conv2D | DepthwiseConv2D | FullyConnected) -> bool:
    return params.act_min == 0 and params.act_max == np.inf


def _kernel(step: Step, function: str, struct: str, fields: str, packed: np.ndarray, file: str, scratch_bytes: int = 0) -> Kernel:
    """One call with a parameter struct; activations other than ReLU are a second pass over the output."""
    p = step.params
    bounded = not is_relu(p) and (p.act_min != -np.inf or p.act_max != np.inf)
    pointers = "scratch" if scratch_bytes else ""

    def body(prefix: str) -> str:
        arguments = ", ".join(filter(None, [f"&{prefix}_params", "in0", f"{prefix}_packed", "out0", pointers]))
        call = f"{function}({arguments});"
        size = step.outputs[0].size
        clamp = f"\nnn_clamp_f32s({size}, {c_float(p.act_min)}, {c_float(p.act_max)}, out0, out0);"
        return call + (clamp if bounded else "")

    return Kernel(
        body,
        constants=(Constant("packed", packed, "in the order of the register tile"),),
        file_scope=lambda prefix: f"static const {struct} {prefix}_params = {{{fields}}};\n",
        scratch_bytes=scratch_bytes,
        sources=(f"m4/{file}.c", *(("convert.c",) if bounded else ())),
        headers=("nn.h", f"m4/{file}.h"),
    )


def _pointwise(step: Step, weights: np.ndarray, count: int, in_c: int) -> Kernel:
    fields = f"{count}, {in_c}, {weights.shape[0]}, {int(is_relu(step.params))}"
    packed = pack_tiles(weights, step.params.bias)
    return _kernel(step, "nn_m4_pointwise_f32", "nn_m4_pointwise", fields, packed, "f32_conv")


def _is_pointwise(w: Window) -> bool:
    return (w.k_h, w.k_w, w.in_h, w.in_w) == (1, 1, w.out_h, w.out_w) and not w.padded


def _direct(step: Step, weights: np.ndarray, w: Window) -> Kernel:
    gather = w.in_c < GATHER_CHANNELS and w.dil_w == 1
    taps = w.k_h * w.k_w
    extra = 4 * 4 * taps * w.in_c if gather else 4 * w.in_c
    fields = f"{c_window(w)}, {int(gather)}, {int(is_relu(step.params))}"
    packed = pack_tiles(weights, step.params.bias)
    return _kernel(step, "nn_m4_conv2d_f32", "nn_m4_conv_f32", fields, packed, "f32_conv", taps * TABLE_BYTES + extra)


def conv2d(step: Step, options: Options) -> Kernel | None:
    """Any kernel size, stride, dilation and padding; grouped convolutions are left to the portable kernel."""
    p: Conv2D = step.params
    w = p.window
    if p.groups != 1:
        return None
    if _is_pointwise(w):
        return _pointwise(step, p.weights, w.batch * w.out_h * w.out_w, w.in_c)
    return _direct(step, p.weights, w)


def fully_connected(step: Step, options: Options) -> Kernel:
    p: FullyConnected = step.params
    return _pointwise(step, p.weights, p.rows, p.in_n)


def depthwise(step: Step, options: Options) -> Kernel | None:
    """3x3 kernels of multiplier 1, and any kernel on a single channel (which is an ordinary convolution)."""
    p: DepthwiseConv2D = step.params
    w = p.window
    if w.in_c == 1:
        return _direct(step, p.weights.transpose(2, 0, 1), w)
    if p.depth_multiplier != 1 or (w.k_h, w.k_w, w.dil_h, w.dil_w) != (3, 3, 1, 1):
        return None
    return _slide(step)


def _slide(step: Step) -> Kernel | None:
    """Slides along the longer axis: each line costs some 70 cycles a channel beside its outputs."""
    p: DepthwiseConv2D = step.params
    w, c = p.window, p.window.out_c
    horizontal = (w.in_w, w.out_w, w.pad_left, c, c)
    vertical = (w.in_h, w.out_h, w.pad_top, w.in_w * c, w.out_w * c)
    along, across = (horizontal, vertical) if w.out_w >= w.out_h else (vertical, horizontal)
    weights = p.weights if w.out_w >= w.out_h else p.weights.transpose(1, 0, 2)
    stride = w.stride_h
    readable = (along[0] - (1 - along[2])) // 2 + 1  # stride 2: outputs of which at most the last lacks a column
    if w.stride_w != stride or stride > 2 or along[2] > 1 or (stride == 2 and along[1] > readable):
        return None
    packed = np.concatenate([p.bias[:, None], weights.reshape(9, c).T], axis=1).astype(np.float32)
    numbers = (w.batch, c, *along, *across, w.in_h * w.in_w * c, w.out_h * w.out_w * c, stride, int(is_relu(p)))
    fields = ", ".join(map(str, numbers))
    return _kernel(step, "nn_m4_depthwise3_f32", "nn_m4_slide_f32", fields, packed, "f32_depthwise")


KERNELS: dict[str, Select] = {
    "conv2d_f32": conv2d,
    "depthwise_conv2d_f32": depthwise,
    "fully_connected_f32": fully_connected,
}
