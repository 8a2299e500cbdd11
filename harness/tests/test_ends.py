"""How processes end: by Ctrl-C, SIGTERM, SIGHUP and with their parent, after they were stopped and continued, which changes
nothing.

`tinyrig run`, whose samples must stay, has its test with the other faults of the host; the processes of a pool and the forked
ones have theirs in `host`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tinyrig.cli import main
from tinyrig.core.config import ROOT
from tinyrig.host.helper import module_command
from tinyrig.store.runs import Store
from tinyrig.tests.processes import alive, children, stop_and_continue, wait_until_gone
from tinyrig.tests.user_home import MODEL, finish, furnish, start, url, wait_for_samples

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_S = 20.0
"""For an end that takes a second at most on an idle machine."""
QUICK_OR_SLOW = [signal.SIGTERM, *(pytest.param(n, marks=pytest.mark.slow) for n in SIGNALS if n != signal.SIGTERM)]


def kill_by(number: int) -> int:
    """The exit status of who does not handle it."""
    return -number


def shell(number: int) -> int:
    return 128 + number


# ---- helpers ----

LABGRID = {
    "grpc/__init__.py": "from . import aio",
    "grpc/aio.py": "class AioRpcError(Exception): pass",
    "labgrid/__init__.py": "",
    "labgrid/remote/__init__.py": "",
    "labgrid/remote/generated/__init__.py": "",
    "labgrid/remote/generated/labgrid_coordinator_pb2.py": """
class Message:
    def __init__(self, **values): self.__dict__.update(values)
    Filter = staticmethod(dict)
AcquirePlaceRequest = ReleasePlaceRequest = Reservation = CreateReservationRequest = Message
PollReservationRequest = CancelReservationRequest = Message
""",
    "labgrid/remote/client.py": """
import asyncio, os, types
def record(what):
    with open(os.environ["RECORD"], "a") as file: file.write(what + " ")
class Session:
    def __init__(self):
        self.stopping = asyncio.Event()
        self.stub, held = self, os.environ.get("HELD")
        self.places = {"bench": types.SimpleNamespace(acquired=held, reservation=None, acquired_resources=[("e", "g", "s", "r")])}
        cls = "RawNetworkSerialPort"
        self.resources = {"e": {"g": {"r": types.SimpleNamespace(cls=cls, params={"host": "h", "port": 1})}}}
    def gethostname(self): return "host"
    def getuser(self): return "user"
    async def AcquirePlace(self, _):
        record("acquired")
        print("acquiring", flush=True)
        await asyncio.sleep(float(os.environ.get("SLOWLY", 0)))
    async def ReleasePlace(self, _): record("released")
    async def CreateReservation(self, _):
        record("reserved")
        return types.SimpleNamespace(reservation=types.SimpleNamespace(token="t"))
    async def PollReservation(self, _): pass
    async def CancelReservation(self, _): record("cancelled")
    async def stop(self): pass
    async def close(self): record("closed")
def start_session(address, extra, loop): return Session()
""",
}
"""As much of labgrid as the helper uses, with a coordinator that writes down what it is asked; HELD: who has the place."""


class Started:
    """A helper with its first line said. `gone` closes its standard input as the end of its parent does."""

    def __init__(self, command: list[str], folder: Path, **more: str) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **more},
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()

    def end(self, event: int | None) -> tuple[int, str]:
        """(exit status, stderr) after a signal, None: after the end of its input."""
        if event is not None:
            self.process.send_signal(event)
            self.process.wait(END_S)  # before communicate() closes its input
        _, errors = self.process.communicate(timeout=END_S)
        return self.process.returncode, errors


def virtual_board(folder: Path) -> Started:
    return Started(module_command("tinyrig.virtual", "--until-eof"), folder)


def mlperf_firmware(folder: Path) -> Started:
    return Started(module_command("tinyrig.mlperf.fake"), folder)


def training_process(folder: Path) -> Started:
    code = "from tinyrig.host.helper import requests\nprint('up', flush=True)\nfor _ in requests(): pass"
    return Started([sys.executable, "-c", code], folder)  # all of it that hears signals; TensorFlow takes ten seconds to start


def labgrid_place(folder: Path, **more: str) -> Started:
    for name, text in LABGRID.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    words = ["labgrid_helper.py", "address", "bench", "600", "0", str(folder / "note")]
    command = [sys.executable, str(ROOT / "harness" / "board" / words[0]), *words[1:]]
    return Started(command, folder, RECORD=str(folder / "record"), PYTHONPATH=str(folder), **more)


@pytest.fixture
def power_meter(tmp_path: Path) -> Iterator[Callable[[Path], Started]]:
    """The process that reads the meter, in the middle of a recording."""
    pytest.importorskip("ppk2_api")
    meter = Started(module_command("tinyrig.energy.fake"), tmp_path)

    def begin(folder: Path) -> Started:
        started = Started(module_command("tinyrig.energy.worker", "ppk2", meter.line.split()[1], "ampere", "3300", "0"), folder)
        assert "ready" in started.line
        started.process.stdin.write('{"do": "start"}\n')
        started.process.stdin.flush()
        assert "started" in started.process.stdout.readline()
        return started

    yield begin
    assert meter.end(None)[0] == 0


HELPERS: dict[str, tuple[Callable[[Path], Started], Callable[[int], int]]] = {
    "virtual board": (virtual_board, lambda _: 0),
    "MLPerf firmware": (mlperf_firmware, kill_by),
    "training process": (training_process, kill_by),
    "labgrid place": (labgrid_place, shell),
}
"""How each is started, and its exit status after a signal; after the end of its input it is 0."""


def check_ends(begin: Callable[[Path], Started], folder: Path, status: Callable[[int], int]) -> None:
    for event in (*SIGNALS, None):
        started = begin(folder)
        stop_and_continue(started.process.pid)
        assert started.process.poll() is None, "it did not live through a stop"
        code, errors = started.end(event)
        assert code == (0 if event is None else status(event)) and not errors, (event, code, errors)


@pytest.mark.parametrize("name", HELPERS)
def test_a_helper_ends_when_it_is_asked_to_and_not_before(name: str, tmp_path: Path) -> None:
    begin, status = HELPERS[name]
    check_ends(begin, tmp_path, status)


def test_the_reader_of_the_power_meter_ends_and_the_meter_falls_silent(power_meter, tmp_path: Path) -> None:
    """Each new one opens the meter, which it can't while that streams."""
    check_ends(power_meter, tmp_path, shell)


@pytest.mark.parametrize("event", [None, *SIGNALS], ids=str)
@pytest.mark.parametrize(
    ("more", "record"),
    [
        ({"SLOWLY": "0.5"}, "acquired released closed"),
        ({"HELD": "somebody else"}, "reserved cancelled closed"),
        ({}, "acquired released closed"),
    ],
    ids=["acquiring", "waiting", "holding"],
)
def test_a_place_of_labgrid_is_given_back_at_any_moment(tmp_path, more, record, event) -> None:
    started = labgrid_place(tmp_path, **more)
    if not more:
        assert '"acquired"' in started.process.stdout.readline()
    until = time.monotonic() + END_S
    while not (tmp_path / "record").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    started.end(event)
    assert (tmp_path / "record").read_text().split() == record.split() and not (tmp_path / "note").exists()


def test_helpers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import time\nfrom tinyrig.host.helper import Helper, module_command\n"
        "made = [Helper(module_command(*w)) for w in (['tinyrig.virtual', '--until-eof'], ['tinyrig.mlperf.fake'])]\n"
        "print([h.line(60) and h.pid for h in made], flush=True)\ntime.sleep(600)"
    )
    parent = Started([sys.executable, "-c", code], tmp_path)
    pids = [int(n) for n in parent.line.strip("[]\n").split(",")]
    assert all(map(alive, pids))
    parent.end(signal.SIGKILL)
    wait_until_gone(pids)


# ---- commands ----


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one finished run."""
    home = furnish(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("TINYRIG_RESULTS", url(home))
        patch.setenv("TINYRIG_LOCKS", str(home / "locks"))
        patch.setenv("TINYRIG_REPEATS", "2")
        assert main(["run", *MODEL, "--limit", "3", "--no-report"]) == 0
    return home


COMMANDS = {
    "ops": ("ops", "dense.tflite"),
    "engines": ("engines", "--model", "dense.tflite"),
    "doctor": ("doctor",),
    "report": ("report", "-o", "report.html"),
    "history": ("history", "latency_cycles_median"),
}


@pytest.mark.parametrize("number", QUICK_OR_SLOW)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_ends_when_it_is_asked_to(measured: Path, name: str, number: signal.Signals) -> None:
    """In the middle of it: 128 and the signal's number, or killed by it where Python has not begun with the command; and nothing
    that it started stays."""
    process = start(measured, *COMMANDS[name])
    time.sleep(1.0)
    started = children(process.pid)
    process.send_signal(number)
    code, errors = finish(process, END_S)
    assert code in (shell(number), kill_by(number), 0), errors
    assert code == kill_by(number) or "Traceback" not in errors
    wait_until_gone(started)
    assert not list((measured / "locks").iterdir())


@pytest.mark.parametrize("number", QUICK_OR_SLOW)
def test_a_night_that_is_asked_to_end_can_be_continued(tmp_path: Path, number: signal.Signals) -> None:
    home = furnish(tmp_path)
    process = start(home, "nightly", *MODEL, "--no-report", TINYRIG_LINE_RATE="20000")
    wait_for_samples(home, process, 3)
    workers = children(process.pid)
    started = [*workers, *(pid for worker in workers for pid in children(worker))]
    stop_and_continue(process.pid, *started)
    assert all(map(alive, started))
    process.send_signal(number)
    code, errors = finish(process, 2 * END_S)
    assert code == shell(number) and "continue with: tinyrig nightly --resume" in errors and "Traceback" not in errors
    wait_until_gone(started)
    assert not list((home / "locks").iterdir())
    with Store(url(home)) as store:
        assert store.runs()[0].open_samples >= 3


@pytest.fixture
def training(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts a command on a small data set, with nothing trained before."""
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = rng.standard_normal((90, 20, 3)).astype(np.float32) + y[:, None, None]
    np.savez(tmp_path / "own.npz", x=x, y=y, class_names=np.array(["a", "b", "c"]))

    def begin(*words: str) -> subprocess.Popen[str]:
        more = {"TINYRIG_NETS": str(tmp_path / "nets")}
        return start(tmp_path, *words, "--dataset", str(tmp_path / "own.npz"), **more)

    return begin


@pytest.mark.slow
@pytest.mark.parametrize("number", [*SIGNALS, signal.SIGKILL])
@pytest.mark.parametrize(
    "words",
    [
        ("variants", "--out", "out", "--epochs", "3000"),
        ("variants", "--out", "out", "--epochs", "3000", "--seeds", "2"),
        ("crossval", "cnn-16x3", "cnn-8x3", "--epochs", "3000", "--workers", "2", "--out", "out"),
        ("search", "--study", "ends", "--workers", "2"),
    ],
    ids=["variants", "seeds", "crossval", "search"],
)
def test_a_training_ends_when_it_is_asked_to_and_with_its_parent(training, tmp_path, words, number) -> None:
    storage = ("--storage", f"sqlite:///{tmp_path / 'study.db'}") if words[0] == "search" else ()
    process = training(*words, *storage)
    assert process.stderr.readline()
    time.sleep(8)
    started = children(process.pid)
    stop_and_continue(process.pid, *started)
    assert process.poll() is None
    process.send_signal(number)
    code, errors = finish(process, END_S)
    assert code == (-9 if number == signal.SIGKILL else shell(number)) and "Traceback" not in errors, errors
    wait_until_gone(started)
