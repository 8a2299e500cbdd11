"""What a native library does in its child stays there: an abort, a hang, a flood of memory, output on the terminal."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tinyrig.host import isolated
from tinyrig.host.isolated import Child, ChildFailed, Ending
from tinyrig.host.signals import terminable
from tinyrig.measure.parity import allowed, difference
from tinyrig.tests.processes import wait_until_gone
from tinyrig.workload.op_diff import _Row


class Library:
    def good(self, x: int) -> int:
        os.write(1, b"printed by C")
        os.write(2, b"printed by C")
        return x + 1

    def bad(self) -> None:
        raise ValueError("no such thing")

    def abort(self) -> None:
        os.write(2, b"assertion failed")
        os.abort()

    def hang(self) -> None:
        time.sleep(60)

    def work(self) -> None:
        while True:
            pass

    def end(self, number: int) -> None:
        os.kill(os.getpid(), number)

    def hold(self) -> None:
        ctypes.PyDLL(None).sleep(600)

    def half_a_second(self, begun: Path) -> int:
        begun.touch()
        for _ in range(5):
            time.sleep(0.1)
        return 42

    def flood(self) -> int:
        return np.zeros(1 << 31, np.uint8).size

    def signals(self) -> object:
        return signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_what_the_parent_closes_is_free_though_the_child_lives(tmp_path):
    """A port that was open when an oracle was made is locked again after its board came back."""
    with open(tmp_path / "lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        child = Child(Library, 10)
    with open(tmp_path / "lock", "w") as again:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert child.call("good", 1) == 2
    child.close()


def test_calls_answers_and_errors_pass_and_the_terminal_stays_clean(capfd: pytest.CaptureFixture[str]) -> None:
    child = Child(Library, 30)
    assert child.call("good", 1) == 2 and child.call("signals")
    with pytest.raises(ChildFailed, match="no such thing") as e:
        child.call("bad")
    assert not e.value.died and child.call("good", 2) == 3
    assert capfd.readouterr() == ("", "")


def test_death_is_named_with_what_was_printed_and_stays_told() -> None:
    child = Child(Library, 30)
    with pytest.raises(ChildFailed) as e:
        child.call("abort")
    assert (e.value.died, e.value.text) == ("SIGABRT", "assertion failed")
    with pytest.raises(ChildFailed, match="ended before"):
        child.call("good", 1)


def test_a_hang_ends_at_the_limit_and_the_child_with_it() -> None:
    child = Child(Library, 0.2)
    with pytest.raises(ChildFailed, match="no answer within") as e:
        child.call("hang")
    assert e.value.ending == Ending.STALLED
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


@pytest.mark.parametrize(
    ("number", "ending"),
    [
        (signal.SIGSEGV, Ending.CRASHED),
        (signal.SIGABRT, Ending.CRASHED),
        (signal.SIGKILL, Ending.KILLED),
        (signal.SIGTERM, Ending.KILLED),
        (signal.SIGRTMIN + 3, Ending.KILLED),
    ],
)
def test_who_ended_it_is_told_by_the_signal(number: int, ending: Ending) -> None:
    child = Child(Library, 30)
    with pytest.raises(ChildFailed) as e:
        child.call("end", number)
    assert e.value.ending == ending and e.value.died
    with pytest.raises(ChildFailed) as e:
        child.call("good", 1)
    assert e.value.ending == Ending.OVER


def test_a_child_that_works_all_the_time_is_told_from_one_that_is_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "_AT_WORK", 0.05)  # this machine may be busy
    child = Child(Library, 1.0)
    with pytest.raises(ChildFailed) as e:
        child.call("work")
    assert e.value.ending == Ending.SLOW


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the address space is only limited where /proc reports its size")
def test_memory_beyond_the_limit_is_an_error_of_the_call() -> None:
    child = Child(Library, 30)
    with pytest.raises(ChildFailed, match=r"llocate"):
        child.call("flood")
    assert child.call("good", 1) == 2


def test_an_object_that_can_not_be_made() -> None:
    with pytest.raises(ChildFailed, match="modulo by zero"):
        Child(lambda: 1 // 0, 30)


def test_a_dropped_child_is_gone() -> None:
    child = Child(Library, 30)
    pid = child.pid
    del child
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_it_is_named_though_this_process_would_raise(number: signal.Signals) -> None:
    with terminable():
        child = Child(Library, 30)
    os.kill(child.pid, number)
    with pytest.raises(ChildFailed, match=number.name) as e:
        child.call("good", 1)
    assert e.value.ending == Ending.KILLED


def test_a_child_that_hangs_ends_when_its_parent_is_killed() -> None:
    """Also in a library that keeps Python's lock, so that no thread of the child could look after it."""
    reads, writes = os.pipe()
    parent = os.fork()
    if parent == 0:
        try:
            child = Child(Library, 600)
            os.write(writes, str(child.pid).encode())
            child.call("hold")
        finally:
            os._exit(0)
    pid = int(os.read(reads, 100))
    time.sleep(0.2)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    wait_until_gone([pid])
    os.close(reads)
    os.close(writes)


def test_a_child_that_was_stopped_together_with_its_parent_is_in_time(tmp_path: Path) -> None:
    """Ctrl-Z and `fg` in the middle of a call, for longer than it may take."""
    parent = os.fork()
    if parent == 0:
        os.setpgid(0, 0)
        try:
            os._exit(Child(Library, 2.0).call("half_a_second", tmp_path / "begun"))
        finally:
            os._exit(1)
    until = time.monotonic() + 30
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    os.killpg(parent, signal.SIGSTOP)
    time.sleep(3)
    os.killpg(parent, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(parent, 0)[1]) == 42


INF = np.float32(np.inf)


@pytest.mark.parametrize(
    ("expected", "received", "gap", "limit"),
    [
        ([1, INF], [5, INF], 4.0, 1e-5),
        ([1, INF], [1, INF], 0.0, 1e-5),
        ([1, INF], [1, -INF], np.inf, 1e-5),
        ([1, np.nan], [1, np.nan], 0.0, 1e-5),
        ([1, 2], [1, np.nan], np.inf, 2e-5),
        ([100, 2], [100, 2], 0.0, 1e-3),
    ],
)
def test_infinite_and_missing_outputs_never_hide_a_difference(expected: list, received: list, gap: float, limit: float) -> None:
    """A tolerance relative to an infinite output would allow anything; inf - inf is no number."""
    a, b = np.array(expected, np.float32), np.array(received, np.float32)
    found = difference(a, b)
    assert found == pytest.approx(gap) or (found > 1e300 and gap == np.inf)
    assert allowed(a, 1e-5) == pytest.approx(limit)
    row = _Row.__new__(_Row)
    row._worst, row._differing, row._compared, row._no_numbers = None, 0, 0, 0
    row.add(b, a)
    assert (row._worst > 0) == (row._differing > 0) == (gap > 0)
