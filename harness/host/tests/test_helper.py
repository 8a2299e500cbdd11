"""A child that speaks in lines: what arrives, how its silence and its death are reported, that it ends with whoever made it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.host.helper import Helper, Lines, NoAnswer
from tinyrig.tests.processes import wait_until_gone

Start = Callable[[str], Helper]
ECHO = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"


@pytest.fixture
def start() -> Iterator[Start]:
    """Runs a script of Python as a helper."""
    made: list[Helper] = []

    def run(script: str) -> Helper:
        made.append(Helper([sys.executable, "-c", script]))
        return made[-1]

    yield run
    for helper in made:
        helper.close()


@given(st.lists(st.binary().filter(lambda b: b"\n" not in b)), st.lists(st.integers(0, 40)))
def test_lines_are_whole_however_their_bytes_arrive(lines: list[bytes], cuts: list[int]) -> None:
    data, found, reader = b"".join(line + b"\n" for line in lines) + b"half", [], Lines()
    for cut in [*cuts, len(data)]:
        found += reader.feed(data[:cut])
        data = data[cut:]
    assert found == lines


def test_each_request_has_its_answer(start: Start) -> None:
    helper = start(ECHO)
    assert [helper.ask({"a": n, "text": "é\n"}, 30) for n in range(3)] == [{"a": n, "text": "é\n"} for n in range(3)]
    assert helper.exit_code() is None


def test_lines_that_come_together_or_in_halves(start: Start) -> None:
    helper = start("import os, time\nos.write(1, b'one\\ntwo\\nth')\ntime.sleep(0.2)\nos.write(1, b'ree\\n')\ntime.sleep(60)")
    assert [helper.line(30) for _ in range(3)] == ["one", "two", "three"]


def test_half_a_line_is_no_answer(start: Start) -> None:
    helper = start("import os, time\nos.write(1, b'half')\ntime.sleep(60)")
    with pytest.raises(NoAnswer, match=r"no answer within 0.3 s") as caught:
        helper.line(0.3)
    assert not caught.value.ended


@pytest.mark.parametrize(
    ("script", "end"),
    [("sys.exit(3)", "exit code 3"), ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"), ("1 / 0", "exit code 1")],
)
def test_a_death_is_named_with_what_was_said_before(start: Start, script: str, end: str) -> None:
    helper = start(
        f"import os, signal, sys\nprint('half', end='', flush=True)\nprint('woe', file=sys.stderr, flush=True)\n{script}"
    )
    with pytest.raises(NoAnswer, match=end) as caught:
        helper.ask({}, 30)
    assert caught.value.ended and caught.value.said.startswith("woe")
    assert helper.close(10) and helper.said() == ""


@pytest.mark.parametrize("text", ["no json", "[1]", "{", ""])
def test_a_line_that_is_no_object_is_quoted(start: Start, text: str) -> None:
    with pytest.raises(NoAnswer) as caught:
        start(f"print({text!r}, flush=True)\ninput()").answer(30)
    assert repr(text) in str(caught.value) and not caught.value.ended


def test_what_is_said_never_blocks_the_helper(start: Start) -> None:
    helper = start("import sys\nsys.stderr.write('x' * 1_000_000)\nsys.stderr.flush()\nprint('done', flush=True)\ninput()")
    assert helper.line(30) == "done" and len(helper.said()) == 1_000_000


def test_the_end_of_its_input_ends_it_and_force_what_does_not_listen(start: Start) -> None:
    assert start(ECHO).close(30)
    deaf = start("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)")
    deaf.line(30)
    assert not deaf.close(0.2) and deaf.exit_code() == -signal.SIGKILL
    deaf.close()


def test_what_it_started_ends_with_it_by_force(start: Start) -> None:
    helper = start("import subprocess, time\nprint(subprocess.Popen(['sleep', '600']).pid, flush=True)\ntime.sleep(600)")
    child = int(helper.line(30))
    helper.close()
    wait_until_gone([child])


def test_closing_frees_a_thread_that_waits(start: Start) -> None:
    helper, told = start("import time\ntime.sleep(600)"), []

    def wait() -> None:
        try:
            helper.line(600)
        except NoAnswer as error:
            told.append(error.ended)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.1)
    helper.close()
    thread.join(30)
    assert told == [True]
    with pytest.raises(NoAnswer, match="it was closed"):
        helper.ask({}, 30)


def test_no_pipe_and_no_file_stays_open(start: Start) -> None:
    before = len(os.listdir("/proc/self/fd"))
    start(ECHO).close(30)
    with pytest.raises(FileNotFoundError):
        Helper(["/none"])
    assert len(os.listdir("/proc/self/fd")) == before


BUSY = """
import time
from tinyrig.host.helper import requests
for request in requests():
    print("{}", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("script", [ECHO, BUSY])
def test_it_ends_when_the_process_that_made_it_is_killed(tmp_path: Path, script: str) -> None:
    parent = os.fork()
    if parent == 0:
        try:
            helper = Helper([sys.executable, "-c", script])
            helper.ask({}, 60)
            (tmp_path / "part").write_text(str(helper.pid))
            (tmp_path / "part").rename(tmp_path / "pid")
            time.sleep(600)
        finally:
            os._exit(0)
    until = time.monotonic() + 60
    while not (tmp_path / "pid").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    wait_until_gone([int((tmp_path / "pid").read_text())])


def test_requests_are_read_one_by_one(start: Start) -> None:
    helper = start("import json\nfrom tinyrig.host.helper import requests\nfor r in requests(): print(json.dumps(r), flush=True)")
    assert [helper.ask({"n": n}, 30) for n in range(3)] == [{"n": n} for n in range(3)]
    assert helper.close(30) and helper.exit_code() == 0
