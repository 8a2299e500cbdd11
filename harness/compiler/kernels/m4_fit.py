"""Channels that the fast int8 kernels can't compute as they stand in the file, in an equal form that they can.

Trained networks have dead filters: weight scale near zero, bias at its clamp of about +-2^30, right shifts of 24 to 31. Over
all inputs such a channel gives one value, or two with a single threshold between them. Requantisation never falls as the
accumulator rises, so the values at both ends of the accumulator's range prove it. One value becomes a bias without weights;
two become the same threshold at a smaller scale. What has more values is left as the layer's rest (m4_rest.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from tinyrig.compiler.fixed_point import INT32_MAX, INT32_MIN, requantize
from tinyrig.compiler.model.layers import Requant

NARROW = 1 << 23
"""Below it an accumulator fits the tiles, which hold 256 times the value."""
HALF = 1 << 30
"""The multiplier 1/2, the smallest that a Requant has."""


@dataclass(frozen=True, eq=False)
class Channels:
    """Output channels of a layer: acc = bias + sum((x - in_zero) * weights), then `requant`. weights int8 [n, k], bias [n]."""

    weights: np.ndarray
    bias: np.ndarray
    in_zero: int
    requant: Requant


@dataclass(frozen=True, eq=False)
class Fitted:
    """`channels` are equal to the given ones but for those in `rest` (ascending numbers), which have weights and bias 0."""

    channels: Channels
    rest: tuple[int, ...]


def extremes(weights: np.ndarray, bias: np.ndarray, in_zero: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest accumulator of every channel (row) over all int8 inputs; int64 [n]. Padding counts as x = in_zero."""
    w = weights.astype(np.int64)
    up, down = np.where(w > 0, w, 0).sum(1), np.where(w < 0, w, 0).sum(1)
    high = bias.astype(np.int64) + up * (127 - in_zero) - down * (128 + in_zero)
    low = bias.astype(np.int64) - up * (128 + in_zero) + down * (127 - in_zero)
    return low, high


def requantised_exactly(q: Requant, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """bool [n]: does q8_requant compute every accumulator in [low, high]? Twice the accumulator, shifted to the left where the
    shift is, and the product with zero point and half a unit added at 2^shift must each fit 32 bits."""
    right, left = np.maximum(-q.shift.astype(np.int64), 0), np.maximum(q.shift.astype(np.int64), 0)
    widest = np.maximum(np.abs(low), np.abs(high))
    twice = (widest < HALF) & ((np.minimum(widest, HALF) << (1 + left)) < 1 << 31)
    half = np.where(right > 0, (2 * q.zero_point + 1) << np.maximum(right - 1, 0), q.zero_point)
    ends = [((np.clip(a, -HALF, HALF) << np.where(twice, left, 0)) * q.multiplier + HALF) >> 31 for a in (low, high)]
    added = (half + ends[0] > INT32_MIN) & (half + ends[1] <= INT32_MAX)
    return np.asarray((q.multiplier == 0) | twice & added)


def fittings(c: Channels) -> Iterator[Fitted]:
    """The given channels as fitted; then those of them without the channels that hold a -128, whose pairs are mended only within
    reach of a uint16 (m4_pack.mends). Nothing where all channels are rest: then they are the portable kernel's."""
    lowest = tuple(np.flatnonzero((c.weights == -128).any(1)).tolist())
    for apart in ((), lowest) if lowest else ((),):
        fit = fitted(c, apart)
        if len(fit.rest) < len(c.weights):
            yield fit


def fitted(c: Channels, apart: tuple[int, ...] = ()) -> Fitted:
    """Rewrites the channels that don't fit a narrow accumulator, as far as that is exact. `apart`: channels of the rest in any
    case."""
    low, high = extremes(c.weights, c.bias, c.in_zero)
    wide = requantised_exactly(c.requant, low, high)
    narrow = wide & (np.maximum(-low, high) < NARROW)
    weights, bias = c.weights.copy(), c.bias.astype(np.int64)
    multiplier, shift = c.requant.multiplier.copy(), c.requant.shift.copy()
    rest = set(apart)
    for i in np.flatnonzero(~narrow).tolist():
        new = None if i in rest else _rewritten(_Channel(c.requant, i, int(low[i]), int(high[i]), int(bias[i])), bool(wide[i]))
        if new is None:
            rest |= set() if wide[i] else {i}
            continue
        bias[i], multiplier[i], shift[i] = new.bias, HALF, -new.right
        weights[i] = weights[i] if new.weighted else 0
    for i in rest:
        weights[i], bias[i], multiplier[i], shift[i] = 0, 0, HALF, -1
    q = Requant(multiplier, shift, c.requant.zero_point, c.requant.act_min, c.requant.act_max)
    return Fitted(Channels(weights, bias, c.in_zero, q), tuple(sorted(rest)))


@dataclass(frozen=True, eq=False)
class _Channel:
    """Channel `i` whose accumulator lies in [low, high]."""

    requant: Requant
    i: int
    low: int
    high: int
    bias: int

    def value(self, acc: int) -> int:
        """The output, clamped."""
        return _clamped(requantize(acc, int(self.requant.multiplier[self.i]), int(self.requant.shift[self.i])), self.requant)

    @property
    def monotone(self) -> bool:
        """Nothing wraps on the way: neither the accumulator nor its left shift."""
        left = max(0, int(self.requant.shift[self.i]))
        return self.low << left >= INT32_MIN and self.high << left <= INT32_MAX


@dataclass(frozen=True)
class _Form:
    """Equal to a channel, with the multiplier 1/2: bias, shift to the right, and whether the weights stay or are 0."""

    bias: int
    right: int
    weighted: bool


def _clamped(scaled: int, q: Requant) -> int:
    return max(q.act_min, min(q.act_max, scaled + q.zero_point))


def _halved(right: int, q: Requant, acc: int) -> int:
    """The output for the multiplier 1/2."""
    return _clamped(requantize(acc, HALF, -right), q)


def _rewritten(c: _Channel, wide: bool) -> _Form | None:
    """The channel in another form; None where there is none, or none better than the wide accumulator that it fits."""
    if c.requant.multiplier[c.i] == 0:
        return _constant(_clamped(0, c.requant), c.requant)
    if not c.monotone:
        return None
    first, last = c.value(c.low), c.value(c.high)
    if first == last:
        return _constant(first, c.requant)
    return _threshold(c, first, wide) if last == first + 1 else None


def _constant(value: int, q: Requant) -> _Form:
    """(value - zero) * 4 / 4, with no rounding."""
    return _Form(4 * (value - q.zero_point), 1, False)


def _threshold(c: _Channel, first: int, wide: bool) -> _Form | None:
    """`first` below one accumulator and `first` + 1 from there on, at another scale: the bias is moved so that the new scale's
    threshold is where the old one was, and the ends of the range lie within one step of it."""
    at = _least(c.value, first + 1, c.low, c.high)
    for right in range(1, 23):
        value = partial(_halved, right, c.requant)
        moved = _least(value, first + 1, INT32_MIN, INT32_MAX) - at
        low, high = c.low + moved, c.high + moved
        if max(-low, high) >= (NARROW if wide else HALF // 2):
            return None
        if value(low) == first and value(high) == first + 1:
            return _Form(c.bias + moved, right, True)
    return None


def _least(value: Callable[[int], int], at_least: int, low: int, high: int) -> int:
    """The lowest accumulator in [low, high] of at least this value, which `high` has; `value` never falls."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if value(middle) >= at_least else (middle + 1, high)
    return low
