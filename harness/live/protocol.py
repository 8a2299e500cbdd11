"""Payloads of SENSOR, START, FETCH and STOP, without I/O. Normative text: firmware/WIRE.md, "Sampling"."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np

from tinyrig.link.wire import WireError

LAYOUT = 1
_SENSOR = struct.Struct("<BBHHH16s")
_START = struct.Struct("<IBBBxHHHxx")
_CHANNEL = struct.Struct("<Hxxff")
_STARTED = struct.Struct("<IBBxx")
_STATUS = struct.Struct("<BBBBIIIIIIIIIQ")
_COUNTS = struct.Struct("<HH")
_FRAME = struct.Struct("<III")
_DECISION = struct.Struct("<IIIIIIIIIHH")


class Flag(IntFlag):
    """What START asks for."""

    NONE = 0
    FRAMES = 1
    INFER = 2
    SELF_TEST = 4


class Smoothing(IntEnum):
    """How decisions are smoothed on the board."""

    NONE = 0
    MAJORITY = 1
    HYSTERESIS = 2


class State(IntEnum):
    """Of the sampling."""

    STOPPED = 0
    RUNNING = 1
    FAULTED = 2


@dataclass(frozen=True)
class Described:
    """What SENSOR says. `scale` float32 [channels]: a channel's unit for each count; `score_bytes` of a decision's outputs;
    `queue`: so many frames wait for the host at most."""

    name: str
    state: State
    score_bytes: int
    queue: int
    scale: np.ndarray


@dataclass(frozen=True)
class Asked:
    """START. `channels`: (index, mean, std) in the model's order; empty without INFER."""

    period_us: int
    flags: Flag
    length: int = 0
    hop: int = 0
    channels: tuple[tuple[int, float, float], ...] = ()
    smoothing: Smoothing = Smoothing.NONE
    smooth_of: int = 0

    def payload(self) -> bytes:
        numbers = (int(self.flags), int(self.smoothing), self.smooth_of, self.length, self.hop, len(self.channels))
        return _START.pack(self.period_us, *numbers) + b"".join(_CHANNEL.pack(*c) for c in self.channels)


@dataclass(frozen=True)
class Status:
    """The head of FETCH. Times in us of the board's sample clock, which wraps at 2^32; counts since START. `slots`: sample times
    that have come; `dropped`: those without a frame; `frames_lost`, `decisions_lost`: made, but the host did not come for them;
    `missed`: windows that were not decided because the one before was not done."""

    state: State
    fault: int
    device: int
    now_us: int
    cycles: int
    started_us: int
    slots: int
    dropped: int
    frames_lost: int
    windows: int
    missed: int
    decisions_lost: int
    busy_cycles: int


@dataclass(frozen=True)
class Frame:
    """One sample of all channels. `counts` int16 [C]; `time_us` and `cycles` when its reading began."""

    number: int
    time_us: int
    cycles: int
    counts: np.ndarray


@dataclass(frozen=True)
class Decision:
    """One window's. `first` and `last` are its frames; `latency_us` from the last frame's time to the decision; `scores`: the
    output tensor's bytes, empty where it is too large."""

    window: int
    first: int
    last: int
    fill_cycles: int
    cycles: int
    latency_us: int
    done_us: int
    inputs_crc: int
    outputs_crc: int
    best: int
    smoothed: int
    scores: bytes


@dataclass(frozen=True)
class Fetched:
    """What one FETCH or STOP brought."""

    status: Status
    decisions: tuple[Decision, ...]
    frames: tuple[Frame, ...]


def decode_sensor(payload: bytes) -> Described:
    """Raises WireError."""
    if len(payload) < _SENSOR.size:
        raise WireError("short SENSOR reply", expected=f"at least {_SENSOR.size} bytes", received=f"{len(payload)} bytes")
    layout, state, channels, score_bytes, queue, name = _SENSOR.unpack_from(payload)
    _check_layout(layout, "SENSOR")
    if len(payload) != _SENSOR.size + 4 * channels:
        raise WireError("SENSOR reply of a wrong length", expected=f"{channels} channels", received=f"{len(payload)} bytes")
    scale = np.frombuffer(payload, "<f4", channels, _SENSOR.size)
    text = name.rstrip(b"\0").decode("ascii", "backslashreplace")
    return Described(text, _state(state), score_bytes, queue, scale)


def decode_started(payload: bytes, asked: bytes) -> tuple[int, int]:
    """(fault, device), 0 for none. Raises WireError for a reply to another START."""
    if len(payload) != _STARTED.size:
        raise WireError("START reply of a wrong length", expected=f"{_STARTED.size} bytes", received=f"{len(payload)} bytes")
    crc, fault, device = _STARTED.unpack(payload)
    if crc != zlib.crc32(asked):
        raise WireError("a reply to another START", expected=f"CRC-32 {zlib.crc32(asked):08x}", received=f"{crc:08x}")
    return fault, device


def decode_fetched(payload: bytes, channels: int, score_bytes: int) -> Fetched:
    """Raises WireError."""
    head = _STATUS.size + _COUNTS.size
    if len(payload) < head:
        raise WireError("short FETCH reply", expected=f"at least {head} bytes", received=f"{len(payload)} bytes")
    layout, state, *numbers = _STATUS.unpack_from(payload)
    _check_layout(layout, "FETCH")
    decisions, frames = _COUNTS.unpack_from(payload, _STATUS.size)
    each, every = _DECISION.size + score_bytes, _FRAME.size + 2 * channels
    if len(payload) != head + decisions * each + frames * every:
        expected = f"{decisions} decisions of {each} bytes and {frames} frames of {every}"
        raise WireError("FETCH reply of a wrong length", expected=expected, received=f"{len(payload)} bytes")
    second = head + decisions * each
    return Fetched(
        Status(_state(state), *numbers),
        tuple(_decision(payload, head + i * each, score_bytes) for i in range(decisions)),
        tuple(_frame(payload, second + i * every, channels) for i in range(frames)),
    )


def fetch_room(max_payload: int) -> int:
    """Bytes of a FETCH reply for decisions and frames."""
    return max_payload - _STATUS.size - _COUNTS.size


def frame_bytes(channels: int) -> int:
    """Of one frame in a FETCH reply."""
    return _FRAME.size + 2 * channels


def decision_bytes(score_bytes: int) -> int:
    """Of one decision in a FETCH reply."""
    return _DECISION.size + score_bytes


def _decision(payload: bytes, at: int, score_bytes: int) -> Decision:
    end = at + _DECISION.size
    numbers: tuple[int, ...] = _DECISION.unpack_from(payload, at)
    window, first, last, fill, cycles, latency, done, inputs, outputs, best, smoothed = numbers
    scores = payload[end : end + score_bytes]
    return Decision(window, first, last, fill, cycles, latency, done, inputs, outputs, best, smoothed, scores)


def _frame(payload: bytes, at: int, channels: int) -> Frame:
    number, time_us, cycles = _FRAME.unpack_from(payload, at)
    return Frame(number, time_us, cycles, np.frombuffer(payload, "<i2", channels, at + _FRAME.size))


def _state(number: int) -> State:
    if number not in list(State):
        raise WireError("no state of the sampling", expected="0 to 2", received=str(number))
    return State(number)


def _check_layout(layout: int, what: str) -> None:
    if layout != LAYOUT:
        raise WireError(f"a {what} reply of another layout", expected=str(LAYOUT), received=str(layout))
