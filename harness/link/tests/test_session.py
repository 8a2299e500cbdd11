"""Sessions with the real firmware, run as a host process: the plain one, and the Arduino sketch of the Nano 33 BLE. A link that
damages bytes stands between them where a test says so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyrig.core.errors import DeviceError, LinkError, UserError
from tinyrig.link import pacing, wire
from tinyrig.link.exchange import MIN_TRIES
from tinyrig.link.session import Session
from tinyrig.tests.damaging_link import DamagingLink, encoded, flip, insert, lose, lose_all, sequence
from tinyrig.tests.host_board import HostBoard, build_sketch

TOY, MULTI, NULL = "tests/toy_int8.c", "tests/toy_multi.c", "app/null_engine.c"


@pytest.fixture(scope="module", params=["host", "sketch"])
def boards(request):
    """Running boards by engine, shared by the module: each session begins with its own hello."""
    running: dict[str, HostBoard] = {}

    def board(engine: str) -> HostBoard:
        if engine not in running:
            running[engine] = HostBoard(engine, program=build_sketch(engine) if request.param == "sketch" else None)
        return running[engine]

    yield board
    for board in running.values():
        board.__exit__(None, None, None)


@pytest.fixture
def connect(boards):
    """connect(engine) -> Session, its link a DamagingLink."""
    sessions: list[Session] = []

    def connected(engine: str) -> tuple[Session, DamagingLink]:
        link = DamagingLink(boards(engine).link())
        sessions.append(Session(link))
        return sessions[-1], link

    yield connected
    for session in sessions:
        session.close()


def window(seed: int) -> bytes:
    return np.random.default_rng(seed).integers(-60, 60, 8, np.int8).tobytes()


def expected(data: bytes) -> bytes:
    return (2 * np.frombuffer(data, np.int8) + 1).astype(np.int8).tobytes()


def test_hello(connect, request):
    session, _ = connect(TOY)
    hello = session.hello()
    name = "nano33ble" if "sketch" in request.node.callspec.id else "host"
    assert (hello.engine, hello.board_name, hello.fault) == ("toy-int8", name, None)
    assert bytes.fromhex(hello.board_id) == b"HOSTPORT"
    assert [(t.shape, t.dtype, t.scale, t.zero_point) for t in hello.inputs] == [((1, 8), "int8", 0.5, -3)]


def test_run_says_what_it_cost(connect):
    session, _ = connect(TOY)
    plain = session.run(window(1), index=4)
    assert (plain.kind, plain.index, plain.outputs) == ("window", 4, expected(window(1)))
    assert plain.stack_bytes is None and plain.op_cycles == ()
    profile = session.run(window(2), profile=True, kind="profile")
    assert len(profile.op_cycles) == 2 and sum(profile.op_cycles) == profile.cycles
    assert profile.outputs == expected(window(2))
    stack = session.run(window(3), stack=True, kind="stack")
    assert stack.stack_bytes >= 1024 and stack.outputs == expected(window(3))


def test_one_round_trip_a_window(connect):
    """Once the length of an inference is known."""
    session, _ = connect(TOY)
    session.run(window(0))
    before = session.statistics.requests
    samples = list(session.stream([window(n) for n in range(20)], "repeat"))
    assert session.statistics.requests - before == 20
    assert [(s.kind, s.index, s.outputs) for s in samples] == [("repeat", n, expected(window(n))) for n in range(20)]


def test_tensors_larger_than_a_frame(connect):
    session, _ = connect(MULTI)
    x = np.arange(6, dtype=np.float32)
    b = np.random.default_rng(0).integers(-128, 127, 10000).astype(np.int8)
    for _ in range(2):
        outputs = session.run([x.tobytes(), b.tobytes()]).outputs
        total = np.array([x.sum() + b.sum(dtype=np.int32)], np.int32)
        assert outputs == (2 * x).tobytes() + (-b).astype(np.int8).tobytes() + total.tobytes()


def test_no_tensors_at_all(connect):
    session, _ = connect(NULL)
    assert [session.run([]).outputs for _ in range(2)] == [b"", b""]


def test_echo(connect):
    session, _ = connect(TOY)
    data = bytes(range(256)) * 16
    assert session.hello().max_payload == len(data)
    assert session.echo(data) == data


def test_wrong_window_is_the_users_fault(connect):
    session, _ = connect(TOY)
    with pytest.raises(UserError, match="does not fit"):
        session.run(bytes(7))
    with pytest.raises(UserError):
        session.run([bytes(8), bytes(8)])


def test_refusal_names_the_reason(connect):
    session, _ = connect(MULTI)
    x = np.array([127, 0, 0, 0, 0, 0], np.float32)
    with pytest.raises(DeviceError, match="an operator failed"):
        session.run([x.tobytes(), bytes(10000)])
    assert session.retries == 0


@pytest.mark.parametrize("damage", [flip(3), flip(-1), lose(0), lose(20), lose_all, insert(0), insert(17)])
def test_damaged_request_is_sent_again(connect, damage):
    session, link = connect(TOY)
    session.run(window(0))
    link.plan({0: damage}, {})
    assert session.run(window(5)).outputs == expected(window(5))
    assert session.retries >= 1 or damage(b"TR") == b"TTR"  # noise in front is skipped without a repetition


@pytest.mark.parametrize("damage", [flip(3), flip(12), lose(0), lose_all, insert(2)])
@pytest.mark.parametrize("read", [0, 1])
def test_damaged_reply_is_fetched_again(connect, damage, read):
    """The toy works in place, so an inference that ran twice on one input would show in the outputs."""
    session, link = connect(TOY)
    session.run(window(0))
    link.plan({}, {read: damage})
    assert session.run(window(6)).outputs == expected(window(6))
    assert session.retries == 1


def test_damaged_chunks(connect):
    session, link = connect(MULTI)
    inputs = [bytes(24), bytes([3] * 10000)]
    session.run(inputs)
    link.plan({1: flip(500), 4: lose(99)}, {2: flip(0), 7: lose(5)})
    assert session.run(inputs).outputs[24:10024] == bytes([253] * 10000)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.tuples(st.booleans(), st.integers(0, 5)),
        st.tuples(st.sampled_from([flip, lose, insert]), st.integers(0, 40)),
        max_size=4,
    )
)
def test_any_damages_are_survived(boards, damages):
    link = DamagingLink(boards(TOY).link())
    plans: tuple[dict, dict] = ({}, {})
    for (outgoing, place), (damage, at) in damages.items():
        plans[outgoing][place] = damage(at)
    with Session(link) as session:
        session.run(window(0))
        link.plan(*plans)
        for n in range(3):
            assert session.run(window(n)).outputs == expected(window(n))


def test_stale_replies_are_dropped(connect):
    session, link = connect(TOY)
    session.hello()
    session.echo(b"before")
    link.plan({0: lambda data: encoded(wire.Type.ECHO, sequence(data) - 1, b"an older question") + data}, {})
    assert session.echo(b"now") == b"now"
    assert (session.statistics.stale, session.retries) == (1, 0)


def test_silence_is_a_link_error(connect):
    session, link = connect(TOY)
    session.hello()
    link.plan(dict.fromkeys(range(99), lose_all), {})
    with pytest.raises(LinkError, match="no answer") as caught:
        session.echo(b"x")
    assert "TX and RX" in caught.value.remedy
    assert f"{session.statistics.timeouts} timeouts, 0 damaged" in caught.value.received
    assert MIN_TRIES <= session.statistics.timeouts == 1 + session.retries <= 1 + wire.RETRIES


def test_reset_between_chunks_is_noticed(connect):
    """The input would be half zeros: an error, never a result."""
    session, link = connect(MULTI)
    inputs = [bytes(24), bytes(10000)]
    session.run(inputs)
    link.plan({2: lambda data: encoded(wire.Type.REBOOT, sequence(data), wire.reboot_payload(bootloader=False))}, {})
    with pytest.raises(DeviceError, match="was reset"):
        session.run(inputs)
    assert session.run(inputs).outputs


def test_reboot_needs_a_new_hello(connect):
    session, _ = connect(TOY)
    session.reboot(bootloader=False)
    assert session.run(window(1)).outputs == expected(window(1))


def test_deadline_follows_the_slowest_inference(connect):
    session, link = connect(TOY)
    session.run(window(0))
    asked: list[float] = []
    read = link.read
    link.read = lambda n, timeout: (asked.append(timeout), read(n, timeout))[1]
    session.run(window(1))
    assert max(asked) < pacing.FIRST_INVOKE_DEADLINE_S / 3
