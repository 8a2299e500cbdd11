"""Flashing through the bootloader, over a pty: the code that a real board gets."""

from __future__ import annotations

import dataclasses
import os
import struct
import threading
import tty
from pathlib import Path

import pytest
import serial
from serial.tools.list_ports_common import ListPortInfo

from tinyrig.core.boards import BOARDS
from tinyrig.core.errors import DeviceError, LinkError, ModelError
from tinyrig.flash import samba
from tinyrig.flash.flash import flash
from tinyrig.link.usb import Plug
from tinyrig.virtual.launch import VirtualBoard

BOARD = BOARDS["virtual"]


def alive(port: str) -> bool:
    """Whether image.c runs: it may still be starting, so a few tries."""
    with serial.Serial(port, 1_000_000, timeout=0.5) as tty_:
        for _ in range(20):
            tty_.write(b"a")
            if tty_.read(4) == struct.pack("<I", 0x41):
                return True
    return False


@pytest.fixture
def blank():
    """A board with blank flash: it waits in its bootloader."""
    with VirtualBoard() as board:
        yield board


def test_blank_board_is_flashed_and_started(blank: VirtualBoard, image_bin: bytes) -> None:
    seen: list[tuple[int, int]] = []
    flash(image_bin, BOARD, blank.port, lambda done, total: seen.append((done, total)))
    assert alive(blank.port)
    assert seen[-1] == (len(image_bin), len(image_bin))


def test_image_of_several_pages(blank: VirtualBoard, image_bin: bytes) -> None:
    flash(image_bin + os.urandom(30_001), BOARD, blank.port)
    assert alive(blank.port)


def test_running_board_is_touched_and_flashed_again(blank: VirtualBoard, image_bin: bytes) -> None:
    for padding in (0, 4096):
        flash(image_bin + bytes(padding), BOARD, blank.port)
        assert alive(blank.port)


def test_busy_program_is_touched_too(blank: VirtualBoard, image_bin: bytes) -> None:
    flash(image_bin, BOARD, blank.port)
    with serial.Serial(blank.port, 1_000_000) as port:
        port.write(b"b" + bytes(3000))
    flash(image_bin, BOARD, blank.port)
    assert alive(blank.port)


def test_program_may_ask_for_the_bootloader(blank: VirtualBoard, image_bin: bytes) -> None:
    flash(image_bin, BOARD, blank.port)
    assert alive(blank.port)
    with serial.Serial(blank.port, 1_000_000, timeout=5) as port:
        port.write(b"B")
    flash(image_bin, BOARD, blank.port)
    assert alive(blank.port)


def test_noise_before_flashing_does_no_harm(blank: VirtualBoard, image_bin: bytes) -> None:
    with serial.Serial(blank.port, 115200) as port:
        port.write(os.urandom(500).replace(b"#", b"") + b"V#N")
    flash(image_bin, BOARD, blank.port)
    assert alive(blank.port)


def test_unusable_image_leaves_the_board_in_its_bootloader(blank: VirtualBoard, image_bin: bytes) -> None:
    flash(bytes(64), BOARD, blank.port)  # its vectors lead nowhere
    flash(image_bin, BOARD, blank.port)
    assert alive(blank.port)


@pytest.mark.parametrize("can_crc", [True, False])
def test_bad_flash_is_found_and_named(image_bin: bytes, can_crc: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can_crc:  # an older bootloader: verified by reading back
        monkeypatch.setattr(samba.Monitor, "_crc_matches", lambda self, offset, chunk: self._read(offset, len(chunk)) == chunk)
    with VirtualBoard(faults=["flash-bad-write:0x10123"]) as board, pytest.raises(DeviceError, match="0x00010123"):
        flash(image_bin, BOARD, board.port)


def test_too_large_image_is_refused(image_bin: bytes) -> None:
    small = dataclasses.replace(BOARD, flash_bytes=len(image_bin) - 1)
    with pytest.raises(ModelError):
        flash(image_bin, small, "/dev/null")


def test_missing_port(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="can't open"):
        flash(b"1234", BOARD, str(tmp_path / "none"))


def test_silent_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samba, "ENTER_S", 1.0)
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        with pytest.raises(LinkError, match="no bootloader answers"):
            flash(b"1234", BOARD, os.ttyname(slave))
    finally:
        os.close(master)
        os.close(slave)


def usb(device: str, usb_id: str, location: str, serial_number: str = "") -> ListPortInfo:
    info = ListPortInfo(device)
    info.vid, info.pid = (int(part, 16) for part in usb_id.split(":"))
    info.location, info.serial_number = location, serial_number or None
    return info


APP, BOOT, ADAPTER = "2341:805a", "2341:005a", "0403:6001"
PORT_CHOICES = {
    # case: (attached, port named, its USB serial number and socket before the touch, ports to try)
    "still the program": ([("/dev/a0", APP, "1-2:1.0")], "/dev/a0", Plug(socket="1-2"), ["/dev/a0"]),
    "gone for now": ([], "/dev/a0", Plug(socket="1-2"), []),
    "back under another name": ([("/dev/a1", BOOT, "1-2:1.0")], "/dev/a0", Plug(socket="1-2"), ["/dev/a1"]),
    "another board is no substitute": ([("/dev/a1", BOOT, "1-3:1.0")], "/dev/a0", Plug(socket="1-2"), []),
    "reached through an adapter": ([("/dev/u0", ADAPTER, "1-4"), ("/dev/a1", BOOT, "1-2")], "/dev/u0", Plug(), ["/dev/a1"]),
    "adapter, no bootloader yet": ([("/dev/u0", ADAPTER, "1-4")], "/dev/u0", Plug(), ["/dev/u0"]),
    "stale name": ([("/dev/a1", BOOT, "1-2")], "/dev/a0", Plug(), ["/dev/a1"]),
    "a pty is never exchanged for USB": ([("/dev/a1", BOOT, "1-2")], "/dev/null", Plug(), ["/dev/null"]),
    "nor is a URL": ([("/dev/a1", BOOT, "1-2")], "socket://host:1", Plug(), ["socket://host:1"]),
    "its number, in another socket": (
        [("/dev/a1", BOOT, "1-3", "00ab"), ("/dev/a2", APP, "1-2", "C")],
        "/dev/a0",
        Plug("AB", "1-2"),
        ["/dev/a1"],
    ),
    "a number of its own": ([("/dev/a1", BOOT, "1-2", "X")], "/dev/a0", Plug("AB", "1-2"), ["/dev/a1"]),
}


@pytest.mark.parametrize("case", PORT_CHOICES)
def test_where_the_bootloader_is_sought(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attached, port, place, expected = PORT_CHOICES[case]
    monkeypatch.setattr(samba.list_ports, "comports", lambda: [usb(*a) for a in attached])
    assert samba._candidates(BOARDS["nano33ble-uart"], port, place) == expected


def test_two_boards_in_their_bootloaders_are_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samba.list_ports, "comports", lambda: [usb("/dev/a0", BOOT, "1-2"), usb("/dev/a1", BOOT, "1-3")])
    with pytest.raises(LinkError, match="several boards"):
        samba._candidates(BOARDS["nano33ble-uart"], "/dev/gone", Plug())


def test_virtual_board_never_touches_usb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samba.list_ports, "comports", lambda: [usb("/dev/a1", BOOT, "1-2")])
    assert samba._candidates(BOARD, "/dev/pts/99", samba._plug(BOARD, "/dev/a1")) == ["/dev/pts/99"]


def answer(master: int, replies: dict[bytes, bytes]) -> None:
    """A scripted device until the pty closes."""
    buffer = b""
    while True:
        try:
            buffer += os.read(master, 100)
        except OSError:
            return
        for command, reply in replies.items():
            if command in buffer:
                buffer = buffer.partition(command)[2]
                os.write(master, reply)


def test_bootloader_of_another_chip_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samba, "ENTER_S", 1.0)
    master, slave = os.openpty()
    tty.setraw(slave)
    replies = {b"N#": b"\n\r", b"V#": b"v2.0 [Arduino:XYZ] \n\r", b"I#": b"SAMD21\n\r"}
    thread = threading.Thread(target=answer, args=(master, replies), daemon=True)
    thread.start()
    with pytest.raises(LinkError, match="another board"):
        flash(b"1234", BOARD, os.ttyname(slave))
    os.close(slave)
    thread.join(5)
    os.close(master)
