"""Sizes of pieces and deadlines, as pure functions of what the line has shown."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tinyrig.link.pacing import FLOOR_S, GROW_AFTER, SMALLEST_PIECE, Deadlines, Pace


@given(st.integers(1, 70000), st.lists(st.booleans(), max_size=200))
def test_size_stays_within_its_bounds(full, passed):
    pace = Pace(full)
    for good in passed:
        if good:
            pace.passed(pace.size)
        else:
            pace.failed()
        assert min(full, SMALLEST_PIECE) <= pace.size <= full


def test_size_comes_back_on_a_clean_line():
    pace = Pace(8260)
    for _ in range(20):
        pace.failed()
    assert pace.size == SMALLEST_PIECE and not pace.is_full
    for _ in range(8 * GROW_AFTER):
        pace.passed(pace.size)
    assert pace.is_full


def test_small_pieces_prove_nothing_for_large_ones():
    pace = Pace(8260)
    pace.failed()
    for _ in range(GROW_AFTER):
        pace.passed(20)
    assert pace.size == 4130


def test_size_settles_where_pieces_pass():
    """At four kinds of 1e-4 a byte."""
    pace, rng, sent, lost = Pace(8260), random.Random(0), 0, 0
    for _ in range(3000):
        if rng.random() < 1 - (1 - 4e-4) ** (pace.size + 52):
            lost += 1
            pace.failed()
        else:
            sent += pace.size
            pace.passed(pace.size)
    assert lost / 3000 < 0.25 and sent / (3000 - lost) > 150


@given(st.lists(st.tuples(st.integers(40, 9000), st.floats(1e-4, 2.0), st.booleans()), max_size=60), st.integers(0, 20))
def test_deadline_stays_within_its_bounds(answers, tried):
    deadlines = Deadlines()
    for n, seconds, in_time in answers:
        if in_time:
            deadlines.answered(n, seconds)
        else:
            deadlines.passed_by()
    assert FLOOR_S <= deadlines.deadline_s(100, tried, 0.5) <= 0.5


def test_deadline_is_the_callers_until_something_was_timed_and_doubles_with_tries():
    deadlines = Deadlines()
    assert deadlines.deadline_s(52, 0, 9.0) == 9.0
    deadlines.answered(52, 0.01)
    first = deadlines.deadline_s(52, 0, 9.0)
    assert FLOOR_S + 0.01 < first < 0.2
    assert [deadlines.deadline_s(52, n, 9.0) for n in (1, 2, 20)] == [2 * first, 4 * first, 9.0]


def test_a_bad_line_can_not_feed_the_deadline_for_ever():
    """Every fifth request timing out, at a constant speed."""
    deadlines = Deadlines()
    for n in range(500):
        deadlines.answered(52, 0.001)
        if n % 5 == 0:
            deadlines.passed_by()
    assert deadlines.deadline_s(52, 0, 9.0) < 2 * FLOOR_S


def test_small_frames_on_a_slow_line_leave_room_for_a_large_one():
    """115200 baud, 10 bits a byte, 1 ms of latency."""
    deadlines = Deadlines()
    for _ in range(99):
        deadlines.answered(52, 52 / 11520 + 0.001)
    assert deadlines.deadline_s(8300, 0, 9.0) > 1.5 * 8300 / 11520
