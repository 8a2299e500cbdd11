"""Lowering of the movers that re-arrange blocks, slices and single rows: each becomes one `move` step."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from tinyrig.compiler.lower.move import (
    INTEGERS,
    MOVABLE,
    axis_of,
    block,
    check_count,
    check_same_scale,
    cut,
    emit_move,
    itemsize,
    strides,
    zero_of,
)
from tinyrig.compiler.lower.program import Program, check, check_dtype, check_foldable, check_shape, constant
from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.params import CopyBlock

MAX_BLOCKS = 1024
"""Copies of one step that are worth their parameters in flash; what needs more is refused."""


def _pair(p: Program, op: Op, count: int) -> tuple[Tensor, list[Tensor], Tensor]:
    """-> the first of `count` inputs, which is moved; the others; the output."""
    x, *rest = p.inputs(op, count)
    y = p.output(op)
    check_dtype(op, x, *MOVABLE)
    check_dtype(op, y, x.dtype)
    check_same_scale(op, x, y)
    return x, rest, y


def _ints(op: Op, t: Tensor, what: str, n: int | None = None) -> list[int]:
    check_dtype(op, t, *INTEGERS)
    values = [int(v) for v in constant(op, t, what).ravel()]
    check(op, t, n is None or len(values) == n, f"{n} entries for {what}", f"{len(values)}")
    return values


def space_to_batch(p: Program, op: Op) -> None:
    """Image (by, bx) of the result takes every block-th row and column of the padded input, from (by, bx) on."""
    x, (sizes, pads), y = _pair(p, op, 3)
    blocks, before, after = _blocks_and_borders(op, x, sizes, pads)
    check(
        op,
        pads,
        all((d + a + b) % s == 0 for d, a, b, s in zip(x.shape[1:], before, after, blocks, strict=False)),
        f"padded sizes that are multiples of {blocks}",
    )
    n = len(blocks)
    space = [(x.shape[i + 1] + before[i] + after[i]) // s for i, s in enumerate(blocks)]
    check_shape(op, y, (x.shape[0] * int(np.prod(blocks)), *space, *x.shape[n + 1 :]))
    fill = zero_of(op, y).tobytes()
    copies = [_phase(y, x, phase, blocks, before, x.shape[0]) for phase in product(*map(range, blocks))]
    padded = any(before) or any(after)
    emit_move(p, op, [x], [y], [b.block(itemsize(x), False) for b in copies if b.dims], fill if padded else b"")


def batch_to_space(p: Program, op: Op) -> None:
    """The reverse; what the crops cut off is not copied."""
    x, (sizes, crops), y = _pair(p, op, 3)
    blocks, before, after = _blocks_and_borders(op, x, sizes, crops)
    n, images = len(blocks), int(np.prod(blocks))
    check(op, x, x.shape[0] % images == 0, f"a multiple of {images} images")
    space = [x.shape[i + 1] * s - before[i] - after[i] for i, s in enumerate(blocks)]
    check_shape(op, y, (x.shape[0] // images, *space, *x.shape[n + 1 :]))
    copies = [_phase(x, y, phase, blocks, before, y.shape[0]) for phase in product(*map(range, blocks))]
    emit_move(p, op, [x], [y], [b.block(itemsize(x), True) for b in copies if b.dims])


class _Phase:
    """Copy between one image of the batched side and its rows and columns of the whole side; `dims` empty: nothing."""

    def __init__(self, dims: tuple[int, ...], offsets: tuple[int, int], steps: tuple[list[int], list[int]]) -> None:
        self.dims, self.offsets, self.steps = dims, offsets, steps

    def block(self, size: int, from_batch: bool) -> CopyBlock:
        order = (0, 1) if from_batch else (1, 0)
        offsets = (self.offsets[order[0]], self.offsets[order[1]])
        return block(0, 0, offsets, self.dims, (self.steps[order[0]], self.steps[order[1]]), size)


def _phase(batched: Tensor, whole: Tensor, phase: tuple[int, ...], sizes: list[int], before: list[int], images: int) -> _Phase:
    """Row o of the batched image is row o * size + phase - before of the whole one, where that exists."""
    inner_b, inner_w, n = strides(batched.shape), strides(whole.shape), len(sizes)
    number = int(np.ravel_multi_index(phase, sizes))
    offset_b, offset_w, dims, steps_w = number * images * inner_b[0], 0, [images], [inner_w[0]]
    for i, (at, size) in enumerate(zip(phase, sizes, strict=True)):
        # 0 <= o * size + at - before < whole
        last = (whole.shape[i + 1] - 1 - at + before[i]) // size
        rows = range(max(0, -((at - before[i]) // size)), min(batched.shape[i + 1], last + 1))
        if not rows:
            return _Phase((), (0, 0), ([], []))
        offset_b += rows[0] * inner_b[i + 1]
        offset_w += (rows[0] * size + at - before[i]) * inner_w[i + 1]
        dims.append(len(rows))
        steps_w.append(size * inner_w[i + 1])
    dims += whole.shape[n + 1 :]
    return _Phase(tuple(dims), (offset_b, offset_w), (inner_b, steps_w + inner_w[n + 1 :]))


def _blocks_and_borders(op: Op, x: Tensor, sizes: Tensor, borders: Tensor) -> tuple[list[int], list[int], list[int]]:
    blocks = _ints(op, sizes, "the block sizes")
    ends = _ints(op, borders, "the paddings or crops", 2 * len(blocks))
    check(op, x, len(x.shape) in (3, 4) and len(blocks) == len(x.shape) - 2, "rank 3 or 4, a block size for each inner dimension")
    check(op, sizes, min(blocks) >= 1 and int(np.prod(blocks, dtype=object)) <= MAX_BLOCKS, f"up to {MAX_BLOCKS} blocks")
    check(op, borders, min(ends) >= 0, "paddings or crops >= 0")
    return blocks, ends[0::2], ends[1::2]


def depth_to_space(p: Program, op: Op) -> None:
    x, _, y = _pair(p, op, 1)
    size = _block_size(op, x)
    check(op, x, x.shape[3] % (size * size) == 0, f"a multiple of {size * size} channels")
    n, h, w, c = x.shape[0], x.shape[1], x.shape[2], x.shape[3] // (size * size)
    check_shape(op, y, (n, h * size, w * size, c))
    packed, spread = _depth_steps(n, h, w, c, size)
    emit_move(p, op, [x], [y], [block(0, 0, (0, 0), (n, h, size, w, size, c), (packed, spread), itemsize(x))])


def space_to_depth(p: Program, op: Op) -> None:
    x, _, y = _pair(p, op, 1)
    size = _block_size(op, x)
    check(op, x, x.shape[1] % size == 0 and x.shape[2] % size == 0, f"multiples of {size} rows and columns")
    n, h, w, c = x.shape[0], x.shape[1] // size, x.shape[2] // size, x.shape[3]
    check_shape(op, y, (n, h, w, c * size * size))
    packed, spread = _depth_steps(n, h, w, c, size)
    emit_move(p, op, [x], [y], [block(0, 0, (0, 0), (n, h, size, w, size, c), (spread, packed), itemsize(x))])


def _block_size(op: Op, x: Tensor) -> int:
    check(op, x, len(x.shape) == 4, "rank 4 (NHWC)")
    size = op.options.number("block")
    check(op, None, size >= 1, "a block size >= 1", str(size))
    return size


def _depth_steps(n: int, h: int, w: int, c: int, size: int) -> tuple[list[int], list[int]]:
    """Steps of (image, row, block row, column, block column, channel) with the blocks in the depth, and in the plane."""
    deep, line = c * size * size, w * size * c
    packed = [h * w * deep, w * deep, size * c, deep, c, 1]
    return packed, [h * size * line, size * line, line, size * c, c, 1]


def slice_(p: Program, op: Op) -> None:
    x, (begins, sizes), y = _pair(p, op, 3)
    rank = len(x.shape)
    begin, size = _ints(op, begins, "the begin", rank), _ints(op, sizes, "the size", rank)
    dims = tuple(d - b if s == -1 else s for d, b, s in zip(x.shape, begin, size, strict=True))
    inside = all(b >= 0 and s >= 1 and b + s <= d for d, b, s in zip(x.shape, begin, dims, strict=True))
    check(op, sizes, inside, f"a part of {list(x.shape)} that is not empty", f"{dims} from {begin}")
    check_shape(op, y, dims)
    inner = strides(x.shape)
    offset = sum(b * s for b, s in zip(begin, inner, strict=True))
    emit_move(p, op, [x], [y], [block(0, 0, (offset, 0), dims, (inner, strides(dims)), itemsize(x))])


def split_v(p: Program, op: Op) -> None:
    """SPLIT_V: (value, sizes, axis) -> parts of the given sizes; one of them may be -1, the rest."""
    x, sizes_tensor, axis_tensor = p.inputs(op, 3)
    axis = axis_of(op, _ints(op, axis_tensor, "the axis", 1)[0], len(x.shape))
    sizes = _ints(op, sizes_tensor, "the sizes", len(op.outputs))
    check_count(op, len(sizes))
    rest = x.shape[axis] - sum(s for s in sizes if s != -1)
    sizes = [rest if s == -1 else s for s in sizes]
    check(
        op,
        sizes_tensor,
        min(sizes, default=-1) >= 0 and sum(sizes) == x.shape[axis],
        f"sizes that make {x.shape[axis]}",
        str(sizes),
    )
    parts = [(*x.shape[:axis], s, *x.shape[axis + 1 :]) for s in sizes]
    cut(p, op, x, axis, parts, parts)


def gather(p: Program, op: Op) -> None:
    """Rows picked by constant indices along one axis."""
    x, (indices,), y = _pair(p, op, 2)
    check_dtype(op, indices, *INTEGERS)
    check(op, None, op.options.number("batch_dims") == 0, "no batch dimensions", str(op.options.number("batch_dims")))
    axis = axis_of(op, op.options.number("axis"), len(x.shape))
    picked = _ints(op, indices, "the indices (a lookup at run time)")
    check(op, indices, all(0 <= i < x.shape[axis] for i in picked), f"indices below {x.shape[axis]}", str(picked))
    check(op, indices, len(picked) <= MAX_BLOCKS, f"up to {MAX_BLOCKS} indices", str(len(picked)))
    check_shape(op, y, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))
    inner, part = strides(x.shape), (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    outer = strides((*x.shape[:axis], len(picked), *x.shape[axis + 1 :]))
    copies = [block(0, 0, (i * inner[axis], at * outer[axis]), part, (inner, outer), itemsize(x)) for at, i in enumerate(picked)]
    emit_move(p, op, [x], [y], copies)


def mirror_pad(p: Program, op: Op) -> None:
    """REFLECT leaves the border element out of its mirror image, SYMMETRIC repeats it."""
    x, (pads_tensor,), y = _pair(p, op, 2)
    ends, mode = _ints(op, pads_tensor, "the paddings", 2 * len(x.shape)), op.options.word("mode")
    pads = list(zip(ends[::2], ends[1::2], strict=True))
    check(op, None, mode in ("REFLECT", "SYMMETRIC"), "mode REFLECT or SYMMETRIC", mode)
    skip = int(mode == "REFLECT")
    good = all(0 <= a <= d - skip and 0 <= b <= d - skip for d, (a, b) in zip(x.shape, pads, strict=True))
    check(op, pads_tensor, good, "paddings not beyond the input")
    check_shape(op, y, tuple(d + a + b for d, (a, b) in zip(x.shape, pads, strict=True)))
    parts = [_mirrored(d, a, b, skip) for d, (a, b) in zip(x.shape, pads, strict=True)]
    check(op, pads_tensor, math.prod(len(q) for q in parts) <= MAX_BLOCKS, "paddings in fewer dimensions")
    copies, inner, outer = [], strides(x.shape), strides(y.shape)
    for choice in product(*parts):
        begin = sum(c[0] * s for c, s in zip(choice, inner, strict=True))
        to = sum(c[1] * s for c, s in zip(choice, outer, strict=True))
        steps = [c[3] * s for c, s in zip(choice, inner, strict=True)]
        copies.append(block(0, 0, (begin, to), tuple(c[2] for c in choice), (steps, outer), itemsize(x)))
    emit_move(p, op, [x], [y], copies)


def _mirrored(size: int, before: int, after: int, skip: int) -> list[tuple[int, int, int, int]]:
    """(input start, output start, count, direction) of the front, middle and back of one dimension."""
    front = (before - 1 + skip, 0, before, -1)
    back = (size - 1 - skip, before + size, after, -1)
    return [part for part in (front, (0, before, size, 1), back) if part[2]]


def broadcast_to(p: Program, op: Op) -> None:
    """BROADCAST_TO, and TILE, whose second input counts repetitions."""
    x, (shape,), y = _pair(p, op, 2)
    wanted = _ints(op, shape, "the shape or repetitions")
    rank = len(y.shape)
    check(op, x, len(x.shape) <= rank, f"rank up to {rank}")
    old = (1,) * (rank - len(x.shape)) + x.shape
    if op.code == "TILE":
        check(op, shape, len(wanted) == rank == len(x.shape), f"{rank} repetitions")
        times = wanted
        check_shape(op, y, tuple(d * n for d, n in zip(old, times, strict=True)))
    else:
        check_shape(op, y, tuple(wanted))
        check(op, x, all(d in (1, w) for d, w in zip(old, wanted, strict=True)), f"a shape that can become {wanted}")
        times = [w // d for d, w in zip(old, wanted, strict=True)]
    dims, steps_in, steps_out = [], [], []
    for d, n, i, o in zip(old, times, strides(old), strides(y.shape), strict=True):
        dims += [n, d]
        steps_in += [0, i]
        steps_out += [d * o, o]
    copy = block(0, 0, (0, 0), tuple(dims), (steps_in, steps_out), itemsize(x))
    check(op, y, len(copy.dims) <= 6, "repetition in fewer dimensions")
    emit_move(p, op, [x], [y], [copy])


def reverse(p: Program, op: Op) -> None:
    x, (axes_tensor,), y = _pair(p, op, 2)
    axes = {axis_of(op, a, len(x.shape)) for a in _ints(op, axes_tensor, "the axes")}
    check_shape(op, y, x.shape)
    inner = strides(x.shape)
    offset = sum((x.shape[a] - 1) * inner[a] for a in axes)
    steps = [-s if i in axes else s for i, s in enumerate(inner)]
    emit_move(p, op, [x], [y], [block(0, 0, (offset, 0), x.shape, (steps, inner), itemsize(x))])


def zeros_like(p: Program, op: Op) -> None:
    (x,) = p.inputs(op, 1)
    y = p.output(op)
    check_dtype(op, y, x.dtype)
    check_dtype(op, x, "float32", "int32", "int64")
    check_shape(op, y, x.shape)
    check_foldable(y)
    p.fold(y, np.zeros(y.shape))


def fill(p: Program, op: Op) -> None:
    """A constant, as shapes and values are fixed."""
    dims, value = p.inputs(op, 2)
    y = p.output(op)
    check_shape(op, y, tuple(_ints(op, dims, "the shape")))
    check_dtype(op, value, y.dtype)
    check_foldable(y)
    p.fold(y, np.full(y.shape, constant(op, value, "the value").ravel()[0]))
