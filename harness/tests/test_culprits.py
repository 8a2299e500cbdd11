"""A message names a cause only where that was seen. Each row: how the cause is produced, what must be said of it, and what must
not, because that is the message of another cause."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import tty
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tinyrig.board.rig import Rig
from tinyrig.cli import main
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS, parse_board
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Limits
from tinyrig.core.errors import DeviceError, LinkError, RigError
from tinyrig.core.plans import RunPlan, Subject
from tinyrig.core.records import BoardInfo, Hello, Sample
from tinyrig.flash import samba
from tinyrig.flash.flash import flash
from tinyrig.link import wire
from tinyrig.link.wire import Frame, Type
from tinyrig.measure import variant, variants
from tinyrig.measure.resume import go_on
from tinyrig.measure.variants import built_variants
from tinyrig.reports.run import head
from tinyrig.reports.run.sections import sections
from tinyrig.store.runs import Store
from tinyrig.tests import small_models
from tinyrig.tests.user_home import furnish, url
from tinyrig.workload.image import build_image
from tinyrig.workload.oracle import Oracle

pytestmark = pytest.mark.slow

BOARD = BOARDS["virtual"]
ROOM = {"flash_bytes": BOARD.flash_bytes, "ram_bytes": BOARD.ram_bytes}
HELLO = Hello(wire.VERSION, "00" * 16, "11" * 32, "tinyrig", "virtual", "22" * 8, 64_000_000, 1024, 0, 0, 0, (), ())


@contextlib.contextmanager
def port(speak: Callable[[bytes], bytes]) -> Iterator[str]:
    """A serial port; `speak` is called all the time with what came in, and returns what goes out."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    over = threading.Event()

    def serve() -> None:
        while not over.wait(0.01):
            data = b""
            with contextlib.suppress(BlockingIOError, OSError):
                data = os.read(master, 4096)
            with contextlib.suppress(BlockingIOError, OSError):
                os.write(master, speak(data))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        over.set()
        thread.join()
        os.close(master)
        os.close(slave)


def flashed(speak: Callable[[bytes], bytes]) -> RigError:
    with port(speak) as name, pytest.raises(RigError) as e:
        flash(b"1234", BOARD, name)
    return e.value


def prepared(speak: Callable[[bytes], bytes]) -> RigError:
    image = build_image(compile_model(small_models.dense_int8(), **ROOM), BOARD)
    with port(speak) as name:
        rig = Rig(parse_board(f"virtual@{name}"), Config(limits=Limits(hello_s=0.5)))
        with rig, pytest.raises(RigError) as e:
            rig.prepare(image)
    return e.value


def sensor(data: bytes) -> bytes:
    """A sketch that prints for ever and listens to nothing."""
    return b"0.29,0.20,9.81\r\n"


def another_bootloader(data: bytes) -> bytes:
    return b"E\n\r" if b"#" in data else b""


def of_wire_version(version: int) -> Callable[[bytes], bytes]:
    def speak(data: bytes) -> bytes:
        frame = wire.decode(data) if data[:2] == wire.MAGIC else None
        if frame is None or frame.type != Type.HELLO:
            return b""
        reply = wire.encode_hello(replace(HELLO, wire_version=version))
        return wire.encode(Frame(frame.type | wire.REPLY_BIT, frame.sequence, reply))

    return speak


def refusing(data: bytes) -> bytes:
    frame = wire.decode(data) if data[:2] == wire.MAGIC else None
    return wire.encode(Frame(frame.type | wire.REPLY_BIT, frame.sequence, b"", wire.Status.BAD_VERSION)) if frame else b""


PORTS = {
    # who is at the port: (how it is met, kind, what must be said, what must not)
    "nobody": (flashed, lambda data: b"", LinkError, ["no bootloader answers", "received: silence"], ["talks"]),
    "a sketch that prints": (
        flashed,
        sensor,
        LinkError,
        ["no bootloader answers", "talks on", "that are no answer, such as '0.29,0.20,9.81'", "button twice"],
        ["silence"],
    ),
    "another bootloader": (flashed, another_bootloader, LinkError, ["no bootloader answers", "such as 'E'"], ["silence"]),
    "a firmware of another wire version": (
        prepared,
        of_wire_version(1),
        DeviceError,
        ["the board speaks another wire version, and it can't be flashed", f"expected: {wire.VERSION}", "received: 1;"],
        [],
    ),
    "a firmware that refuses our version": (prepared, refusing, DeviceError, ["the board refused HELLO", "BAD_VERSION"], []),
    "nobody, asked for a hello too": (prepared, lambda data: b"", LinkError, ["no bootloader answers", "silence"], ["version"]),
}


@pytest.mark.parametrize("who", PORTS)
def test_who_is_at_the_port_is_told(who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samba, "ENTER_S", 1.5)
    monkeypatch.setattr(samba, "TOUCH_AGAIN_S", 0.7)
    meet, speak, kind, said, unsaid = PORTS[who]
    error = meet(speak)
    assert type(error) is kind and error.exit_code == 3
    assert all(words in str(error) for words in said), error
    assert not any(words in str(error) for words in unsaid), error


BUILDS = {
    # exit status and output of the process that builds the variants: (exit code, what must be said)
    (0, ""): (3, "ended before it was done"),
    (-9, ""): (3, "SIGKILL"),
    (-11, ""): (3, "SIGSEGV"),
    (143, ""): (3, "SIGTERM"),
    (2, ""): (2, "correct the dataset or the names"),
    (3, ""): (3, "fix this machine"),
}


@pytest.mark.parametrize("ending", BUILDS, ids=str)
def test_how_the_building_of_variants_ended_is_told(ending: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty output is no folder: it would stand for the working folder, and be said to lack the variant."""
    monkeypatch.setattr(variants, "run_module", lambda *_, **__: ending)
    with pytest.raises(RigError) as e:
        built_variants(Config(), ["simple"])
    assert (e.value.exit_code, BUILDS[ending][1] in str(e.value)) == (BUILDS[ending][0], True)
    assert "no such variant" not in str(e.value)


def test_data_is_said_to_be_kept_only_where_there_is_some(tmp_path: Path) -> None:
    results = f"sqlite:///{tmp_path / 'results.sqlite'}"
    assert go_on(results, "this", run="r") == "continue with: this"  # no database, so nobody knows
    with Store(results) as store:
        store.begin_run("r", "2026", plan=RunPlan(night="n"))
        for belongs in ({"run": "r"}, {"night": "n"}):
            assert go_on(results, "this", **belongs) == "nothing was measured yet; continue with: this"
        board = BoardInfo("virtual", "22" * 8, 64_000_000, "estimated", 64_000_000)
        store.begin_measurement("r", "v", Subject("m", "b", "w", "virtual", "22"), board).add(Sample("window", 0, b"1", 1))
        for belongs in ({"run": "r"}, {"night": "n"}):
            assert go_on(results, "this", **belongs) == "measured data is kept; continue with: this"
        for others in ({"run": "q"}, {"night": "m"}):
            assert go_on(results, "this", **others) == "nothing was measured yet; continue with: this"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    return tmp_path


RUN = ("run", "--no-report", "--model", "dense.tflite", "--windows", "windows.npz")


def test_a_board_that_never_answered_left_nothing_that_is_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(samba, "ENTER_S", 1.0)
    with port(lambda data: b"") as name:
        assert main([*RUN, "--board", f"virtual@{name}"]) == 3
    said = capfd.readouterr().err
    assert "nothing was measured yet; continue with: tinyrig run --resume" in said and "is kept" not in said


def test_an_oracle_that_is_killed_between_windows_is_a_fault_of_the_rig_and_resumable(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    compare = variant.compare

    def killed(oracle: Oracle, *rest: object) -> object:
        os.kill(oracle._child.pid, signal.SIGKILL)
        return compare(oracle, *rest)

    monkeypatch.setattr(variant, "compare", killed)
    assert main([*RUN]) == 3
    said = capfd.readouterr().err
    assert "was ended from outside" in said and "SIGKILL" in said and "quantisation" not in said
    assert "measured data is kept; continue with: tinyrig run --resume" in said
    monkeypatch.setattr(variant, "compare", compare)
    assert main(["run", "--no-report", "--resume"]) == 0


@pytest.mark.parametrize(("faults", "told"), [("line-flip:2e-3", True), ("", False)])
def test_a_bad_line_is_said_on_the_terminal_in_json_and_in_the_report(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], faults: str, told: bool
) -> None:
    if faults:
        monkeypatch.setenv("TINYRIG_FAULTS", faults)
    assert main([*RUN, "--json", "out.json"]) == 0
    link = json.loads(Path("out.json").read_text())["runs"][0]["link"]
    assert ("warning: the line is bad" in capfd.readouterr().err) == told
    assert (link["warning"] is not None) == told and link["repeats_limit"] == 0.05
    with Store(url(home)) as store:
        run = store.load(store.latest())
    assert any("the line is bad" in line for line in head.warnings(sections([run])[0])) == told
