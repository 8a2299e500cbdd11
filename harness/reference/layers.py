"""Layers with weights, and pools: sums of products of whole numbers are exact in float64, and are scaled once."""

from __future__ import annotations

import numpy as np

from tinyrig.reference.call import Call, scale


def _pads(c: Call, size: int, k: int, stride: int, dilation: int) -> tuple[int, int]:
    """-> zeros before the input, and places of the output."""
    reach = (k - 1) * dilation + 1
    if c.op.options.word("padding") == "VALID":
        return 0, (size - reach) // stride + 1
    out = -(-size // stride)
    return max((out - 1) * stride + reach - size, 0) // 2, out


def _taps(c: Call, x: np.ndarray, k: tuple[int, int], dilations: tuple[int, int], fill: float) -> np.ndarray:
    """[taps, batch, out_h, out_w, channels]: what each tap of the filter meets; `fill` outside the input."""
    strides = c.op.options.number("stride_h"), c.op.options.number("stride_w")
    each = [_pads(c, x.shape[1 + d], k[d], strides[d], dilations[d]) for d in (0, 1)]
    before, out = [b for b, _ in each], [n for _, n in each]
    ends = [(out[d] - 1) * strides[d] + (k[d] - 1) * dilations[d] + 1 - before[d] - x.shape[1 + d] for d in (0, 1)]
    wide = np.pad(x, [(0, 0), *((before[d], max(ends[d], 0)) for d in (0, 1)), (0, 0)], constant_values=fill)
    found = []
    for row in range(k[0]):
        for column in range(k[1]):
            at = (row * dilations[0], column * dilations[1])
            rows, columns = (slice(at[d], at[d] + (out[d] - 1) * strides[d] + 1, strides[d]) for d in (0, 1))
            found.append(wide[:, rows, columns])
    return np.stack(found)


def _finish(c: Call, sums: np.ndarray, x: int, w: int, bias: int) -> list[np.ndarray]:
    """Of integer layers the bias counts in steps of the sums, whatever its own scale says."""
    if c.has(bias):
        sums = sums + c.stored(bias).astype(np.float64)
    return [c.result(c.activated(sums * scale(c.tensor(x)) * scale(c.tensor(w))))]


def _dilations(c: Call) -> tuple[int, int]:
    return c.op.options.number("dilation_h"), c.op.options.number("dilation_w")


def conv_2d(c: Call) -> list[np.ndarray]:
    x, w = c.centred(0), c.centred(1)
    groups = x.shape[-1] // w.shape[-1]
    taps = _taps(c, x, (w.shape[1], w.shape[2]), _dilations(c), 0.0)
    taps = taps.reshape(*taps.shape[:-1], groups, w.shape[-1])
    each = w.reshape(groups, w.shape[0] // groups, w.shape[1] * w.shape[2], w.shape[3])
    sums = np.einsum("tnhwgc,gotc->nhwgo", taps, each, optimize=True)
    return _finish(c, sums.reshape(*sums.shape[:3], -1), 0, 1, 2)


def depthwise_conv_2d(c: Call) -> list[np.ndarray]:
    x, w = c.centred(0), c.centred(1)
    x = np.repeat(x, w.shape[-1] // x.shape[-1], axis=-1)
    taps = _taps(c, x, (w.shape[1], w.shape[2]), _dilations(c), 0.0)
    return _finish(c, np.einsum("tnhwc,tc->nhwc", taps, w.reshape(-1, w.shape[-1])), 0, 1, 2)


def transpose_conv(c: Call) -> list[np.ndarray]:
    """Each input value is spread over a filter's reach."""
    w, x = c.centred(1), c.centred(2)
    n, height, width, _ = x.shape
    out = c.y[0].shape
    steps = c.op.options.number("stride_h"), c.op.options.number("stride_w")
    whole = [max((size - 1) * s + k, o) for size, s, k, o in zip((height, width), steps, w.shape[1:3], out[1:3], strict=True)]
    before = [0, 0]
    if c.op.options.word("padding") == "SAME":
        before = [
            max((size - 1) * s + k - o, 0) // 2
            for size, s, k, o in zip((height, width), steps, w.shape[1:3], out[1:3], strict=True)
        ]
    sums = np.zeros((n, whole[0] + before[0], whole[1] + before[1], w.shape[0]))
    for row in range(w.shape[1]):
        for column in range(w.shape[2]):
            rows = slice(row, row + (height - 1) * steps[0] + 1, steps[0])
            columns = slice(column, column + (width - 1) * steps[1] + 1, steps[1])
            sums[:, rows, columns] += x @ w[:, row, column].T
    sums = sums[:, before[0] : before[0] + out[1], before[1] : before[1] + out[2]]
    return _finish(c, sums, 2, 1, 3)


def fully_connected(c: Call) -> list[np.ndarray]:
    w = c.centred(1)
    return _finish(c, c.centred(0).reshape(-1, w.shape[-1]) @ w.T, 0, 1, 2)


def batch_matmul(c: Call) -> list[np.ndarray]:
    a, b = c.real(0), c.real(1)
    a = a.swapaxes(-1, -2) if c.op.options.flag("adjoint_x") else a
    b = b.swapaxes(-1, -2) if c.op.options.flag("adjoint_y") else b
    return [c.result(a @ b)]


def _pooled(c: Call, fill: float, x: np.ndarray) -> np.ndarray:
    return _taps(c, x, (c.op.options.number("filter_h"), c.op.options.number("filter_w")), (1, 1), fill)


def _mean(c: Call, x: np.ndarray) -> np.ndarray:
    """Of the places inside the input."""
    taps = _pooled(c, np.nan, x)
    inside = np.broadcast_to(~np.isnan(_pooled(c, np.nan, np.zeros_like(x))), taps.shape)
    count = inside.sum(axis=0)
    mean: np.ndarray = np.where(inside, taps, 0.0).sum(axis=0) / count
    return mean


def average_pool_2d(c: Call) -> list[np.ndarray]:
    return [c.result(c.activated(_mean(c, c.real(0))))]


def l2_pool_2d(c: Call) -> list[np.ndarray]:
    return [c.result(c.activated(np.sqrt(_mean(c, c.real(0) ** 2))))]


def max_pool_2d(c: Call) -> list[np.ndarray]:
    return [c.result(c.activated(_pooled(c, -np.inf, c.real(0)).max(axis=0)))]


LAYERS = {
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "TRANSPOSE_CONV": transpose_conv,
    "FULLY_CONNECTED": fully_connected,
    "BATCH_MATMUL": batch_matmul,
    "AVERAGE_POOL_2D": average_pool_2d,
    "MAX_POOL_2D": max_pool_2d,
    "L2_POOL_2D": l2_pool_2d,
}
