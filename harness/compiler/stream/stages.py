"""Steps that can be computed row by row: what rows of its inputs a row of the output needs, and the step that computes one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tinyrig.compiler.model.extent import settled
from tinyrig.compiler.model.graph import Tensor
from tinyrig.compiler.model.layers import Window
from tinyrig.compiler.model.params import Broadcast
from tinyrig.compiler.model.step import AnyStep

_WINDOWS = {"conv2d", "depthwise_conv2d", "average_pool", "max_pool"}
_BINARY = {"add", "sub", "mul", "minimum", "maximum", "prelu", "squared_difference"}
_PLAIN = {"lut", "clamp", "rescale_s8", "rescale_u8"}
_TYPES = {"s8", "u8"}
"""Kernels of floats choose their order of summing by the map's height: by rows the last bits would differ."""


@dataclass(frozen=True)
class Read:
    """Rows y * stride - pad .. y * stride - pad + reach of a map of `height` rows of `size` bytes are read for row y; those
    outside it are padding."""

    tensor: Tensor
    height: int
    size: int
    stride: int = 1
    pad: int = 0
    reach: int = 1

    def first(self, y: int) -> int:
        return min(max(0, y * self.stride - self.pad), self.height)

    def end(self, y: int) -> int:
        return min(self.height, y * self.stride - self.pad + self.reach)


@dataclass(frozen=True, eq=False)
class Stage:
    """`row` computes one row of `height`, each `size` bytes; reads by input: None for one that every row reads whole."""

    step: AnyStep
    row: AnyStep
    height: int
    size: int
    reads: tuple[Read | None, ...]


def stage_of(step: AnyStep) -> Stage | None:
    """None for a step that can't go by rows."""
    name, _, dtype = step.kind.rpartition("_")
    if step.block or dtype not in _TYPES or len(step.outputs) != 1:
        return None
    if name in _WINDOWS:
        return _window_stage(step, step.params.window)
    if name in _BINARY or name in _PLAIN:
        return _plain_stage(step)
    return None


def _window_stage(step: AnyStep, w: Window) -> Stage | None:
    if w.batch != 1 or w.out_h < 2 or not isinstance(step.inputs[0], Tensor) or step.inputs[0].data is not None:
        return None
    row = _row_window(w)
    if row is None:
        return None
    shape = (1, 1, w.out_w, w.out_c)
    params = replace(step.params, window=row)
    read = Read(step.inputs[0], w.in_h, w.in_w * w.in_c, w.stride_h, w.pad_top, w.reach)
    return Stage(step, _row_step(step, params, shape), w.out_h, w.out_w * w.out_c, (read,))


def _row_window(w: Window) -> Window | None:
    """Of any one row: as few input rows as any of them has, so that what is padded for one is padded."""
    tops = [y * w.stride_h - w.pad_top for y in range(w.out_h)]
    least = min(min(w.in_h, t + w.reach) - max(0, t) for t in tops)
    if least <= 0:
        return None
    if least == w.reach:
        return replace(w, in_h=w.reach, out_h=1, pad_top=0)
    return replace(w, in_h=least, out_h=1)


def _plain_stage(step: AnyStep) -> Stage | None:
    """Element by element, all operands of the output's shape or of one element."""
    y = step.outputs[0]
    if len(y.shape) != 4 or y.shape[0] != 1 or y.shape[1] < 2:
        return None
    size = y.size // y.shape[1]
    params = _row_params(step.params, y.size, size)
    if params is None:
        return None
    reads = tuple(_plain_read(t, y) for t in step.inputs)
    if not any(reads) or any(r is None and t.size != 1 for r, t in zip(reads, step.inputs, strict=True)):
        return None
    return Stage(step, _row_step(step, params, (1, 1, *y.shape[2:])), y.shape[1], size, reads)


def _plain_read(t: Tensor, y: Tensor) -> Read | None:
    return Read(t, y.shape[1], y.size // y.shape[1]) if t.data is None and t.size == y.size else None


def _row_params(params: Any, whole: int, row: int) -> Any:
    """The record for one row's elements; None where it is more than a number of elements."""
    shape = getattr(params, "shape", None)
    if isinstance(shape, Broadcast):
        if len(shape.dims) != 1 or shape.size != whole:
            return None
        return replace(params, shape=Broadcast(((row, *shape.dims[0][1:]),)))
    return replace(params, size=row) if getattr(params, "size", None) == whole else None


def _row_step(step: AnyStep, params: Any, shape: tuple[int, ...]) -> AnyStep:
    def one_row(t: Tensor) -> Tensor:
        return replace(t, extent=settled(shape)) if t.data is None and t.size == step.outputs[0].size else t

    outputs = (replace(step.outputs[0], extent=settled(shape)),)
    return replace(step, inputs=tuple(map(one_row, step.inputs)), outputs=outputs, params=params, macs=0)
