"""A board's counter against the host's clock: a clock that was set up wrongly makes every latency wrong by the same factor.

A reading is taken before and after a round trip, so the counter was read at some moment between the two: of several readings the
one with the shortest round trip counts, as in NTP (RFC 5905, clock filter), and half of it is the most that it can be wrong by.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tinyrig.core.errors import LinkError
from tinyrig.core.records import MEASURED, BoardInfo, ClockCheck

WRAP = 1 << 32
LEAST_S = 2.0
"""Two readings so far apart, with round trips of 1 ms, know the clock to 500 ppm."""
READINGS = 8
"""At the start and at the end; the shortest round trip of them counts."""
SPOILT = 2
"""After so many failures the line is not tried again at that moment."""
UNTOLD = "the firmware does not report its counter"
EARLY_S = 0.25
"""The second reading comes so soon that a counter of up to 17 GHz has not wrapped; later ones go by the rate known then."""


@dataclass(frozen=True)
class Reading:
    """The counter was `cycles` at some moment between `before_s` and `after_s` of the host's monotonic clock."""

    before_s: float
    after_s: float
    cycles: int

    @property
    def at_s(self) -> float:
        return (self.before_s + self.after_s) / 2

    @property
    def half_s(self) -> float:
        """The most that `at_s` can be wrong by."""
        return (self.after_s - self.before_s) / 2


Read = Callable[[], Reading | None]
"""One round trip; None where the firmware does not know the request. Raises LinkError where nothing came back."""


class NoWatch:
    """For cycles that no clock makes."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def start(self) -> None:
        pass

    def between(self) -> None:
        pass

    def finish(self, wait: bool) -> ClockCheck:
        return ClockCheck(None, None, 0.0, self._reason)


class ClockWatch:
    """Readings of one board's counter while something else happens: call `between` at moments that do not matter.

    clock_hz, timer_hz: what the counter is said to count, and its real steps. A reading that the line spoils is left out: what
    is under way will find out why.
    """

    def __init__(
        self,
        read: Read,
        clock_hz: int,
        timer_hz: int = 0,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._read, self._clock_hz, self._timer_hz, self._now, self._sleep = read, clock_hz, timer_hz or clock_hz, now, sleep
        self._readings: list[Reading] = []
        self._silent = False  # the firmware does not know the request

    @property
    def _gap_s(self) -> float:
        """Until the next reading: a quarter of a turn of the counter, as fast as it was seen to be."""
        seen = [s for s in _stretches(self._readings[:2], self._clock_hz)]
        fastest = max([self._clock_hz, *(cycles / (last.at_s - first.at_s) for first, last, cycles in seen)])
        return WRAP / fastest / 4 if seen else min(EARLY_S, WRAP / fastest / 4)

    def start(self) -> None:
        self._take(READINGS)

    def between(self) -> None:
        """Takes a reading when it is time."""
        if self._readings and not self._silent and self._now() - self._readings[-1].after_s >= self._gap_s:
            self._take(1)

    def finish(self, wait: bool) -> ClockCheck:
        """`wait`: until the readings are LEAST_S apart."""
        while wait and not self._silent and self._readings and (left := self._readings[0].at_s + LEAST_S - self._now()) > 0:
            self._sleep(min(left, self._gap_s))
            self.between()
        if self._readings:
            self._take(READINGS)
        return check(self._readings, self._clock_hz, self._timer_hz, UNTOLD if self._silent else "")

    def _take(self, count: int) -> None:
        found: list[Reading] = []
        for left in range(count, 0, -1):
            try:
                reading = self._read()
            except LinkError:
                if count - left - len(found) >= SPOILT:
                    break
                continue
            if reading is None:
                self._silent = True
                return
            found.append(reading)
        self._readings += [min(found, key=lambda reading: reading.half_s)] if found else []


def clock_watch(read: Read, board: BoardInfo) -> ClockWatch | NoWatch:
    """What watches this board's counter."""
    if board.timing != MEASURED:
        return NoWatch(f"{board.timing}: nothing to check")
    return ClockWatch(read, board.clock_hz, board.timer_hz or 0)


def check(readings: Sequence[Reading], clock_hz: int, timer_hz: int, why_not: str = "") -> ClockCheck:
    """The longest stretch of readings whose turns of the counter are known; `why_not` is the reason if there is none. Pure."""
    first, last, cycles = max(_stretches(readings, clock_hz), key=lambda s: s[1].at_s - s[0].at_s, default=(None, None, 0))
    if first is None or last is None or (seconds := last.at_s - first.at_s) <= 0:
        return ClockCheck(None, None, 0.0, why_not or "fewer than two readings of the counter arrived")
    ratio = cycles / seconds / clock_hz
    # The true span lies within `unsure` of `seconds`; one step of a coarse timer may be missing or too many.
    unsure = min(first.half_s + last.half_s, 0.999 * seconds)
    error = ratio * unsure / (seconds - unsure) + 1 / timer_hz / (seconds - unsure)
    return ClockCheck(1e6 * (ratio - 1), 1e6 * error, seconds)


def _stretches(readings: Sequence[Reading], clock_hz: int) -> Iterable[tuple[Reading, Reading, int]]:
    """(first, last, cycles between them) of readings that lie close enough for their turns to be counted."""
    first, total, rate = None, 0, float(clock_hz)
    for before, after in pairwise(readings):
        seconds = after.at_s - before.at_s
        if seconds <= 0 or seconds * max(rate, clock_hz) > WRAP / 2:
            first = None
            continue
        first, total = (before, 0) if first is None else (first, total)
        total += _turned((after.cycles - before.cycles) % WRAP, rate * seconds)
        rate = total / (after.at_s - first.at_s)
        yield first, after, total


def _turned(cycles: int, expected: float) -> int:
    """`cycles` with as many whole turns as bring it next to `expected`."""
    return cycles + WRAP * max(0, round((expected - cycles) / WRAP))
