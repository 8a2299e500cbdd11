"""Layers that keep a state: its new value comes behind the output."""

from __future__ import annotations

import numpy as np

from tinyrig.reference.arithmetic import sigmoid
from tinyrig.reference.call import Call, real, saturated, scale, stored

STATES = {"SVDF": (4,), "UNIDIRECTIONAL_SEQUENCE_LSTM": (18, 19)}
"""Inputs that are the op's own state."""


def svdf(c: Call) -> list[np.ndarray]:
    """A memory for each filter, the oldest value first; the filters of one unit are summed. Sums of integers have 32 bits and
    their range is the activation; a new state has its type's bits. Beyond them they wrap, as runtimes' do."""
    kept, rank = c.tensor(4), c.op.options.number("rank")
    batch, (filters, memory) = c.stored(0).shape[0], c.stored(2).shape
    state, fresh = c.stored(4).reshape(batch, filters, memory), c.real(0) @ c.real(1).T
    if kept.dtype == "float32":
        new = fresh.astype(np.float32)
    else:
        new = (saturated(np.rint(fresh / scale(kept)), kept.dtype).astype(np.int32) + kept.zero_point).astype(kept.dtype)
    state = np.concatenate([state[:, :, 1:], new[:, :, None]], axis=2)
    zero = kept.zero_point if kept.dtype != "float32" else 0
    sums = ((state.astype(np.float64) - zero) * c.stored(2)).sum(axis=2).reshape(batch, -1, rank).sum(axis=2)
    sums = sums + c.stored(3) if c.has(3) else sums
    if kept.dtype == "float32":
        sums = c.activated(sums)
    else:
        sums = sums.astype(np.int64).astype(np.int32) * scale(kept) * scale(c.tensor(2))
    return [c.result(sums), state.reshape(kept.shape)]


def _gate(c: Call, n: int, x: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Gate `n` of input, forget, cell, output, before its function. Of integer layers the input's part, the state's and their sum
    are each in steps of 2^-12 between -8 and 8."""
    parts = [x @ c.real(1 + n).T, hidden @ c.real(5 + n).T]
    if c.has(12 + n):  # in steps of the input's products, whatever its own scale says
        parts[0] = parts[0] + c.stored(12 + n) * scale(c.tensor(0)) * scale(c.tensor(1 + n))
    if c.tensor(0).dtype == "float32":
        return np.asarray(parts[0] + parts[1])
    return _in_steps(_in_steps(parts[0]) + _in_steps(parts[1]))


def _in_steps(value: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.clip(np.rint(value * 4096), -32768, 32767) / 4096
    return found


def lstm(c: Call) -> list[np.ndarray]:
    """Integer states are rounded to their steps at every time."""
    hidden_t, cell_t = c.tensor(18), c.tensor(19)
    x, clip = c.real(0), c.op.options.real("cell_clip")
    major = c.op.options.flag("time_major")
    x = x if major else x.swapaxes(0, 1)
    hidden, cell = c.stored(18), c.stored(19)
    rows = []
    for now in x:
        h = real(hidden_t, hidden)
        i, f, o = (sigmoid(_gate(c, n, now, h)) for n in (0, 1, 3))
        value = f * real(cell_t, cell) + i * np.tanh(_gate(c, 2, now, h))
        value = np.clip(value, -clip, clip) if clip > 0 else value
        cell = stored(cell_t, value)
        hidden = stored(hidden_t, o * np.tanh(real(cell_t, cell)))
        rows.append(hidden)
    out = np.stack(rows)
    return [(out if major else out.swapaxes(0, 1)).reshape(c.y[0].shape), hidden, cell]


RECURRENT = {"SVDF": svdf, "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm}
