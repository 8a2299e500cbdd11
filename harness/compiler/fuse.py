"""Steps that one kernel can do together: a convolution whose only reader averages it away. The convolution's output, often
the largest tensor of a small network, is then never stored. An engine offers it by a kernel of kind conv2d_mean_*."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tinyrig.compiler.kernels.choose import find_kernel
from tinyrig.compiler.lower.lower import Lowered
from tinyrig.compiler.model.layers import ConvMean
from tinyrig.compiler.model.step import AnyStep, CompileOptions, Kernel

_MEANS = {"conv2d_s8": "mean_s8", "conv2d_f32": "mean_f32"}


def fuse(lowered: Lowered, engine: str, options: CompileOptions) -> Lowered:
    """All fusions that the engine has kernels for. Raises UserError for an unknown engine."""
    return fuse_means(lowered, lambda step: find_kernel(step, engine, options))


def fuse_means(lowered: Lowered, choose: Callable[[AnyStep], Kernel | None]) -> Lowered:
    """Replaces each pair that `choose` has a kernel for. Exact for integers: the same values are summed."""
    readers = [lowered.root(t.index) for s in lowered.steps for t in s.inputs] + [lowered.root(i) for i in lowered.outputs]
    steps: list[AnyStep] = []
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
