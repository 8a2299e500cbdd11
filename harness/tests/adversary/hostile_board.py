"""A board that speaks the wire protocol with good checksums and lies in one field."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tinyrig.core.boards import EMULATORS, Board
from tinyrig.core.records import Hello, Image, TensorSpec
from tinyrig.link import wire
from tinyrig.link.wire import Frame, RunFlag, RunReply, Status, Type
from tinyrig.tests.adversary.port import Port

MAX_PAYLOAD = 4096
_FLAGS_AT = 2  # of a hello's payload


@dataclass(frozen=True)
class Lies:
    """Each gets what would be true and gives what is sent. `fault`: the hello says that one caused the reset. `refusal`: the
    status and text that answer every RUN with INVOKE. `seldom`: replies to inferences between two that lie; 0: all do."""

    hello: Callable[[bytes], bytes] = lambda payload: payload
    reply: Callable[[RunReply], RunReply] = lambda reply: reply
    clock: Callable[[int], int] = lambda cycles: cycles
    fault: bytes | None = None
    refusal: tuple[int, bytes] | None = None
    seldom: int = 0


class HostileBoard:
    """`answers`: input bytes -> output bytes."""

    def __init__(self, port: Port, image: Image, board: Board, answers: dict[bytes, bytes], cycles: int, lies: Lies) -> None:
        self._image, self._board, self._answers, self._cycles, self._lies = image, board, answers, cycles, lies
        self._inputs = [bytearray(t.nbytes) for t in image.inputs]
        self._outputs = b""
        self._invokes = 0
        self._last: tuple[bytes, bytes] = (b"", b"")  # the request and its reply, which is repeated
        self._waiting = b""
        self._port = port

    def serve(self, seconds: float) -> None:
        """Answers what comes within so long."""
        self._waiting += self._port.read(seconds)
        while self._waiting:
            try:
                frame = wire.decode(self._waiting)
            except wire.WireError:
                self._waiting = self._waiting[1:]
                continue
            if frame is None:
                return
            request, self._waiting = self._waiting[: frame.wire_bytes], self._waiting[frame.wire_bytes :]
            if request != self._last[0]:
                self._last = (request, wire.encode(self._reply(frame)))
            self._port.write(self._last[1])

    def _reply(self, frame: Frame) -> Frame:
        good: dict[int, Callable[[bytes], bytes]] = {
            Type.HELLO: lambda payload: self._lies.hello(self.hello()),
            Type.RUN: self._run,
            Type.READ: self._read,
            Type.ECHO: bytes,
            Type.REBOOT: lambda payload: b"",
            Type.FAULT: lambda payload: self._lies.fault or wire.encode_fault(None),
            Type.CLOCK: lambda payload: (self._lies.clock(self._counter()) % 2**32).to_bytes(4, "little"),
        }
        if frame.type not in good:
            return Frame(frame.type | wire.REPLY_BIT, frame.sequence, b"", Status.BAD_TYPE)
        invoke = frame.type == Type.RUN and wire.decode_run_payload(frame.payload)[3] & RunFlag.INVOKE
        if invoke and self._lies.refusal:
            status, text = self._lies.refusal
            return Frame(frame.type | wire.REPLY_BIT, frame.sequence, text, status)
        return Frame(frame.type | wire.REPLY_BIT, frame.sequence, good[frame.type](frame.payload))

    def _counter(self) -> int:
        return int(time.monotonic() * self._board.clock_hz)

    def hello(self) -> bytes:
        """The true one, except for a fault of the lies."""
        image, board = self._image, self._board
        prefix = next((p for p, name in EMULATORS.items() if name == board.name), "a1b2c3d4e5f60718")
        payload = wire.encode_hello(
            Hello(
                wire_version=wire.VERSION,
                build_id=image.build_id,
                model_sha256=image.model_sha256,
                engine=image.engine,
                board_name=board.name,
                board_id=prefix.ljust(16, "0")[:16],
                clock_hz=board.clock_hz,
                max_payload=MAX_PAYLOAD,
                arena_bytes=image.footprint.ram_arena if image.footprint else 0,
                timer_overhead_cycles=11,
                op_count=len(image.ops),
                inputs=image.inputs,
                outputs=image.outputs,
            )
        )
        return payload[:_FLAGS_AT] + bytes([self._lies.fault is not None]) + payload[_FLAGS_AT + 1 :]

    def _run(self, payload: bytes) -> bytes:
        tensor, offset, data, flags, crc = wire.decode_run_payload(payload)
        if data:
            self._inputs[tensor][offset : offset + len(data)] = data
        if not flags & RunFlag.INVOKE:
            return b""
        inputs = b"".join(bytes(i) for i in self._inputs)
        self._outputs = self._answers.get(inputs, bytes(sum(t.nbytes for t in self._image.outputs)))
        ops = len(self._image.ops)
        each = self._cycles // ops
        profile = tuple([each] * ops) if flags & RunFlag.PROFILE else ()
        stack = 76 if flags & RunFlag.STACK else None
        cycles = each * ops if profile else self._cycles
        true = RunReply(cycles, stack, profile, self._outputs, flags, crc, wire.tensors_crc([self._outputs]))
        self._invokes += 1
        lying = not self._lies.seldom or self._invokes % self._lies.seldom == 0
        reply = self._lies.reply(true) if lying else true
        self._outputs = self._outputs if reply.outputs is None else reply.outputs
        return wire.encode_run_reply(replace(reply, outputs=None) if flags & RunFlag.NO_OUTPUTS else reply)

    def _read(self, payload: bytes) -> bytes:
        tensor, _, _, offset, length = struct.unpack("<BBHII", payload)
        before = sum(t.nbytes for t in self._image.outputs[:tensor])
        return self._outputs[before + offset : before + offset + length]


def with_field(index: int, value: Any) -> Callable[[bytes], bytes]:
    """A hello with another value of one of its fixed fields, in the order of WIRE.md."""
    form = struct.Struct("<HH16s32s8sIIIIIHBB16s16s")

    def lie(payload: bytes) -> bytes:
        values = list(form.unpack_from(payload))
        values[index] = value
        return form.pack(*values) + payload[form.size :]

    return lie


def with_tensor(number: int, spec: TensorSpec) -> Callable[[bytes], bytes]:
    """A hello in which one tensor is another."""

    def lie(payload: bytes) -> bytes:
        at = wire.HELLO_BYTES + number * wire.HELLO_TENSOR_BYTES
        return payload[:at] + wire._encode_tensor(spec) + payload[at + wire.HELLO_TENSOR_BYTES :]

    return lie
