"""The sketch as the board's flasher and session see it: compiled with the Arduino core's flags, uploaded by a stand-in for
arduino-cli, run on the virtual nRF52840 behind a shim of the Arduino API."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tinyrig.board.rig import Rig
from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.boards import BOARDS, BoardTarget
from tinyrig.core.config import Config
from tinyrig.core.errors import DeviceError, HostError, LinkError
from tinyrig.flash.flash import flash
from tinyrig.host.log import heard
from tinyrig.link import connection, pacing
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.tests import arduino_cli
from tinyrig.tests.host_board import FIRMWARE, build_folder
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload import arduino_sketch
from tinyrig.workload.image import build_image
from tinyrig.workload.tests.test_arduino_sketch import fake  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

BOARD, BARE = BOARDS["nano33ble"], BOARDS["virtual"]
BAD_ADDRESS, USE_ALL_STACK, HANG = 1, 3, 4
"""Of firmware/tests/toy_fault.c."""


def windows(dtype: str) -> list[bytes]:
    rng = np.random.default_rng(1)
    return [rng.integers(-90, 90, (8, 6, 3)).astype(dtype).tobytes() for _ in range(6)]


def measured(dtype: str, engine: str, board, folder: Path) -> tuple[list[bytes], int, int]:
    """(outputs, median cycles, stack bytes) of one model as `board` gets it, on a virtual one."""
    room = {"flash_bytes": BOARD.flash_bytes, "ram_bytes": BOARD.ram_bytes}
    image = build_image(compile_model(finish_net(conv_net(dtype=dtype)), **room, engine=engine), board, folder)
    with VirtualBoard() as virtual, Rig(BoardTarget(board, virtual.port), Config()) as rig:
        session, _ = rig.prepare(image)
        samples = [session.run(x) for x in windows(dtype)]
        stack = session.run(windows(dtype)[0], stack=True).stack_bytes
        return [s.outputs for s in samples], int(np.median([s.cycles for s in samples])), stack


@pytest.mark.parametrize(
    ("dtype", "engine"),
    [("int8", "tinyrig"), *(pytest.param("float32", e, marks=pytest.mark.slow) for e in ("portable", "tinyrig"))],
)
def test_results_and_speed_do_not_depend_on_the_cores_flags(fake, tmp_path, dtype, engine):  # noqa: F811
    """-Os and softfp against the bare-metal image's -O3 and hard."""
    outputs, cycles, stack = measured(dtype, engine, BARE, tmp_path)
    ours = measured(dtype, engine, BOARD, tmp_path)
    assert ours[0] == outputs
    assert ours[1] == pytest.approx(cycles, rel=0.02)
    assert abs(ours[2] - stack) <= 64


@pytest.mark.slow
def test_speed_would_depend_on_them_if_nothing_were_asked_for(fake, tmp_path, monkeypatch):  # noqa: F811
    ours = measured("float32", "portable", BOARD, tmp_path)
    monkeypatch.setattr(arduino_sketch, "PRAGMA", "")
    monkeypatch.setattr(arduino_sketch, "C_FLAGS", "-ffp-contract=off")
    slow = measured("float32", "portable", BOARD, tmp_path)
    assert slow[0] == ours[0] and slow[1] > 1.1 * ours[1]


def test_port_that_comes_back_under_another_name_is_followed(fake, tmp_path, monkeypatch):  # noqa: F811
    """The port is a link to the virtual board's; the upload renames it, as a kernel does with one that is still open."""
    names = [tmp_path / "ttyACM0", tmp_path / "ttyACM1"]

    def comports():
        present = [p for p in names if p.is_symlink()]
        return [SimpleNamespace(device=str(p), vid=0x2341, pid=0x805A, serial_number="00E1", location="1-2:1.0") for p in present]

    monkeypatch.setattr("serial.tools.list_ports.comports", comports)
    model = compile_model(finish_net(conv_net()), flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    image = build_image(model, BOARD, tmp_path / "build")
    (fake / "renames").write_text(f"{names[0]} {names[1]}")
    with VirtualBoard(link=names[0]), Rig(BoardTarget(None, str(names[0])), Config()) as rig:
        assert rig.board is BOARD  # by its USB id
        session, hello = rig.prepare(image)
        assert hello.build_id == image.build_id and session.run(windows("int8")[0]).outputs
        assert session.link.url == str(names[1])
        rig.prepare(image)
        assert rig.flash_tries == 0  # found running, under its new name
    assert [line for line in (fake / "log").read_text().splitlines() if '"upload"' in line][1:] == []


def test_upload_says_which_port_and_what(fake, tmp_path):  # noqa: F811
    """A link by name is resolved: the core's uploader gets only the last part of the port's name."""
    (fake / "refuses").write_text("No device found on ttyACM0")
    (tmp_path / "by-id").symlink_to("/dev/null")
    said: list[str] = []
    refused = r"arduino-cli could not upload to /dev/null \(tried 2 times\)"
    with heard(said.append), pytest.raises(LinkError, match=refused) as caught:
        flash(b"1234", BOARD, str(tmp_path / "by-id"))
    assert "No device found" in caught.value.received and "twice" in caught.value.remedy and len(said) == 1
    call = (fake / "log").read_text().splitlines()[-1]
    assert '"upload", "--fqbn", "arduino:mbed_nano:nano33ble", "--port", "/dev/null", "--input-dir"' in call


def test_upload_that_hangs_ends_with_flash_s(tmp_path, monkeypatch):
    (tmp_path / "arduino-cli").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "arduino-cli").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(HostError, match="arduino-cli hangs") as caught:
        flash(b"1234", BOARD, "/dev/null", deadline_s=0.3)
    assert "flash_s" in caught.value.expected


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    """ELF of the sketch around toy_fault.c; a hang counts after 0.3 s."""
    work = tmp_path_factory.mktemp("toy")
    rig = [p for p in arduino_sketch.rig_files() if p.suffix in (".c", ".cpp") and p.name != "null_engine.c"]
    folders = (build_folder(), *(FIRMWARE / f for f in ("app", "nn", "port")))
    engine = [FIRMWARE / "tests/toy_fault.c"]
    folder = arduino_sketch.write_sketch(work / arduino_sketch.NAME, [*rig, build_folder() / "build_id.c"], engine, folders, 4096)
    flags = "compiler.c.extra_flags=-DMEASURE_LONGEST_US=300000 -Wno-infinite-recursion"
    arduino_cli.compile_sketch(Namespace(fqbn=arduino_cli.FQBN, build_path=work / "build", build_property=[flags], sketch=folder))
    return work / "build" / "tinyrig.ino.elf"


@pytest.fixture
def session(toy, monkeypatch):
    monkeypatch.setattr(connection, "BASE_DEADLINE_S", 0.2)
    monkeypatch.setattr(pacing, "MIN_INVOKE_DEADLINE_S", 0.1)
    with VirtualBoard(image=toy) as board, Session(open_link(board.port, BOARD.baud), invoke_deadline_s=5.0) as session:
        session.elf = toy
        yield session


MISDEEDS = {
    BAD_ADDRESS: ("the board faulted in toy_read (tests/toy_fault.c:", "at address 0x60000000"),
    HANG: ("the board hung in ", "pc 0x"),
    USE_ALL_STACK: ("an operator failed|the stack reached its limit", ""),
}


@pytest.mark.parametrize("how", MISDEEDS)
def test_faults_and_hangs_are_told_as_on_bare_metal(session, how):
    """Thread on the process stack, vectors taken over from the core, the watchdog above BASEPRI: all as under Mbed OS."""
    what, received = MISDEEDS[how]
    good = session.run(bytes(4)).outputs
    with pytest.raises(DeviceError) as caught:
        session.run(bytes([how, 0x5A, 0, 0]), stack=True)
    assert any(w in str(caught.value) for w in what.split("|")) and received in caught.value.received
    assert session.run(bytes(4)).outputs == good
    session.reboot(bootloader=False)
    assert session.hello().fault is None


def test_reboot_into_the_bootloader(session):
    session.run(bytes(4))
    session.reboot(bootloader=True)
    session.link.write(b"I#")
    assert b"nRF52840" in session.link.read(10, 2.0)
