"""Waits of a process that is stopped meanwhile: the time of the stop does not count, any other does."""

from __future__ import annotations

import pytest

from tinyrig.core.deadlines import SLICE_S, awaited


class Stopped:
    """A clock and a look: time passes only in looks; `stops` are seconds that one of them takes longer. It is true
    once it has run for `ready_s`."""

    def __init__(self, ready_s: float, stops: dict[int, float]) -> None:
        self.now = self.ran = 0.0
        self.looks = 0
        self._ready_s, self._stops = ready_s, stops

    def look(self, seconds: float) -> bool:
        self.looks += 1
        step = min(seconds, max(0.0, self._ready_s - self.ran))
        self.ran += step
        self.now += step + self._stops.get(self.looks, 0.0)
        return self.ran >= self._ready_s


@pytest.mark.parametrize("stops", [{}, {1: 3600.0}, {2: 50.0, 4: 50.0}], ids=["none", "an hour", "twice"])
@pytest.mark.parametrize(("ready_s", "good"), [(0.0, True), (4.5, True), (5.5, False)])
def test_only_the_time_in_which_it_ran_counts(stops: dict[int, float], ready_s: float, good: bool) -> None:
    bench = Stopped(ready_s, stops)
    assert awaited(bench.look, 5.0, lambda: bench.now) is good
    assert bench.ran <= 5.0 + SLICE_S


def test_no_time_at_all_is_one_look() -> None:
    seen: list[float] = []
    assert not awaited(seen.append, 0.0) and seen == [0.0]


def test_a_look_that_does_not_wait_ends_too() -> None:
    assert not awaited(lambda _: False, 0.5)
