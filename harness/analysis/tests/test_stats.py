import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tinyrig.analysis import stats


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(counts):
    k, n = counts
    assert stats.wilson(k, n) == pytest.approx(tuple(binomtest(k, n).proportion_ci(method="wilson")), abs=1e-12)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_proportion_and_stays_a_probability(counts):
    k, n = counts
    lo, hi = stats.wilson(k, n)
    assert 0 <= lo <= k / n <= hi <= 1


def test_wilson_of_the_papers_simple_model():
    # 233 of 240; the bounds by hand from Wilson's formula with z = 1.959964.
    assert stats.wilson(233, 240) == pytest.approx((0.94104, 0.98582), abs=1e-4)


def test_wilson_without_trials_and_out_of_range():
    assert stats.wilson(0, 0) is None
    with pytest.raises(ValueError, match="5 successes of 4"):
        stats.wilson(5, 4)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=300))
def test_mcnemar_is_symmetric_and_agrees_with_scipy(pairs):
    a = [x for x, _ in pairs]
    b = [y for _, y in pairs]
    one, two = stats.mcnemar_exact(a, b), stats.mcnemar_exact(b, a)
    assert (one.only_first, one.only_second) == (two.only_second, two.only_first)
    assert one.p_value == pytest.approx(two.p_value)
    discordant = one.only_first + one.only_second
    expected = binomtest(one.only_first, discordant, 0.5).pvalue if discordant else 1.0
    assert one.p_value == pytest.approx(expected)


def test_mcnemar_by_hand():
    # 6 discordant pairs, all on one side: 2 * (1/2)^6.
    result = stats.mcnemar_exact([True] * 6 + [True] * 10, [False] * 6 + [True] * 10)
    assert (result.only_first, result.only_second, result.p_value) == (6, 0, pytest.approx(2 / 64))


def test_mcnemar_refuses_different_lengths():
    with pytest.raises(ValueError, match="paired"):
        stats.mcnemar_exact([True], [True, False])


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50), st.floats(0, 100))
def test_percentile_lies_within_the_values(values, q):
    assert min(values) <= stats.percentile(values, q) <= max(values)


def test_percentile_interpolates_and_refuses_nothing():
    assert stats.percentile([10, 20], 75) == 17.5
    assert stats.percentile(np.arange(101), 95) == 95
    with pytest.raises(ValueError, match="no values"):
        stats.percentile([], 50)


# ---- repetitions ----


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12).filter(lambda v: np.ptp(v) > 1e-3))
def test_mean_of_is_students_test_and_interval(values):
    from scipy.stats import t, ttest_1samp

    found, expected = stats.mean_of(values), ttest_1samp(values, 0)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-9)
    low, high = t.interval(0.95, len(values) - 1, np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values)))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert stats.mean_of(values, 0.25).p_value >= found.p_value


def test_mean_of_equal_values_is_certain():
    assert stats.mean_of([0.0] * 5) == stats.Mean(0, 0, 0, 1)
    assert stats.mean_of([0.1 + 0.2, 0.3, 0.3]).p_value == 0
    with pytest.raises(ValueError, match="1 values"):
        stats.mean_of([1.0])


def test_overlap_keeps_false_alarms_rare_where_plain_t_does_not():
    """Repetitions with mostly the same data are correlated; the corrected test must not call their noise a difference."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=400)[:, None] * 0.5
    draws = shared + rng.normal(size=(400, 10))
    plain = np.mean([stats.mean_of(d).p_value < 0.05 for d in draws])
    corrected = np.mean([stats.mean_of(d, 0.25).p_value < 0.05 for d in draws])
    assert plain > 0.15 and corrected < 0.07


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_stepwise_procedure_rejects(p_values):
    """Holm's own words: the smallest against alpha/m, the next against alpha/(m-1), ... until one does not fall below."""
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
            if p_values[i] * (len(p_values) - rank) > alpha:
                break
            rejected.add(i)
        assert {i for i, p in enumerate(stats.holm(p_values)) if p <= alpha} == rejected


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=60))
def test_spread_is_scipys_trimmed_mean_and_winsorised_deviation(values):
    from scipy.stats.mstats import trimmed_mean, winsorize

    found, ends = stats.spread(values), (stats.TRIM, stats.TRIM)
    assert found.centre == pytest.approx(float(trimmed_mean(values, ends)), rel=1e-12, abs=1e-9)
    g = len(values) - 1 - found.freedom
    winsorised = float(np.std(np.asarray(winsorize(np.array(values), ends)), ddof=1)) / (1 - g / len(values))
    assert found.scale == pytest.approx(min(winsorised, float(np.std(values, ddof=1))), rel=1e-12, abs=1e-9)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=7, max_size=7), min_size=1, max_size=5))
def test_spread_of_rows_is_the_spread_of_each(rows):
    together, each = stats.spread(rows), [stats.spread(row) for row in rows]
    assert np.allclose(together.centre, [s.centre for s in each], rtol=1e-12) and together.freedom == each[0].freedom
    assert np.allclose(together.scale, [s.scale for s in each], rtol=1e-12)
