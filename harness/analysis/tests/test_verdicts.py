from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tinyrig.analysis import metric_table, outputs, provenance, stats, verdicts
from tinyrig.analysis.stats import Timer
from tinyrig.analysis.verdicts import (
    EXACT,
    GATES,
    NOISY,
    PAIRED,
    Baseline,
    Policy,
    Tonight,
    judge,
    judge_drift,
    judge_with_reruns,
)
from tinyrig.core.records import VerdictStatus
from tinyrig.tests.fake_runs import make_variant_run

META = {"board": "nano33ble", "clock_hz": 64_000_000}
LATENCY = "latency_us_median"

runs = st.lists(st.integers(990_000, 1_010_000), min_size=10, max_size=30)
readings = st.integers(900_000, 1_100_000)


def noisy(values, *tonight, metric=LATENCY, **more):
    return judge(Baseline(metric, tuple(values), META), Tonight(tonight, META, **more), NOISY)


def clear_of_the_threshold(judgement):
    """Rounding decides on the threshold itself; the properties hold beside it."""
    return abs(abs(judgement.difference) - judgement.threshold) > 1e-6 * judgement.threshold


# ---- noisy metrics ----


@given(runs, readings, st.integers(-30, 30))
@settings(deadline=None)
def test_a_unit_does_not_matter(values, tonight, power):
    unit = 2.0**power
    one = noisy(values, tonight)
    other = noisy([v * unit for v in values], tonight * unit)
    assert (one.status, one.difference_percent, one.p_value) == (other.status, other.difference_percent, other.p_value)
    assert other.threshold == one.threshold * unit


@given(runs, readings, st.floats(0.1, 1e6))
@settings(deadline=None)
def test_a_unit_does_not_matter_with_ticks(values, tonight, unit):
    for timer in (Timer(1000.0), Timer(1000.0, True)):
        one = noisy(values, tonight, samples=30, timer=timer)
        other = noisy([v * unit for v in values], tonight * unit, samples=30, timer=Timer(1000 * unit, timer.random_phase))
        assume(clear_of_the_threshold(one))
        assert one.status == other.status
        assert other.threshold == pytest.approx(one.threshold * unit)


@given(runs, readings)
@settings(deadline=None)
def test_up_mirrors_down(values, tonight):
    up, down = noisy(values, tonight), noisy([-v for v in values], -tonight)
    assume(clear_of_the_threshold(up))
    assert down.difference == pytest.approx(-up.difference)
    assert down.threshold == pytest.approx(up.threshold)
    assert (
        down.status
        == {
            VerdictStatus.BETTER: VerdictStatus.WORSE,
            VerdictStatus.WORSE: VerdictStatus.BETTER,
            VerdictStatus.SAME: VerdictStatus.SAME,
        }[up.status]
    )


@given(runs, st.lists(readings, min_size=2, max_size=6))
@settings(deadline=None)
def test_a_larger_latency_is_never_judged_better_than_a_smaller_one(values, tonight):
    order = [VerdictStatus.BETTER, VerdictStatus.SAME, VerdictStatus.WORSE]
    judged = [noisy(values, t) for t in sorted(tonight)]
    ranks = [order.index(j.status) for j in judged]
    assert ranks == sorted(ranks)
    by_distance = sorted(judged, key=lambda j: abs(j.difference))
    assert [j.p_value for j in by_distance] == sorted((j.p_value for j in by_distance), reverse=True)


@given(runs, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_the_earlier_runs_does_not_matter(values, random):
    values = values[:20]
    other = values.copy()
    random.shuffle(other)
    assert noisy(values, 1_000_000) == noisy(other, 1_000_000)


@given(st.floats(1e-3, 1e9), st.integers(10, 40), st.integers(1, 5))
@settings(deadline=None)
def test_identical_data_never_alarms(value, earlier, tonight):
    judgement = noisy([value] * earlier, *[value] * tonight)
    assert (judgement.status, judgement.difference, judgement.p_value) == (VerdictStatus.SAME, 0.0, 1.0)
    assert not judgement.needs_confirmation and not judgement.moved
    drifted = judge_drift(Baseline(LATENCY, (value,) * earlier, META), Tonight((value,), META))
    assert drifted.status in (VerdictStatus.SAME, VerdictStatus.NOT_COMPARABLE)


@given(st.lists(st.integers(999_000, 1_001_000), min_size=20, max_size=20), st.lists(st.integers(1, 10**9), max_size=3))
@settings(deadline=None)
def test_three_wild_earlier_runs_move_neither_centre_nor_threshold_beyond_the_others(clean, wild):
    judgement = noisy([*clean[len(wild) :], *wild], 1_000_000)
    kept = clean[len(wild) :]
    assert min(kept) <= judgement.baseline <= max(kept)
    # Winsorised values lie among the clean ones: the scale is at most their range times 0.52 / 0.7.
    assert judgement.threshold <= max(1e-3 * judgement.baseline, 5.0 * (max(kept) - min(kept)))


@given(runs, readings)
@settings(deadline=None)
def test_an_alarm_lies_beyond_the_threshold_and_is_unlikely(values, tonight):
    judgement = noisy(values, tonight)
    assert (judgement.status != VerdictStatus.SAME) == (abs(judgement.difference) > judgement.threshold)
    assert judgement.threshold >= 1e-3 * judgement.baseline - 1e-6
    assert judgement.detectable >= judgement.threshold
    assert judgement.status == VerdictStatus.SAME or judgement.p_value <= Policy().alpha * 1.001
    assert judgement.needs_confirmation == (judgement.status != VerdictStatus.SAME)


def test_the_threshold_by_hand():
    # 20 runs at 1000 +- 1 (ten each): trimmed mean 1000, plain deviation sqrt(20/19), Student's t with 13 degrees 4.5975.
    judgement = noisy([999.0, 1001.0] * 10, 1004.0)
    assert judgement.threshold == pytest.approx(4.5975 * np.sqrt(20 / 19) * np.sqrt(21 / 20), rel=1e-4)
    assert (judgement.status, judgement.baseline, judgement.difference) == (VerdictStatus.SAME, 1000.0, 4.0)
    assert noisy([999.0, 1001.0] * 10, 1005.0).status == VerdictStatus.WORSE


def test_only_the_last_runs_count():
    assert noisy([5.0] * 50 + [1000.0] * 20, 1000.0).status == VerdictStatus.SAME
    assert noisy([1000.0] * 50 + [5.0] * 20, 1000.0).status == VerdictStatus.WORSE


def test_a_metric_where_more_is_better_turns_the_verdict_around():
    assert noisy([0.9] * 10, 0.8, metric="host_accuracy").status == VerdictStatus.WORSE
    assert noisy([0.9] * 10, 0.95, metric="host_accuracy").status == VerdictStatus.BETTER
    assert noisy([0.9] * 10, 0.95, metric="made up").status == VerdictStatus.CHANGED


def test_few_earlier_runs_are_no_baseline():
    judgement = noisy([1000.0] * 9, 2000.0)
    assert judgement.status == VerdictStatus.NOT_COMPARABLE
    assert "9 accepted runs, 10 are needed" in judgement.reason


# ---- the timer ----


def test_a_locked_tick_hides_less_than_two_readings():
    coarse = Timer(1000.0)
    assert noisy([4000.0] * 20, 5000.0, timer=coarse).status == VerdictStatus.SAME
    assert noisy([4000.0] * 20, 6000.0, timer=coarse).status == VerdictStatus.WORSE
    assert noisy([4000.0] * 20, 5000.0, timer=Timer(1.0)).status == VerdictStatus.WORSE


@given(st.floats(2.0, 50.0), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_a_random_phase_resolves_parts_of_a_tick(latency, seed):
    rng = np.random.default_rng(seed)
    samples = np.floor(latency + rng.random((40, 400)))
    samples[:, :4] *= 30  # interruptions
    values = stats.location(samples, Timer(1.0, True))
    # The mean of 40 runs of 396 readings, each off by at most half a tick in standard deviation: 5 deviations.
    assert np.mean(values) == pytest.approx(latency, abs=5 * 0.5 / np.sqrt(40 * 396))
    assert set(stats.location(samples, Timer(1.0)) - np.floor(latency)) <= {0.0, 0.5, 1.0}


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=60), st.floats(0, 100), st.booleans())
@settings(deadline=None)
def test_a_location_lies_among_the_samples(samples, tick, random_phase):
    value = float(stats.location(samples, Timer(tick, random_phase)))
    assert min(samples) * (1 - 1e-12) <= value <= max(samples) * (1 + 1e-12)


def test_samples_needed_follow_the_square_of_tick_over_latency():
    few, many = verdicts.samples_needed(40, 1, 0.01), verdicts.samples_needed(4, 1, 0.01)
    assert many == pytest.approx(100 * few, rel=0.02)
    assert verdicts.samples_needed(4, 1, 0.01, noise=8e-4) > many
    assert verdicts.samples_needed(4, 1, 0.01, noise=2e-3) is None


# ---- confirmation ----


@pytest.mark.parametrize("votes", [1, 2, 3])
def test_a_vote_ends_needs_its_majority_and_mirrors(votes):
    for sides in product((-1, 0, 1), repeat=2 * votes - 1):
        ends = [n for n in range(1, len(sides) + 1) if verdicts.vote(sides[:n], votes)[1]]
        assert ends
        result, _ = verdicts.vote(sides[: ends[0]], votes)
        if sides[0] == 0:
            assert (ends[0], result) == (1, 0)
        if result:
            assert sides[: ends[0]].count(result) == votes
        assert verdicts.vote([-s for s in sides[: ends[0]]], votes) == (-result, True)


def rerunner(*values):
    left = list(values)

    def rerun():
        return Tonight((left.pop(0),), META)

    return rerun, left


@pytest.mark.parametrize(
    ("first", "reruns", "left", "status"),
    [
        (1000.0, [], 0, VerdictStatus.SAME),
        (1050.0, [1049.0, 9.0], 1, VerdictStatus.WORSE),
        (1050.0, [1000.0, 1000.0], 0, VerdictStatus.SAME),
        (1050.0, [1000.0, 1051.0], 0, VerdictStatus.WORSE),
        (1050.0, [950.0, 1000.0], 0, VerdictStatus.SAME),
        (950.0, [951.0], 0, VerdictStatus.BETTER),
    ],
)
def test_nothing_is_an_alarm_until_two_runs_agree(first, reruns, left, status):
    rerun, rest = rerunner(*reruns)
    judgement = judge_with_reruns(Baseline(LATENCY, (1000.0,) * 20, META), Tonight((first,), META), NOISY, rerun)
    assert (judgement.status, judgement.needs_confirmation, len(rest)) == (status, False, left)
    assert judgement.runs == 1 + len(reruns) - left
    assert judgement.moved == (status != VerdictStatus.SAME)
    assert (judgement.rank_p_value is None) == (judgement.runs == 1)


def test_a_rerun_that_fails_is_no_regression():
    def rerun():
        return Tonight((None,), META, why_not="the board did not answer")

    judgement = judge_with_reruns(Baseline(LATENCY, (1000.0,) * 20, META), Tonight((1050.0,), META), NOISY, rerun)
    assert (judgement.status, judgement.reason) == (VerdictStatus.NOT_MEASURED, "the board did not answer")


def test_a_rerun_under_other_conditions_is_not_comparable():
    def rerun():
        return Tonight((1050.0,), META | {"clock_hz": 32_000_000})

    judgement = judge_with_reruns(Baseline(LATENCY, (1000.0,) * 20, META), Tonight((1050.0,), META), NOISY, rerun)
    assert judgement.status == VerdictStatus.NOT_COMPARABLE


def test_the_rank_test_agrees_with_the_count_of_orders():
    # 3 runs above all of 20 others: 2 of C(23, 3) = 1771 orders.
    earlier = np.arange(20.0)
    assert verdicts.rank_p_value(earlier, np.array([30.0, 31.0, 32.0])) == pytest.approx(2 / 1771)
    assert verdicts.rank_p_value(earlier, np.array([30.0])) is None


# ---- exact metrics ----


@given(st.integers(0, 10**6), st.integers(0, 10**6))
@settings(deadline=None)
def test_exact_metrics_gate_on_any_difference(before, now):
    judgement = judge(Baseline("ram_arena", (7, before), META), Tonight((now,), META), EXACT)
    assert judgement.status == (
        VerdictStatus.SAME if now == before else VerdictStatus.BETTER if now < before else VerdictStatus.WORSE
    )
    assert (judgement.difference, judgement.p_value, judgement.needs_confirmation) == (now - before, None, False)


def test_output_hashes_and_the_rigs_own_memory_change_without_direction():
    first = make_variant_run("pqt")
    samples = (replace(first.samples[0], outputs=bytes(len(first.samples[0].outputs))), *first.samples[1:])
    one, two = outputs.outputs_hash(first), outputs.outputs_hash(replace(first, samples=samples))
    again = outputs.outputs_hash(replace(first, samples=tuple(reversed(first.samples))))
    assert one == again != two
    assert judge(Baseline("outputs", (one,), META), Tonight((again,), META), EXACT).status == VerdictStatus.SAME
    judgement = judge(Baseline("outputs", (one,), META), Tonight((two,), META), EXACT)
    assert (judgement.status, judgement.difference) == (VerdictStatus.CHANGED, None)
    assert judge(Baseline("flash_rig", (5,), META), Tonight((6,), META), EXACT).status == VerdictStatus.CHANGED


def test_exact_values_must_agree_within_a_night():
    judgement = judge(Baseline("latency_us_median", (5.0,), META), Tonight((5.0, 5.5, 5.0), META), EXACT)
    assert judgement.status == VerdictStatus.CHANGED and "values differ between the runs of one night" in judgement.reason


def test_estimated_cycles_are_exact_and_measured_ones_noisy():
    assert verdicts.gate(LATENCY, "estimated") == EXACT
    assert verdicts.gate(LATENCY, "measured") == NOISY
    assert verdicts.gate("flash_total", "measured") == EXACT
    assert verdicts.gate("accuracy", "estimated") == PAIRED
    assert verdicts.gate("latency_us_max", "measured") is None
    assert set(GATES) - {verdicts.OUTPUTS} <= set(metric_table.METRICS)


# ---- accuracy ----


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200))
@settings(deadline=None)
def test_accuracy_is_judged_by_mcnemar(pairs):
    before, now = (tuple(side) for side in zip(*pairs, strict=True))
    judgement = judge(Baseline("accuracy", (before,), META), Tonight((now,), META), PAIRED)
    test = stats.mcnemar_exact(before, now)
    assert judgement.p_value == test.p_value
    assert judgement.difference == pytest.approx(np.mean(now) - np.mean(before), abs=1e-12)
    expected = (
        VerdictStatus.SAME if test.p_value > 1e-3 else VerdictStatus.WORSE if judgement.difference < 0 else VerdictStatus.BETTER
    )
    assert judgement.status == expected


@given(st.integers(0, 400), st.sampled_from([0.05, 0.01, 0.001, 1e-6]))
@settings(deadline=None)
def test_the_least_significant_net_change_is_the_least(against, alpha):
    from scipy.stats import binomtest

    net = stats.mcnemar_least(against, alpha)
    assert binomtest(against, 2 * against + net, 0.5).pvalue <= alpha
    assert net == 0 or binomtest(against, 2 * against + net - 1, 0.5).pvalue > alpha


def test_eleven_lost_windows_are_the_least_to_find_and_hits_come_from_the_run():
    run = make_variant_run("simple")
    before = verdicts.hits(run)
    assert len(before) == 240 and sum(before) == 236
    for lost, status in ((10, VerdictStatus.SAME), (11, VerdictStatus.WORSE)):
        now = (False,) * lost + before[lost:]
        judgement = judge(Baseline("accuracy", (before,), META), Tonight((now,), META), PAIRED)
        assert (judgement.status, judgement.reason) == (status, f"{lost} windows lost, 0 won")
        assert judgement.detectable == pytest.approx(11 / 240)
    assert verdicts.hits(make_variant_run(labels=None)) is None


def test_other_windows_are_not_comparable():
    judgement = judge(Baseline("accuracy", ((True,) * 5,), META), Tonight(((True,) * 4,), META), PAIRED)
    assert (judgement.status, judgement.reason) == (VerdictStatus.NOT_COMPARABLE, "windows: 5 in the baseline, 4 tonight")


# ---- comparability ----


@pytest.mark.parametrize("kind", [EXACT, NOISY, PAIRED])
def test_other_metadata_are_named_and_never_compared(kind):
    one, two = provenance.checked_metadata(make_variant_run()), provenance.checked_metadata(make_variant_run())
    two["compiler"] = "arm-none-eabi-gcc 13.1"
    judgement = judge(Baseline(LATENCY, (1.0,) * 20, one), Tonight((2.0,), two), kind)
    assert judgement.status == VerdictStatus.NOT_COMPARABLE
    assert judgement.reason == "compiler: 'arm-none-eabi-gcc 12.2.1' in the baseline, 'arm-none-eabi-gcc 13.1' tonight"
    assert (judgement.difference, judgement.moved) == (None, False)


@pytest.mark.parametrize("kind", [EXACT, NOISY, PAIRED])
def test_no_value_and_no_baseline_are_said(kind):
    none = judge(Baseline(LATENCY, (1.0,) * 20, META), Tonight((None,), META, why_not="parity failed"), kind)
    assert (none.status, none.reason) == (VerdictStatus.NOT_MEASURED, "parity failed")
    first = judge(Baseline(LATENCY, (), {}), Tonight((1.0,), META), kind)
    assert (first.status, first.reason) == (VerdictStatus.NOT_COMPARABLE, "no accepted run yet")


def test_an_unknown_kind_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="not 'fuzzy'"):
        judge(Baseline(LATENCY, (1.0,), META), Tonight((1.0,), META), "fuzzy")


# ---- spread ----


@given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=40))
@settings(deadline=None)
def test_spread_agrees_with_scipy(values):
    from scipy.stats import trim_mean
    from scipy.stats.mstats import trimmed_stde

    got, k = stats.spread(values), len(values)
    assert got.centre == pytest.approx(trim_mean(values, stats.TRIM), abs=1e-9)
    g = int(stats.TRIM * k)
    stde = trimmed_stde(np.asarray(values, float), (g / k + 1e-9, g / k + 1e-9))
    assert got.scale == pytest.approx(min(stde * np.sqrt(k), np.std(values, ddof=1)), abs=1e-6, rel=1e-6)


def test_spread_of_rows_is_the_rows_spread_and_two_values_have_none():
    rows = np.random.default_rng(1).normal(size=(4, 12))
    whole = stats.spread(rows)
    for i, row in enumerate(rows):
        one = stats.spread(row)
        assert (float(whole.centre[i]), float(whole.scale[i])) == (float(one.centre), float(one.scale))
    with pytest.raises(ValueError, match="spread of 2"):
        stats.spread([1.0, 2.0])
