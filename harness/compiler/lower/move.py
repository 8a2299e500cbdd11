"""Lowering of the ops that only move elements: each becomes one `move` step of strided block copies."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.lower.program import Program, check, check_dtype, check_foldable, check_shape, constant
from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.compiler.model.params import CopyBlock, Move, Resize
from tinyrig.compiler.model.quant import INT_RANGE

INTEGERS = ("int32", "int64")
MOVABLE = ("float32", "int8", "int16", "int32", "int64", "uint8", "bool")


MAX_COPIES = 1 << 15
"""Each costs the board some 40 bytes of flash: more fit on none."""


def strides(shape: tuple[int, ...]) -> list[int]:
    """Elements between neighbours of each dimension, row-major."""
    return [int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape))]


def block(
    source: int, target: int, offsets: tuple[int, int], dims: tuple[int, ...], steps: tuple[list[int], list[int]], size: int
) -> CopyBlock:
    """A block of `dims` elements of `size` bytes, steps and offsets in elements, merged into the fewest dimensions: a
    dimension joins its inner neighbour where both sides run on without a gap."""
    rows = [(d, i * size, o * size) for d, i, o in zip(dims, *steps, strict=True) if d > 1]
    merged: list[tuple[int, int, int]] = []
    for d, i, o in reversed(rows):
        if merged and i == merged[-1][0] * merged[-1][1] and o == merged[-1][0] * merged[-1][2]:
            merged[-1] = (d * merged[-1][0], *merged[-1][1:])
        else:
            merged.append((d, i, o))
    run = size
    if merged and merged[0][1:] == (size, size):
        run = merged.pop(0)[0] * size
    merged.reverse()
    return CopyBlock(source, target, offsets[0] * size, offsets[1] * size, run, tuple(merged))


def emit_move(
    p: Program,
    op: Op,
    inputs: list[Tensor],
    outputs: list[Tensor],
    blocks: list[CopyBlock],
    fill: bytes = b"",
    before: tuple[int, ...] = (),
) -> None:
    p.copies += len(blocks)
    check(op, None, p.copies <= MAX_COPIES, f"at most {MAX_COPIES} copies of blocks in the whole model", str(p.copies))
    constants = [t.data for t in inputs if t.data is not None]
    if len(constants) == len(inputs):
        for t in outputs:
            check_foldable(t)
        for t, value in zip(outputs, moved(constants, outputs, blocks, fill), strict=True):
            p.fold(t, value)
    else:
        p.emit("move", op, inputs, outputs, Move(tuple(blocks), fill, before))


def moved(inputs: list[np.ndarray], outputs: list[Tensor], blocks: list[CopyBlock], fill: bytes) -> list[np.ndarray]:
    """What the step would compute, for constant inputs."""
    sources = [np.frombuffer(np.ascontiguousarray(a).tobytes(), np.uint8) for a in inputs]
    results = [np.zeros(t.nbytes, np.uint8) for t in outputs]
    if fill:
        results[0][:] = np.resize(np.frombuffer(fill, np.uint8), results[0].size)
    for b in blocks:
        i, o = (np.array(start + np.arange(b.run)) for start in (b.in_offset, b.out_offset))
        for count, in_step, out_step in reversed(b.dims):
            i = np.add.outer(np.arange(count) * in_step, i)
            o = np.add.outer(np.arange(count) * out_step, o)
        results[b.target][o] = sources[b.source][i]
    return [np.frombuffer(r.tobytes(), t.dtype) for r, t in zip(results, outputs, strict=True)]


def emit_transpose(p: Program, op: Op, x: Tensor, y: Tensor, order: tuple[int, ...]) -> None:
    """y's dimension i is x's dimension order[i]."""
    steps = strides(x.shape)
    emit_move(p, op, [x], [y], [block(0, 0, (0, 0), y.shape, ([steps[i] for i in order], strides(y.shape)), itemsize(x))])


def itemsize(t: Tensor) -> int:
    return np.dtype(t.dtype).itemsize


def operands(p: Program, op: Op, count: int) -> tuple[list[Tensor], Tensor]:
    """-> `count` inputs, the output; the first input is moved."""
    return _movable(op, p.inputs(op, count), p.output(op))


def _movable(op: Op, inputs: list[Tensor], y: Tensor) -> tuple[list[Tensor], Tensor]:
    check_dtype(op, inputs[0], *MOVABLE)
    check_dtype(op, y, inputs[0].dtype)
    return inputs, y


def transpose(p: Program, op: Op) -> None:
    (x, perm), y = operands(p, op, 2)
    check_dtype(op, perm, "int32")
    order = tuple(int(i) for i in constant(op, perm, "the permutation").ravel())
    check(op, perm, sorted(order) == list(range(len(x.shape))), f"a permutation of {len(x.shape)} dimensions", str(order))
    check_shape(op, y, tuple(x.shape[i] for i in order))
    if [i for i in order if x.shape[i] > 1] == [i for i in range(len(x.shape)) if x.shape[i] > 1]:
        p.alias(op, x, y)
    else:
        emit_transpose(p, op, x, y, order)


def concatenation(p: Program, op: Op) -> None:
    inputs, y = operands(p, op, max(1, len(op.inputs)))
    check(op, None, op.options.word("activation") == "NONE", "no fused activation", op.options.word("activation"))
    axis = axis_of(op, op.options.number("axis"), len(y.shape))
    for x in inputs:
        check(op, x, x.dtype == y.dtype and len(x.shape) == len(y.shape), f"{y.dtype} of rank {len(y.shape)}")
        check_shape(op, x, (*y.shape[:axis], x.shape[axis], *y.shape[axis + 1 :]))
        check_same_scale(op, x, y)
    check(op, y, sum(x.shape[axis] for x in inputs) == y.shape[axis], f"{sum(x.shape[axis] for x in inputs)} along axis {axis}")
    blocks, at, inner = [], 0, strides(y.shape)
    for i, x in enumerate(inputs):
        blocks.append(block(i, 0, (0, at * inner[axis]), x.shape, (strides(x.shape), inner), itemsize(y)))
        at += x.shape[axis]
    emit_move(p, op, inputs, [y], blocks)


def zero_of(op: Op, y: Tensor) -> np.ndarray:
    """What padding is filled with: 0 in real units."""
    if y.dtype not in ("int8", "int16", "uint8"):
        return np.zeros((), y.dtype)
    low, high = INT_RANGE[y.dtype]
    check(op, y, low <= y.zero_point <= high, f"a zero point in [{low}, {high}]", str(y.zero_point))
    return np.array(y.zero_point, y.dtype)


def check_same_scale(op: Op, x: Tensor, y: Tensor) -> None:
    """TFLM moves the bytes of differently scaled tensors as they are, which is wrong: refused."""
    if x.dtype in ("int8", "int16") and len(x.scales) == len(y.scales) == 1:
        same = x.scale == y.scale and x.zero_point == y.zero_point
        check(op, x, bool(same), f"the output's scale {y.scale} and zero point {y.zero_point}", f"{x.scale} and {x.zero_point}")


def axis_of(op: Op, axis: int, rank: int) -> int:
    check(op, None, -rank <= axis < rank, f"an axis within rank {rank}", str(axis))
    return axis % rank


def check_count(op: Op, parts: int) -> None:
    """The options repeat how many parts there are, and runtimes go by that."""
    check(op, None, op.options.number("count") == parts, f"{parts} parts in the options", str(op.options.number("count")))


def split(p: Program, op: Op) -> None:
    """SPLIT: (axis, value) -> equal parts."""
    axis_tensor, x = p.inputs(op, 2)
    check_dtype(op, axis_tensor, "int32")
    axis = axis_of(op, int(constant(op, axis_tensor, "the axis").ravel()[0]), len(x.shape))
    n = len(op.outputs)
    check_count(op, n)
    check(op, x, n > 0 and x.shape[axis] % n == 0, f"a multiple of {n} along axis {axis}")
    part = (*x.shape[:axis], x.shape[axis] // n, *x.shape[axis + 1 :])
    cut(p, op, x, axis, [part] * n, [part] * n)


def unpack(p: Program, op: Op) -> None:
    (x,) = p.inputs(op, 1)
    axis = axis_of(op, op.options.number("axis"), len(x.shape))
    check_count(op, len(op.outputs))
    check(op, x, len(op.outputs) == x.shape[axis], f"{len(op.outputs)} along axis {axis}")
    part, shape, n = (*x.shape[:axis], 1, *x.shape[axis + 1 :]), (*x.shape[:axis], *x.shape[axis + 1 :]), len(op.outputs)
    cut(p, op, x, axis, [part] * n, [shape] * n)


def cut(p: Program, op: Op, x: Tensor, axis: int, parts: list[tuple[int, ...]], shapes: list[tuple[int, ...]]) -> None:
    """x cut along the axis; each part's dimensions, and the shape that its tensor gives it. Empty parts are left out."""
    check_dtype(op, x, *MOVABLE)
    outputs: list[Tensor] = []
    blocks: list[CopyBlock] = []
    at, inner = 0, strides(x.shape)
    for i, part, shape in zip(op.outputs, parts, shapes, strict=True):
        y = p.tensors[i]
        check_dtype(op, y, x.dtype)
        check_shape(op, y, shape)
        if y.size:
            blocks.append(block(0, len(outputs), (at * inner[axis], 0), part, (inner, strides(part)), itemsize(x)))
            outputs.append(y)
        at += part[axis]
    emit_move(p, op, [x], outputs, blocks)


def pack(p: Program, op: Op) -> None:
    inputs, y = operands(p, op, max(1, len(op.inputs)))
    axis = axis_of(op, op.options.number("axis"), len(y.shape))
    check_count(op, len(inputs))
    check(op, y, y.shape[axis] == len(inputs), f"{len(inputs)} along axis {axis}")
    part, inner = (*y.shape[:axis], 1, *y.shape[axis + 1 :]), strides(y.shape)
    blocks = []
    for i, x in enumerate(inputs):
        check_shape(op, x, (*y.shape[:axis], *y.shape[axis + 1 :]))
        check_dtype(op, x, y.dtype)
        check_same_scale(op, x, y)
        blocks.append(block(i, 0, (0, i * inner[axis]), part, (strides(part), inner), itemsize(y)))
    emit_move(p, op, inputs, [y], blocks)


def pad(p: Program, op: Op) -> None:
    """PAD fills with zero (integers: with the zero point), PADV2 with its third input."""
    inputs, (value,) = p.inputs_and_optional(op, 2, 3)
    (x, pads_tensor), y = _movable(op, inputs, p.output(op))
    check_dtype(op, pads_tensor, *INTEGERS)
    given = constant(op, pads_tensor, "the paddings")
    check(op, pads_tensor, given.shape == (len(x.shape), 2) and bool((given >= 0).all()), f"[{len(x.shape)}, 2] paddings >= 0")
    pads = [(int(a), int(b)) for a, b in given]
    check_shape(op, y, tuple(d + a + b for d, (a, b) in zip(x.shape, pads, strict=True)))
    check_same_scale(op, x, y)
    fill = zero_of(op, y)
    if value is not None:
        check_dtype(op, value, x.dtype)
        fill = constant(op, value, "the padding value").ravel()[0]
    inner = strides(y.shape)
    offset = sum(a * s for (a, _), s in zip(pads, inner, strict=True))
    whole = block(0, 0, (0, offset), x.shape, (strides(x.shape), inner), itemsize(y))
    emit_move(p, op, [x], [y], [whole], fill.tobytes(), tuple(a for a, _ in pads))


def strided_slice(p: Program, op: Op) -> None:
    (x, *bounds), y = operands(p, op, 4)
    o, (begins, ends, shrinks) = op.options, (op.options.number(f"{k}_mask") for k in ("begin", "end", "shrink"))
    unusual = o.number("ellipsis_mask") or o.number("new_axis_mask") or o.flag("offset")
    check(op, None, not unusual, "no ellipsis, new axis or offset")
    for t in bounds:
        check_dtype(op, t, "int32")
        check(op, t, t.size == len(x.shape) and len(x.shape) <= 5, f"{len(x.shape)} entries, rank at most 5")
    begin, end, step = (constant(op, t, "begin, end and strides").ravel().tolist() for t in bounds)
    offset, dims, steps, inner = 0, [], [], strides(x.shape)
    for i, size in enumerate(x.shape):
        check(op, bounds[2], step[i] != 0, "strides other than 0")
        masks = [bool(mask >> i & 1) for mask in (begins, ends, shrinks)]
        vague = step[i] < 0 and masks[0] and masks[2]
        check(op, bounds[2], not vague, "a begin for a single index counted backwards: runtimes disagree without it")
        picked = _range(begin[i], end[i], step[i], size, *masks)
        check(op, y, len(picked) > 0, "a slice that is not empty")
        offset += picked[0] * inner[i]
        dims.append(len(picked))
        steps.append(step[i] * inner[i])
    kept = tuple(d for i, d in enumerate(dims) if not shrinks >> i & 1)
    check_shape(op, y, kept)
    emit_move(p, op, [x], [y], [block(0, 0, (offset, 0), tuple(dims), (steps, strides(tuple(dims))), itemsize(x))])


def _range(begin: int, end: int, step: int, size: int, no_begin: bool, no_end: bool, shrink: bool) -> range:
    """The indices that one dimension of a strided slice takes; masks as in TFLite's strided_slice_logic.h."""
    if shrink:
        begin = 0 if no_begin else begin
        return range(begin % size, begin % size + 1) if -size <= begin < size else range(0)
    return range(*slice(None if no_begin else begin, None if no_end else end, step).indices(size))


def shape(p: Program, op: Op) -> None:
    """Shapes are fixed, so this is a constant."""
    (x,) = p.inputs(op, 1)
    y = p.output(op)
    check_dtype(op, y, *INTEGERS)
    check_shape(op, y, (len(x.shape),))
    p.fold(y, np.array(x.shape))


def resize_nearest_neighbor(p: Program, op: Op) -> None:
    (x, size), y = operands(p, op, 2)
    check_dtype(op, size, "int32")
    check(op, x, len(x.shape) == 4, "rank 4 (NHWC)")
    height, width = _two(op, size)
    check_shape(op, y, (x.shape[0], height, width, x.shape[3]))
    check_same_scale(op, x, y)
    rows, columns = (_nearest(op, x.shape[i], n) for i, n in ((1, height), (2, width)))
    p.emit("resize_nearest", op, [x], [y], Resize(x.shape[0], x.shape[1], x.shape[2], x.shape[3] * itemsize(x), rows, columns))


def _two(op: Op, size: Tensor) -> tuple[int, int]:
    values = constant(op, size, "the size").ravel().tolist()
    check(op, size, len(values) == 2, "two entries")
    return int(values[0]), int(values[1])


def _nearest(op: Op, old: int, new: int) -> np.ndarray:
    """Source index of each target index; float32 arithmetic as in TFLite's GetNearestNeighbor."""
    align, half = op.options.flag("align"), op.options.flag("half_pixel")
    check(op, None, new < 65536 and old < 65536, "sizes below 65536")
    f32 = np.float32
    scale = f32(old - 1) / f32(new - 1) if align and new > 1 else f32(old) / f32(new)
    at = (np.arange(new, dtype=f32) + f32(0.5 if half else 0.0)) * scale
    index = np.floor(at + f32(0.5)) if align else np.floor(at)
    clipped: np.ndarray = np.clip(index.astype(np.int64), 0, old - 1)
    return clipped.astype(np.uint16)
