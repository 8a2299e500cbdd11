"""A command of ours as a child: what it gives back, that it ends in time, when it is interrupted, and with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tinyrig.core.config import ROOT
from tinyrig.host.own_command import PARENT, run_module
from tinyrig.host.signals import Terminated, terminable
from tinyrig.tests.processes import alive, children, wait_until_gone

Added = Callable[[], set[int]]

ENDLESS = """
import os, pathlib, time
from tinyrig.host.own_command import ending
try:
    with ending():
        pathlib.Path("pid.part").write_text(f"{os.getpid()} {'TINYRIG_PARENT' in os.environ}")
        os.rename("pid.part", "pid")
        time.sleep(600)
except KeyboardInterrupt as interruption:
    pathlib.Path("closed").write_text(str(interruption))
    raise SystemExit(7)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with modules of its own, which Python finds."""
    (tmp_path / "endless.py").write_text(ENDLESS)
    (tmp_path / "deaf.py").write_text("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + ENDLESS)
    (tmp_path / "short.py").write_text("import sys\nprint(sys.argv[1:])\nraise SystemExit(4)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    return tmp_path


@pytest.fixture
def added() -> Added:
    """Children of this process that a test has left; earlier ones, such as multiprocessing's tracker, may go on."""
    before = set(children(os.getpid()))
    return lambda: set(children(os.getpid())) - before


def test_a_users_file_is_not_mistaken_for_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor for one that such a command needs: a folder with a queue.py of the user's is an everyday one."""
    for name in ("queue", "numpy", "mine"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert run_module(["tinyrig.reports", "--help"], 60, capture=True)[0] == 0
    assert run_module(["mine"], 60)[0] == 1


def pid_of(folder: Path) -> int:
    """Of endless.py, once it is there."""
    until = time.monotonic() + 30
    while not (folder / "pid").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    pid, inherited = (folder / "pid").read_text().split()
    assert inherited == "False", "what it starts would take itself for orphaned"
    return int(pid)


def test_its_status_and_its_words(folder: Path, added: Added) -> None:
    assert run_module(["short", "a"], 60, capture=True) == (4, "['a']\n")
    assert PARENT not in os.environ and not added()


@pytest.mark.parametrize("module", ["endless", "deaf"])
def test_one_that_takes_too_long_is_ended(folder: Path, added: Added, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinyrig.host.own_command.STOP_S", 1.0)
    with pytest.raises(subprocess.TimeoutExpired):
        run_module([module], 1.0)
    assert not added()


def test_one_that_is_interrupted_is_asked_to_end_and_awaited(folder: Path, added: Added) -> None:
    start = subprocess.Popen([sys.executable, "-c", f"import os, pathlib, signal, time\n{_INTERRUPT.format(pid=os.getpid())}"])
    with pytest.raises(Terminated), terminable():
        run_module(["endless"], 60)
    start.wait(30)
    assert (folder / "closed").read_text() == "SIGTERM" and not added()


_INTERRUPT = """
while not pathlib.Path("pid").exists():
    time.sleep(0.01)
os.kill({pid}, signal.SIGTERM)
"""


def test_it_ends_when_the_process_that_started_it_is_killed(folder: Path) -> None:
    code = "from tinyrig.host.own_command import run_module\nrun_module(['endless'], 600)"
    parent = subprocess.Popen([sys.executable, "-c", code])
    pid = pid_of(folder)
    assert alive(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until_gone([pid])
    assert (folder / "closed").read_text() == "SIGTERM"
