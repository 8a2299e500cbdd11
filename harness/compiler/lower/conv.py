"""Lowering of the ops with weights: convolutions and the dense layer."""

from __future__ import annotations

import dataclasses

import numpy as np

from tinyrig.compiler.lower import matmul
from tinyrig.compiler.lower.program import SUFFIX, Program, check, check_dtype, check_quantized, check_shape, constant
from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.layers import Conv2D, DepthwiseConv2D, FullyConnected, Requant, TransposeConv, Window
from tinyrig.compiler.model.litert.dynamic import Stored
from tinyrig.compiler.model.quant import FLOAT_ACTIVATIONS, activation_range, out_size, pad_before, quantize_multipliers

MAX_BIAS_64 = 1 << 46
"""TFLM's 64-bit accumulator is multiplied by 16 bits before it is rounded."""
MAX_EXTENT = 1 << 14
"""Of a stride, dilation or filter: kernels add products of two of them to a coordinate in 32 bits."""


def conv2d(p: Program, op: Op) -> None:
    (x, w), (b,) = p.inputs_and_optional(op, 2, 3)
    y, weights = _image_output(p, op, x, w)
    out_c, k_h, k_w, group_c = weights.shape
    check(op, w, x.shape[3] % group_c == 0 and out_c % (x.shape[3] // group_c) == 0, f"a divisor of {x.shape[3]} input channels")
    window = window_of(op, x, y, k_h, k_w, out_c)
    requant = _requant(op, x, w, y, out_c, 0)
    params = Conv2D(window, weights, _bias(op, x, b, out_c), x.zero_point, requant, *clamp_f32(op, x), Stored.of(w, 0))
    kind, reads = _kind("conv2d", x, w)
    p.emit(kind, op, reads, [y], params, y.size * k_h * k_w * group_c)


def depthwise_conv2d(p: Program, op: Op) -> None:
    (x, w), (b,) = p.inputs_and_optional(op, 2, 3)
    y, weights = _image_output(p, op, x, w)
    one, k_h, k_w, out_c = weights.shape
    check(op, w, one == 1 and out_c % x.shape[3] == 0, f"[1, h, w, a multiple of {x.shape[3]} channels]")
    multiplier = out_c // x.shape[3]
    given = op.options.number("multiplier")
    check(op, w, given == multiplier, f"a depth multiplier of {multiplier}", str(given))
    window = window_of(op, x, y, k_h, k_w, out_c)
    requant = _requant(op, x, w, y, out_c, 3)
    bias, bounds = _bias(op, x, b, out_c), clamp_f32(op, x)
    params = DepthwiseConv2D(window, weights[0], bias, multiplier, x.zero_point, requant, *bounds, _depthwise(Stored.of(w, 3)))
    kind, reads = _kind("depthwise_conv2d", x, w)
    p.emit(kind, op, reads, [y], params, y.size * k_h * k_w)


def _depthwise(stored: Stored | None) -> Stored | None:
    """Its weights as the step has them, [k_h, k_w, out_c]."""
    return None if stored is None else Stored(stored.weights[0], stored.scales)


def fully_connected(p: Program, op: Op) -> None:
    (x, w), (b,) = p.inputs_and_optional(op, 2, 3)
    y = p.output(op)
    if w.data is None and x.dtype != "int16" and w.dtype == x.dtype:
        check(op, b, b is None, "no bias, where the weights are computed")
        bounds = activation_range(activation(op), y.scale, y.zero_point, y.dtype) if x.dtype == "int8" else clamp_f32(op, x)
        matmul.computed_dense(p, op, x, w, bounds)
        return
    weights = _weights(op, x, w, y, rank=2)
    check(op, w, op.options.word("format") == "DEFAULT", "weights in the default format", op.options.word("format"))
    out_n, in_n = weights.shape
    check(op, x, x.size % in_n == 0, f"a multiple of {in_n} elements")
    rows = x.size // in_n
    check(op, y, y.size == rows * out_n and y.shape[-1:] == (out_n,), f"{rows} rows of {out_n} elements", str(list(y.shape)))
    per_tensor = x.dtype == "float32" or len(w.scales) == 1
    requant = _requant(op, x, w, y, out_n, 0, product_in_float=per_tensor)
    weight_zero = w.zero_point if x.dtype != "float32" and per_tensor else 0
    check(op, w, -128 <= weight_zero <= 127, "a zero point in [-128, 127]", str(weight_zero))
    bias = _bias(op, x, b, out_n)
    bounds = clamp_f32(op, x)
    params = FullyConnected(rows, in_n, out_n, weights, bias, x.zero_point, weight_zero, requant, *bounds, Stored.of(w, 0))
    p.emit(f"fully_connected_{SUFFIX[x.dtype]}", op, [x], [y], params, rows * in_n * out_n)


def transpose_conv(p: Program, op: Op) -> None:
    """Inputs: output shape, weights, activation, bias. Its padding is that of the convolution it transposes."""
    (shape, w, x), (b,) = p.inputs_and_optional(op, 3, 4)
    y, weights = _image_output(p, op, x, w)
    check_dtype(op, shape, "int32")
    # A shape that is computed, or an input of the model: the file's is what TFLM takes.
    check(op, shape, shape.data is None or tuple(shape.data.ravel().tolist()) == y.shape, f"{list(y.shape)}")
    out_c, k_h, k_w, in_c = weights.shape
    check(op, w, in_c == x.shape[3], f"{x.shape[3]} input channels")
    backward = window_of(op, y, x, k_h, k_w, in_c)
    check(op, y, y.shape[3] == out_c, f"{out_c} output channels")
    window = dataclasses.replace(
        backward, in_h=x.shape[1], in_w=x.shape[2], in_c=in_c, out_h=y.shape[1], out_w=y.shape[2], out_c=out_c
    )
    requant = _requant(op, x, w, y, out_c, 0)
    params = TransposeConv(window, weights, _bias(op, x, b, out_c), x.zero_point, requant, *clamp_f32(op, x))
    p.emit(f"transpose_conv_{SUFFIX[x.dtype]}", op, [x], [y], params, x.size * k_h * k_w * out_c)


def _kind(name: str, x: Tensor, w: Tensor) -> tuple[str, list[Tensor]]:
    """-> the step's kind and inputs: weights that are computed are one of them."""
    kind = f"{name}_{SUFFIX[x.dtype]}"
    return (kind, [x]) if w.data is not None else (f"computed_{kind}", [x, w])


def _image_output(p: Program, op: Op, x: Tensor, w: Tensor) -> tuple[Tensor, np.ndarray]:
    """-> the output of a layer from images to images, the weights."""
    y = p.output(op)
    weights = _weights(op, x, w, y, rank=4)
    check(op, x, len(x.shape) == 4 and len(y.shape) == 4, "rank 4 (NHWC)")
    return y, weights


def _weights(op: Op, x: Tensor, w: Tensor, y: Tensor, rank: int) -> np.ndarray:
    check_dtype(op, x, "float32", "int8", "int16")
    check_dtype(op, y, x.dtype)
    check_dtype(op, w, "float32" if x.dtype == "float32" else "int8")
    computed = w.data is None and op.code in ("CONV_2D", "DEPTHWISE_CONV_2D")
    weights = np.broadcast_to(np.zeros(1, w.dtype), w.shape) if computed else constant(op, w, "the weights")
    check(op, w, weights.ndim == rank, f"rank {rank}")
    check(op, w, bool(np.isfinite(weights).all()), "finite weights", "infinite ones")
    check_quantized(op, x, y)
    return weights


def _bias(op: Op, x: Tensor, b: Tensor | None, n: int) -> np.ndarray:
    """Zeros where the model has none. int16 activations take int64; CONV_2D and the dense layer also int32, and then
    sum and round in 32 bits, as TFLM does."""
    allowed = [{"float32": "float32", "int8": "int32", "int16": "int64"}[x.dtype]]
    if x.dtype == "int16" and op.code in ("CONV_2D", "FULLY_CONNECTED"):
        allowed.append("int32")
    if b is None:
        return np.zeros(n, allowed[0])
    check_dtype(op, b, *allowed)
    bias = constant(op, b, "the bias")
    check(op, b, bias.size == n, f"{n} elements")
    check(op, b, bool(np.isfinite(bias).all()), "a finite bias", "infinite values")
    check(op, b, bias.dtype != np.int64 or bool((np.abs(bias // 2) < MAX_BIAS_64 // 2).all()), f"values within {MAX_BIAS_64}")
    return bias.reshape(n)


def _requant(op: Op, x: Tensor, w: Tensor, y: Tensor, n: int, axis: int, product_in_float: bool = False) -> Requant | None:
    """Per output channel, whether the file has one weight scale or n. A scale of 0, which converters write where an output's
    weights are all 0, becomes a multiplier of 0: that output is always the zero point, clamped. TFLM multiplies the dense
    layer's two per-tensor scales in float32 and all others in double."""
    if x.dtype == "float32":
        return None
    check(op, w, len(w.scales) in (1, n), f"1 or {n} scales", f"{len(w.scales)}")
    check(op, w, len(w.scales) == 1 or w.axis == axis, f"scales along dimension {axis}", f"{w.axis}")
    check(op, w, product_in_float or not w.zero_points.any(), "weights with zero point 0", f"{w.zero_points.tolist()}")
    product = np.float64(x.scale * w.scales) if product_in_float else np.float64(x.scale) * w.scales.astype(np.float64)
    multiplier, shift = quantize_multipliers(np.broadcast_to(product / np.float64(y.scale), n))
    most = 14 if x.dtype == "int16" else 30  # TFLM's 64-bit form rounds behind a right shift of 15 - shift
    check(op, y, bool((shift <= most).all()), f"input scale * weight scale / output scale below 2^{most}")
    return Requant(multiplier, shift, y.zero_point, *activation_range(activation(op), y.scale, y.zero_point, y.dtype))


def activation(op: Op) -> str:
    name = op.options.word("activation", "NONE")
    check(op, None, name in FLOAT_ACTIVATIONS, f"a fused activation of {', '.join(FLOAT_ACTIVATIONS)}", name)
    return name


def clamp_f32(op: Op, x: Tensor) -> tuple[float, float]:
    """The fused activation's bounds for floats; unbounded for integers, whose bounds stand in the Requant."""
    bounds = FLOAT_ACTIVATIONS[activation(op)]
    return bounds if x.dtype == "float32" else (-np.inf, np.inf)


def window_of(op: Op, x: Tensor, y: Tensor, k_h: int, k_w: int, out_c: int) -> Window:
    """The geometry of a convolution or pooling, checked against the output's shape."""
    o, padding = op.options, op.options.word("padding")
    strides, dilation = (o.number("stride_h"), o.number("stride_w")), (o.number("dilation_h", 1), o.number("dilation_w", 1))
    extents = (*strides, *dilation, k_h, k_w)
    good = min(extents) >= 1 and max(extents) <= MAX_EXTENT
    check(op, None, good, f"strides, dilations and filter sizes from 1 to {MAX_EXTENT}", str(list(extents)))
    check(op, None, padding in ("SAME", "VALID"), "padding SAME or VALID", padding)
    check(op, x, len(x.shape) == 4, "rank 4 (NHWC)")
    size = [out_size(padding, x.shape[i + 1], k, strides[i], dilation[i]) for i, k in enumerate((k_h, k_w))]
    check(op, x, min(size) >= 1, "an input no smaller than the filter")
    check_shape(op, y, (x.shape[0], *size, out_c))
    pads = [pad_before(x.shape[i + 1], size[i], k, strides[i], dilation[i]) for i, k in enumerate((k_h, k_w))]
    if padding == "VALID":
        pads = [0, 0]
    return Window(x.shape[0], x.shape[1], x.shape[2], x.shape[3], size[0], size[1], out_c, k_h, k_w, *strides, *dilation, *pads)
