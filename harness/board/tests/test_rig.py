"""Which ports a board is reached through. What happens behind them is in test_end_to_end.py."""

import dataclasses
from types import SimpleNamespace

import pytest

from tinyrig.board.resolve import Ports, find_ports
from tinyrig.board.rig import Rig
from tinyrig.core.boards import parse_board
from tinyrig.core.config import BoardPorts, Config
from tinyrig.core.errors import LinkError
from tinyrig.link.usb import Plug, lock_key, plug_at, port_now
from tinyrig.measure.run import measuring
from tinyrig.measure.variants import model_variant
from tinyrig.tests import small_models

WIRED = Config(boards={"nano33ble-uart": BoardPorts(link="/dev/uart", flash="/dev/usb")})


@pytest.fixture
def plugged(monkeypatch):
    """A Nano 33 BLE with its USB port at /dev/ttyACM7."""
    found = [("/dev/ttyS0", "", None), ("/dev/ttyACM7", "2341:805a", parse_board("nano33ble").board)]
    monkeypatch.setattr("tinyrig.board.resolve.attached", lambda: found)


@pytest.fixture
def unplugged(monkeypatch):
    monkeypatch.setattr("tinyrig.board.resolve.attached", lambda: [])


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
    monkeypatch.setattr("tinyrig.board.resolve.attached", lambda: [(f"/dev/ttyACM{n}", "2341:805a", nano) for n in (1, 2)])
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
    monkeypatch.setattr(
        "tinyrig.measure.board_side.measure_variant", lambda job, *rest: tries.append(job.variant.name) or _gone()
    )
    (tmp_path / "m.tflite").write_bytes(small_models.dense_int8())
    variant = model_variant(tmp_path / "m.tflite", None)
    config = dataclasses.replace(Config(), results=f"sqlite:///{tmp_path / 'r.sqlite'}")
    with measuring(parse_board("virtual@/dev/none"), config) as open_run:
        for _ in range(3):
            with pytest.raises(LinkError, match="gone"):
                open_run.run(variant)
    assert tries == ["m"]


def _gone():
    raise LinkError("the board is gone")


# ---- by the USB device ----


@pytest.fixture
def usb(monkeypatch):
    """`usb(ttyACM0="A1", ...)`: what is plugged in; "A1 1.2:1.0" has a location too."""

    def plug(**ports):
        found = []
        for device, told in ports.items():
            serial, _, location = told.partition(" ")
            found.append(
                SimpleNamespace(
                    device=f"/dev/{device}",
                    serial_number=serial or None,
                    location=location or None,
                    vid=0x2341 if serial else None,
                    pid=0x805A,
                )
            )
        monkeypatch.setattr("serial.tools.list_ports.comports", lambda: found)

    return plug


SERIALS = Config(
    boards={
        "left": BoardPorts(kind="nano33ble", usb_serial="AAAA"),
        "right": BoardPorts(kind="nano33ble", usb_serial="bbbb"),
        "bench": BoardPorts(kind="nano33ble", link="usb:UART7", usb_serial="AAAA"),
        "known": BoardPorts(kind="nano33ble", id="00112233445566ff"),
    }
)


@pytest.mark.parametrize("order", [("ttyACM0", "ttyACM1"), ("ttyACM1", "ttyACM0")])
def test_a_board_is_found_by_its_usb_serial_number_whatever_its_tty_is(usb, order):
    usb(**{order[0]: "AAAA", order[1]: "BBBB", "ttyUSB3": "UART7", "ttyS0": ""})
    left, right, bench = (find_ports(parse_board(name, SERIALS.boards), SERIALS)[1] for name in ("left", "right", "bench"))
    assert (left.link, left.flash) == (f"/dev/{order[0]}",) * 2 and right.link == f"/dev/{order[1]}"
    assert bench == Ports("/dev/ttyUSB3", f"/dev/{order[0]}")


@pytest.mark.parametrize("serial", ["00112233445566FF", "ff66554433221100"])
def test_a_chips_id_that_is_its_usb_serial_number_decides_between_boards_of_a_kind(usb, serial):
    usb(ttyACM0="1234567812345678", ttyACM1=serial)
    assert find_ports(parse_board("known", SERIALS.boards), SERIALS)[1].link == "/dev/ttyACM1"
    usb(ttyACM0="1234567812345678", ttyACM1="ABC")
    with pytest.raises(LinkError, match="several boards"):
        find_ports(parse_board("known", SERIALS.boards), SERIALS)


def test_a_usb_device_that_is_not_there_or_has_two_ports_is_named(usb):
    usb(ttyUSB0="UART7", ttyUSB1="UART7", ttyACM0="CCCC")
    with pytest.raises(LinkError, match="no port has the USB serial number AAAA") as caught:
        find_ports(parse_board("left", SERIALS.boards), SERIALS)
    assert "CCCC (/dev/ttyACM0)" in caught.value.received and caught.value.exit_code == 3
    with pytest.raises(LinkError, match="several ports have the USB serial number UART7"):
        find_ports(parse_board("nano33ble@usb:UART7"), Config())


def test_a_port_is_locked_by_its_device_and_not_by_its_tty(usb):
    usb(ttyACM0="AAAA 1-2:1.0", ttyACM1="BBBB")
    before = lock_key("/dev/ttyACM0"), lock_key("/dev/ttyACM1")
    usb(ttyACM1="AAAA 1-5:1.0", ttyACM0="BBBB")
    assert (lock_key("/dev/ttyACM1"), lock_key("/dev/ttyACM0")) == before
    usb(ttyUSB0="DUAL 1-2:1.0", ttyUSB1="DUAL 1-2:1.1")
    assert lock_key("/dev/ttyUSB0") != lock_key("/dev/ttyUSB1"), "two boards may hang on one adapter"
    assert lock_key("/dev/pts/9") == "/dev/pts/9"


def test_a_virtual_board_of_rig_toml_is_started_with_its_number_and_faults():
    config = Config(boards={"left": BoardPorts(kind="virtual#7", faults=("line-flip:1e-6",))})
    with Rig(parse_board("left", config.boards), config) as rig:
        assert rig.faults == ("line-flip:1e-6",) and rig.board.name == "virtual"
    with Rig(parse_board("virtual"), config) as rig:
        assert rig.faults == ()
