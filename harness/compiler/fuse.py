"""Steps that one kernel can do together.

A convolution whose only reader averages it away: its output, often the largest tensor of a small network, is then never stored.
An engine offers it by a kernel of kind conv2d_mean_*. A PAD whose readers are convolutions, as converters from PyTorch write it:
they leave out the taps that would meet its zeros, and the padded map is never made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from tinyrig.compiler.kernels.choose import find_kernel
from tinyrig.compiler.lower.lower import Lowered
from tinyrig.compiler.model.graph import Tensor
from tinyrig.compiler.model.layers import ConvMean
from tinyrig.compiler.model.params import Move
from tinyrig.compiler.model.step import AnyStep, CompileOptions, Kernel

_MEANS = {"conv2d_s8": "mean_s8", "conv2d_f32": "mean_f32"}

OWN_ENGINES = ("tinyrig", "portable")
"""Those that may do more with a model than run its steps one by one."""


def fuse(lowered: Lowered, engine: str, options: CompileOptions) -> Lowered:
    """All fusions that the engine has kernels for. Raises UserError for an unknown engine. PADs stay for other runtimes' engines,
    which don't fuse them."""
    if engine in OWN_ENGINES:
        lowered = fuse_pads(lowered)
    return fuse_means(lowered, lambda step: find_kernel(step, engine, options))


def fuse_means(lowered: Lowered, choose: Callable[[AnyStep], Kernel | None]) -> Lowered:
    """Replaces each pair that `choose` has a kernel for. Exact for integers: the same values are summed."""
    readers = [lowered.root(t.index) for s in lowered.steps for t in s.inputs] + [lowered.root(i) for i in lowered.outputs]
    steps = list[AnyStep]()
    for step in lowered.steps:
        fused = _fused(steps[-1], step, lowered) if steps else None
        if fused is not None and readers.count(lowered.root(steps[-1].outputs[0].index)) == 1 and choose(fused) is not None:
            steps[-1] = fused
        else:
            steps.append(step)
    return dataclasses.replace(lowered, steps=tuple(dataclasses.replace(s, index=i) for i, s in enumerate(steps)))


def _fused(conv: AnyStep, mean: AnyStep, lowered: Lowered) -> AnyStep | None:
    """The pair as one step, where the mean takes all positions of the convolution's one image."""
    if _MEANS.get(conv.kind) != mean.kind or lowered.root(mean.inputs[0].index) != lowered.root(conv.outputs[0].index):
        return None
    w, m = conv.params.window, mean.params
    if (w.batch, w.out_h * w.out_w, w.out_c) != (m.outer, m.reduced, m.inner):
        return None
    kind = conv.kind.replace("conv2d", "conv2d_mean")
    params = ConvMean(conv.params, mean.params)
    return dataclasses.replace(conv, kind=kind, op=f"{conv.op}+{mean.op}", outputs=mean.outputs, params=params)


def fuse_pads(lowered: Lowered) -> Lowered:
    """Exact: what a filter reads of the padding is the zero point, which adds nothing to a sum."""
    steps = list(lowered.steps)
    for pad in lowered.steps:
        made = lowered.root(pad.outputs[0].index) if isinstance(pad.params, Move) and pad.params.before else None
        if made is None or made in {lowered.root(i) for i in (*lowered.outputs, *lowered.states)}:
            continue
        readers = [i for i, s in enumerate(steps) if made in {lowered.root(t.index) for t in s.inputs}]
        fused = [_padded(pad, steps[i]) for i in readers]
        if readers and all(f is not None for f in fused):
            for i, f in zip(readers, fused, strict=True):
                steps[i] = f or steps[i]
            steps.remove(pad)
    return dataclasses.replace(lowered, steps=tuple(dataclasses.replace(s, index=i) for i, s in enumerate(steps)))


def _padded(pad: AnyStep, step: AnyStep) -> AnyStep | None:
    """`step` with the padding inside; None where a window could miss the input, or padding means something else than nothing."""
    name, x, given = step.kind.rpartition("_")[0], pad.inputs[0], step.inputs[0]
    known = name in ("conv2d", "depthwise_conv2d") and given.index == pad.outputs[0].index and len(x.shape) == 4
    if not known or step.block != pad.block or x.data is not None or pad.params.fill != _nothing(given, step):
        return None
    w, before = step.params.window, pad.params.before
    if before[0] or before[3] or given.shape[0] != x.shape[0] or given.shape[3] != x.shape[3]:
        return None
    pads = {"pad_top": w.pad_top + before[1], "pad_left": w.pad_left + before[2]}
    window = dataclasses.replace(w, in_h=x.shape[1], in_w=x.shape[2], **pads)
    bottom = (w.out_h - 1) * w.stride_h - window.pad_top + window.reach - window.in_h
    right = (w.out_w - 1) * w.stride_w - window.pad_left + (w.k_w - 1) * w.dil_w + 1 - window.in_w
    if max(window.pad_top, bottom) >= window.reach or max(window.pad_left, right) > (w.k_w - 1) * w.dil_w:
        return None
    params = dataclasses.replace(step.params, window=window)
    return dataclasses.replace(step, op=f"{pad.op}+{step.op}", inputs=(x, *step.inputs[1:]), params=params)


def _nothing(t: Tensor, step: AnyStep) -> bytes:
    """The bytes of an element that a filter does not feel."""
    return np.array(step.params.in_zero if step.params.requant is not None else 0, t.dtype).tobytes()
