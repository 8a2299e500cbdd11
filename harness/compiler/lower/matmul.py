"""Lowering of products and mixtures of activations: BATCH_MATMUL and RESIZE_BILINEAR."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.lower.move import check_same_scale
from tinyrig.compiler.lower.program import SUFFIX, Program, check, check_dtype, check_quantized, check_shape, constant
from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.params import BatchMatmul, Bilinear, Clamp
from tinyrig.compiler.model.quant import quantize_multiplier


def batch_matmul(p: Program, op: Op) -> None:
    """Batches of equal shape, or one matrix on a side for all. A constant side has been folded to a plain tensor."""
    a, b = p.inputs(op, 2)
    y = p.output(op)
    check_dtype(op, a, "float32", "int8", "int16")
    check_dtype(op, b, a.dtype)
    check_dtype(op, y, a.dtype)
    check_quantized(op, a, b, y)
    check(op, a, len(a.shape) >= 2 and len(b.shape) >= 2, "rank 2 or more on both sides")
    a_turned, b_turned = op.options.flag("adjoint_x"), op.options.flag("adjoint_y")
    (rows, depth), (inner, columns) = _matrix(a, a_turned), _matrix(b, b_turned)
    check(op, b, inner == depth, f"{depth} rows", str(inner))
    batches = [int(np.prod(t.shape[:-2], dtype=np.int64)) for t in (a, b)]
    same = a.shape[:-2] == b.shape[:-2] or 1 in batches
    check(op, b, same, f"batches {list(a.shape[:-2])}, or one matrix", str(list(b.shape[:-2])))
    check(op, y, y.size == max(batches) * rows * columns, f"{max(batches) * rows * columns} elements", str(y.size))
    a_step, b_step = (size if n > 1 else 0 for size, n in zip((rows * depth, depth * columns), batches, strict=True))
    zeros, out = (0, 0, 0), (0, 0)
    if a.dtype != "float32":
        out = quantize_multiplier(float(a.scale) * float(b.scale) / float(y.scale))
        check(op, y, out[1] <= (30 if a.dtype == "int8" else 14), "scales nearer to each other")
        zeros = (a.zero_point, b.zero_point, y.zero_point)
    params = BatchMatmul(max(batches), rows, depth, columns, a_step, b_step, a_turned, b_turned, zeros, out)
    p.emit(f"batch_matmul_{SUFFIX[a.dtype]}", op, [a, b], [y], params, max(batches) * rows * depth * columns)


def computed_dense(p: Program, op: Op, x: Tensor, w: Tensor, bounds: tuple[float, float]) -> None:
    """A dense layer whose weights [outputs, inputs] are no constants: a product of two activations, clamped behind it."""
    y = p.output(op)
    check_dtype(op, y, x.dtype)
    check_quantized(op, x, w, y)
    check(op, w, len(w.shape) == 2 and x.size % w.shape[1] == 0, "weights of rank 2 that fit the input", str(list(w.shape)))
    columns, depth = w.shape
    rows = x.size // depth
    check(op, y, y.size == rows * columns and y.shape[-1:] == (columns,), f"{rows} rows of {columns}", str(list(y.shape)))
    zeros, out = (0, 0, 0), (0, 0)
    if x.dtype == "int8":
        out = quantize_multiplier(float(x.scale * w.scale) / float(y.scale))  # the product in float32, as TFLM's
        check(op, y, out[1] <= 30, "scales nearer to each other")
        zeros = (x.zero_point, w.zero_point, y.zero_point)
    free = (-np.inf, np.inf) if x.dtype == "float32" else (-128, 127)
    made = y if bounds == free else p.temporary(y, y.shape, f"{y.name}_product")
    params = BatchMatmul(1, rows, depth, columns, 0, 0, False, True, zeros, out)
    p.emit(f"batch_matmul_{SUFFIX[x.dtype]}", op, [x, w], [made], params, rows * depth * columns)
    if made is not y:
        p.emit(f"clamp_{SUFFIX[x.dtype]}", op, [made], [y], Clamp(y.size, *bounds))


def _matrix(t: Tensor, turned: bool) -> tuple[int, int]:
    return (t.shape[-1], t.shape[-2]) if turned else (t.shape[-2], t.shape[-1])


def resize_bilinear(p: Program, op: Op) -> None:
    x, size = p.inputs(op, 2)
    y = p.output(op)
    check_dtype(op, x, "float32", "int8")
    check_dtype(op, y, x.dtype)
    check_dtype(op, size, "int32")
    check_same_scale(op, x, y)
    check(op, x, len(x.shape) == 4 and max(x.shape) < 1 << 16, "rank 4 (NHWC)")
    new = constant(op, size, "the size").ravel().tolist()
    check(op, size, len(new) == 2 and min(new) >= 1, "two entries >= 1", str(new))
    check_shape(op, y, (x.shape[0], *new, x.shape[3]))
    mix = _mix_float if x.dtype == "float32" else _mix_int
    (rows, down), (columns, across) = (mix(op, x.shape[i + 1], n) for i, n in enumerate(new))
    params = Bilinear(x.shape[0], x.shape[1], x.shape[2], x.shape[3], rows, down, columns, across)
    p.emit(f"resize_bilinear_{SUFFIX[x.dtype]}", op, [x], [y], params)


def _neighbours(low: np.ndarray, high: np.ndarray, old: int) -> np.ndarray:
    pairs: np.ndarray = np.clip(np.stack([low, high], 1), 0, old - 1)
    return pairs.astype(np.uint16)


def _mix_float(op: Op, old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 arithmetic as in TFLite's resize_bilinear.h: the scale, the position, its two neighbours."""
    f32 = np.float32
    scale = f32(old - 1) / f32(new - 1) if op.options.flag("align") and new > 1 else f32(old) / f32(new)
    at = np.arange(new, dtype=f32)
    at = (at + f32(0.5)) * scale - f32(0.5) if op.options.flag("half_pixel") else at * scale
    pair = _neighbours(np.floor(at), np.ceil(at), old)
    return pair, (at - pair[:, 0].astype(f32)).astype(f32)


def _mix_int(op: Op, old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """The same in steps of 1/1024, divisions truncating."""
    one = 1 << 10
    align = op.options.flag("align") and new > 1
    scale = (one * (old - 1) + (new - 1) // 2) // (new - 1) if align else (one * old + new // 2) // new
    at = np.arange(new, dtype=np.int64) * scale
    if op.options.flag("half_pixel"):
        at += scale // 2 - one // 2
    pair = _neighbours(np.maximum(at, 0) // one, -(-at // one), old)
    return pair, (at - pair[:, 0].astype(np.int64) * one).astype(np.int16)
