"""Readings of a counter whose truth is known, over lines of any slowness; and of the real firmware."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.analysis.provenance import clock_json, clock_off, clock_text, clock_warning
from tinyrig.core.errors import DeviceError, LinkError
from tinyrig.core.records import ESTIMATED, MEASURED, BoardInfo, ClockCheck
from tinyrig.link import wire
from tinyrig.link.clock_check import LEAST_S, READINGS, UNTOLD, WRAP, ClockWatch, NoWatch, Reading, check, clock_watch
from tinyrig.link.session import Session
from tinyrig.link.wire import Status, Type
from tinyrig.tests.damaging_link import DamagingLink, RewritingLink, lose
from tinyrig.tests.host_board import HostBoard

MHZ64 = 64_000_000
TOY = "tests/toy_int8.c"


class Bench:
    """Simulated time and a board whose counter runs at `hz` from anywhere; each way takes up to `slowest_s`, at random."""

    def __init__(self, hz: float, slowest_s: float = 1e-3, seed: int = 0, step: int = 1) -> None:
        self.now_s, self.hz, self.slowest_s, self.step = 1000.0, hz, slowest_s, step
        self.random = random.Random(seed)
        self.start = self.random.randrange(WRAP)
        self.reads = 0
        self.spoilt = 0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def read(self) -> Reading:
        self.reads += 1
        before = self.now_s
        self.now_s += self.random.uniform(0, self.slowest_s)
        if self.spoilt:
            self.spoilt -= 1
            raise LinkError("lost")
        cycles = (self.start + int((self.now_s - 1000.0) * self.hz) // self.step * self.step) % WRAP
        self.now_s += self.random.uniform(0, self.slowest_s)
        return Reading(before, self.now_s, cycles)

    def watch(self, clock_hz: int, timer_hz: int = 0) -> ClockWatch:
        return ClockWatch(self.read, clock_hz, timer_hz, lambda: self.now_s, self.sleep)

    def stream(self, watch: ClockWatch, seconds: float, each_s: float, wait: bool = False) -> ClockCheck:
        """Inferences of `each_s` for so long."""
        watch.start()
        until = self.now_s + seconds
        while self.now_s < until:
            self.sleep(each_s)
            watch.between()
        return watch.finish(wait)


def truth(hz: float, clock_hz: int) -> float:
    return 1e6 * (hz / clock_hz - 1)


@given(
    st.sampled_from([MHZ64, 84_000_000, 16_000_000, 1_000_000_000]),
    st.floats(0.05, 6.0),
    st.floats(0.0, 400.0),
    st.floats(1e-3, 1.0),
    st.floats(1e-6, 0.05),
    st.integers(0, 2**32),
)
def test_the_truth_lies_within_the_bound(clock_hz, factor, seconds, each, slowest, seed):
    """Whatever the clock really is, also over many turns of the counter."""
    bench = Bench(clock_hz * factor, slowest, seed)
    each_s = min(each, WRAP / clock_hz / 40)
    found = bench.stream(bench.watch(clock_hz), min(seconds, 2000 * each_s), each_s)
    if found.ppm is not None:
        # Floats of some 1000 s resolve 1e-13 s.
        assert abs(found.ppm - truth(bench.hz, clock_hz)) <= found.ppm_error + 1e-3


@pytest.mark.parametrize("factor", [0.25, 0.5, 0.98, 1.02, 84 / 16, 4])
def test_a_wrong_clock_is_found_over_a_night_of_streaming(factor):
    bench = Bench(16_000_000 * factor)
    found = bench.stream(bench.watch(16_000_000), 900.0, 0.3)
    assert clock_off(found) is True and clock_warning(found)
    assert found.seconds > 890 and abs(found.ppm - truth(bench.hz, 16_000_000)) < 5


def test_a_good_clock_is_known_to_some_ppm_and_costs_few_requests():
    bench = Bench(MHZ64 * 1.00002)
    found = bench.stream(bench.watch(MHZ64), 60.0, 0.05)
    assert abs(found.ppm - 20) <= found.ppm_error < 40 and clock_off(found) is False
    assert clock_warning(found) is None
    assert bench.reads <= 2 * READINGS + 60 / 16 + 2


def test_a_short_run_waits_once_until_it_can_tell():
    bench = Bench(MHZ64)
    before = bench.now_s
    assert bench.stream(bench.watch(MHZ64), 0.1, 0.01, wait=True).seconds >= LEAST_S
    assert bench.now_s - before < LEAST_S + 0.1
    short = bench.stream(bench.watch(MHZ64), 0.01, 0.01)
    assert short.seconds < 0.2 and clock_off(short) is None
    assert "too short or the line too slow" in clock_text(short) and clock_warning(short) is None


def test_a_coarse_timer_widens_the_bound():
    """Steps of 1 ms, in cycles."""
    bench = Bench(MHZ64, 1e-5, step=64_000)
    found = bench.stream(bench.watch(MHZ64, 1000), 0.05, 0.01, wait=True)
    assert abs(found.ppm) <= found.ppm_error and 450 < found.ppm_error < 600


def test_of_inferences_longer_than_a_turn_only_what_is_known_counts():
    """The moment between the last one and the end: not the 280 s, whose turns nobody has counted."""
    bench = Bench(MHZ64 * 1.5)
    found = bench.stream(bench.watch(MHZ64), 280.0, 70.0)
    assert found.seconds < 0.1 and abs(found.ppm - 500_000) <= found.ppm_error


@given(st.floats(0.5, 300.0), st.floats(0, 1), st.floats(0.05, 0.95), st.integers(0, 2**32))
def test_a_host_that_was_stopped_takes_no_pause_for_a_slow_or_fast_clock(pause_s, at, ways, seed):
    """Ctrl-Z while a reading is under way, at any moment of the run: before the board has read its counter, or after."""
    bench = Bench(MHZ64, seed=seed)
    taken = bench.read

    def read():
        if bench.reads != READINGS + int(at * 8):
            return taken()
        bench.sleep(ways * pause_s)
        found = taken()
        bench.sleep((1 - ways) * pause_s)
        return Reading(found.before_s - ways * pause_s, bench.now_s, found.cycles)

    bench.read = read
    found = bench.stream(bench.watch(MHZ64), pause_s + 120.0, 0.5)
    assert found.ppm is not None and abs(found.ppm) <= found.ppm_error + 1e-3
    assert not clock_off(found) and clock_warning(found) is None


def test_readings_that_the_line_spoils_are_left_out():
    bench = Bench(MHZ64)
    watch = bench.watch(MHZ64)
    watch.start()
    bench.sleep(3.0)
    bench.spoilt = 1
    assert clock_off(watch.finish(True)) is False


def test_a_line_that_is_gone_is_not_asked_again_and_again():
    bench = Bench(MHZ64)
    watch = bench.watch(MHZ64)
    watch.start()
    bench.sleep(3.0)
    bench.spoilt, bench.reads = 1000, 0
    assert watch.finish(True).ppm is None
    assert bench.reads <= 3


def test_a_firmware_that_does_not_tell_its_counter_is_not_checked():
    watch = ClockWatch(lambda: None, MHZ64)
    watch.start()
    watch.between()
    found = watch.finish(True)
    assert (found.ppm, found.reason) == (None, UNTOLD) and clock_text(found) == UNTOLD


def test_where_no_clock_makes_the_cycles_there_is_nothing_to_check():
    watch = clock_watch(lambda: pytest.fail("asked"), BoardInfo("virtual", "00", MHZ64, ESTIMATED))
    watch.start()
    watch.between()
    found = watch.finish(True)
    assert isinstance(watch, NoWatch) and found == ClockCheck(None, None, 0.0, "estimated: nothing to check")
    assert clock_json(found)["ppm"] is None and clock_warning(found) is None


def test_no_readings_are_no_result():
    assert check([], MHZ64, MHZ64).ppm is None
    same = Reading(1.0, 1.0, 5)
    assert check([same, same], MHZ64, MHZ64).ppm is None


# ---- the real firmware ----


def info(session: Session) -> BoardInfo:
    return BoardInfo("host", "00", session.hello().clock_hz, MEASURED)


@pytest.mark.parametrize(("flags", "wrong"), [((), False), (("-DPORT_CLOCK_HZ=1020000000u",), True)], ids=["right", "off by 2 %"])
def test_the_firmwares_counter_against_the_hosts_clock(flags, wrong):
    with HostBoard(TOY, *flags) as board, Session(board.link()) as session:
        watch = clock_watch(session.counter, info(session))
        watch.start()
        found = watch.finish(wait=True)
    assert clock_off(found) is wrong, clock_text(found)
    assert bool(clock_warning(found)) is wrong
    if wrong:
        assert abs(found.ppm - 1e6 * (1 / 1.02 - 1)) <= found.ppm_error + 100
        assert "-1.96 %" in clock_warning(found)


def test_a_lost_reply_is_never_answered_from_the_kept_one():
    """The reading after it is a fresh one, asked under another number."""
    with HostBoard(TOY) as board, Session(DamagingLink(board.link())) as session:
        session.hello()
        session.link.plan({}, {0: lose(10)})
        with pytest.raises(LinkError):
            session.counter()
        first, second = session.counter(), session.counter()
    assert first.before_s <= first.after_s <= second.before_s
    seconds = (second.cycles - first.cycles) % WRAP / 1e9
    assert seconds <= second.after_s - first.before_s


def refusing(status: Status):
    """Instead of what the board says to CLOCK."""
    return lambda f: wire.encode(replace(f, payload=b"", status=status) if f.type == Type.CLOCK | wire.REPLY_BIT else f)


def test_only_a_firmware_that_does_not_know_the_request_goes_unchecked():
    """A board that was reset meanwhile must not pass for one."""
    with HostBoard(TOY) as board, Session(RewritingLink(board.link(), refusing(Status.BAD_TYPE))) as session:
        assert session.counter() is None
        for status, said in ((Status.ENGINE, "refused CLOCK"), (Status.NO_HELLO, "reset during the session")):
            session.link.rewrite = refusing(status)
            with pytest.raises(DeviceError, match=said):
                session.counter()
