"""What a line may do besides damaging frames: requests and replies that arrive late, foreign ones, and lines that are too bad.

Each test of a late frame fails when the check that it names is taken out.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tinyrig.core.errors import DeviceError, LinkError
from tinyrig.link import wire
from tinyrig.link.exchange import Exchange
from tinyrig.link.session import Session
from tinyrig.link.wire import RunFlag, Type
from tinyrig.tests.damaging_link import DamagingLink, RewritingLink, encoded, flip, lose_all, sequence
from tinyrig.tests.host_board import HostBoard

TOY, MULTI = "tests/toy_int8.c", "tests/toy_multi.c"


@pytest.fixture(scope="module")
def boards():
    running: dict[str, HostBoard] = {}
    yield lambda engine: running.setdefault(engine, HostBoard(engine))
    for board in running.values():
        board.__exit__(None, None, None)


@pytest.fixture
def connect(boards):
    """connect(engine, kind of link) -> greeted Session, its link."""
    sessions: list[Session] = []

    def connected(engine: str, kind=DamagingLink):
        link = kind(boards(engine).link())
        sessions.append(Session(link, invoke_deadline_s=0.3))
        sessions[-1].hello()
        return sessions[-1], link

    yield connected
    for session in sessions:
        session.close()


def inputs(seed: int) -> list[bytes]:
    """Of toy_multi: less than a frame, then three frames."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 9, 6).astype(np.float32).tobytes(), rng.integers(-99, 99, 10000).astype(np.int8).tobytes()]


def outputs(tensors: list[bytes]) -> bytes:
    x, b = np.frombuffer(tensors[0], np.float32), np.frombuffer(tensors[1], np.int8)
    total = np.array([int(x.sum()) + b.sum(dtype=np.int32)], np.int32)
    return (2 * x).tobytes() + (-b).astype(np.int8).tobytes() + total.tobytes()


def chunk(number: int, tensor: int, offset: int, data: bytes) -> bytes:
    return encoded(Type.RUN, number, wire.run_payload(tensor, offset, data))


def test_late_chunk_of_the_window_before(connect):
    """STALE: it would overwrite what the next window has placed already."""
    session, link = connect(MULTI)
    kept: list[bytes] = []
    link.plan({1: lambda data: kept.append(data) or data}, {})
    session.run(inputs(1))
    link.plan({3: lambda data: kept[0] + data}, {})
    assert session.run(inputs(2)).outputs == outputs(inputs(2))
    assert (session.statistics.stale, session.statistics.bad_inputs) == (1, 0)


def test_late_chunk_of_an_earlier_session(connect):
    """Inputs CRC: its number looks new, so it is executed, and ours looks old. The window is sent again."""
    session, link = connect(MULTI)
    session.run(inputs(1))
    link.plan({3: lambda data: chunk(sequence(data) + 999, 1, 5000, bytes(100)) + data}, {})
    assert session.run(inputs(2)).outputs == outputs(inputs(2))
    assert session.statistics.bad_inputs == 1
    assert session.run(inputs(3)).outputs == outputs(inputs(3))
    assert session.statistics.bad_inputs == 1


def test_late_hello_takes_the_kept_reply(connect):
    """Inputs CRC: the inference would run again on what it left of its inputs."""
    session, link = connect(TOY)
    data = bytes(range(8))
    link.plan({1: lambda frame: frame + encoded(Type.HELLO, 7, b"")}, {2: lose_all, 3: lose_all})
    sample = session.run(data)
    assert sample.outputs == bytes(2 * b + 1 for b in data)
    assert session.statistics.bad_inputs == 1


def test_late_inference_of_an_earlier_session_before_the_outputs_are_read(connect):
    """Outputs CRC."""
    session, link = connect(MULTI)
    session.run(inputs(1))
    ours, theirs = inputs(2), inputs(3)

    def foreign(data: bytes) -> bytes:
        n = sequence(data) + 500
        pieces = [chunk(n, 0, 0, theirs[0]), *(chunk(n + 1 + at, 1, at, theirs[1][at : at + 4000]) for at in (0, 4000, 8000))]
        run = encoded(Type.RUN, n + 8002, wire.run_payload(0, 0, b"", RunFlag.INVOKE, wire.tensors_crc(theirs)))
        return b"".join(pieces) + run + data

    reads = 4  # requests that place the inputs; the next one is the first READ
    link.plan({reads: foreign}, {})
    sample = session.run(ours)
    assert sample.outputs == outputs(ours)
    assert session.statistics.bytes_resent > 10000


@pytest.mark.parametrize(
    "change", [{"inputs_crc": 1}, {"flags": RunFlag.INVOKE | RunFlag.PROFILE}, {"outputs_crc": 3}, {"outputs": b"other op"}]
)
def test_reply_of_another_inference_is_not_taken(connect, change):
    """It has the right type and number, as one of an earlier session may have."""
    session, link = connect(TOY, RewritingLink)
    session.run(bytes(8))
    foreign = [change]

    def rewrite(frame: wire.Frame) -> bytes:
        if not foreign:
            return wire.encode(frame)
        reply = dataclasses.replace(wire.decode_run_reply(frame.payload, 8), **foreign.pop())
        return wire.encode(dataclasses.replace(frame, payload=wire.encode_run_reply(reply)))

    link.rewrite = rewrite
    assert session.run(bytes([3] * 8)).outputs == bytes([7] * 8)
    assert (session.statistics.damaged, session.retries) == (1, 1)


REQUESTS = [
    (TOY, lambda s: s.hello()),
    (TOY, lambda s: s.echo(b"four")),
    (TOY, lambda s: s.run(bytes(8))),
    (MULTI, lambda s: s.run(inputs(1))),
]


@pytest.mark.parametrize(("engine", "request_"), REQUESTS)
@pytest.mark.parametrize("payload", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"\xff" * 40])
def test_reply_of_a_wrong_length_is_reported(connect, engine, request_, payload):
    """Whole frames, right type and number, good CRCs: tried again, then reported, never a traceback."""
    session, link = connect(engine, RewritingLink)
    link.rewrite = lambda frame: wire.encode(dataclasses.replace(frame, payload=payload(frame.payload)))
    with pytest.raises(LinkError) as caught:
        request_(session)
    assert session.statistics.damaged > wire.RETRIES and f"{wire.RETRIES + 1} damaged" in caught.value.received


@pytest.mark.parametrize("damage", [lose_all, flip(3)])
def test_reboot_is_obeyed_once_though_its_reply_is_lost(connect, damage):
    session, link = connect(TOY)
    link.plan({}, {0: damage})
    session.reboot(bootloader=False)
    assert session.run(bytes(8)).outputs == bytes([1] * 8)


def test_inputs_that_never_stay_are_the_boards_fault(connect):
    session, link = connect(MULTI)
    link.plan({n: lambda data: chunk(sequence(data), 0, 0, b"\1") + data if len(data) < 60 else data for n in range(99)}, {})
    with pytest.raises(DeviceError, match="do not stay"):
        session.run(inputs(1))


@pytest.mark.parametrize("outgoing", [True, False])
def test_a_line_that_damages_everything_is_a_link_error_that_says_what_was_seen(connect, outgoing):
    session, link = connect(TOY)
    damages = dict.fromkeys(range(999), flip(20) if outgoing else flip(3))
    link.plan(*((damages, {}) if outgoing else ({}, damages)))
    with pytest.raises(LinkError) as caught:
        session.echo(b"x")
    seen = session.statistics
    assert f"{seen.damaged} damaged, {seen.refused} refused" in caught.value.received and caught.value.remedy
    assert (seen.refused if outgoing else seen.damaged) == wire.RETRIES + 1
    link.plan({}, {})
    assert session.echo(b"x") == b"x"


def test_numbers_wrap(boards):
    with boards(TOY).link() as link:
        exchange = Exchange(link, __import__("time").monotonic, sequence=0xFFFD)
        exchange.ask(Type.HELLO, b"", wire.decode_hello, 2.0)
        for n in range(6):
            assert exchange.ask(Type.ECHO, bytes([n]), bytes, 2.0) == bytes([n])
        assert exchange.statistics.retries == 0


def test_recovery_is_counted(connect):
    session, link = connect(TOY)
    link.plan({0: flip(-1), 3: lose_all}, {})
    session.echo(b"one")
    session.echo(b"two")
    session.echo(b"three")
    summary = session.statistics.summary()
    assert (summary["retries"], summary["recoveries"], summary["refused"], summary["timeouts"]) == (2, 2, 1, 1)
    assert summary["bytes_resent"] == 20 + 3 + 20 + 5
    assert 0 < summary["recovery_median_s"] <= summary["recovery_worst_s"]


@pytest.mark.parametrize("noise", [b"\0" * 16, b"TR", b"T" * 16])
def test_a_line_that_never_falls_silent(noise):
    """The clock moves only while the host reads, so this takes no time."""
    now = [0.0]

    class Babble:
        url = "babble"

        def write(self, data: bytes) -> None: ...

        def read(self, n: int, timeout: float) -> bytes:
            now[0] += 0.01
            return noise[:n]

    with pytest.raises(LinkError, match="never falls silent"):
        Session(Babble(), clock=lambda: now[0]).hello()
    assert now[0] < 10
