"""The bootloader's commands, spoken byte by byte over the pty."""

from __future__ import annotations

import binascii
from collections.abc import Iterator

import pytest
import serial

from tinyrig.virtual.launch import VirtualBoard

END = b"\n\r"


@pytest.fixture(scope="module")
def port() -> Iterator[serial.Serial]:
    """A blank board's port; each test erases what it writes."""
    with VirtualBoard() as board, serial.Serial(board.port, 115200, timeout=5) as tty:
        yield tty


def ask(port: serial.Serial, command: bytes, count: int) -> bytes:
    port.write(command)
    return port.read(count)


def write(port: serial.Serial, offset: int, data: bytes) -> None:
    port.write(b"S00000034,%08X#" % len(data) + data)
    assert ask(port, b"Y00000034,0#", 3) == b"Y" + END
    assert ask(port, b"Y%08X,%08X#" % (offset, len(data)), 3) == b"Y" + END


def read(port: serial.Serial, offset: int, count: int) -> bytes:
    return ask(port, b"R%08X,%08X#" % (offset, count), count)


def test_who_it_is(port: serial.Serial) -> None:
    port.write(b"V#I#")
    assert port.read_until(END) == b"Arduino Bootloader (SAM-BA extended) 2.0 [Arduino:IKXYZ]" + END
    assert port.read_until(END) == b"nRF52840-QIAA" + END


def test_noise_before_a_command(port: serial.Serial) -> None:
    assert ask(port, b"TR\x01\x00,12xyzN#", 2) == END


def test_unknown_commands_get_no_reply(port: serial.Serial) -> None:
    assert ask(port, b"Q12#####N#", 2) == END


def test_written_data_are_read_back_with_their_crc(port: serial.Serial) -> None:
    data = bytes(range(256)) * 16
    assert ask(port, b"X00000000#", 3) == b"X" + END
    write(port, 0x2000, data)
    assert read(port, 0x2000, len(data)) == data
    assert read(port, 0x1FFF, 1) == read(port, 0x3000, 1) == b"\xff"
    assert ask(port, b"Z00002000,00001000#", 12) == b"Z%08X#" % binascii.crc_hqx(data, 0) + END


def test_writing_only_clears_bits_until_erased(port: serial.Serial) -> None:
    ask(port, b"X00000000#", 3)
    write(port, 0, b"\xf0\x0f\xff\x00")
    write(port, 0, b"\x3c\x3c\x3c\x3c")
    assert read(port, 0, 4) == b"\x30\x0c\x3c\x00"
    ask(port, b"X00000000#", 3)
    assert read(port, 0, 4) == b"\xff" * 4


def test_erase_starts_where_it_is_told(port: serial.Serial) -> None:
    ask(port, b"X00000000#", 3)
    write(port, 0, bytes(8192))
    ask(port, b"X00001000#", 3)
    assert read(port, 0xFFF, 2) == b"\x00\xff"
    ask(port, b"X00000000#", 3)


def test_words_of_ram(port: serial.Serial) -> None:
    port.write(b"W20001000,DEADBEEF#")
    assert ask(port, b"w20001000,4#", 4) == bytes.fromhex("efbeadde")


def test_what_lies_beyond_the_flash_is_not_written(port: serial.Serial) -> None:
    write(port, 983_040 - 2, b"\x11\x22\x33\x44")
    assert ask(port, b"R%08X,4#" % (983_040 - 2), 2) == b"\x11\x22"
    assert ask(port, b"N#", 2) == END
    ask(port, b"X00000000#", 3)


def test_reset_without_a_program_stays(port: serial.Serial) -> None:
    ask(port, b"X00000000#", 3)
    port.write(b"K#")
    assert ask(port, b"N#", 2) == END
