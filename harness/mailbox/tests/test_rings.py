"""The mailbox's two sides against each other: the C code on this machine, the Python code, and any order of their steps."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.mailbox.rings import DOWN_IN, HEADER, MAGIC, UP_OUT, VECTOR, Rings
from tinyrig.tests.host_board import FIRMWARE

BASE, BOX, SIZE = 0x2000_0000, 0x100, 16


class Board:
    """A board's memory and what its program does with the mailbox in it, a step at a time."""

    def __init__(self, size: int = SIZE) -> None:
        self.memory = bytearray(0x400)
        self.memory[4 * VECTOR : 4 * VECTOR + 4] = struct.pack("<I", BASE + BOX)
        self.size, self.accesses = size, 0
        self.start()

    def start(self, index: int = 0) -> None:
        HEADER.pack_into(self.memory, BOX, MAGIC, self.size, index, index, index, index, 0)

    @contextlib.contextmanager
    def access(self):
        self.accesses += 1
        yield

    def read(self, address: int, count: int) -> bytes:
        at = address - BASE
        if not 0 <= at <= len(self.memory) - count:
            raise PermissionError(hex(address))
        return bytes(self.memory[at : at + count])

    def write(self, address: int, data: bytes) -> None:
        self.memory[address - BASE : address - BASE + len(data)] = data

    def close(self) -> None: ...

    def _index(self, offset: int) -> int:
        return int(struct.unpack_from("<I", self.memory, BOX + offset)[0])

    def sends(self, data: bytes) -> int:
        into, out = self._index(20), self._index(UP_OUT)
        piece = data[: self.size - ((into - out) & 0xFFFF_FFFF)]
        for i, byte in enumerate(piece):
            self.memory[BOX + HEADER.size + self.size + ((into + i) & 0xFFFF_FFFF) % self.size] = byte
        struct.pack_into("<I", self.memory, BOX + 20, (into + len(piece)) & 0xFFFF_FFFF)
        return len(piece)

    def takes(self, most: int) -> bytes:
        into, out = self._index(DOWN_IN), self._index(16)
        count = min(most, (into - out) & 0xFFFF_FFFF)
        data = bytes(self.memory[BOX + HEADER.size + ((out + i) & 0xFFFF_FFFF) % self.size] for i in range(count))
        struct.pack_into("<I", self.memory, BOX + 16, (out + count) & 0xFFFF_FFFF)
        return data


@given(
    st.lists(st.tuples(st.sampled_from(["give", "takes", "sends", "take"]), st.binary(max_size=40))), st.integers(0, 2**32 - 1)
)
def test_every_byte_arrives_once_and_in_order(steps, index):
    """Also where the indices pass 2^32."""
    board = Board()
    board.start(index)
    rings = Rings(board, BASE)
    down, up, at_board, at_host = b"", b"", b"", b""
    for step, data in steps:
        if step == "give":
            down += data[: rings.give(data)]
        elif step == "sends":
            up += data[: board.sends(data)]
        elif step == "takes":
            at_board += board.takes(len(data))
        else:
            at_host += rings.take()
    assert at_board + board.takes(SIZE) == down and at_host + rings.take() == up


@pytest.mark.parametrize("vector", [0, 0xFFFF_FFFF, BASE + 3, 0x0800_0101, 0x3000_0000, BASE + 0x200])
def test_another_program_has_no_mailbox(vector):
    board = Board()
    board.memory[4 * VECTOR : 4 * VECTOR + 4] = struct.pack("<I", vector)
    rings = Rings(board, BASE)
    before = bytes(board.memory)
    assert rings.take() is None and rings.give(b"hello") == 0 and bytes(board.memory) == before


def test_a_board_that_was_just_reset_is_no_harm():
    board = Board()
    rings = Rings(board, BASE)
    board.sends(b"half a frame")
    board.memory[BOX : BOX + HEADER.size] = bytes(HEADER.size)
    assert rings.take() is None
    board.start()
    board.sends(b"hello")
    assert rings.take() == b"hello"


def test_both_sides_lay_it_out_alike():
    text = (FIRMWARE / "port" / "cortexm" / "mailbox.h").read_text()
    names = (
        "char magic[8]",
        "uint32_t size",
        "volatile uint32_t down_in, down_out, up_in, up_out",
        "uint32_t reserved",
        "volatile uint8_t down",
    )
    places = [text.index(name) for name in names]
    assert places == sorted(places) and HEADER.size == 32 and f"MAILBOX_VECTOR = {VECTOR}" in text
