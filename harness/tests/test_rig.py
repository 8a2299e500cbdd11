"""Which ports a board is reached through. What happens behind them is in test_end_to_end.py."""

import dataclasses
from types import SimpleNamespace

import pytest

from harness.boards import parse_board
from harness.campaign import Campaign, model_variant
from harness.config import BoardPorts, Config
from harness.errors import LinkError
from harness.rig import Ports, find_ports
from harness.tests import small_models
from harness.usbport import Plug, plug_at, port_now

WIRED = Config(boards={"nano33ble-uart": BoardPorts(link="/dev/uart", flash="/dev/usb")})


@pytest.fixture
def plugged(monkeypatch):
    """A Nano 33 BLE with its USB port at /dev/ttyACM7."""
    found = [("/dev/ttyS0", "", None), ("/dev/ttyACM7", "2341:805a", parse_board("nano33ble").board)]
    monkeypatch.setattr("harness.rig.attached", lambda: found)


@pytest.fixture
def unplugged(monkeypatch):
    monkeypatch.setattr("harness.rig.attached", lambda: [])


@pytest.mark.parametrize(
    ("text", "config", "link", "flash"),
    [
        ("nano33ble", Config(), "/dev/ttyACM7", "/dev/ttyACM7"),
        ("nano33ble-uart", WIRED, "/dev/uart", "/dev/usb"),
        ("nano33ble", WIRED, "/dev/ttyACM7", "/dev/ttyACM7"),
        ("/dev/ttyACM7", Config(), "/dev/ttyACM7", "/dev/ttyACM7"),
        ("/dev/pts/3", WIRED, "/dev/pts/3", "/dev/pts/3"),
        ("/dev/usb", WIRED, "/dev/uart", "/dev/usb"),
        ("/dev/uart", WIRED, "/dev/uart", "/dev/usb"),
        ("nano33ble@/dev/other", WIRED, "/dev/other", "/dev/other"),
        ("virtual@/dev/pts/3", WIRED, "/dev/pts/3", "/dev/pts/3"),
    ],
)
def test_a_named_port_wins_and_a_wired_one_brings_its_other_half(plugged, text, config, link, flash):
    assert find_ports(parse_board(text), config)[1] == Ports(link, flash)


def test_half_a_wiring_is_completed_by_the_attached_port(plugged):
    config = Config(boards={"nano33ble-uart": BoardPorts(link="/dev/uart")})
    assert find_ports(parse_board("nano33ble-uart"), config)[1] == Ports("/dev/uart", "/dev/ttyACM7")


def test_two_boards_of_a_kind_are_not_guessed_between(monkeypatch):
    nano = parse_board("nano33ble").board
    monkeypatch.setattr("harness.rig.attached", lambda: [(f"/dev/ttyACM{n}", "2341:805a", nano) for n in (1, 2)])
    with pytest.raises(LinkError, match="several boards") as caught:
        find_ports(parse_board("nano33ble"), Config())
    assert caught.value.received == "/dev/ttyACM1, /dev/ttyACM2"
    assert find_ports(parse_board("nano33ble@/dev/ttyACM2"), Config())[1] == Ports("/dev/ttyACM2", "/dev/ttyACM2")
    assert find_ports(parse_board("nano33ble-uart"), WIRED)[1] == Ports("/dev/uart", "/dev/usb")


def test_an_absent_board_is_the_rigs_failure_not_the_models(unplugged):
    with pytest.raises(LinkError, match="2341:805a") as caught:
        find_ports(parse_board("nano33ble"), Config())
    assert caught.value.exit_code == 3


def test_a_port_that_came_back_under_another_name_is_found_by_its_usb_serial_number(monkeypatch):
    def attach(*ports):
        found = [SimpleNamespace(device=device, serial_number=serial, location=place) for device, serial, place in ports]
        monkeypatch.setattr("serial.tools.list_ports.comports", lambda: found)

    attach(("/dev/ttyUSB0", "A1", "1-2"), ("/dev/ttyUSB1", "B2", None), ("/dev/ttyS0", None, None))
    one, plain = plug_at("/dev/ttyUSB0"), plug_at("/dev/ttyS0")
    assert (one, plain, plug_at("/dev/pts/3")) == (Plug("A1", "1-2"), Plug(), Plug())
    attach(("/dev/ttyUSB1", "B2", "1-2"), ("/dev/ttyUSB2", "000a1", "1-3"))
    assert (port_now(one), port_now(Plug("C3")), port_now(plain)) == ("/dev/ttyUSB2", None, None)
    attach(("/dev/ttyUSB1", "B2", "1-3"), ("/dev/ttyUSB2", None, "1-2:1.0"))
    assert port_now(one) == "/dev/ttyUSB2"
    attach(("/dev/ttyUSB1", "A1", "1-2:1.0"), ("/dev/ttyUSB2", "A1", "1-2:1.2"))
    assert port_now(one) is None


def test_a_board_that_is_gone_is_tried_once_a_variant(tmp_path, monkeypatch):
    tries = []
    monkeypatch.setattr("harness.campaign.run_variant", lambda job, *rest: tries.append(job.variant.name) or _gone())
    (tmp_path / "m.tflite").write_bytes(small_models.dense_int8())
    variant = model_variant(tmp_path / "m.tflite", None)
    config = dataclasses.replace(Config(), results=f"sqlite:///{tmp_path / 'r.sqlite'}")
    with Campaign(parse_board("virtual@/dev/none"), config) as campaign:
        for _ in range(3):
            with pytest.raises(LinkError, match="gone"):
                campaign.run(variant)
    assert tries == ["m"]


def _gone():
    raise LinkError("the board is gone")
