"""A board whose link and flash port are two: which is which, what happens where only the link is known, and probes."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from tinyrig.board import flashing
from tinyrig.board import resolve as ports_module
from tinyrig.board.resolve import Ports, find_ports
from tinyrig.board.rig import Rig
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS, VIRTUAL_ID_PREFIX, parse_board
from tinyrig.core.config import BoardPorts, Config
from tinyrig.core.deadlines import Limits
from tinyrig.core.errors import LinkError, UserError
from tinyrig.host.log import heard
from tinyrig.link.session import Session
from tinyrig.tests import small_models
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload.image import build_image

NANO, NUCLEO = BOARDS["nano33ble-uart"], BOARDS["nucleo-f401re"]
ADAPTER, APP, BOOT, ST_LINK = "0403:6001", "2341:805a", "2341:005a", "0483:374b"


@pytest.fixture
def attach(monkeypatch):
    """attach((port, USB id), ...): what hangs on this machine."""

    def attached(*ports: tuple[str, str]) -> None:
        monkeypatch.setattr(ports_module, "attached", lambda: [(port, usb, None) for port, usb in ports])

    attached()
    return attached


def ports(text: str, **wired: str) -> Ports:
    target = parse_board(text)
    boards = {target.board.name: BoardPorts(**wired)} if wired else {}
    return find_ports(target, Config(boards=boards))[1]


@pytest.mark.parametrize("usb", [ADAPTER, ""])
def test_a_serial_adapter_is_the_link_only(attach, usb):
    attach(("/dev/ttyUSB0", usb), ("/dev/ttyACM0", APP))
    assert ports("nano33ble-uart@/dev/ttyUSB0") == Ports("/dev/ttyUSB0", "")
    assert ports("nano33ble-uart@/dev/ttyUSB0", flash="/dev/ttyACM0") == Ports("/dev/ttyUSB0", "/dev/ttyACM0")
    assert ports("nano33ble-uart@/dev/ttyUSB0", link="/dev/ttyUSB0") == Ports("/dev/ttyUSB0", "")
    assert ports("nano33ble-uart", link="/dev/ttyUSB0", flash="/dev/ttyACM0") == Ports("/dev/ttyUSB0", "/dev/ttyACM0")


def test_an_adapter_is_recognised_by_its_stable_name_too(attach, tmp_path):
    name = tmp_path / "usb-FTDI_A1"
    name.symlink_to("/dev/null")
    attach(("/dev/null", ADAPTER))
    assert ports(f"nano33ble-uart@{name}") == Ports(str(name), "")


@pytest.mark.parametrize("text", ["nano33ble-uart", "nano33ble-uart@/dev/ttyACM0"])
def test_the_boards_own_port_is_never_taken_for_its_pins(attach, text):
    attach(("/dev/ttyACM0", APP))
    with pytest.raises(LinkError, match=r"TX P1\.03") as caught:
        find_ports(parse_board(text), Config())
    assert "nano33ble-uart@PORT" in caught.value.expected


def test_the_probe_of_a_nucleo_is_known_by_its_ports_serial_number(attach, monkeypatch):
    attach(("/dev/ttyACM1", ST_LINK), ("/dev/ttyACM2", ST_LINK), ("/dev/ttyUSB0", ADAPTER))
    monkeypatch.setattr(ports_module, "usb_serial", lambda port: {"/dev/ttyACM2": "066D"}.get(port, ""))
    assert ports("nucleo-f401re@/dev/ttyACM2") == Ports("/dev/ttyACM2", "/dev/ttyACM2", "066D")
    assert ports("nucleo-f401re@/dev/ttyACM2", probe="0672").probe == "0672"
    assert ports("nucleo-f401re@/dev/ttyUSB0").probe == ""
    assert ports("nano33ble-uart@/dev/ttyUSB0", flasher="pyocd", probe="J1") == Ports("/dev/ttyUSB0", "/dev/ttyUSB0", "J1")


def test_rig_toml_may_choose_the_flasher_if_it_fits(attach):
    attach(("/dev/ttyUSB0", ADAPTER))
    target = parse_board("nano33ble-uart@/dev/ttyUSB0")
    board, _ = find_ports(target, Config(boards={"nano33ble-uart": BoardPorts(flasher="pyocd")}))
    assert board == dataclasses.replace(NANO, flasher="pyocd")
    for name, flasher in (("nano33ble-uart", "dd"), ("nucleo-f401re", "nano33")):
        with pytest.raises(UserError, match="can't be flashed by") as caught:
            find_ports(parse_board(f"{name}@/dev/ttyUSB0"), Config(boards={name: BoardPorts(flasher=flasher)}))
        assert "pyocd" in caught.value.expected


def image(seed: int = 0):
    return build_image(compile_model(small_models.dense_int8(seed), flash_bytes=NANO.flash_bytes, ram_bytes=NANO.ram_bytes), NANO)


def uart(port: str) -> Rig:
    return Rig(parse_board(f"nano33ble-uart@{port}"), Config(limits=Limits(hello_s=5.0)))


def test_a_board_that_runs_the_image_needs_no_flash_port(attach):
    with VirtualBoard(image=image().elf) as board:
        attach((board.port, ADAPTER))
        with uart(board.port) as rig:
            session, hello = rig.prepare(image())
            assert rig.flash_tries == 0 and hello.board_id.startswith(VIRTUAL_ID_PREFIX)
            assert len(session.run(bytes(20)).outputs) == 4


@pytest.mark.parametrize("others", [[], [("/dev/ttyACM8", APP), ("/dev/ttyACM9", APP)]])
def test_a_silent_board_without_a_flash_port_says_how_to_give_it(attach, others):
    with VirtualBoard() as board:
        attach((board.port, ADAPTER), *others)
        with uart(board.port) as rig, pytest.raises(LinkError, match="carries only the data") as caught:
            rig.prepare(image())
    assert 'flash = "PORT" under [boards.nano33ble-uart]' in caught.value.expected and "pyocd" in caught.value.remedy
    assert caught.value.received == (", ".join(port for port, _ in others) or "none")


def test_a_silent_board_is_flashed_through_the_only_port_of_its_kind(attach, tmp_path):
    with VirtualBoard() as board:
        usb = tmp_path / "ttyACM0"
        usb.symlink_to(board.port)
        attach((board.port, ADAPTER))
        with uart(board.port) as rig:
            attach((board.port, ADAPTER), (str(usb), BOOT))
            said: list[str] = []
            with heard(said.append):
                rig.prepare(image())
            assert said == [f"flashing {image().bin.stat().st_size} bytes through {usb}"] and rig.flash_tries == 1


def test_a_running_board_is_flashed_through_the_port_that_appears_and_never_through_anothers(attach, monkeypatch, tmp_path):
    """A bare-metal image has no USB: its bootloader shows up when it is sent there. A board that was there before
    is another."""
    usb, other = tmp_path / "ttyACM1", tmp_path / "ttyACM0"
    with VirtualBoard(image=image().elf) as board:
        attach((board.port, ADAPTER), (str(other), APP))
        with uart(board.port) as rig:
            reboot = Session.reboot

            def then_it_appears(session, **how):
                reboot(session, **how)
                usb.symlink_to(board.port)
                attach((board.port, ADAPTER), (str(other), APP), (str(usb), BOOT))

            monkeypatch.setattr(Session, "reboot", then_it_appears)
            said: list[str] = []
            with heard(said.append):
                rig.prepare(image(7))
            assert said[0].endswith(f"through {usb}") and not os.path.lexists(other)


def test_a_bootloader_that_does_not_appear_is_told(attach, monkeypatch):
    monkeypatch.setattr(flashing, "ENTER_S", 0.2)
    with VirtualBoard(image=image().elf) as board:
        attach((board.port, ADAPTER))
        with uart(board.port) as rig, pytest.raises(LinkError, match="carries only the data"):
            rig.prepare(image(7))


def test_a_hanging_board_is_reset_through_its_probe(attach, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(flashing, "restart", lambda board, port: asked.append((board.flasher, port)))
    monkeypatch.setattr(ports_module, "usb_serial", lambda port: "066D")
    with VirtualBoard() as board:  # blank: it answers nothing
        attach((board.port, ST_LINK))
        with Rig(parse_board(f"nucleo-f401re@{board.port}"), Config(limits=Limits(hello_s=0.1))) as rig:
            error = LinkError("no answer")
            assert rig.diagnose(error) is error
    assert asked == [("probe", "066D")]


def test_the_documents_name_every_flasher():
    pages = "".join((Path(__file__).parents[3] / "docs" / f"{name}.md").read_text() for name in (NANO.name, NUCLEO.name))
    assert all(f'"{name}"' in pages for name in ("pyocd", "st-flash"))
