"""Channels rewritten for the fast int8 kernels: equal for every input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.compiler.kernels.m4_fit import NARROW, Channels, extremes, fitted, fittings, requantised_exactly
from tinyrig.compiler.model.layers import Requant

PAIRS = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), -1).reshape(-1, 2)
"""Every input of two values."""


def outputs(c: Channels) -> np.ndarray:
    """int64 [65536, n], in gemmlowp's own terms."""
    acc = (PAIRS - c.in_zero) @ c.weights.T.astype(np.int64) + c.bias
    product = (acc << np.maximum(c.requant.shift, 0)) * c.requant.multiplier
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    x = np.where(nudged < 0, -(-nudged >> 31), nudged >> 31)
    right = np.maximum(-c.requant.shift, 0).astype(np.int64)
    mask = (1 << right) - 1
    rounded = (x >> right) + ((x & mask) > (mask >> 1) + (x < 0))
    return np.clip(rounded + c.requant.zero_point, c.requant.act_min, c.requant.act_max)


@st.composite
def dead(draw: st.DrawFn) -> Channels:
    """Three channels, each with its bias near a threshold, at a clamp or anywhere."""
    n, zero = 3, draw(st.integers(-128, 127))
    act = draw(st.sampled_from([(-128, 127), (zero, 127), (zero, min(127, zero + 20))]))
    shift = np.array(draw(st.lists(st.integers(-31, -16), min_size=n, max_size=n)))
    multiplier = np.array(
        [draw(st.sampled_from([0, 1 << 30, (1 << 31) - 1]) | st.integers(1 << 30, (1 << 31) - 1)) for _ in shift]
    )
    bias = []
    for s, m in zip(shift.tolist(), multiplier.tolist(), strict=True):
        near = int((draw(st.integers(-140, 140)) + 0.5) * 2.0 ** (31 - s) / max(m, 1)) + draw(st.integers(-70000, 70000))
        top = draw(st.sampled_from([1 << 30, 1 << 29, 1 << 24, (1 << 31) - (1 << 20)]))
        bias.append(max(-top, min(top, near)) if draw(st.booleans()) else draw(st.sampled_from([-top, top])))
    weights = np.array(draw(st.lists(st.integers(-128, 127), min_size=2 * n, max_size=2 * n))).reshape(n, 2)
    q = Requant(multiplier, shift, zero, *act)
    return Channels(weights, np.array(bias), draw(st.integers(-128, 127)), q)


@given(c=dead())
def test_rewritten_channels_are_equal_for_every_input(c: Channels) -> None:
    fit = fitted(c)
    low, high = extremes(fit.channels.weights, fit.channels.bias, c.in_zero)
    assert requantised_exactly(fit.channels.requant, low, high).all()
    kept = [i for i in range(len(c.bias)) if i not in fit.rest]
    np.testing.assert_array_equal(outputs(fit.channels)[:, kept], outputs(c)[:, kept])


def one(shift: int, bias: int, weights: tuple[int, int] = (90, -70), multiplier: int = 1 << 30, zero: int = -128) -> Channels:
    q = Requant(np.array([multiplier]), np.array([shift]), zero, -128, 127)
    return Channels(np.array([weights]), np.array([bias]), 3, q)


@pytest.mark.parametrize(
    ("channel", "values"),
    [
        (one(-29, 1 << 30), [-127]),
        (one(-31, -(1 << 30)), [-128]),
        (one(-8, 1 << 30), [127]),
        (one(-5, 1 << 29, multiplier=0), [-128]),
        (one(-26, 3 << 26), [-127, -126]),
    ],
)
def test_dead_channels_fit_a_narrow_accumulator(channel: Channels, values: list[int]) -> None:
    fit = fitted(channel)
    low, high = extremes(fit.channels.weights, fit.channels.bias, channel.in_zero)
    assert not fit.rest and max(-low[0], high[0]) < NARROW
    assert sorted(set(outputs(fit.channels).ravel().tolist())) == values
    assert len(values) == 2 or not fit.channels.weights.any()


def test_a_channel_that_fits_stays_as_it_is() -> None:
    c = one(-9, 12345)
    fit = fitted(c)
    assert not fit.rest and (fit.channels.weights == c.weights).all() and (fit.channels.bias == c.bias).all()
    assert (fit.channels.requant.shift == c.requant.shift).all()


def test_what_has_no_equal_form_is_taken_apart_unless_it_is_all() -> None:
    """A left shift that wraps."""
    wraps, plain = one(20, 1 << 20), one(-9, 5)
    q = Requant(np.array([1 << 30, 1 << 30]), np.array([20, -9]), -128, -128, 127)
    both = Channels(np.concatenate([wraps.weights, plain.weights]), np.array([1 << 20, 5]), 3, q)
    (fit,) = fittings(both)
    assert fit.rest == (0,) and not fit.channels.weights[0].any() and (fit.channels.weights[1] == plain.weights).all()
    assert not list(fittings(wraps))
