"""Axes in another order are distinguished from windows that only look different."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinyrig.core.errors import UserError
from tinyrig.core.records import TensorSpec
from tinyrig.windows.layout import check_layout, fits

SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((59, 35), (1, 59, 35)),
        ((2065,), (1, 59, 35)),
        ((59, 35, 1), (1, 59, 35)),
        ((59, 5, 7), (1, 59, 35)),
        ((8, 8, 3), (1, 64, 3)),
        ((1, 28, 28), (1, 28, 28, 1)),
        ((28, 28), (1, 784)),
        ((1,), (1, 1)),
    ],
)
def test_what_fits(given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    check_layout((7, *given), TensorSpec("x", wanted, "float32"), "w: x")


@pytest.mark.parametrize(
    ("given", "wanted", "order"),
    [
        ((3, 8, 8), (1, 8, 8, 3), (0, 2, 3, 1)),
        ((8, 8, 3), (1, 3, 8, 8), (0, 3, 1, 2)),
        ((35, 59), (1, 59, 35), (0, 2, 1)),
        ((3, 64), (1, 8, 8, 3), (0, 2, 1)),
        ((1, 3, 8, 8), (1, 8, 8, 3), (0, 1, 3, 4, 2)),
        ((49, 10), (1, 10, 49, 1), (0, 2, 1)),
    ],
)
def test_another_order_is_named_with_what_puts_it_right(
    given: tuple[int, ...], wanted: tuple[int, ...], order: tuple[int, ...]
) -> None:
    spec = TensorSpec("x", wanted, "float32")
    with pytest.raises(UserError, match="another order") as caught:
        check_layout((7, *given), spec, "w: x")
    assert f"numpy.transpose(x, {order})" in caught.value.remedy
    check_layout(np.zeros((7, *given)).transpose(order).shape, spec, "w: x")


@given(SHAPES)
def test_any_shape_fits_itself_flat_and_with_ones(shape: tuple[int, ...]) -> None:
    assert fits(shape, shape) and fits((math.prod(shape),), shape) and fits(shape, (math.prod(shape),))
    assert fits((1, *shape, 1), shape)


@given(SHAPES, st.randoms())
def test_no_turned_shape_fits_unless_it_is_the_same(shape: tuple[int, ...], random) -> None:
    plain = [d for d in shape if d != 1]
    turned = random.sample(plain, len(plain))
    assume(turned != plain)
    assert not fits(turned, plain)
