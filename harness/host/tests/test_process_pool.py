"""Forked processes that work beside each other: what they tell, and how each of them may end."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.core.errors import DeviceError
from tinyrig.host import process_pool
from tinyrig.host.process_pool import CRASH, PRINTED, USAGE, Ended, ProcessPool, _pack, _unpack
from tinyrig.tests.processes import children, wait_until_gone


def run(seconds=60.0, **tasks):
    """(how each ended, what each reported without the usage)."""
    told = {name: [] for name in tasks}
    with ProcessPool(tasks) as running:
        running.listen(lambda name, kind, value: told[name].append((kind, value)), seconds)
    return running.ended, {name: [t for t in of if t[0] != USAGE] for name, of in told.items()}


def good(tell):
    tell("say", "hello")
    tell("value", {"a": DeviceError("no", expected="yes"), "many": b"x" * 300_000})  # more than a pipe holds
    print("line\nhalf a", end="")
    print(" line")


def killed(tell):
    tell("say", "before")
    os.kill(os.getpid(), signal.SIGKILL)


def crashing(tell):
    raise ZeroDivisionError("mistake")


def sleeping(tell):
    tell("say", "asleep")
    time.sleep(600)


def test_what_is_told_arrives_whole_and_in_order_and_one_that_dies_costs_no_other_anything():
    ended, told = run(good=good, killed=killed, crashing=crashing)
    assert ended == {"good": Ended(), "killed": Ended(0, "SIGKILL"), "crashing": Ended(process_pool.CRASH_STATUS)}
    (say, (kind, value), *printed) = told["good"]
    assert say == ("say", "hello") and kind == "value" and len(value["many"]) == 300_000
    assert (value["a"].what, value["a"].expected) == ("no", "yes")
    assert printed == [(PRINTED, "line"), (PRINTED, "half a line")]
    assert told["killed"] == [("say", "before")]
    assert [kind for kind, _ in told["crashing"]] == [CRASH] and "ZeroDivisionError: mistake" in told["crashing"][0][1]


def test_half_a_line_of_a_killed_one_is_dropped():
    def task(tell):
        os.write(tell._pipe, _pack("say", "whole") + _pack("say", "half")[:-3])
        os.kill(os.getpid(), signal.SIGKILL)

    assert run(one=task)[1] == {"one": [("say", "whole")]}


def test_one_that_takes_too_long_is_killed_and_the_others_finish():
    ended, told = run(0.3, slow=sleeping, good=good)
    assert ended["slow"] == Ended(0, "SIGKILL", True) and ended["good"] == Ended() and told["slow"] == [("say", "asleep")]


def test_one_that_is_asked_to_end_closes_what_it_has_undisturbed(tmp_path):
    def task(tell):
        try:
            tell("say", "ready")
            time.sleep(600)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # once more, and Ctrl-C
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            (tmp_path / "closed").write_text("")

    def hear(name, kind, value):
        if value == "ready":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), ProcessPool({"one": task}) as running:
        running.listen(hear, 60)
    assert (tmp_path / "closed").exists() and running.ended == {"one": Ended(128 + signal.SIGTERM)}


def test_one_that_does_not_end_when_it_is_asked_to_is_killed(monkeypatch):
    monkeypatch.setattr(process_pool, "STOP_S", 0.2)

    def deaf(tell):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as a library that never returns to Python
        tell("say", "ready")
        time.sleep(600)

    def hear(name, kind, value):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), ProcessPool({"one": deaf}) as running:
        running.listen(hear, 60)
    assert running.ended == {"one": Ended(0, "SIGKILL")}


def test_all_of_them_end_when_the_process_that_started_them_is_killed(tmp_path):
    parent = os.fork()
    if parent == 0:
        try:
            with ProcessPool({"a": sleeping, "b": sleeping}) as running:
                running.listen(lambda name, kind, value: (tmp_path / name).write_text(""), 600)
        finally:
            os._exit(0)
    until = time.monotonic() + 30
    while not ((tmp_path / "a").exists() and (tmp_path / "b").exists()):
        assert time.monotonic() < until
        time.sleep(0.01)
    found = children(parent)
    assert len(found) == 2
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    wait_until_gone(found)


def test_nothing_of_the_process_that_was_forked_is_run_again(tmp_path):
    """No buffer is flushed twice, no handler runs, and no pipe stays open here."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    pid = os.fork()
    if pid == 0:
        sys.stdout = open(tmp_path / "out", "w")  # noqa: SIM115
        sys.stdout.write("once")
        run(good=good)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)
    run(good=good)
    assert (tmp_path / "out").read_text() == "once"
    assert len(list(Path("/proc/self/fd").iterdir())) == before


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.binary(), lambda x: st.lists(x) | st.tuples(x, x))


@given(st.text(), JSON)
def test_any_value_is_one_line(kind, value):
    line = _pack(kind, value)
    assert line.count(b"\n") == 1 and line.endswith(b"\n") and _unpack(line[:-1]) == (kind, value)
