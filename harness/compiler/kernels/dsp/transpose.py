"""Transposed convolutions by the fast convolutions: one for each phase of the output (firmware/nn/m4/phases.h)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tinyrig.compiler.kernels import m4_int8
from tinyrig.compiler.kernels.dsp import int16
from tinyrig.compiler.model.layers import Conv2D, TransposeConv
from tinyrig.compiler.model.step import C_TYPES, CompileOptions, Kernel, ProgramStep, Select

CONVOLUTIONS: dict[str, Select] = {"transpose_conv_s8": m4_int8.conv2d, "transpose_conv_s16": int16.conv2d}


@dataclass(frozen=True)
class AxisPhase:
    """Along one axis: outputs first, first + stride ... (`count` of them) are a convolution with the filter's taps `taps`, in its
    own order, and `pad` columns of padding before the input; a negative pad leaves input out."""

    first: int
    count: int
    taps: tuple[int, ...]
    pad: int


def axis_phases(out: int, k: int, stride: int, pad: int) -> list[AxisPhase]:
    """Output y takes input i through tap k where i * stride + k = y + pad."""
    found = []
    for first in range(min(stride, out)):
        quotient, rest = divmod(first + pad, stride)
        taps = tuple(reversed(range(rest, k, stride)))
        found.append(AxisPhase(first, -(-(out - first) // stride), taps, len(taps) - 1 - quotient))
    return found


def transpose_conv(step: ProgramStep[TransposeConv], options: CompileOptions) -> Kernel | None:
    """transpose_conv_s8 and transpose_conv_s16."""
    found = [(conv, offset, CONVOLUTIONS[step.kind](step.with_params(conv), options)) for conv, offset in phases(step.params)]
    kernels = [(conv, offset, kernel) for conv, offset, kernel in found if kernel is not None]
    if len(kernels) < len(found):
        return None
    return _joined(step, kernels)


def phases(p: TransposeConv) -> Iterator[tuple[Conv2D, int]]:
    """Each phase's convolution, and the number of the pixel that its map begins at."""
    w = p.window
    for y in axis_phases(w.out_h, w.k_h, w.stride_h, w.pad_top):
        for x in axis_phases(w.out_w, w.k_w, w.stride_w, w.pad_left):
            weights = p.weights[:, list(y.taps)][:, :, list(x.taps)]
            pads = y.pad, x.pad
            if not weights.size:  # no tap reaches these outputs, which are the bias: one tap of zeros
                weights, pads = np.zeros((w.out_c, 1, 1, w.in_c), p.weights.dtype), (0, 0)
            k_h, k_w = weights.shape[1:3]
            sizes = {"out_h": y.count, "out_w": x.count, "k_h": k_h, "k_w": k_w, "pad_top": pads[0], "pad_left": pads[1]}
            window = replace(w, **sizes, stride_h=1, stride_w=1)
            conv = Conv2D(window, np.ascontiguousarray(weights), p.bias, p.in_zero, p.requant, p.act_min, p.act_max)
            yield conv, y.first * w.out_w + x.first


def _joined(step: ProgramStep[TransposeConv], kernels: list[tuple[Conv2D, int, Kernel]]) -> Kernel:
    """One after the other, each into a map in scratch; a single phase straight into the output."""
    w, dtype = step.params.window, step.outputs[0].dtype
    pixel, alone = w.out_c * step.outputs[0].nbytes // max(step.outputs[0].size, 1), len(kernels) == 1
    largest = 0 if alone else max(w.batch * c.window.out_h * c.window.out_w * pixel for c, _, _ in kernels)
    maps = -(-largest // 16) * 16

    def body(prefix: str) -> str:
        if alone:
            return kernels[0][2].body(f"{prefix}_p0")
        lines = ["uint8_t *const map = scratch;", f"{C_TYPES[dtype]} *const whole = out0;"]
        for i, (conv, offset, kernel) in enumerate(kernels):
            c = conv.window
            steps = w.out_h * w.out_w * pixel, w.stride_h * w.out_w * pixel, w.stride_w * pixel
            phase = ", ".join(map(str, (w.batch, c.out_h, c.out_w, pixel, *steps)))
            lines += ["{", f"{C_TYPES[dtype]} *const out0 = ({C_TYPES[dtype]} *)(void *)map;"]
            lines += [f"uint8_t *const scratch = map + {maps};"] if kernel.scratch_bytes else []
            lines += [kernel.body(f"{prefix}_p{i}"), f"static const m4_phase phase = {{{phase}}};"]
            lines += [f"m4_phase_put(&phase, map, (uint8_t *)whole + {offset * pixel});", "}"]
        return "\n".join(lines)

    def file_scope(prefix: str) -> str:
        return "".join(k.file_scope(f"{prefix}_p{i}") for i, (_, _, k) in enumerate(kernels) if k.file_scope)

    return Kernel(
        body,
        tuple(replace(c, name=f"p{i}_{c.name}") for i, (_, _, k) in enumerate(kernels) for c in k.constants),
        file_scope,
        maps + max(k.scratch_bytes for _, _, k in kernels),
        headers=(*sorted({h for _, _, k in kernels for h in k.headers}), "m4/phases.h"),
    )


KERNELS: dict[str, Select] = dict.fromkeys(CONVOLUTIONS, transpose_conv)
"""Step kind -> choice, for the engine "tinyrig"."""
