"""What `tinyrig run` shows of windows under way: live on a terminal, few lines in a pipe, nothing with -q."""

from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys

import pytest

from tinyrig.host import progress as module
from tinyrig.host.log import about, to_show
from tinyrig.host.progress import Pace, Streamed, duration, progress, streamed


class Clock:
    """Goes on by a fixed step with each look at it."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 100.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_rate_and_remaining_time_count_only_what_was_measured_now() -> None:
    clock = Clock()
    pace = Pace(Streamed(100, 240, 90, 100), clock)  # 100 of an earlier attempt
    assert pace.words(Streamed(100, 240, 90, 100)) == "90 of 100 right so far"
    clock.now += 4
    assert pace.words(Streamed(120, 240, 109, 120)) == "5/s, 24 s left, 109 of 120 right so far"
    assert pace.words(Streamed(120, 240)) == "5/s, 24 s left"  # nothing says what is right


def test_durations() -> None:
    assert [duration(s) for s in (0.2, 59.4, 125, 3780)] == ["0 s", "59 s", "2 min 5 s", "1 h 3 min"]


def stream(windows: int, labelled: bool = True) -> None:
    with about("pqt"):
        for done in range(windows + 1):
            streamed(Streamed(done, windows, done, done if labelled else 0))


def test_a_pipe_gets_a_line_every_few_seconds_and_not_one_a_window(capsys, monkeypatch) -> None:
    clock = Clock(0.03)  # two looks a window: 14 s in all
    monkeypatch.setattr(module, "Pace", lambda first: Pace(first, clock))
    with progress(2) as bar:
        stream(240)
        bar.step()
        stream(240, labelled=False)
    lines = capsys.readouterr().err.splitlines()
    assert 1 <= len([line for line in lines if line.startswith("[0/2] pqt: ")]) <= 3
    assert lines[0].endswith(" right so far") and " of 240 windows, " in lines[0] and "/s, " in lines[0]
    assert lines[-1].startswith("[1/2] pqt: ") and "right" not in lines[-1]


def test_quiet_says_nothing_of_windows(capsys, monkeypatch) -> None:
    monkeypatch.setattr(module, "Pace", lambda first: Pace(first, Clock(1.0)))
    to_show(logging.WARNING)
    try:
        with progress(1):
            stream(50)
    finally:
        to_show(logging.INFO)
    assert capsys.readouterr().err == ""


def test_nobody_needs_to_look() -> None:
    stream(3)


_ON_A_TERMINAL = """
import time
from tinyrig.host.progress import Streamed, progress, streamed
with progress(1) as bar:
    for done in range(5):
        streamed(Streamed(done, 8, done, done))
        time.sleep(0.15)
    bar.step()
"""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals")
def test_a_terminal_is_shown_them_live() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "140"}
    child = subprocess.Popen([sys.executable, "-c", _ON_A_TERMINAL], stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so at the end
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert child.wait(timeout=30) == 0
    text = shown.decode()
    assert "4 of 4 right so far" in text and "/s, " in text and "4/8" in text
