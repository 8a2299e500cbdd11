"""A short version of bench/simulate_nights.py: the limits are those of the benchmark, widened for the fewer nights."""

from dataclasses import replace

import numpy as np

from bench import simulate_nights as nights
from bench.simulated_board import MIXED_SD, Board
from tinyrig.analysis.stats import Timer


def test_noise_of_real_boards_raises_no_alarm_and_one_percent_is_found():
    tally = nights.simulate(Board("", MIXED_SD, boards=20, nights=300), seed=1)
    # 6,000 nights at the 0.2 in 1,000 of the benchmark: 1.2 expected, 8 or more has probability 1e-4.
    assert tally.alarms < 8
    assert 20 < tally.reruns < 150
    assert tally.found[0] >= 0.985 * tally.found[1] > 400
    assert tally.at_limit[0] >= 0.98 * tally.at_limit[1] > 400


def test_a_coarse_timer_never_invents_a_change():
    for timer in (Timer(1000.0, True), Timer(1000.0, False)):
        tally = nights.simulate(Board("", MIXED_SD, samples=60, timer=timer, boards=20, nights=100), seed=2)
        assert tally.alarms <= 2
        assert tally.found[0] == 0  # 1 % of 4 ms can't be detected with 60 readings, and is not claimed


def test_enough_dithered_readings_find_one_percent_of_20_ms():
    board = replace(nights.ticking(20, nights.enough(20), Timer(1000.0, True)), boards=20, nights=60, earlier=20)
    tally = nights.simulate(board, seed=3)
    assert tally.found[0] >= 0.97 * tally.found[1]


def test_drift_is_found_within_weeks_and_not_where_there_is_none():
    board = Board("", 5e-4, boards=8, nights=150)
    alarms, _ = nights.false_drifts(board, seed=4)
    assert alarms <= 1
    found = nights.drift_nights(board, 2e-4, seed=5, limit=60)
    assert np.max(found) <= 20


def test_the_same_seed_gives_the_same_figures():
    board = Board("", 5e-4, boards=4, nights=30)
    assert nights.simulate(board, 9) == nights.simulate(board, 9)
    assert nights.share(2, 1000, 1000) == "2.000 (0.242-7.206)"
