"""The peer engine: CMSIS-NN 4.0.0's int8 functions, compiled from the installed `bakenn` package beside our own.

Whatever CMSIS-NN as packaged there has no function for runs on the portable kernel, and `fallback` says why. The wrappers
(arm_convolve_wrapper_s8, arm_depthwise_conv_wrapper_s8) are called, so that CMSIS-NN takes its own fast paths (1x1, 1xN, 3x3).
A dense layer with per-channel scales, which arm_fully_connected_s8 can't do, runs as the 1x1 convolution that it is: CMSIS-NN's
own per-channel code is the fairer peer than ours.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinyrig.compiler.lower.lower import lower_file
from tinyrig.compiler.model.layers import Bounded, Conv2D, DepthwiseConv2D, FullyConnected, Pool, Requant, Weighted, Window
from tinyrig.compiler.model.step import AnyStep, CompileOptions, Constant, Kernel, ProgramStep, Select
from tinyrig.core.errors import HostError
from tinyrig.places.installed import FIRMWARE
from tinyrig.places.remedies import extra

ENGINE = "cmsis-nn"
PACKAGE, VERSION = "bakenn", "1.0.0"
SHIM = FIRMWARE / "nn" / "cmsis"
"""Our arm_acle.h, for builds on a host."""

_CONV = "Source/ConvolutionFunctions/"
_SUPPORT = "Source/NNSupportFunctions/"
SOURCES: dict[str, tuple[str, ...]] = {
    "conv2d_s8": (
        _CONV + "arm_convolve_wrapper_s8.c",
        _CONV + "arm_convolve_s8.c",
        _CONV + "arm_convolve_1_x_n_s8.c",
        _CONV + "arm_convolve_1x1_s8.c",
        _CONV + "arm_convolve_1x1_s8_fast.c",
        _CONV + "arm_nn_mat_mult_kernel_s8_s16.c",
        _SUPPORT + "arm_nn_mat_mult_nt_t_s8.c",
        _SUPPORT + "arm_q7_to_q15_with_offset.c",
    ),
    "depthwise_conv2d_s8": (
        _CONV + "arm_depthwise_conv_wrapper_s8.c",
        _CONV + "arm_depthwise_conv_3x3_s8.c",
        _CONV + "arm_depthwise_conv_s8.c",
        _CONV + "arm_depthwise_conv_s8_opt.c",
        _SUPPORT + "arm_q7_to_q15_with_offset.c",
    ),
    "fully_connected_s8": ("Source/FullyConnectedFunctions/arm_fully_connected_s8.c", _SUPPORT + "arm_nn_vec_mat_mult_t_s8.c"),
    "average_pool_s8": ("Source/PoolingFunctions/arm_avgpool_s8.c",),
    "max_pool_s8": ("Source/PoolingFunctions/arm_max_pool_s8.c",),
}
"""Step kind -> the files of CMSIS-NN that it needs on a core without MVE."""

MAX_DIM = 65_535
"""CMSIS-NN keeps dimensions and the taps of a filter in uint16_t."""


def vendor() -> Path:
    """The folder of CMSIS-NN inside the installed package. Raises HostError when that is missing or another version."""
    spec = importlib.util.find_spec(PACKAGE)
    found = importlib.metadata.version(PACKAGE) if spec else "nothing"
    root = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else Path()
    folder = root / "backend" / "cmsis_nn" / "vendor"
    if found != VERSION or not (folder / "cmsis_nn" / "Source").is_dir():
        raise HostError(
            "the engine cmsis-nn needs CMSIS-NN's sources",
            expected=f"the package {PACKAGE} {VERSION}, which carries them",
            received=found,
            remedy=extra("peer"),
        )
    return folder


def include_dirs() -> tuple[Path, ...]:
    """The shim first: it stands before the compiler's own arm_acle.h."""
    folder = vendor()
    return SHIM, folder / "cmsis_nn" / "Include", folder / "cmsis_core" / "Include"


def fallback(step: AnyStep) -> str | None:
    """Why CMSIS-NN can't do this step and the portable kernel does; None when it can."""
    if step.kind not in KERNELS:
        return "no such function in CMSIS-NN as packaged"
    return _LIMITS[step.kind](step)


def coverage(data: bytes) -> list[tuple[AnyStep, str | None, str | None]]:
    """Every step of a .tflite with why CMSIS-NN can't do it (None: it can) and its note. Raises ModelError."""
    return [(s, fallback(s), note(s)) for s in lower_file(data).steps]


def _conv_limit(step: ProgramStep[Conv2D]) -> str | None:
    p, w = step.params, step.params.window
    if p.groups != 1:
        return "arm_convolve_s8 has no groups"
    return _size_limit(w, w.in_c * w.k_h * w.k_w)


def _depthwise_limit(step: ProgramStep[DepthwiseConv2D]) -> str | None:
    w = step.params.window
    overhang = (w.out_w - 1) * w.stride_w - w.pad_left + (w.k_w - 1) * w.dil_w - (w.in_w - 1)
    if (w.k_h, w.k_w) == (3, 3) and overhang > 1:
        return "arm_depthwise_conv_3x3_s8 takes at most one column of padding on the right"
    return _size_limit(w, w.k_h * w.k_w)


def _size_limit(w: Window, taps: int) -> str | None:
    if max(w.in_h, w.in_w, w.in_c, w.out_h, w.out_w, w.out_c, taps) > MAX_DIM:
        return f"CMSIS-NN's dimensions end at {MAX_DIM}"
    return None


def _dense_limit(step: ProgramStep[FullyConnected]) -> str | None:
    p = step.params
    if max(p.rows, p.in_n, p.out_n) > MAX_DIM:
        return f"CMSIS-NN's dimensions end at {MAX_DIM}"
    return "arm_fully_connected_s8 has no weight zero point" if p.weight_zero else None


def note(step: AnyStep) -> str | None:
    """How CMSIS-NN does a step that its function of that name can't do; None for the usual way."""
    if step.kind == "fully_connected_s8" and not fallback(step) and not step.params.quantized.uniform:
        return "per-channel weight scales: run as a 1x1 convolution, because arm_fully_connected_s8 takes one scale for all"
    return None


def _pool_limit(step: ProgramStep[Pool]) -> str | None:
    return "CMSIS-NN's poolings take a batch of 1" if step.params.window.batch != 1 else None


_LIMITS: dict[str, Callable[[AnyStep], str | None]] = {
    "conv2d_s8": _conv_limit,
    "depthwise_conv2d_s8": _depthwise_limit,
    "fully_connected_s8": _dense_limit,
    "average_pool_s8": _pool_limit,
    "max_pool_s8": _pool_limit,
}


def scratch_bytes(step: AnyStep) -> int:
    """What CMSIS-NN's `*_get_buffer_size` returns on a core with the DSP extension, by its documented formulas.

    A test asks the functions themselves on the board.
    """
    if step.kind == "fully_connected_s8":
        return 0
    w: Window = step.params.window
    if step.kind == "conv2d_s8":
        plain = (w.k_h, w.k_w, w.pad_top, w.pad_left, w.dil_h, w.dil_w) == (1, 1, 0, 0, 1, 1)
        return 0 if plain else 2 * 2 * w.in_c * w.k_h * w.k_w  # two im2col columns of int16
    if step.kind == "depthwise_conv2d_s8":
        optimised = w.in_c == w.out_c and (w.batch, w.dil_h, w.dil_w) == (1, 1, 1)
        return 2 * w.in_c * w.k_h * w.k_w if optimised else 0  # one im2col column of int16
    return 4 * w.in_c if step.kind == "average_pool_s8" else 0  # int32 sums


def _weights(step: ProgramStep[Weighted]) -> tuple[Constant, ...]:
    return Constant("weights", step.params.weights), Constant("bias", step.params.bias.astype(np.int32))


def _channel_constants(q: Requant) -> tuple[Constant, ...]:
    """CMSIS-NN reads shifts as int32."""
    return Constant("multiplier", q.multiplier.astype(np.int32)), Constant("shift", q.shift.astype(np.int32))


def _dims(name: str, n: int, h: int, w: int, c: int) -> str:
    return f"static const cmsis_nn_dims @_{name} = {{.n = {n}, .h = {h}, .w = {w}, .c = {c}}};\n"


def _window_dims(w: Window, filter_n: int, filter_c: int) -> str:
    text = _dims("in_dims", w.batch, w.in_h, w.in_w, w.in_c) + _dims("filter_dims", filter_n, w.k_h, w.k_w, filter_c)
    return text + _dims("out_dims", w.batch, w.out_h, w.out_w, w.out_c)


def _geometry(w: Window, dilated: bool = True) -> str:
    dilation = f" .dilation = {{.w = {w.dil_w}, .h = {w.dil_h}}}," if dilated else ""
    stride = f".stride = {{.w = {w.stride_w}, .h = {w.stride_h}}},"
    return f"{stride} .padding = {{.w = {w.pad_left}, .h = {w.pad_top}}},{dilation}"


def _offsets(in_zero: int, q: Requant) -> str:
    return f".input_offset = {-in_zero}, .output_offset = {q.zero_point},"


def _range(q: Bounded) -> str:
    return f".activation = {{.min = {q.act_min}, .max = {q.act_max}}}"


def _kernel(step: AnyStep, file_scope: str, call: str, constants: tuple[Constant, ...] = (), sources: str = "") -> Kernel:
    """`@` stands for the step's prefix; `sources` is a key of SOURCES where it is not the step's kind. Arguments were
    checked before, so that the returned status is always success."""
    size = scratch_bytes(step)
    context = f"const cmsis_nn_context context = {{.buf = {'scratch' if size else '(void *)0'}, .size = {size}}};"
    root = vendor() / "cmsis_nn"
    return Kernel(
        lambda prefix: f"{context}\n(void){call.replace('@', prefix)};",
        constants=constants,
        file_scope=lambda prefix: file_scope.replace("@", prefix),
        scratch_bytes=size,
        headers=("arm_nnfunctions.h",),
        extra_sources=tuple(root / name for name in SOURCES[sources or step.kind]),
        include_dirs=include_dirs(),
    )


_ARGUMENTS = "&context, &@_params, &@_quant, &@_in_dims, in0, &@_filter_dims, @_weights, &@_bias_dims, @_bias, &@_out_dims, out0"


def _convolution(
    step: ProgramStep[Weighted], function: str, params: str, w: Window, filter_dims: tuple[int, int], sources: str = ""
) -> Kernel:
    """`filter_dims`: CMSIS-NN's n and c of the filter."""
    text = params + _window_dims(w, *filter_dims) + _dims("bias_dims", 1, 1, 1, w.out_c)
    # Its record has plain pointers to what its kernels only read.
    quant = "{(int32_t *)(uintptr_t)@_multiplier, (int32_t *)(uintptr_t)@_shift}"
    text += f"static const cmsis_nn_per_channel_quant_params @_quant = {quant};\n"
    constants = _weights(step) + _channel_constants(step.params.quantized)
    return _kernel(step, text, f"{function}({_ARGUMENTS})", constants, sources)


def _conv(step: ProgramStep[Conv2D | FullyConnected], w: Window, sources: str = "") -> Kernel:
    """The filter's dims are CMSIS-NN's [out_c, k_h, k_w, in_c]."""
    fields = f"{_offsets(step.params.in_zero, step.params.quantized)} {_geometry(w)} {_range(step.params.quantized)}"
    params = f"static const cmsis_nn_conv_params @_params = {{{fields}}};\n"
    return _convolution(step, "arm_convolve_wrapper_s8", params, w, (w.out_c, w.in_c), sources)


def conv2d(step: ProgramStep[Conv2D], options: CompileOptions) -> Kernel | None:
    return None if fallback(step) else _conv(step, step.params.window)


def depthwise(step: ProgramStep[DepthwiseConv2D], options: CompileOptions) -> Kernel | None:
    """The filter's dims are CMSIS-NN's [1, k_h, k_w, out_c]."""
    if fallback(step):
        return None
    p, w, q = step.params, step.params.window, step.params.quantized
    fields = f"{_offsets(p.in_zero, q)} .ch_mult = {p.depth_multiplier}, {_geometry(w)} {_range(q)}"
    params = f"static const cmsis_nn_dw_conv_params @_params = {{{fields}}};\n"
    return _convolution(step, "arm_depthwise_conv_wrapper_s8", params, w, (1, w.out_c))


def dense(step: ProgramStep[FullyConnected], options: CompileOptions) -> Kernel | None:
    if fallback(step):
        return None
    p, q = step.params, step.params.quantized
    if note(step):
        return _conv(step, Window(p.rows, 1, 1, p.in_n, 1, 1, p.out_n, 1, 1, 1, 1), "conv2d_s8")
    fields = f"{_offsets(p.in_zero, q)} .filter_offset = 0, {_range(q)}"
    text = f"static const cmsis_nn_fc_params @_params = {{{fields}}};\n"
    text += f"static const cmsis_nn_per_tensor_quant_params @_quant = {{{int(q.multiplier[0])}, {int(q.shift[0])}}};\n"
    text += _dims("in_dims", p.rows, 1, 1, p.in_n) + _dims("filter_dims", p.in_n, 1, 1, p.out_n)
    text += _dims("bias_dims", 1, 1, 1, p.out_n) + _dims("out_dims", p.rows, 1, 1, p.out_n)
    return _kernel(step, text, f"arm_fully_connected_s8({_ARGUMENTS})", _weights(step))


def pool(step: ProgramStep[Pool], options: CompileOptions) -> Kernel | None:
    if fallback(step):
        return None
    w = step.params.window
    fields = f"{_geometry(w, dilated=False)} {_range(step.params)}"
    text = f"static const cmsis_nn_pool_params @_params = {{{fields}}};\n" + _window_dims(w, 1, 1)
    function = {"average_pool_s8": "arm_avgpool_s8", "max_pool_s8": "arm_max_pool_s8"}[step.kind]
    return _kernel(step, text, f"{function}(&context, &@_params, &@_in_dims, in0, &@_filter_dims, &@_out_dims, out0)")


KERNELS: dict[str, Select] = {
    "conv2d_s8": conv2d,
    "depthwise_conv2d_s8": depthwise,
    "fully_connected_s8": dense,
    "average_pool_s8": pool,
    "max_pool_s8": pool,
}
