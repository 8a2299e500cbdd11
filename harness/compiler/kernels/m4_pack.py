"""Weights, biases and multipliers in the forms that the fast int8 kernels (firmware/nn/m4/q8_*.h) read.

The number format is explained in q8_common.h: accumulators hold 256 times the value, so a layer qualifies only when no
input can take a final accumulator out of 24 bits; `channels` proves that from the weights themselves. m4_fit.py brings
channels into this form.
"""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.kernels.m4_fit import NARROW, extremes, requantised_exactly
from tinyrig.compiler.model.layers import Requant
from tinyrig.compiler.model.step import Constant


def pad_to(a: np.ndarray, size: int, axis: int) -> np.ndarray:
    """`a` with zeros behind it so that dimension `axis` is a multiple of `size`."""
    widths = [(0, 0)] * a.ndim
    widths[axis] = (0, -a.shape[axis] % size)
    return np.pad(a, widths)


def unpackable(weights: np.ndarray) -> np.ndarray:
    """Which pairs leave the format: 256 * w1 + w0 leaves int16 only for w1 = -128 with w0 < 0. weights: int [n, k], k even;
    bool [n, k / 2]."""
    return np.asarray(weights[:, 1::2].astype(np.int32) * 256 + weights[:, ::2] < -32768)


def mends(weights: np.ndarray, multiple: int, segments: int, step_bytes: np.ndarray) -> tuple[Constant, ...] | None:
    """mend_from and mend of q8_channels; nothing where all pairs fit, None where a place does not fit uint16. weights as for
    `channels`; step_bytes int [k / 4]: where each step's first word lies behind the sum's first, in bytes."""
    wrong = unpackable(weights)
    if not wrong.any():
        return ()
    parts = max(segments, 1)
    by_entry = pad_to(wrong.sum(1, keepdims=True) if parts == 1 else wrong.reshape(len(wrong), parts, -1).sum(2), multiple, 0)
    pairs = np.nonzero(wrong)[1]
    places = step_bytes[pairs // 2] // 2 + pairs % 2
    if places.max() > np.iinfo(np.uint16).max:
        return None
    starts = np.concatenate([[0], np.cumsum(by_entry.ravel())])
    note = "pairs to mend (q8_common.h)"
    return Constant("mend_from", starts.astype(np.int32), note), Constant("mend", places.astype(np.uint16), "where")


def pack_words(weights: np.ndarray) -> np.ndarray:
    """int [n, k], k a multiple of 4 -> uint32 [n, k / 4]: halves 256 * w1 + w0 and 256 * w3 + w2."""
    w = weights.astype(np.int64)
    halves = (w[:, 1::2] * 256 + w[:, ::2]) & 0xFFFF
    return (halves[:, ::2] | halves[:, 1::2] << 16).astype(np.uint32)


def with_channels(words: np.ndarray, constants: tuple[Constant, ...]) -> tuple[Constant, ...]:
    """What a tile reads, one after another, uint32 [n]: for each group of channels their biases, weights, multipliers and shifts;
    behind that the constants that are not among them.

    words uint32 [group, step, channel]; constants: those of `channels` and `mends`.
    """
    groups, _, width = words.shape
    bias, scales = _by_group(words, constants)
    columns = np.concatenate((bias, words.reshape(groups, -1), scales), 1)
    return _stream(columns.ravel(), width, constants)


def with_channels_in_pieces(
    words: np.ndarray, constants: tuple[Constant, ...], pieces: int, groups_at_once: int
) -> tuple[Constant, ...]:
    """The same for some groups at a time: all their biases; of each piece the weights of each of them; multipliers and shifts of
    each. words uint32 [group, step, channel], whole steps a piece."""
    bias, scales = _by_group(words, constants)
    found = []
    for g in range(0, len(words), groups_at_once):
        here = words[g : g + groups_at_once]
        by_piece = here.reshape(len(here), pieces, -1).transpose(1, 0, 2)
        found += [bias[g : g + groups_at_once].ravel(), by_piece.ravel(), scales[g : g + groups_at_once].ravel()]
    return _stream(np.concatenate(found), words.shape[2], constants)


def _by_group(words: np.ndarray, constants: tuple[Constant, ...]) -> tuple[np.ndarray, np.ndarray]:
    """uint32 [group, n]: biases; multipliers and shifts."""
    groups, _, width = words.shape
    given = {c.name: pad_to(c.data, width, 0).reshape(groups, width) for c in constants if c.name in PER_CHANNEL}
    shifts = pad_to(given["shift"], 4, 1).view(np.uint32)
    return given["bias"].view(np.uint32), np.concatenate((given["multiplier"].view(np.uint32), shifts), 1)


def _stream(data: np.ndarray, width: int, constants: tuple[Constant, ...]) -> tuple[Constant, ...]:
    note = "%d channels at a time: %s; weights, four a word; multipliers; shifts to the right, in a word"
    bias = next(c.comment for c in constants if c.name == "bias")
    return Constant("weights", data, note % (width, bias)), *(c for c in constants if c.name not in PER_CHANNEL)


def right_shifts(q: Requant) -> np.ndarray:
    """int8 right shifts; a channel whose multiplier is 0 gets 1, which gives its 0 as well."""
    return np.where(q.multiplier == 0, 1, -q.shift).astype(np.int8)


PER_CHANNEL = ("bias", "multiplier", "shift")
"""Constants that a convolution's or dense layer's tiles have among their weights."""

SEGMENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128)
"""Into how many parts a long sum may be cut. One: the sum fits, but not the bias with it."""


def channels(
    weights: np.ndarray, bias: np.ndarray, in_zero: int, q: Requant, multiple: int, segments: int = 0
) -> tuple[Constant, ...] | None:
    """bias, multiplier, shift (PER_CHANNEL), or None when the layer does not fit the format.

    weights int [n, k] in the order of the sum, k a multiple of 4 (and of 4 * segments); bias [n], padded to `multiple`
    channels. segments > 0: parts of the sum that have an accumulator each; the bias then belongs to their 32-bit total.
    """
    low, high = extremes(weights, bias, in_zero)
    if not requantised_exactly(q, low, high).all():
        return None
    if not _parts_fit(weights, segments) if segments else max(-low.min(), high.max()) >= NARROW:
        return None
    w = weights.astype(np.int64)
    folded = bias.astype(np.int64) - in_zero * w.sum(1) + 127 * w[:, 1::2].sum(1)
    wrapped = ((folded if segments else 256 * folded) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
    return (
        Constant("bias", pad_to(wrapped, multiple, 0), f"{1 if segments else 256} times the bias, offsets folded in"),
        Constant("multiplier", q.multiplier.astype(np.int32)),
        Constant("shift", right_shifts(q), "to the right"),
    )


def _parts_fit(weights: np.ndarray, segments: int) -> bool:
    """Does every part's accumulator, even values in [-128, 127] and odd ones less 127, stay in 24 bits?"""
    parts = np.abs(weights.astype(np.int64)).reshape(len(weights), segments, -1)
    return bool((parts[:, :, ::2].sum(2) * 128 + parts[:, :, 1::2].sum(2) * 255 < NARROW).all())


def plain_channels(weights: np.ndarray, bias: np.ndarray, in_zero: int, q: Requant) -> tuple[Constant, ...] | None:
    """As `channels`, for kernels whose accumulators hold 2 * acc of x - in_zero. weights int [n, k]."""
    low, high = extremes(weights, bias, in_zero)
    if not requantised_exactly(q, low, high).all():
        return None
    return (
        Constant("bias", (2 * bias.astype(np.int64)).astype(np.int32), "twice the bias"),
        Constant("multiplier", q.multiplier.astype(np.int32)),
        Constant("shift", right_shifts(q), "to the right"),
    )
