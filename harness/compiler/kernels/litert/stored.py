"""Kernels of float layers whose weights stay int8 in flash: a quarter of the space, and slower than float weights."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.kernels.ctext import c_float, c_window
from tinyrig.compiler.kernels.portable import call
from tinyrig.compiler.model.layers import Conv2D, DepthwiseConv2D, FullyConnected, Weighted
from tinyrig.compiler.model.step import CompileOptions, Constant, Kernel, ProgramStep, Select


def _kernel(step: ProgramStep[Weighted], function: str, shape: str) -> Kernel | None:
    p = step.params
    if p.stored is None:
        return None
    scale = p.stored.scales
    bias = Constant("bias", (p.bias / scale).astype(np.float32))
    constants = (Constant("weights", p.stored.weights), bias, Constant("scale", scale))
    fields = f"{shape}, @_scale, {c_float(p.act_min)}, {c_float(p.act_max)}"
    name = f"nn_{function}_w8"
    pointers = "in0, @_weights, @_bias, out0"
    struct = f"{'nn_conv_w8' if function == 'conv2d' else name}_shape"
    return call(name, f"{function}_w8.c", struct, fields, pointers, constants=constants)


def conv2d(step: ProgramStep[Conv2D], options: CompileOptions) -> Kernel | None:
    return _kernel(step, "conv2d", f"{c_window(step.params.window)}, {step.params.weights.shape[3]}")


def depthwise(step: ProgramStep[DepthwiseConv2D], options: CompileOptions) -> Kernel | None:
    return _kernel(step, "depthwise", f"{c_window(step.params.window)}, {step.params.depth_multiplier}")


def dense(step: ProgramStep[FullyConnected], options: CompileOptions) -> Kernel | None:
    return _kernel(step, "dense", f"{step.params.rows}, {step.params.in_n}, {step.params.out_n}")


KERNELS: dict[str, Select] = {"conv2d_f32": conv2d, "depthwise_conv2d_f32": depthwise, "fully_connected_f32": dense}
