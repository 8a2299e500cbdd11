"""A board as a place of a real labgrid: coordinator and exporter on the loopback, the virtual board's pty exported."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tinyrig.board import labgrid_helper
from tinyrig.board.labgrid import DEFAULT_COORDINATOR, LabgridPlaces, coordinator, note_of
from tinyrig.board.rig import Rig
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS, parse_board
from tinyrig.core.config import BoardPorts, Config, Labgrid, load_config
from tinyrig.core.errors import HostError, LinkError, UserError
from tinyrig.host.locks import port_key
from tinyrig.host.log import heard
from tinyrig.link import serial_link as link_module
from tinyrig.tests import servers, small_models
from tinyrig.tests.processes import children, wait_until_gone
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload.image import build_image

BOARD = BOARDS["virtual"]


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(link_module, "BUSY_S", 3.0)
    for name in ("LG_COORDINATOR", "LG_CROSSBAR", "LG_HOSTNAME", "LG_USERNAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    servers.need_labgrid()
    servers.need_ser2net()
    with VirtualBoard(clock="off") as board, servers.Labgrid(board.port, tmp_path_factory.mktemp("labgrid")) as lab:
        yield lab


@pytest.fixture
def config(lab):
    return Config(labgrid=Labgrid(lab.address, wait_s=0.0, python=lab.python))


def rig_at(config: Config, board: str = "virtual@labgrid:bench") -> Rig:
    return Rig(parse_board(board), config)


def holder(lab, place: str = "bench") -> str:
    lines = lab.client("-p", place, "show").splitlines()
    return next(line.partition("acquired:")[2].strip() for line in lines if line.strip().startswith("acquired:"))


def image(seed: int = 0):
    model = compile_model(small_models.dense_int8(seed), flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    return build_image(model, BOARD)


def test_a_place_is_acquired_flashed_and_released(lab, config):
    with rig_at(config) as rig:
        assert holder(lab) not in ("", "None")
        session, hello = rig.prepare(image())
        assert hello.board_id and session.echo(b"\xff" * 100) == b"\xff" * 100
        assert rig.ports.link.startswith("rfc2217://127.0.0.1:")
    assert holder(lab) == "None"


@pytest.mark.slow
def test_a_place_wired_up_in_rig_toml_is_acquired_once_for_both_ports(lab, config):
    wired = replace(config, boards={"nano33ble": BoardPorts(link="labgrid:bench", flash="labgrid:bench")})
    with rig_at(wired, "nano33ble") as rig:
        assert rig.ports.link == rig.ports.flash != "labgrid:bench"
    assert holder(lab) == "None"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "what", "received"),
    [
        ("nope", "labgrid has no place nope", "bare, bench"),
        ("bare", "labgrid place bare can't be used as a board", "no serial port"),
    ],
)
def test_places_that_are_no_boards(lab, config, place, what, received):
    with pytest.raises(LinkError, match=what) as caught:
        rig_at(config, f"virtual@labgrid:{place}")
    assert caught.value.received == received and caught.value.exit_code == 3 and caught.value.remedy
    assert place == "nope" or holder(lab, place) == "None"


@pytest.mark.slow
def test_a_place_of_somebody_else_names_them_and_is_left_alone(lab, config):
    lab.client("-p", "bench", "acquire", user="alice")
    try:
        with pytest.raises(LinkError, match="held by somebody else") as caught:
            rig_at(config)
        assert caught.value.received == "elsewhere/alice" and "wait_s" in caught.value.expected
        assert holder(lab) == "elsewhere/alice"
    finally:
        lab.client("-p", "bench", "release", user="alice")


@pytest.mark.slow
def test_a_place_is_waited_for_in_the_queue(lab, config):
    """Its holder releases it once the reservation stands, so that nobody else may get it first."""
    lab.client("-p", "bench", "acquire", user="alice")
    said = []

    def on_waiting(text):
        said.append(text)
        servers.wait_for(lambda: "name=bench" in lab.client("reservations"))
        lab.client("-p", "bench", "release", user="alice")

    places = LabgridPlaces(replace(config.labgrid, wait_s=120.0))
    with heard(on_waiting):
        assert places.reach("labgrid:bench").startswith("rfc2217://")
    assert said == ["waiting up to 120 s for labgrid place bench, held by elsewhere/alice"]
    places.close()
    assert holder(lab) == "None" and "name=bench" not in lab.client("reservations")


@pytest.mark.slow
def test_what_its_user_acquired_by_hand_stays_acquired(lab, config, caplog):
    lab.client("-p", "bench", "acquire")
    try:
        with rig_at(config):
            assert "was already acquired by" in caplog.text
        assert holder(lab) != "None"
    finally:
        lab.client("-p", "bench", "release")


HOLDER = """
    import sys, time
    from tinyrig.core.boards import parse_board
    from tinyrig.core.config import Config, Labgrid
    from tinyrig.board.rig import Rig
    with Rig(parse_board("virtual@labgrid:bench"), Config(labgrid=Labgrid(sys.argv[1], 0.0, sys.argv[2]))):
        print("held", flush=True)
        time.sleep(600)
"""


@pytest.fixture
def other(lab):
    """Another rig, which has the place."""
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), lab.address, lab.python]
    process = subprocess.Popen(command, cwd=servers.ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.slow
def test_a_rig_that_is_killed_releases_its_place(lab, config, other):
    with pytest.raises(LinkError, match="in use by another process") as caught:
        rig_at(config)
    assert f"process {other.pid} " in caught.value.received
    helpers = children(other.pid)
    other.kill()
    wait_until_gone(helpers)
    assert holder(lab) == "None"


@pytest.mark.slow
def test_a_place_whose_rig_and_helper_were_killed_is_taken_over(lab, config, other, caplog):
    helpers = children(other.pid)
    for pid in helpers:
        os.kill(pid, signal.SIGKILL)
    other.kill()
    other.wait()
    assert holder(lab) != "None"
    with rig_at(config):
        assert f"took labgrid place bench over from process {other.pid} of this host" in caplog.text
    assert holder(lab) == "None" and not note_of("bench", lab.address).exists()


@pytest.mark.slow
def test_no_coordinator(lab, config):
    with pytest.raises(LinkError, match=r"no labgrid coordinator answers at 127\.0\.0\.1:1") as caught:
        rig_at(replace(config, labgrid=replace(config.labgrid, coordinator="127.0.0.1:1")))
    assert "LG_COORDINATOR" in caught.value.remedy


# ---- without labgrid ----


def test_where_labgrid_is_not_installed(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError, match="labgrid is not installed here"):
        rig_at(Config())


def test_an_interpreter_without_labgrid_is_told():
    with pytest.raises(HostError, match="labgrid's client does not run") as caught:
        rig_at(Config(labgrid=Labgrid("127.0.0.1:1", python=sys.executable)))
    assert "labgrid" in caught.value.received


def test_the_coordinator_is_looked_for_as_labgrids_tools_do(monkeypatch):
    assert coordinator(Labgrid()) == DEFAULT_COORDINATOR
    monkeypatch.setenv("LG_CROSSBAR", "old:1")
    assert coordinator(Labgrid()) == "old:1"
    monkeypatch.setenv("LG_COORDINATOR", "new:2")
    assert coordinator(Labgrid()) == "new:2"
    assert coordinator(Labgrid("mine:3")) == "mine:3"


@pytest.mark.parametrize(
    "text", ["labgrid:", "labgrid:a b", "virtual@labgrid:../x", "labgrid:*", "labgrid:-p", "labgrid:" + "a" * 101]
)
def test_nonsense_is_the_users_fault(text):
    with pytest.raises(UserError, match="no labgrid place can have this name"):
        parse_board(text)


def test_a_place_is_one_lock_from_whatever_folder(tmp_path, monkeypatch):
    before = port_key("labgrid:bench")
    monkeypatch.chdir(tmp_path)
    assert port_key("labgrid:bench") == before


@pytest.mark.parametrize("line", ["wait_s = -1", "wait_s = true", 'wait_s = "x"', "coordinator = 1", "nope = 1", "wait_s = inf"])
def test_settings_that_can_not_be_used(tmp_path, line):
    (tmp_path / "rig.toml").write_text(f"[labgrid]\n{line}\n")
    with pytest.raises(UserError, match=r"\[labgrid\] can't be used"):
        load_config(tmp_path / "rig.toml")


def test_settings(tmp_path):
    (tmp_path / "rig.toml").write_text('[labgrid]\ncoordinator = "lab:20408"\nwait_s = 60\n')
    assert load_config(tmp_path / "rig.toml").labgrid == Labgrid("lab:20408", 60)


def test_a_caller_that_has_read_the_refusal_does_not_stop_the_release(monkeypatch, tmp_path):
    """It closes the helper at once, while the place is being given back."""
    done = []

    async def slowly(_session, name):
        await asyncio.sleep(0.05)
        done.append(name)

    async def acquired(*_):
        return True

    async def no_port(*_):
        return []

    for name, stand_in in (("release", slowly), ("acquire", acquired), ("wait_for_port", no_port)):
        monkeypatch.setattr(labgrid_helper, name, stand_in)
    place = SimpleNamespace(acquired_resources=[])
    session = SimpleNamespace(places={"bare": place}, stopping=SimpleNamespace(is_set=lambda: False))

    async def refused_and_closed():
        task = asyncio.ensure_future(labgrid_helper.hold(session, "bare", 0.0, False, tmp_path / "note"))
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises((SystemExit, asyncio.CancelledError)):
        asyncio.run(refused_and_closed())
    assert done == ["bare"]
