"""What a number from a board can be: every bound, and replies with good CRCs at and beyond them."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.core.errors import EXIT_RIG, DeviceError
from tinyrig.core.records import Hello, Sample, TensorSpec
from tinyrig.link import bounds, wire
from tinyrig.link.bounds import BOUNDS, Impossible, Situation
from tinyrig.link.session import Session
from tinyrig.link.wire import Frame, RunFlag, RunReply, Type

KNOWN = Situation(
    clock_hz=64_000_000,
    least_cycles=1000,
    most_stack=200_000,
    per_s=96e6,
    took_s=0.01,
    op_count=3,
    seen=75_000.0,
    total=75_000.0,
    physical=False,
)
GOOD = Hello(
    wire_version=wire.VERSION,
    build_id="00" * 16,
    model_sha256="11" * 32,
    engine="tinyrig",
    board_name="nano33ble",
    board_id="0123456789abcdef",
    clock_hz=64_000_000,
    max_payload=4096,
    arena_bytes=8304,
    timer_overhead_cycles=1,
    op_count=3,
    inputs=(TensorSpec("input0", (1, 8), "int8", 0.5, -3),),
    outputs=(TensorSpec("output0", (1, 8), "int8", 0.25, 4),),
)


def limits(field: str) -> tuple[float, float]:
    bound = BOUNDS[field]
    lower, upper = (limit(KNOWN) if callable(limit) else limit for limit in (bound.lower, bound.upper))
    return lower, upper


def beyond(field: str) -> list[float]:
    """Just outside, far outside, and what is no number."""
    lower, upper = limits(field)
    down, up = (max(1.0, abs(limit) * 1e-6) for limit in (lower, upper))
    return [lower - down, upper + up, lower - 10 * abs(lower) - 10, upper + 10 * abs(upper) + 10, nan, inf, -inf]


@pytest.mark.parametrize("field", BOUNDS)
def test_a_bound_takes_what_is_possible_and_names_what_is_not(field: str) -> None:
    lower, upper = limits(field)
    for good in (lower, upper, (lower + upper) / 2):
        bounds.check(field, good, KNOWN)
    for bad in beyond(field):
        with pytest.raises(Impossible) as caught:
            bounds.check(field, bad, KNOWN)
        assert caught.value.exit_code == EXIT_RIG and field in caught.value.what
        assert caught.value.received and BOUNDS[field].why in caught.value.expected and caught.value.remedy


def test_every_field_has_one_bound_with_a_reason() -> None:
    assert len(BOUNDS) == len(bounds._HELLO) + len(bounds._INFERENCE) + len(bounds._OTHERS)
    assert all(bound.why for bound in BOUNDS.values())
    assert BOUNDS["max_payload"].upper == wire.MAX_PAYLOAD_LIMIT


HELLO_FIELDS = {
    # field of the record: (name of its bound, values that the wire can carry and no board has)
    "clock_hz": ("clock", [0, 1, 32_768, 999_999, 1_200_000_001, 2**32 - 1]),
    "max_payload": ("max_payload", [0, 11, 12, 75, 65_537, 2**32 - 1]),
    "arena_bytes": ("arena", [2**28 + 1, 2**32 - 1]),
    "timer_overhead_cycles": ("timer overhead", [100_001, 2**32 - 1]),
    "op_count": ("number of steps", [16_378, 65_535]),
}
TENSORS = [
    ("size of a tensor", {"shape": (2**32 - 1,) * 6}),
    ("size of a tensor", {"shape": (2**31, 2**31, 4)}),  # wraps to 0 in 64 bits
    ("scale of a tensor", {"scale": nan}),
    ("scale of a tensor", {"scale": inf}),
    ("scale of a tensor", {"scale": -0.5}),
    ("zero point (int8)", {"zero_point": 128}),
    ("zero point (int8)", {"zero_point": -(2**31)}),
]


class AnsweringLink:
    """A Link to a board that answers every request at once, with the payload that `answer` gives, and good CRCs."""

    url = "fake"

    def __init__(self, answers: dict[Type, bytes]) -> None:
        self.answers, self._out = answers, b""

    def write(self, data: bytes) -> None:
        frame = wire.decode(data)
        assert frame is not None
        payload = self.answers[Type(frame.type)]
        if frame.type == Type.RUN and not wire.decode_run_payload(frame.payload)[3] & RunFlag.INVOKE:
            payload = b""
        self._out += wire.encode(Frame(frame.type | wire.REPLY_BIT, frame.sequence, payload))

    def read(self, n: int, timeout: float) -> bytes:
        data, self._out = self._out[:n], self._out[n:]
        return data

    def close(self) -> None:
        pass


WINDOW = bytes(range(8))


def session(hello: Hello = GOOD, **reply: object) -> Session:
    flags = RunFlag.INVOKE | (RunFlag.STACK if "stack_bytes" in reply else 0) | (RunFlag.PROFILE if "op_cycles" in reply else 0)
    whole = RunReply(
        **{"cycles": 75_000, "stack_bytes": None, "op_cycles": (), **reply},  # type: ignore[arg-type]
        outputs=bytes(8),
        flags=flags,
        inputs_crc=wire.tensors_crc([WINDOW]),
        outputs_crc=wire.tensors_crc([bytes(8)]),
    )
    found = Session(AnsweringLink({Type.HELLO: wire.encode_hello(hello), Type.RUN: wire.encode_run_reply(whole)}))
    found.situation = replace(KNOWN, took_s=inf, per_s=1e12)
    return found


@pytest.mark.parametrize(
    ("field", "name", "value"), [(field, name, value) for field, (name, values) in HELLO_FIELDS.items() for value in values]
)
def test_an_impossible_hello_names_its_field_at_once(field: str, name: str, value: int) -> None:
    board = session(replace(GOOD, **{field: value}))
    with pytest.raises(Impossible, match=rf"{name} {value}"):
        board.hello()
    assert board.retries == 0  # the line is not to blame


@pytest.mark.parametrize(("name", "changes"), TENSORS)
def test_an_impossible_tensor_is_named(name: str, changes: dict[str, object]) -> None:
    with pytest.raises(Impossible) as caught:
        session(replace(GOOD, outputs=(replace(GOOD.outputs[0], **changes),))).hello()
    assert name in caught.value.what and "output0" in caught.value.what


def test_a_hello_of_another_version_is_refused_for_that() -> None:
    with pytest.raises(DeviceError, match="another wire version"):
        session(replace(GOOD, wire_version=7, clock_hz=0)).hello()


def test_an_unknown_kind_of_fault_is_refused() -> None:
    board = session()
    board.link.answers[Type.FAULT] = (77).to_bytes(4, "little") + bytes(4 * (wire.FAULT_WORDS - 1))  # type: ignore[attr-defined]
    with pytest.raises(Impossible, match="kind of fault 77"):
        board.fault()


u32 = st.integers(0, 2**32 - 1)


@given(u32 | st.sampled_from([0, 999, 1000, 1001, 2**32 - 1]))
def test_cycles_come_through_within_their_bounds_only(cycles: int) -> None:
    board = session(cycles=cycles)
    board.situation = replace(board.situation, took_s=inf, per_s=inf)
    if cycles < KNOWN.least_cycles:
        with pytest.raises(Impossible, match="cycles of an inference"):
            board.run(WINDOW)
    else:
        assert board.run(WINDOW).cycles == cycles


@given(u32 | st.sampled_from([199_999, 200_000, 200_001]))
def test_a_stack_larger_than_the_ram_is_refused(stack: int) -> None:
    board = session(stack_bytes=stack)
    if stack > KNOWN.most_stack:
        with pytest.raises(Impossible, match=f"stack {stack} bytes"):
            board.run(WINDOW, stack=True)
    else:
        assert board.run(WINDOW, stack=True).stack_bytes == stack


@given(st.lists(u32, max_size=5), u32)
def test_a_profile_is_the_sum_of_its_steps(op_cycles: list[int], cycles: int) -> None:
    board = session(cycles=cycles, op_cycles=tuple(op_cycles))
    if len(op_cycles) == GOOD.op_count and sum(op_cycles) == cycles >= KNOWN.least_cycles:
        assert board.run(WINDOW, profile=True).op_cycles == tuple(op_cycles)
    else:
        with pytest.raises(Impossible):
            board.run(WINDOW, profile=True)


def test_steps_that_nobody_asked_for_are_refused() -> None:
    sample = Sample("window", 0, b"", 75_000, None, (75_000,))
    with pytest.raises(Impossible, match="number of step cycles 1"):
        bounds.check_sample(sample, 0, KNOWN, 1.0)


def test_a_physical_board_can_not_compute_longer_than_the_host_waited() -> None:
    """Ten times its cycles: 12 ms, where the host saw 3 ms."""
    board = replace(KNOWN, per_s=bounds.CLOCK_RATIO * 64e6)
    sample = Sample("window", 0, b"", 75_000)
    bounds.check_sample(sample, 0, board, 1.2e-3)
    for cycles, took in ((750_000, 3.2e-3), (75_000, 0.7e-3), (2**32 - 1, 1.0)):
        with pytest.raises(Impossible, match="cycles of an inference"):
            bounds.check_sample(replace(sample, cycles=cycles), 0, board, took)


@pytest.mark.parametrize("text", [b"\x1b[2Jgone", b"\x9b31m", b"bell\x07", b"new\nline"])
def test_a_boards_text_reaches_a_terminal_with_visible_escapes(text: bytes) -> None:
    payload = bytearray(wire.encode_hello(GOOD))
    at = payload.index(b"tinyrig")
    payload[at : at + 16] = text.ljust(16, b"\0")
    hello = wire.decode_hello(bytes(payload))
    assert hello.engine.isprintable() and "\\" in hello.engine
