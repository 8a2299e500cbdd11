"""Layers with weights that tflite-micro lacks: convolutions of volumes, and those whose weights are computed."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.lower.conv import clamp_f32
from tinyrig.compiler.lower.program import Program, check, check_dtype, check_shape, constant
from tinyrig.compiler.model.graph import Op
from tinyrig.compiler.model.litert.records import Conv3D
from tinyrig.compiler.model.quant import out_size, pad_before

MAX_EXTENT = 1 << 12
"""Of a stride, dilation or filter."""


def conv3d(p: Program, op: Op) -> None:
    """NDHWC, filters [d, h, w, in, out]."""
    (x, w), (b,) = p.inputs_and_optional(op, 2, 3)
    y = p.output(op)
    for t in (x, w, y):
        check_dtype(op, t, "float32")
    weights = constant(op, w, "the weights")
    check(op, x, len(x.shape) == 5 and weights.ndim == 5, "rank 5 (NDHWC)")
    *taps, in_c, out_c = weights.shape
    check(op, w, in_c == x.shape[4], f"{x.shape[4]} input channels", str(in_c))
    o, padding = op.options, op.options.word("padding")
    steps = [o.number(f"stride_{d}") for d in "dhw"]
    dilations = [o.number(f"dilation_{d}") for d in "dhw"]
    good = min(*taps, *steps, *dilations) >= 1 and max(*taps, *steps, *dilations) <= MAX_EXTENT
    check(op, None, good, f"strides, dilations and filter sizes from 1 to {MAX_EXTENT}")
    check(op, None, padding in ("SAME", "VALID"), "padding SAME or VALID", padding)
    each = list(zip(x.shape[1:4], taps, steps, dilations, strict=True))
    size = [out_size(padding, n, k, s, d) for n, k, s, d in each]
    check(op, x, min(size) >= 1, "an input no smaller than the filter")
    check_shape(op, y, (x.shape[0], *size, out_c))
    pads = [pad_before(n, m, k, s, d) if padding == "SAME" else 0 for m, (n, k, s, d) in zip(size, each, strict=True)]
    bias = np.zeros(out_c, np.float32) if b is None else constant(op, b, "the bias").ravel()
    check(op, b, bias.shape == (out_c,) and bias.dtype == np.float32, f"{out_c} float32 values")
    shape = (*x.shape, *size, out_c, *taps, *steps, *dilations, *pads)
    p.emit("conv3d_f32", op, [x], [y], Conv3D(shape, weights, bias, *clamp_f32(op, x)), y.size * int(np.prod(taps)) * in_c)
