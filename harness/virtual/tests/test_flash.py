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

from harness import flash as flasher
from harness.boards import BOARDS
from harness.errors import DeviceError, LinkError, ModelError
from harness.flash import flash
from harness.virtual.launch import VirtualBoard

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
        monkeypatch.setattr(flasher.Monitor, "_crc_matches", lambda self, offset, chunk: self._read(offset, len(chunk)) == chunk)
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
    monkeypatch.setattr(flasher, "ENTER_S", 1.0)
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        with pytest.raises(LinkError, match="no bootloader answers"):
            flash(b"1234", BOARD, os.ttyname(slave))
    finally:
        os.close(master)
        os.close(slave)


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
    monkeypatch.setattr(flasher, "ENTER_S", 1.0)
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
