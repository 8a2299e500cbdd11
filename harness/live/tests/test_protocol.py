"""The payloads of sampling, as bytes."""

import struct
import zlib

import numpy as np
import pytest

from tinyrig.link.wire import WireError
from tinyrig.live import protocol
from tinyrig.live.protocol import Asked, Flag, Smoothing, State

STATUS = bytes([1, 1, 0, 0]) + struct.pack("<9IQ", *range(10, 19), 1 << 33)


def test_start():
    asked = Asked(50_000, Flag.FRAMES | Flag.INFER, 59, 10, ((3, 0.5, 2.0),), Smoothing.MAJORITY, 5)
    assert asked.payload().hex() == "50c30000030105003b000a0001000000030000000000003f00000040"


def test_started_belongs_to_its_request():
    payload = Asked(1000, Flag.FRAMES).payload()
    reply = struct.pack("<IBBxx", zlib.crc32(payload), 2, 4)
    assert protocol.decode_started(reply, payload) == (2, 4)
    with pytest.raises(WireError):
        protocol.decode_started(reply, payload + b"\0")


def test_fetched():
    decision = struct.pack("<9I2H", *range(9), 3, 4) + b"\x01\x02"
    frame = struct.pack("<3I2h", 7, 8, 9, -1, 300)
    fetched = protocol.decode_fetched(STATUS + struct.pack("<2H", 1, 2) + decision + 2 * frame, 2, 2)
    assert fetched.status.state is State.RUNNING
    assert (fetched.status.now_us, fetched.status.busy_cycles) == (10, 1 << 33)
    assert (fetched.decisions[0].outputs_crc, fetched.decisions[0].smoothed, fetched.decisions[0].scores) == (8, 4, b"\x01\x02")
    assert [f.number for f in fetched.frames] == [7, 7]
    assert np.array_equal(fetched.frames[0].counts, [-1, 300])


@pytest.mark.parametrize(
    "payload", [b"", STATUS, STATUS + b"\1\0\0\0", b"\2" + STATUS[1:] + bytes(4), b"\1\7" + STATUS[2:] + bytes(4)]
)
def test_no_fetch(payload):
    with pytest.raises(WireError):
        protocol.decode_fetched(payload, 2, 2)


@pytest.mark.parametrize("payload", [b"", bytes(24), b"\1\0\2\0" + bytes(20)])
def test_no_sensor(payload):
    with pytest.raises(WireError):
        protocol.decode_sensor(payload)
