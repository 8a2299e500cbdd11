"""The codec against the golden frames (whole, byte by byte, with more behind, damaged) and as its own inverse."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.core.errors import LinkError
from tinyrig.core.records import Hello, TensorSpec
from tinyrig.link import wire
from tinyrig.link.wire import Frame, RunFlag, RunReply, WireError

GOLDEN = json.loads((Path(__file__).parents[3] / "firmware" / "vectors.json").read_text())
VECTORS = GOLDEN["vectors"]
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])


def frame_of(vector: dict) -> Frame:
    return Frame(**{**vector["frame"], "payload": bytes.fromhex(vector["frame"]["payload"])})


def test_vectors_are_of_this_version():
    assert GOLDEN["wire_version"] == wire.VERSION


@each_vector
def test_golden_whole(vector):
    data = bytes.fromhex(vector["hex"])
    assert wire.decode(data) == frame_of(vector)
    assert wire.encode(frame_of(vector)) == data


@each_vector
def test_golden_byte_by_byte(vector):
    data = bytes.fromhex(vector["hex"])
    assert [wire.decode(data[:n]) for n in range(len(data))] == [None] * len(data)


@each_vector
def test_golden_with_more_behind(vector):
    data = bytes.fromhex(vector["hex"])
    frame = wire.decode(data + b"TR and more")
    assert frame == frame_of(vector)
    assert frame.wire_bytes == len(data)


@each_vector
def test_golden_with_any_bit_damaged(vector):
    data = bytes.fromhex(vector["hex"])
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WireError):
            wire.decode(bytes(damaged))


def test_crc_of_an_empty_payload_is_the_headers():
    data = wire.encode(Frame(1, 1))
    assert data[-4:] == data[12:16]


@each_vector
def test_rest_of_another_frame_is_refused(vector):
    frame = frame_of(vector)
    other = wire.encode(dataclasses.replace(frame, sequence=frame.sequence ^ 1))
    with pytest.raises(WireError):
        wire.decode(bytes.fromhex(vector["hex"])[: wire.HEADER_BYTES] + other[wire.HEADER_BYTES :])


def tensor_from(fields: dict) -> TensorSpec:
    return TensorSpec(**{**fields, "shape": tuple(fields["shape"])})


@each_vector
def test_golden_payloads(vector):
    payload = frame_of(vector).payload
    if fields := vector.get("hello"):
        tensors = {k: tuple(tensor_from(t) for t in fields[k]) for k in ("inputs", "outputs")}
        assert wire.decode_hello(payload) == Hello(**{**fields, **tensors})
    if fields := vector.get("run"):
        data, flags = bytes.fromhex(fields["data"]), RunFlag(fields["flags"])
        expected = (fields["tensor"], fields["offset"], data, flags, fields["inputs_crc"])
        assert wire.decode_run_payload(payload) == expected
        assert wire.run_payload(*expected) == payload
    if fields := vector.get("run_reply"):
        outputs = None if fields["outputs"] is None else bytes.fromhex(fields["outputs"])
        of = (RunFlag(fields["flags"]), fields["inputs_crc"], fields["outputs_crc"])
        expected = RunReply(fields["cycles"], fields["stack_bytes"], tuple(fields["op_cycles"]), outputs, *of)
        assert wire.decode_run_reply(payload, fields["output_bytes"]) == expected
    if fields := vector.get("read"):
        assert wire.read_payload(fields["tensor"], fields["offset"], fields["length"]) == payload
    if fields := vector.get("clock"):
        assert wire.decode_clock(payload) == fields["cycles"]
    if fields := vector.get("reboot"):
        assert wire.reboot_payload(bool(fields["mode"])) == payload


u8, u16, u32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
frames = st.builds(Frame, type=u8, sequence=u16, payload=st.binary(max_size=300), status=u16, version=u8)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=15)
f32 = st.floats(width=32, allow_nan=False)
tensors = st.builds(
    TensorSpec,
    name=st.just(""),
    shape=st.lists(u32, max_size=6).map(tuple),
    dtype=st.sampled_from(sorted(wire.DTYPES.values())),
    scale=f32,
    zero_point=st.integers(-(2**31), 2**31 - 1),
)


def hexes(n: int):
    return st.binary(min_size=n, max_size=n).map(bytes.hex)


faults = st.none() | st.just("pc unknown") | st.integers(1, 0xFFFFFFFF).map(lambda pc: f"pc 0x{pc:08x}")
hellos = st.builds(
    Hello,
    wire_version=u16.filter(lambda version: version != wire.VERSION),  # whose numbers are bounded: test_bounds.py
    build_id=hexes(16),
    model_sha256=hexes(32),
    engine=names,
    board_name=names,
    board_id=hexes(8),
    clock_hz=u32,
    max_payload=u32,
    arena_bytes=u32,
    timer_overhead_cycles=u32,
    op_count=u16,
    inputs=st.lists(tensors, max_size=3).map(tuple),
    outputs=st.lists(tensors, max_size=3).map(tuple),
    fault=faults,
)


@pytest.mark.parametrize(
    ("told", "name", "internal"),
    [
        ("nucleo-f401-hsi", "nucleo-f401re", True),
        ("nano33-uart-hsi", "nano33ble-uart", True),
        ("nucleo-f401re", "nucleo-f401re", False),
        ("mine-hsi", "mine", True),
        ("-hsi-mine", "-hsi-mine", False),
    ],
)
def test_a_name_that_tells_of_the_internal_clock_is_taken_apart(told, name, internal):
    """A firmware has no other field for it."""
    payload = wire.encode_hello(Hello(1, "00" * 16, "00" * 32, "e", told, "00" * 8, 1, 512, 0, 0, 0, (), ()))
    assert told.encode() in payload
    hello = wire.decode_hello(payload)
    assert (hello.board_name, hello.internal_clock) == (name, internal)
    assert wire.encode_hello(hello) == payload


@given(frames)
def test_frames_survive_the_wire(frame):
    assert wire.decode(wire.encode(frame)) == frame


@given(st.binary(max_size=60))
def test_foreign_bytes_never_pass_for_a_frame(data):
    """Neither do they raise anything but WireError."""
    try:
        assert wire.decode(data) is None
    except WireError as error:
        assert isinstance(error, LinkError)


@given(hellos)
def test_hello_survives_the_wire(hello):
    decoded = wire.decode_hello(wire.encode_hello(hello))
    nameless = {k: tuple(dataclasses.replace(t, name="") for t in getattr(decoded, k)) for k in ("inputs", "outputs")}
    assert dataclasses.replace(decoded, **nameless) == hello
    assert [t.name for t in decoded.inputs] == [f"input{i}" for i in range(len(hello.inputs))]


@given(hellos, st.data())
def test_cut_hello_is_refused(hello, data):
    payload = wire.encode_hello(hello)
    with pytest.raises(WireError):
        wire.decode_hello(payload[: data.draw(st.integers(0, len(payload) - 1))])


def test_hello_of_an_unknown_dtype_is_refused():
    good = Hello(1, "00" * 16, "00" * 32, "e", "b", "00" * 8, 1, 512, 0, 0, 0, (TensorSpec("", (1,), "int8"),), ())
    payload = bytearray(wire.encode_hello(good))
    assert wire.DTYPES[payload[116]] == np.dtype("int8").name
    payload[116] = 5
    with pytest.raises(WireError, match="dtype 5"):
        wire.decode_hello(bytes(payload))


@given(u32, u32, st.lists(u32, max_size=5), st.binary(max_size=20))
def test_run_reply_survives_the_wire(cycles, stack, op_cycles, outputs):
    reply = RunReply(cycles, stack, tuple(op_cycles), outputs, RunFlag(7), 5, wire.tensors_crc([outputs]))
    assert wire.decode_run_reply(wire.encode_run_reply(reply), len(outputs)) == reply


def test_outputs_of_another_inference_are_refused():
    payload = wire.encode_run_reply(RunReply(1, None, (), b"1234", RunFlag.INVOKE, 5, wire.tensors_crc([b"1235"])))
    with pytest.raises(WireError, match="another inference"):
        wire.decode_run_reply(payload, 4)


@given(st.lists(st.binary(max_size=30), max_size=4))
def test_crc_of_tensors_is_that_of_their_bytes_in_a_row(tensors):
    assert wire.tensors_crc(tensors) == wire.tensors_crc([b"".join(tensors)])


@pytest.mark.parametrize("n", [0, 3, 5])
def test_clock_reply_of_a_wrong_length_is_refused(n):
    with pytest.raises(WireError, match="CLOCK"):
        wire.decode_clock(bytes(n))


def test_run_reply_of_a_wrong_length_is_refused():
    payload = wire.encode_run_reply(RunReply(1, None, (1, 2), b"1234"))
    for n in (0, 11, 12, 19, 21, 27, 29, len(payload) - 1):
        with pytest.raises(WireError):
            wire.decode_run_reply(payload[:n], 4)
