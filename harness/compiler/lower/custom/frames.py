"""Lowering of the signal library's operators that keep samples from one inference to the next."""

from __future__ import annotations

import dataclasses

from tinyrig.compiler.lower.custom.signal import check_number, kept, rows_of, values
from tinyrig.compiler.lower.program import Program, check, check_dtype, check_shape
from tinyrig.compiler.model.custom.records import Delay, Frames, Stack
from tinyrig.compiler.model.graph import Graph, Inner, Op, Tensor
from tinyrig.core.errors import ModelError

MAX_SAMPLES = 1 << 20


def framer(p: Program, op: Op) -> None:
    (x,), (y, valid) = values(p, op, 1, 2)
    check_dtype(op, x, "int16")
    check_dtype(op, y, "int16")
    rows, given = rows_of(op, x)
    size = check_number(op, "frame_size", 1, MAX_SAMPLES)
    step = check_number(op, "frame_step", 1, size)
    check(op, x, given % step == 0, f"a multiple of the frame step {step}", str(given))
    check_shape(op, y, (*x.shape[:-1], given // step, size))
    filled = op.options.flag("prefill")
    _check_asked(p, op, valid, filled or size == step, "convert with prefill=True")
    room = -(-size // step) * step
    states = [kept(p, x, (rows, room), "samples"), kept(p, _count(x), (1,), "count")]
    params = Frames(rows, given // step, size, step, room, size - step if filled else 0)
    p.emit("signal_framer", op, [x], [y, valid, *states], params)


def _count(like: Tensor) -> Tensor:
    return dataclasses.replace(like, dtype="int32", scales=like.scales[:0], zero_points=like.zero_points[:0])


def _check_asked(p: Program, op: Op, valid: Tensor, always: bool, remedy: str) -> None:
    """An output that is not written yet holds what was in memory: such a model is right only if it asks."""
    check_dtype(op, valid, "bool")
    check(op, valid, valid.size == 1, "one value", str(valid.size))
    readers = [o for part in _parts(p.graph) for o in part.ops if valid.index in o.inputs]
    if not always and not readers:
        raise ModelError(
            f"{op} leaves its output unwritten until it has enough samples, and nothing in the model asks whether it has",
            expected=f"an op that reads {valid}, or an output that is always whole",
            remedy=remedy,
        )


def _parts(graph: Graph) -> tuple[Inner, ...]:
    return (Inner(graph.ops, graph.inputs, graph.outputs), *graph.inner)


def overlap_add(p: Program, op: Op) -> None:
    (x,), (y,) = values(p, op, 1, 1)
    number = op.options.number("T")
    check(op, None, number in (7, 0), "int16 or float32", f"type {number}")
    dtype = "int16" if number == 7 else "float32"
    check_dtype(op, x, dtype)
    check_dtype(op, y, dtype)
    check(op, x, len(x.shape) >= 2, "rank 2 or more")
    frames, size = x.shape[-2:]
    step = check_number(op, "frame_step", 1, size)
    check_shape(op, y, (*x.shape[:-2], frames * step))
    rows = x.size // (frames * size)
    kind = "signal_overlap_s16" if number == 7 else "signal_overlap_f32"
    p.emit(kind, op, [x], [y, kept(p, x, (rows, size), "overlap")], Frames(rows, frames, size, step))


def stacker(p: Program, op: Op) -> None:
    (x,), (y, valid) = values(p, op, 1, 2)
    check_dtype(op, x, "int16")
    check_dtype(op, y, "int16")
    channels = check_number(op, "num_channels", 1, MAX_SAMPLES)
    left, right = (check_number(op, f"stacker_{side}_context", 0, 4096) for side in ("left", "right"))
    room = left + 1 + right
    step = check_number(op, "stacker_step", 1, room)
    check(op, x, x.size == channels, f"{channels} channels", str(x.size))
    check(op, y, y.size == room * channels, f"{room * channels} values", str(y.size))
    _check_asked(p, op, valid, right == 0 and step == 1, "let a SELECT_V2 or IF read the op's second output")
    states = [kept(p, x, (room, channels), "inputs"), kept(p, _count(x), (2,), "count")]
    p.emit("signal_stacker", op, [x], [y, valid, *states], Stack(channels, left, room, step))


def delay(p: Program, op: Op) -> None:
    (x,), (y,) = values(p, op, 1, 1)
    check_dtype(op, x, "int16")
    check_dtype(op, y, "int16")
    check_shape(op, y, x.shape)
    rows, n = rows_of(op, x)
    length = check_number(op, "delay_length", 0, MAX_SAMPLES)
    if length == 0:
        p.alias(op, x, y)
        return
    p.emit("signal_delay", op, [x], [y, kept(p, x, (rows, length), "delayed")], Delay(rows, n, length))
