"""Operators that move stored numbers. Where a file gives the output another scale, they are rounded again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyrig.reference.call import Call

Function = Callable[[Call], list[np.ndarray]]


def moved(c: Call, at: int, function: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
    if c.same_numbers(at):
        return [function(c.stored(at)).astype(c.y[0].dtype).reshape(c.y[0].shape)]
    return [c.result(function(c.real(at)))]


def concatenation(c: Call) -> list[np.ndarray]:
    axis = c.op.options.number("axis")
    if all(c.same_numbers(i) for i in range(len(c.given))):
        return [np.concatenate([c.stored(i) for i in range(len(c.given))], axis)]
    return [c.result(c.activated(np.concatenate([c.real(i) for i in range(len(c.given))], axis)))]


def _pads(c: Call) -> list[tuple[int, int]]:
    return [(int(a), int(b)) for a, b in c.stored(1).reshape(-1, 2)]


def pad(c: Call) -> list[np.ndarray]:
    zero = c.tensor(0).zero_point if c.tensor(0).dtype in ("int8", "int16", "uint8") else 0
    fill = c.stored(2).ravel()[0] if c.has(2) else zero
    return moved(c, 0, lambda v: np.pad(v, _pads(c), constant_values=fill if c.same_numbers() else 0.0))


def mirror_pad(c: Call) -> list[np.ndarray]:
    mode = "reflect" if c.op.options.word("mode") == "REFLECT" else "symmetric"
    return moved(c, 0, lambda v: np.pad(v, _pads(c), mode=mode))  # type: ignore[call-overload]


def slice_(c: Call) -> list[np.ndarray]:
    begin, size = c.numbers(1), c.numbers(2)
    cut = tuple(slice(b, None if n == -1 else b + n) for b, n in zip(begin, size, strict=True))
    return moved(c, 0, lambda v: v[cut])


def strided_slice(c: Call) -> list[np.ndarray]:
    begins, ends, strides = (c.numbers(i) for i in (1, 2, 3))
    o = c.op.options
    index: tuple[object, ...] = ()
    for i, (b, e, s) in enumerate(zip(begins, ends, strides, strict=True)):
        bit = 1 << i
        if o.number("ellipsis_mask") & bit:
            index = (*index, Ellipsis)
        elif o.number("new_axis_mask") & bit:
            index = (*index, None)
        elif o.number("shrink_mask") & bit:
            index = (*index, 0 if o.number("begin_mask") & bit else b)
        else:
            last = b + e if o.flag("offset") else e
            index = (*index, slice(None if o.number("begin_mask") & bit else b, None if o.number("end_mask") & bit else last, s))
    return moved(c, 0, lambda v: v[index])  # type: ignore[index]


def split(c: Call) -> list[np.ndarray]:
    parts = np.split(c.stored(1), len(c.y), c.numbers(0)[0])
    return [p.reshape(y.shape) for p, y in zip(parts, c.y, strict=True)]


def split_v(c: Call) -> list[np.ndarray]:
    axis, sizes = c.numbers(2)[0], [int(n) for n in c.numbers(1)]
    left = c.stored(0).shape[axis] - sum(n for n in sizes if n >= 0)
    ends = np.cumsum([left if n < 0 else n for n in sizes])[:-1]
    return list(np.split(c.stored(0), ends, axis))


def pack(c: Call) -> list[np.ndarray]:
    return [np.stack([c.stored(i) for i in range(len(c.given))], c.op.options.number("axis"))]


def unpack(c: Call) -> list[np.ndarray]:
    parts = np.moveaxis(c.stored(0), c.op.options.number("axis"), 0)
    return [p.reshape(y.shape) for p, y in zip(parts, c.y, strict=True)]


def space_to_batch(c: Call) -> list[np.ndarray]:
    block = c.numbers(1)
    zero = c.tensor(0).zero_point if c.tensor(0).dtype in ("int8", "int16", "uint8") else 0
    pads = [(int(a), int(b)) for a, b in c.stored(2).reshape(-1, 2)]
    n = len(block)
    x = c.stored(0)
    x = np.pad(x, [(0, 0), *pads, *[(0, 0)] * (x.ndim - 1 - n)], constant_values=zero)
    places = [part for d in range(n) for part in (x.shape[1 + d] // block[d], block[d])]
    x = x.reshape(x.shape[0], *places, *x.shape[1 + n :])
    inner, outer = [2 + 2 * d for d in range(n)], [1 + 2 * d for d in range(n)]
    x = x.transpose(*inner, 0, *outer, *range(1 + 2 * n, x.ndim))
    return [x.reshape(c.y[0].shape)]


def batch_to_space(c: Call) -> list[np.ndarray]:
    block, crops, x = c.numbers(1), c.stored(2).reshape(-1, 2), c.stored(0)
    n, rest = len(block), x.shape[1 + len(block) :]
    batch = x.shape[0] // int(np.prod(block))
    x = x.reshape(*block, batch, *x.shape[1:])
    order = [n, *(axis for d in range(n) for axis in (n + 1 + d, d)), *range(2 * n + 1, x.ndim)]
    sizes = [c.stored(0).shape[1 + d] * block[d] for d in range(n)]
    x = x.transpose(order).reshape(batch, *sizes, *rest)
    cut = tuple(slice(int(a), size - int(b)) for (a, b), size in zip(crops, sizes, strict=True))
    return [x[(slice(None), *cut)].reshape(c.y[0].shape)]


def depth_to_space(c: Call) -> list[np.ndarray]:
    k, x = c.op.options.number("block"), c.stored(0)
    n, h, w, d = x.shape
    return [x.reshape(n, h, w, k, k, d // k // k).transpose(0, 1, 3, 2, 4, 5).reshape(c.y[0].shape)]


def space_to_depth(c: Call) -> list[np.ndarray]:
    k, x = c.op.options.number("block"), c.stored(0)
    n, h, w, d = x.shape
    return [x.reshape(n, h // k, k, w // k, k, d).transpose(0, 1, 3, 2, 4, 5).reshape(c.y[0].shape)]


def gather(c: Call) -> list[np.ndarray]:
    x, at, shared = c.stored(0), c.stored(1), c.op.options.number("batch_dims")
    axis = c.op.options.number("axis") % max(x.ndim, 1)
    if not shared:
        return [np.take(x, at, axis).reshape(c.y[0].shape)]
    flat = x.reshape(-1, *x.shape[shared:])
    rows = [np.take(v, i, axis - shared) for v, i in zip(flat, at.reshape(-1, *at.shape[shared:]), strict=True)]
    return [np.stack(rows).reshape(c.y[0].shape)]


def gather_nd(c: Call) -> list[np.ndarray]:
    return [c.stored(0)[tuple(np.moveaxis(c.stored(1), -1, 0))].reshape(c.y[0].shape)]


def dynamic_update_slice(c: Call) -> list[np.ndarray]:
    """Begins where the update fits whole."""
    x, update = c.stored(0).copy(), c.stored(1)
    begin = [min(max(b, 0), n - m) for b, n, m in zip(c.numbers(2), x.shape, update.shape, strict=True)]
    x[tuple(slice(b, b + m) for b, m in zip(begin, update.shape, strict=True))] = update
    return [x]


def one_hot(c: Call) -> list[np.ndarray]:
    depth, on, off = c.numbers(1)[0], c.stored(2).ravel()[0], c.stored(3).ravel()[0]
    axis = c.op.options.number("axis")
    at = np.expand_dims(c.stored(0), axis)
    shape = [1] * at.ndim
    shape[axis] = depth
    return [np.where(at == np.arange(depth).reshape(shape), on, off).astype(c.y[0].dtype).reshape(c.y[0].shape)]


def _places(c: Call, size: int, out: int) -> np.ndarray:
    """float32, as the operator is defined: where each output place stands in the input."""
    align, half = c.op.options.flag("align"), c.op.options.flag("half_pixel")
    scale = np.float32(size - 1) / np.float32(out - 1) if align and out > 1 else np.float32(size) / np.float32(out)
    places = np.arange(out, dtype=np.float32)
    if c.op.code == "RESIZE_BILINEAR":
        return (places + np.float32(0.5)) * scale - np.float32(0.5) if half else places * scale
    places = (places + np.float32(0.5 if half else 0.0)) * scale
    return np.floor(places + np.float32(0.5)) if align else np.floor(places)


def resize_nearest_neighbor(c: Call) -> list[np.ndarray]:
    x, (height, width) = c.stored(0), c.y[0].shape[1:3]
    rows, columns = (
        np.clip(_places(c, size, out), 0, size - 1).astype(int) for size, out in ((x.shape[1], height), (x.shape[2], width))
    )
    return [x[:, rows][:, :, columns]]


def resize_bilinear(c: Call) -> list[np.ndarray]:
    x = c.real(0)
    for axis in (1, 2):
        size, out = x.shape[axis], c.y[0].shape[axis]
        at = _places(c, size, out).astype(np.float64)
        low = np.clip(np.floor(at), 0, size - 1).astype(int)
        high = np.clip(np.floor(at) + 1, 0, size - 1).astype(int)
        share = np.clip(at - np.floor(at), 0, 1).reshape([-1 if d == axis else 1 for d in range(x.ndim)])
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return [c.result(x)]


def broadcast_args(c: Call) -> list[np.ndarray]:
    return [np.array(np.broadcast_shapes(tuple(c.numbers(0)), tuple(c.numbers(1)))).astype(c.y[0].dtype)]


MOVES: dict[str, Function] = {
    **dict.fromkeys(("RESHAPE", "EXPAND_DIMS", "SQUEEZE"), lambda c: [c.stored(0).reshape(c.y[0].shape)]),
    "TRANSPOSE": lambda c: moved(c, 0, lambda v: v.transpose([a % v.ndim for a in c.numbers(1)])),
    "CONCATENATION": concatenation,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "PACK": pack,
    "UNPACK": unpack,
    "PAD": pad,
    "PADV2": pad,
    "MIRROR_PAD": mirror_pad,
    "SLICE": slice_,
    "STRIDED_SLICE": strided_slice,
    "SPACE_TO_BATCH_ND": space_to_batch,
    "BATCH_TO_SPACE_ND": batch_to_space,
    "DEPTH_TO_SPACE": depth_to_space,
    "SPACE_TO_DEPTH": space_to_depth,
    "GATHER": gather,
    "GATHER_ND": gather_nd,
    "EMBEDDING_LOOKUP": lambda c: moved(c, 1, lambda v: v[c.stored(0)]),
    "DYNAMIC_UPDATE_SLICE": dynamic_update_slice,
    "ONE_HOT": one_hot,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest_neighbor,
    "RESIZE_BILINEAR": resize_bilinear,
    "TILE": lambda c: moved(c, 0, lambda v: np.tile(v, c.numbers(1))),
    "BROADCAST_TO": lambda c: moved(c, 0, lambda v: np.broadcast_to(v, c.y[0].shape)),
    "BROADCAST_ARGS": broadcast_args,
    "REVERSE_V2": lambda c: moved(c, 0, lambda v: np.flip(v, tuple(c.numbers(1)))),
    "FILL": lambda c: [np.full(c.y[0].shape, c.stored(1).ravel()[0]).astype(c.y[0].dtype)],
    "ZEROS_LIKE": lambda c: [np.zeros(c.y[0].shape, c.y[0].dtype)],
    "SHAPE": lambda c: [np.array(c.stored(0).shape).astype(c.y[0].dtype)],
    "DENSIFY": lambda c: [c.stored(0)],
}
