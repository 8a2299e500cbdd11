import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrig.analysis import drift
from tinyrig.analysis.stats import Timer
from tinyrig.analysis.verdicts import Baseline, Tonight, judge_drift
from tinyrig.core.records import VerdictStatus

METRIC = "latency_us_median"
seeds = st.integers(0, 2**32 - 1)


def history(seed, nights=60, sd=0.5, level=1000.0):
    return level + sd * np.random.default_rng(seed).standard_normal(nights)


def judged(values, *tonight, **more):
    return judge_drift(Baseline(METRIC, tuple(values), {}), Tonight(tonight, {}, **more))


@given(seeds, st.integers(5, 40), st.integers(5, 40), st.booleans())
@settings(deadline=None)
def test_a_step_is_found_where_it_is(seed, before, after, up):
    values = history(seed, before + after)
    values[before:] += 10 if up else -10
    found = drift.find(values)
    # Values are cut at 3 deviations from the median: stray neighbours of the step may fall to its other side, three in a row in
    # one of some thousand histories.
    assert abs(found.nights - after) <= 4
    assert found.change == pytest.approx(10 if up else -10, abs=5)


@given(seeds, st.integers(-20, 20))
@settings(deadline=None, max_examples=50)
def test_units_and_signs_do_not_matter(seed, power):
    values = history(seed)
    values[40:] += 2
    one, other = drift.find(values), drift.find(values * 2.0**power)
    assert other.nights == one.nights
    assert other.change == one.change * 2.0**power
    mirrored = drift.find(-values)
    assert (mirrored.nights, mirrored.change) == (one.nights, pytest.approx(-one.change))


@given(seeds, st.integers(0, 59), st.floats(-1e6, 1e6))
@settings(deadline=None, max_examples=60)
def test_a_single_wild_night_is_no_change_of_level(seed, where, size):
    values = history(seed)
    values[where] += size
    assert drift.find(values).nights == 0


@given(st.floats(-1e9, 1e9), st.integers(0, 200))
@settings(deadline=None)
def test_equal_nights_have_one_level(value, nights):
    found = drift.find([value] * nights)
    assert found.nights == 0
    assert not nights or found.change == 0


def test_a_bump_that_is_over_is_no_drift_and_one_that_lasts_is():
    values = history(1, 80)
    values[30:45] += 10
    assert judged(values, 1000.0).status == VerdictStatus.SAME
    assert judged([*values, *[1010.0] * 12], 1010.0, 1010.0).status == VerdictStatus.WORSE


def test_a_step_without_any_noise_is_found():
    assert drift.find([5.0] * 10 + [6.0] * 6).nights == 6


def test_a_slow_drift_is_found_and_confirmed_before_it_is_an_alarm():
    values = history(3, 100)
    ramp = np.maximum(0, np.arange(100) - 69) * 0.2  # 0.02 % a night for 30 nights
    once = judged(values + ramp, 1006.0)
    assert (once.status, once.needs_confirmation, once.moved) == (VerdictStatus.WORSE, True, False)
    twice = judged(values + ramp, 1006.0, 1005.8)
    assert (twice.status, twice.moved) == (VerdictStatus.WORSE, True)
    assert 0 < twice.drift_nights <= 30
    assert judged(values - ramp, 994.0, 994.0).status == VerdictStatus.BETTER


def test_a_drift_below_the_least_change_of_interest_is_none():
    values = np.r_[[1000.0] * 30, [1000.5] * 30]
    assert judged(values, 1000.5).status == VerdictStatus.SAME
    assert judged(np.r_[[1000.0] * 30, [1001.5] * 30], 1001.5).status == VerdictStatus.WORSE


def test_a_step_of_one_locked_tick_is_none():
    values = np.r_[[4000.0] * 30, [5000.0] * 30]
    assert judged(values, 5000.0, timer=Timer(1000.0)).status == VerdictStatus.SAME
    assert judged(values + np.r_[[0.0] * 30, [1000.0] * 30], 6000.0, timer=Timer(1000.0)).status == VerdictStatus.WORSE


def test_few_nights_no_value_and_other_metadata_are_said():
    assert "9 nights since" in judged([1000.0] * 8, 1000.0).reason
    assert judged([1000.0] * 8, 1000.0).status == VerdictStatus.NOT_COMPARABLE
    assert judged([1000.0] * 30, None).status == VerdictStatus.NOT_MEASURED
    other = judge_drift(Baseline(METRIC, (1.0,) * 30, {"clock_hz": 1}), Tonight((1.0,), {"clock_hz": 2}))
    assert (other.status, other.reason) == (VerdictStatus.NOT_COMPARABLE, "clock_hz: 1 in the baseline, 2 tonight")


def test_the_search_agrees_with_the_best_split_by_hand():
    values = history(5, 40)
    values[25:] += 1.5
    z = np.clip((values - np.median(values)) / drift.noise(values), -3, 3)
    gain = [
        np.sum((z - z.mean()) ** 2) - np.sum((z[:i] - z[:i].mean()) ** 2) - np.sum((z[i:] - z[i:].mean()) ** 2)
        for i in range(5, 36)
    ]
    best = 5 + int(np.argmax(gain))
    assert drift.find(values, penalty=max(gain) - 1e-6).nights == 40 - best
    assert drift.find(values, penalty=max(gain) + 30).nights == 0
