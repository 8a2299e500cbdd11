import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.core.errors import UserError
from tinyrig.variants.data import splits


def names(n: int) -> tuple[str, ...]:
    return tuple(f"class {i}" for i in range(n))


@given(counts=st.lists(st.integers(2, 60), min_size=2, max_size=6), seed=st.integers(0, 2**32 - 1))
def test_stratified_split_is_a_partition_close_to_the_share(counts, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    parts = splits.split(y, None, seed, names(len(counts)))
    assert sorted([*parts.train, *parts.test]) == list(range(len(y)))
    for label, count in enumerate(counts):
        held_out = np.sum(y[parts.test] == label)
        assert 1 <= held_out < count
        assert abs(held_out - splits.TEST_SHARE * count) <= 1


def test_glove_sized_split_has_the_papers_240_windows():
    parts = splits.split(np.repeat(np.arange(8), 150), None, 0, names(8))
    assert (len(parts.train), len(parts.test)) == (960, 240)


@given(data=st.data(), classes=st.integers(2, 4), groups=st.integers(5, 15), seed=st.integers(0, 1000))
def test_group_split_keeps_groups_whole_and_every_class_on_both_sides(data, classes, groups, seed):
    rows = st.lists(st.integers(1, 9), min_size=classes, max_size=classes)
    counts = data.draw(st.lists(rows, min_size=groups, max_size=groups))
    y = np.concatenate([np.repeat(np.arange(classes), row) for row in counts])
    group = np.repeat(np.arange(groups), [sum(row) for row in counts])
    parts = splits.split(y, group, seed, names(classes))
    assert sorted([*parts.train, *parts.test]) == list(range(len(y)))
    assert not set(group[parts.train]) & set(group[parts.test])
    assert set(y[parts.train]) == set(y[parts.test]) == set(range(classes))


def test_even_groups_are_split_at_the_share():
    group = np.repeat(np.arange(10), 20)
    parts = splits.split(np.tile(np.arange(4), 50), group, 0, names(4))
    assert len(parts.test) == 40 and len(set(group[parts.test])) == 2


def test_seed_decides_the_split():
    y, group = np.tile(np.arange(4), 50), np.array([f"p{i}" for i in np.repeat(np.arange(10), 20)])
    for groups in (None, group):
        same = [splits.split(y, groups, 5, names(4)).test.tolist() for _ in range(2)]
        assert same[0] == same[1]
        assert len({tuple(splits.split(y, groups, seed, names(4)).test) for seed in range(6)}) > 1


def test_a_class_of_one_window_is_refused():
    with pytest.raises(UserError, match="class 1"):
        splits.split(np.array([0, 0, 1]), None, 0, names(2))


def test_a_class_seen_in_one_group_only_is_refused():
    with pytest.raises(UserError, match=r"class 1.*unseen group"):
        splits.split(np.array([0, 0, 1, 1]), np.array(["a", "b", "b", "b"]), 0, names(2))


def test_groups_that_can_not_be_divided_are_refused():
    """Each class needs both of its groups apart, and the classes share groups in a ring of odd length: impossible."""
    y = np.array([0, 0, 1, 1, 2, 2])
    with pytest.raises(UserError, match="every class is on both sides"):
        splits.split(y, np.array(["a", "b", "b", "c", "c", "a"]), 0, names(3))


def test_normalisation_is_fitted_per_channel_and_survives_a_constant_one():
    x = np.random.default_rng(0).normal([5, -2, 7], [2, 0.5, 0], (40, 9, 3)).astype(np.float32)
    norm = splits.fit_normalisation(x)
    z = norm.apply(x)
    assert z.dtype == np.float32 and np.isfinite(z).all()
    np.testing.assert_allclose(z.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(z.std((0, 1)), [1, 1, 0], atol=1e-4)
