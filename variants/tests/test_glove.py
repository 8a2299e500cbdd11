import numpy as np
import pytest

from tinyrig.variants.data import glove


def test_shape_types_and_balance():
    x, y = glove.generate(trials_per_object=7, seed=3)
    assert x.shape == (56, glove.STEPS, len(glove.CHANNELS)) and x.dtype == np.float32
    assert y.dtype == np.int64 and np.bincount(y).tolist() == [7] * 8
    assert np.isfinite(x).all()


def test_seed_decides_everything():
    first, second, other = (glove.generate(4, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_hand_at_rest_reads_one_g_and_no_force():
    """Before any finger moves (the first step starts at 5 % of the trial at the earliest) only gravity is felt."""
    x, _ = glove.generate(20, seed=0)
    first = x[:, 0]
    accelerometers = np.stack([first[:, 6 * f : 6 * f + 3] for f in range(5)])
    assert np.linalg.norm(accelerometers, axis=2).mean() == pytest.approx(1.0, abs=0.05)
    assert np.abs(first[:, 30:]).max() < 0.2  # noise of 0.03 V


def test_gyroscope_integrates_to_the_flexion_and_back():
    """Flexion rate over a whole trial sums to zero: the hand ends as open as it began."""
    x, _ = glove.generate(50, seed=0)
    turned = x[:, :, 10].sum(1) / glove.RATE_HZ  # index finger, gy
    assert abs(turned.mean()) < 0.05  # rad; the bias of 0.03 rad/s averages out over trials


def test_forces_stay_within_the_supply_and_rise_while_held():
    x, _ = glove.generate(20, seed=0)
    force = x[:, :, 30:]
    assert force.min() >= 0 and force.max() <= np.float32(3.3)
    assert force[:, 28:32, 0].mean() > force[:, :3, 0].mean() + 1  # thumb, mid-trial against the start


def test_bigger_objects_bend_fingers_less():
    large, _ = glove._grasp_of("large", "cube")
    small, _ = glove._grasp_of("small", "cube")
    assert (large < small).all()


def test_difficulty_spreads_trials():
    spread = [glove.generate(30, seed=0, difficulty=d)[0][:, 30, :].std(0).mean() for d in (0.0, 2.0)]
    assert spread[1] > spread[0]
