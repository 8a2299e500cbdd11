"""The multiplications that no kernel can leave out, and the cycles that they take at least."""

from __future__ import annotations

from tinyrig.compiler.kernels.choose import ENGINES
from tinyrig.compiler.lower.lower import lower_file
from tinyrig.compiler.model.layers import Conv2D, DepthwiseConv2D, TransposeConv, Window
from tinyrig.compiler.model.step import AnyStep
from tinyrig.core.boards import Board

INT_PER_CYCLE, FLOAT_PER_CYCLE = 2, 1
"""Multiply-accumulates of a Cortex-M4, at most: SMLAD, VFMA (Arm Cortex-M4 TRM, 3.3 and 7.2)."""
ANY_PER_CYCLE = 32
"""Of any other core: vector units do 8 to 16."""
SPARED = 2
"""Algorithms with fewer multiplications (Winograd's) spare up to this factor."""


def least_cycles(data: bytes, engine: str, board: Board) -> int:
    """Cycles (or instructions) that one inference takes at least. 0 for an engine of the user's own, which may do as it likes."""
    if engine not in ENGINES:
        return 0
    floats, integers = least_work(data)
    known = "-mcpu=cortex-m4" in board.cpu_flags
    per_float, per_integer = (FLOAT_PER_CYCLE, INT_PER_CYCLE) if known else (ANY_PER_CYCLE, ANY_PER_CYCLE)
    return max(1, int((floats / per_float + integers / per_integer) / SPARED))


def least_work(data: bytes) -> tuple[int, int]:
    """(multiply-accumulates of floats, of integers) of one inference, without taps that lie in the padding. A transposed
    convolution counts as none: what it crops depends on its shape. Raises ModelError."""
    steps = lower_file(data).steps
    floats = sum(_inside(s) for s in steps if s.inputs[0].dtype == "float32")
    return floats, sum(map(_inside, steps)) - floats


def _inside(step: AnyStep) -> int:
    if isinstance(step.params, TransposeConv):
        return 0
    if not step.macs or not isinstance(step.params, Conv2D | DepthwiseConv2D):
        return step.macs
    w: Window = step.params.window
    rows = _taps(w.in_h, w.out_h, w.k_h, w.stride_h, w.dil_h, w.pad_top)
    columns = _taps(w.in_w, w.out_w, w.k_w, w.stride_w, w.dil_w, w.pad_left)
    return step.macs * rows * columns // (w.out_h * w.k_h * w.out_w * w.k_w)


def _taps(size: int, outputs: int, taps: int, stride: int, dilation: int, pad: int) -> int:
    """Of all outputs along one axis, those that fall inside the input."""
    return sum(0 <= o * stride + t * dilation - pad < size for o in range(outputs) for t in range(taps))
