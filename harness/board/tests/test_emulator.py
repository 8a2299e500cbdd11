"""The pump between an emulator's stdin and stdout and a TCP port."""

from __future__ import annotations

import socket

import pytest

from tinyrig.board.emulator import Pump


@pytest.fixture
def pump():
    pump = Pump()
    yield pump
    pump.close()


def connect(pump: Pump) -> socket.socket:
    port = int(pump.port.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), 10)


def read(emulator: socket.socket, n: int) -> bytes:
    """With patience, which an emulator has not."""
    other = emulator.dup()
    other.settimeout(10)
    try:
        return other.recv(n)
    finally:
        other.setblocking(False)
        other.close()


def test_bytes_cross_both_ways_and_a_read_never_blocks(pump):
    with connect(pump) as line:
        with pytest.raises(BlockingIOError):
            pump.emulator.recv(10)
        line.sendall(b"to the board")
        assert read(pump.emulator, 100) == b"to the board"
        pump.emulator.sendall(b"to the host")
        assert line.recv(100) == b"to the host"


def test_a_second_connection_takes_over_and_what_nobody_hears_is_lost(pump):
    with connect(pump) as first:
        first.sendall(b"1")
        assert read(pump.emulator, 10) == b"1"
    with connect(pump) as second:
        second.sendall(b"2")
        assert read(pump.emulator, 10) == b"2"
        pump.emulator.sendall(b"for the second")
        assert second.recv(100) == b"for the second"
        with connect(pump) as third:
            third.sendall(b"3")
            assert read(pump.emulator, 10) == b"3"
            assert second.recv(100) == b""


def test_what_an_emulator_left_unread_is_not_for_the_next(pump):
    with connect(pump) as line:
        line.sendall(b"stale")
        assert read(pump.emulator, 1) == b"s"
        pump.discard()
        line.sendall(b"new")
        assert read(pump.emulator, 10) == b"new"


def test_it_ends_while_it_waits_for_an_emulator_that_reads_nothing():
    pump = Pump()
    with connect(pump) as line:
        line.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                line.send(bytes(1 << 16))
        pump.close()
    assert not pump._thread.is_alive()
