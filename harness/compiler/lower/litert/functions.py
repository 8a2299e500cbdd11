"""Powers, angles, bits, norms over neighbours, classes of values and what a spectrum needs."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.lower.custom.signal import fft_macs, twiddles
from tinyrig.compiler.lower.elementwise import broadcast
from tinyrig.compiler.lower.program import SUFFIX, Program, check, check_dtype, check_shape, constant, one_to_one
from tinyrig.compiler.lower.reduce import reduction_block
from tinyrig.compiler.model.custom.records import Fft
from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.layers import Mean
from tinyrig.compiler.model.litert.records import Bucketize, LocalResponse
from tinyrig.compiler.model.params import Binary, Unary

MAX_FFT = 1 << 16


def _pair(p: Program, op: Op, *dtypes: str) -> tuple[Tensor, Tensor, Tensor]:
    a, b = p.inputs(op, 2)
    y = p.output(op)
    check_dtype(op, a, *dtypes)
    for t in (b, y):
        check_dtype(op, t, a.dtype)
    return a, b, y


def of_two(p: Program, op: Op) -> None:
    """POW and ATAN2 of floats."""
    a, b, y = _pair(p, op, "float32")
    p.emit(f"{op.code.lower()}_f32", op, [a, b], [y], Binary(broadcast(op, a, b, y)))


def bits(p: Program, op: Op) -> None:
    """BITWISE_XOR and RIGHT_SHIFT of the stored numbers."""
    a, b, y = _pair(p, op, "int8", "int16", "int32")
    p.emit(f"{op.code.lower()}_{SUFFIX[a.dtype]}", op, [a, b], [y], Binary(broadcast(op, a, b, y)))


def reduce_any(p: Program, op: Op) -> None:
    x, y, parts = reduction_block(p, op, "bool")
    p.emit("reduce_any_u8", op, [x], [y], Mean(*parts))


def local_response(p: Program, op: Op) -> None:
    x, y = one_to_one(p, op, "float32")
    check_shape(op, y, x.shape)
    check(op, x, len(x.shape) == 4, "rank 4 (NHWC)")
    o, depth = op.options, x.shape[3]
    radius = o.number("radius")
    check(op, None, 0 <= radius <= 1 << 14, "a radius from 0 to 16384", str(radius))
    params = LocalResponse(x.size // depth, depth, radius, o.real("bias"), o.real("alpha"), o.real("beta"))
    check(op, None, bool(np.isfinite([params.bias, params.alpha, params.beta]).all()), "finite bias, alpha and beta")
    p.emit("local_response_f32", op, [x], [y], params)


def bucketize(p: Program, op: Op) -> None:
    (x,) = p.inputs(op, 1)
    y = p.output(op)
    check_dtype(op, x, "float32", "int32")
    check_dtype(op, y, "int32")
    check_shape(op, y, x.shape)
    ends = tuple(float(v) for v in op.options.reals("boundaries"))
    check(op, None, bool(ends) and ends == tuple(sorted(ends)), "boundaries that ascend", str(ends[:4]))
    p.emit(f"bucketize_{SUFFIX[x.dtype]}", op, [x], [y], Bucketize(x.size, ends))


def rfft(p: Program, op: Op) -> None:
    """RFFT2D as tf.signal has it: of rows, whose last dimension is cut to the length or filled with zeros."""
    x, lengths = p.inputs(op, 2)
    y = p.output(op)
    check_dtype(op, x, "float32")
    check_dtype(op, y, "complex64")
    given = constant(op, lengths, "the transform's length").ravel().tolist()
    check(op, lengths, len(given) == 2 and given[0] == 1, "a transform of rows: tf.signal.rfft or stft, not rfft2d", str(given))
    check(op, x, len(x.shape) >= 2 and x.shape[-2] == 1, "rows: a last dimension but one of 1", str(list(x.shape)))
    length = given[1]
    good = 4 <= length <= MAX_FFT and length & (length - 1) == 0
    check(op, lengths, good, f"an fft_length that is a power of two from 4 to {MAX_FFT}", str(length))
    check(op, x, x.shape[-1] <= length, f"at most fft_length {length} values a row", str(x.shape[-1]))
    n, rows = length // 2, x.size // x.shape[-1]
    check_shape(op, y, (*x.shape[:-1], n + 1))
    p.emit("rfft_f32", op, [x], [y], Fft(rows, x.shape[-1], n, *twiddles(n, "float32", -1)), fft_macs(rows, n))


def of_complex(p: Program, op: Op) -> None:
    """COMPLEX_ABS, REAL, IMAG."""
    (x,) = p.inputs(op, 1)
    y = p.output(op)
    check_dtype(op, x, "complex64")
    check_dtype(op, y, "float32")
    check_shape(op, y, x.shape)
    p.emit(f"{op.code.lower()}_c64", op, [x], [y], Unary(x.size))
