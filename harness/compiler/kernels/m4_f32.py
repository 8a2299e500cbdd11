"""Float kernels for Cortex-M4F: which step gets which kernel of firmware/nn/m4/f32_*, its weights re-laid, its call.

Every convolution and dense layer runs through a register tile of 4 positions x 4 output channels; its weights are
stored in the order in which the tile reads them, a group of four output channels (biases first) after the other.
"""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.kernels.ctext import c_float, c_window
from tinyrig.compiler.model.layers import Bounded, Conv2D, ConvMean, DepthwiseConv2D, FullyConnected, Mean, Pool, Window
from tinyrig.compiler.model.params import Binary, Softmax, Unary
from tinyrig.compiler.model.step import AnyStep, CompileOptions, Constant, Kernel, ProgramStep, Select

GATHER_CHANNELS = 8
"""Below so many input channels a tile at the padding is copied together (measured: 3.2 against 4.7 cycles a MAC with one
channel, equal at six); above, its taps are read in place, which needs no copy."""

WINOGRAD_BYTES = 384 * 1024
"""A layer whose transformed weights would take more flash keeps its own."""

HEADERS = {"f32_depthwise": "m4/f32_depthwise.h", "f32_depthwise_taps": "m4/f32_depthwise.h", "f32_winograd": "m4/f32_winograd.h"}
"""Source -> header; f32_conv.h declares the rest."""


def pack_tiles(weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """[out_c, ...] and [out_c] -> float32 [ceil(out_c / 4), 1 + K, 4]: a group's biases, then K steps of four weights."""
    out_c = weights.shape[0]
    groups = -(-out_c // 4)
    flat = np.zeros((groups * 4, 1 + weights[0].size), np.float32)
    flat[:out_c, 0] = bias
    flat[:out_c, 1:] = weights.reshape(out_c, -1)
    return np.ascontiguousarray(flat.reshape(groups, 4, -1).transpose(0, 2, 1))


def is_relu(params: Bounded) -> bool:
    return params.act_min == 0 and bool(params.act_max == np.inf)


def _clamped(step: AnyStep, p: Bounded | None, call: str, fused: bool) -> tuple[str, tuple[str, ...]]:
    """The call and, where the activation is not `fused`, a second pass over the output; and that pass's source.
    `p` is None where there is no activation."""
    if fused or p is None or (p.act_min == -np.inf and p.act_max == np.inf):
        return call, ()
    bounds = f"{c_float(p.act_min)}, {c_float(p.act_max)}"
    return f"{call}\nnn_clamp_f32s({step.outputs[0].size}, {bounds}, out0, out0);", ("portable/convert.c",)


def _kernel(
    step: AnyStep, p: Bounded, function: str, struct: str, fields: str, packed: np.ndarray, file: str, scratch_bytes: int = 0
) -> Kernel:
    """One call with a parameter struct and packed weights."""
    pointers = ", (float *)scratch" if scratch_bytes else ""
    text, more = _clamped(step, p, f"{function}(&@_params, in0, @_packed, out0{pointers});", is_relu(p))
    return Kernel(
        lambda prefix: text.replace("@", prefix),
        constants=(Constant("packed", packed, "in the order of the register tile"),),
        file_scope=lambda prefix: f"static const {struct} {prefix}_params = {{{fields}}};\n",
        scratch_bytes=scratch_bytes,
        sources=(f"m4/{file}.c", *more),
        headers=("nn.h", HEADERS.get(file, "m4/f32_conv.h")),
    )


def _pointwise(step: ProgramStep[Conv2D | FullyConnected], weights: np.ndarray, count: int, in_c: int) -> Kernel:
    fields = f"{count}, {in_c}, {weights.shape[0]}, {int(is_relu(step.params))}"
    packed = pack_tiles(weights, step.params.bias)
    name, file = ("dense", "f32_dense") if count < 3 else ("pointwise", "f32_conv")
    return _kernel(step, step.params, f"nn_m4_{name}_f32", "nn_m4_pointwise", fields, packed, file)


def _is_pointwise(w: Window) -> bool:
    return (w.k_h, w.k_w, w.in_h, w.in_w) == (1, 1, w.out_h, w.out_w) and not w.padded


def _is_wide(w: Window) -> bool:
    """Three taps in a row at stride 1: 2.6 cycles a MAC in tiles of four outputs of a row, 4.0 singly; else 2.8 everywhere."""
    singles = w.out_w % 4
    tiled = w.out_w - singles + (4 if singles == 3 else 0)
    cost = 2.6 * tiled + (4.0 * singles if singles < 3 else 0)
    return (w.k_w, w.stride_w, w.dil_w) == (3, 1, 1) and w.out_w >= 4 and cost < 2.8 * w.out_w


def _direct(step: AnyStep, p: Conv2D | DepthwiseConv2D, weights: np.ndarray, mean: bool = False) -> Kernel:
    w = p.window
    wide = _is_wide(w)
    gather = w.in_c < GATHER_CHANNELS and w.dil_w == 1 and w.padded and not wide
    taps = w.k_h * w.k_w
    extra = 4 * taps * w.in_c if gather else w.in_c if w.padded else 0
    table = 24 * w.k_h if wide else 16 * taps  # bytes: pointers to 6 columns a kernel row, or to 4 positions a tap
    fields = f"{c_window(w)}, {int(gather)}, {extra}, {int(is_relu(p))}, {int(mean)}"
    packed = pack_tiles(weights.transpose(0, 1, 3, 2) if wide else weights, p.bias)
    function, file = ("nn_m4_conv2d_wide_f32", "f32_wide") if wide else ("nn_m4_conv2d_f32", "f32_conv")
    scratch = table + 4 * extra + (16 * w.out_c if mean else 0)
    return _kernel(step, p, function, "nn_m4_conv_f32", fields, packed, file, scratch)


def pack_winograd(weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """[out_c, 3, 3, in_c] and [out_c] -> float32 [ceil(out_c / 4), 16, 1 + in_c, 4]; see firmware/nn/m4/f32_winograd.h.

    G g G' of F(2x2, 3x3), Lavin and Gray 2015, section 4.1; computed in float64.
    """
    out_c, _, _, in_c = weights.shape
    groups = -(-out_c // 4)
    g = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    packed = np.zeros((groups * 4, 16, 1 + in_c))
    packed[:out_c, :, 1:] = np.einsum("ik,oklc,jl->oijc", g, weights.astype(np.float64), g).reshape(out_c, 16, in_c)
    packed[:out_c, 5, 0] = bias
    return np.ascontiguousarray(packed.reshape(groups, 4, 16, 1 + in_c).transpose(0, 2, 3, 1), np.float32)


def _winograd_pays(w: Window) -> bool:
    """Estimated cycles of a block of 2 x 8 outputs (transforms, products, sums) against 2.8 a MAC; within 5 % of measured
    layers of 16 to 64 channels (1.63 to 1.29 cycles a MAC)."""
    if (w.k_h, w.k_w, w.stride_h, w.stride_w, w.dil_h, w.dil_w) != (3, 3, 1, 1, 1, 1):
        return False
    groups = -(-w.out_c // 4)
    blocks = -(-w.out_h // 2) * -(-w.out_w // 8)
    cycles = blocks * (450 * w.in_c + groups * (16 * (45 + 42.5 * w.in_c) + 1100))
    fits = groups * 16 * (1 + w.in_c) * 16 <= WINOGRAD_BYTES
    return fits and cycles < 2.6 * w.out_h * w.out_w * w.out_c * 9 * w.in_c


def _winograd(step: ProgramStep[Conv2D]) -> Kernel:
    p = step.params
    w, packed = p.window, pack_winograd(p.weights, p.bias)
    fields = f"{c_window(w)}, {int(is_relu(p))}"
    scratch = 4 * (81 * w.in_c + 256)
    return _kernel(step, p, "nn_m4_winograd_f32_3x3", "nn_m4_winograd_f32", fields, packed, "f32_winograd", scratch)


def conv2d(step: ProgramStep[Conv2D], options: CompileOptions) -> Kernel | None:
    """Any kernel size, stride, dilation and padding; grouped convolutions are left to the portable kernel. "speed" takes
    16/9 of the weights' flash for 3x3 kernels of stride 1, which then do 2.25 times fewer products."""
    p = step.params
    w = p.window
    if p.groups != 1:
        return None
    if _is_pointwise(w):
        return _pointwise(step, p.weights, w.batch * w.out_h * w.out_w, w.in_c)
    if options.optimise == "speed" and _winograd_pays(w):
        return _winograd(step)
    return _direct(step, p, p.weights)


def conv2d_mean(step: ProgramStep[ConvMean], options: CompileOptions) -> Kernel | None:
    """One image, ReLU or no activation: each tile is added to the mean and forgotten."""
    p = step.params.conv
    unbounded = p.act_min == -np.inf and p.act_max == np.inf
    if p.groups != 1 or p.window.batch != 1 or not (is_relu(p) or unbounded):
        return None
    return _direct(step, p, p.weights, mean=True)


def fully_connected(step: ProgramStep[FullyConnected], options: CompileOptions) -> Kernel:
    p = step.params
    return _pointwise(step, p.weights, p.rows, p.in_n)


def depthwise(step: ProgramStep[DepthwiseConv2D], options: CompileOptions) -> Kernel:
    """On a single channel it is an ordinary convolution; else the kernel that is estimated to be the faster one."""
    p = step.params
    if p.window.in_c == 1:
        return _direct(step, p, p.weights.transpose(2, 0, 1)[..., None])
    slides = p.depth_multiplier == 1 and _slide_cycles(p.window) < _taps_cycles(p.window)
    return _slide(step) if slides else _taps(step)


def _inside(size: int, out: int, k: int, stride: int, dilation: int, pad: int) -> int:
    """Taps inside the image along one axis, over all outputs."""
    positions = np.arange(out)[:, None] * stride - pad + np.arange(k) * dilation
    return int(((positions >= 0) & (positions < size)).sum())


def _taps_cycles(w: Window) -> float:
    """Estimated from measured layers: a list of taps for each position, then 44 cycles a tap for each block of 8 channels."""
    rows = _inside(w.in_h, w.out_h, w.k_h, w.stride_h, w.dil_h, w.pad_top)
    columns = _inside(w.in_w, w.out_w, w.k_w, w.stride_w, w.dil_w, w.pad_left)
    positions, blocks = w.out_h * w.out_w, -(-w.in_c // 8)
    return w.batch * (positions * (60 + 100 * blocks) + 44 * rows * columns * blocks)


def _slide_cycles(w: Window) -> float:
    """As _taps_cycles: lines in pairs, 60 cycles a column of a pair, 36 a column of a single line; infinite where it can't."""
    outer = (w.pad_top, w.pad_left, w.out_h > w.in_h, w.out_w > w.in_w)
    if (w.k_h, w.k_w, w.stride_h, w.stride_w, w.dil_h, w.dil_w) != (3, 3, 1, 1, 1, 1) or max(outer) > 1 or any(outer[2:]):
        return np.inf
    along, across = max(w.out_h, w.out_w), min(w.out_h, w.out_w)
    return w.batch * w.in_c * (across // 2 * (200 + 60 * along) + across % 2 * (120 + 36 * along))


def _slide(step: ProgramStep[DepthwiseConv2D]) -> Kernel:
    """Along the longer axis: fewer lines to set up. Downwards keeps the order of TFLM's sums."""
    p = step.params
    w, c = p.window, p.window.out_c
    horizontal = (w.in_w, w.out_w, w.pad_left, c, c)
    vertical = (w.in_h, w.out_h, w.pad_top, w.in_w * c, w.out_w * c)
    along, across = (horizontal, vertical) if w.out_w > w.out_h else (vertical, horizontal)
    weights = p.weights if w.out_w > w.out_h else p.weights.transpose(1, 0, 2)
    packed = np.concatenate([p.bias[:, None], weights.reshape(9, c).T], axis=1).astype(np.float32)
    numbers = (w.batch, c, *along, *across, w.in_h * w.in_w * c, w.out_h * w.out_w * c, int(is_relu(p)))
    fields = ", ".join(map(str, numbers))
    return _kernel(step, p, "nn_m4_depthwise_slide_f32", "nn_m4_slide_f32", fields, packed, "f32_depthwise")


def _taps(step: ProgramStep[DepthwiseConv2D]) -> Kernel:
    p = step.params
    packed = np.concatenate([p.weights.ravel(), p.bias]).astype(np.float32)
    fields = f"{c_window(p.window)}, {p.depth_multiplier}, {int(is_relu(p))}"
    scratch = 8 * p.window.k_h * p.window.k_w
    return _kernel(step, p, "nn_m4_depthwise_taps_f32", "nn_m4_taps_f32", fields, packed, "f32_depthwise_taps", scratch)


def _pool(step: AnyStep, window: Window, function: str, bounds: Bounded | None = None) -> Kernel:
    call = f"{function}(&@_window, in0, out0);"
    text, more = _clamped(step, bounds, call, False)
    return Kernel(
        lambda prefix: text.replace("@", prefix),
        file_scope=lambda prefix: f"static const nn_window {prefix}_window = {c_window(window)};\n",
        sources=("m4/f32_pool.c", *more),
        headers=("nn.h", "m4/f32_pool.h"),
    )


def pool(step: ProgramStep[Pool], options: CompileOptions) -> Kernel:
    return _pool(step, step.params.window, f"nn_m4_{step.kind}", step.params)


def mean(step: ProgramStep[Mean], options: CompileOptions) -> Kernel:
    """An average over one row of `reduced` columns."""
    p = step.params
    return _pool(step, Window(p.outer, 1, p.reduced, p.inner, 1, 1, p.inner, 1, p.reduced, 1, 1), "nn_m4_average_pool_f32")


def add(step: ProgramStep[Binary], options: CompileOptions) -> Kernel | None:
    """Two tensors of one shape; broadcasting is left to the portable kernel."""
    p = step.params
    if not p.shape.plain or any(t.data is not None for t in step.inputs):
        return None
    text, more = _clamped(step, p, f"nn_m4_add_f32({p.shape.size}, {int(is_relu(p))}, in0, in1, out0);", is_relu(p))
    return Kernel(lambda _: text, inplace=(0, 1), sources=("m4/f32_add.c", *more), headers=("nn.h", "m4/f32_add.h"))


def exponential(step: ProgramStep[Unary | Softmax], options: CompileOptions) -> Kernel:
    """tanh, logistic and softmax: 86 and 81 cycles an element against libm's 199."""
    p = step.params
    size = f"{p.rows}, {p.depth}, {c_float(p.beta)}" if isinstance(p, Softmax) else f"{p.size}"
    text = f"nn_m4_{step.kind}({size}, in0, out0);"
    return Kernel(lambda _: text, inplace=(0,), sources=("m4/f32_exp.c",), headers=("nn.h", "m4/f32_exp.h"))


KERNELS: dict[str, Select] = {
    "conv2d_f32": conv2d,
    "conv2d_mean_f32": conv2d_mean,
    "depthwise_conv2d_f32": depthwise,
    "fully_connected_f32": fully_connected,
    "average_pool_f32": pool,
    "max_pool_f32": pool,
    "mean_f32": mean,
    "add_f32": add,
    "tanh_f32": exponential,
    "logistic_f32": exponential,
    "softmax_f32": exponential,
}
