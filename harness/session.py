"""A conversation with one board: requests, deadlines, repetition and getting back into step, as WIRE.md says.

The host asks, the board answers; one request is under way at a time, so neither threads nor sleeps are needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import wire
from harness.errors import DeviceError, LinkError, UserError
from harness.faultinfo import fault_error
from harness.link import Link
from harness.records import FaultRecord, Hello, Sample, TensorSpec
from harness.wire import Frame, RunFlag, Status, Type, WireError

BASE_DEADLINE_S = 0.5
"""For a request that the board answers at once."""
BYTE_DEADLINE_S = 1e-4
"""More for every byte of a frame: slower than a 115200 baud line."""
FIRST_INVOKE_DEADLINE_S = 30.0
"""For an inference of unknown length. On the board 2 million float MACs take about a second; an emulator that
counts cycles may be much slower."""
INVOKE_MARGIN = 10
"""Later inferences may take so many times the slowest one yet."""
MIN_INVOKE_DEADLINE_S = 0.5
"""A deadline that proves too short does no harm: the board answers a repetition without executing it again."""
DRAIN_LIMIT_S = 2.0
"""A line that never falls silent is given up on."""


@dataclass
class Statistics:
    """Counts of one session."""

    requests: int = 0
    retries: int = 0   # frames sent again
    timeouts: int = 0  # no reply, or half of one, within the deadline
    damaged: int = 0   # a reply whose CRC was wrong
    refused: int = 0   # the board saw a damaged request
    stale: int = 0     # whole replies to earlier requests, dropped
    bytes_sent: int = 0
    bytes_received: int = 0


class _Timeout(LinkError):
    """No whole reply within the deadline."""


class Session:
    """Speaks to the board at the other end of `link`. `clock` returns seconds, monotonic.

    Methods raise LinkError when no good reply comes within deadline and retries, DeviceError when the board refuses.
    """

    def __init__(
        self, link: Link, clock: Callable[[], float] = time.monotonic, invoke_deadline_s: float = FIRST_INVOKE_DEADLINE_S
    ) -> None:
        self.statistics = Statistics()
        self.elf: Path | None = None
        """The image that runs, to name the functions of a fault; None: not known."""
        self._link = link
        self._clock = clock
        self._sequence = 0
        self._hello: Hello | None = None
        self._invoke_deadline_s = invoke_deadline_s
        self._slowest_invoke_s: float | None = None
        self._answer_s = 0.0  # from the last sending of a frame to its good reply

    @property
    def retries(self) -> int:
        """How often a frame had to be sent again."""
        return self.statistics.retries

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the link."""
        self._link.close()

    def hello(self) -> Hello:
        """Asks the board who it is; begins a session."""
        reply = self._ask(Type.HELLO, b"")
        hello = wire.decode_hello(reply.payload)
        if hello.wire_version != wire.VERSION:
            raise DeviceError(
                "the board speaks another wire version",
                expected=str(wire.VERSION), received=str(hello.wire_version), remedy="flash a firmware built from this tree",
            )  # fmt: skip
        self._hello = hello
        return hello

    def echo(self, data: bytes) -> bytes:
        """Has `data` (at most max_payload bytes) sent back."""
        return self._ask(Type.ECHO, data).payload

    def fault(self) -> FaultRecord | None:
        """What the board kept of the fault that caused its last reset; None: it was no fault."""
        self._known()
        return wire.decode_fault(self._ask(Type.FAULT, b"").payload)

    def fault_error(self) -> DeviceError:
        """The error for a board whose hello tells of a fault."""
        self._slowest_invoke_s = None  # nor does the board know any more how long an inference may take
        try:
            record = self.fault()
        except (LinkError, DeviceError):
            record = None  # an older firmware, or it is gone already
        return fault_error(record or FaultRecord(1, 0, (0,) * 9, 0, 0, 0, 0, ()), self.elf)

    def reboot(self, bootloader: bool = True) -> None:
        """Resets the board into its bootloader or into the application again. The session needs a new hello afterwards."""
        self._known()
        self._ask(Type.REBOOT, wire.reboot_payload(bootloader))
        self._hello = None

    def run(
        self, inputs: bytes | Sequence[bytes], stack: bool = False, profile: bool = False, kind: str = "window", index: int = 0
    ) -> Sample:
        """One inference. `inputs`: the bytes of each input tensor (of the only one). Returns a Sample of `kind` and `index`.

        `stack` asks for the high-water mark, `profile` for cycles of each step. Raises also UserError on wrong input sizes.
        """
        hello = self._known()
        tensors = [inputs] if isinstance(inputs, bytes | bytearray | memoryview) else list(inputs)
        _check_sizes(tensors, hello.inputs)
        flags = RunFlag.INVOKE | (RunFlag.STACK if stack else 0) | (RunFlag.PROFILE if profile else 0)
        pieces = _pieces(tensors, hello.max_payload - wire.RUN_BYTES)
        if self._slowest_invoke_s is None or not pieces:
            # Of an inference of unknown length a lost request is noticed late: let only a short frame be at stake.
            pieces.append((0, 0, b""))
        for tensor, offset, data in pieces[:-1]:
            self._ask(Type.RUN, wire.run_payload(tensor, offset, data))
        reply = self._invoke(wire.run_payload(*pieces[-1], flags), flags, hello)
        outputs = reply.outputs if reply.outputs is not None else self._read_outputs(hello)
        return Sample(kind, index, outputs, reply.cycles, reply.stack_bytes, reply.op_cycles)

    def stream(self, windows: Iterable[bytes | Sequence[bytes]], kind: str = "window") -> Iterator[Sample]:
        """One Sample for each window, in order."""
        for index, window in enumerate(windows):
            yield self.run(window, kind=kind, index=index)

    def _known(self) -> Hello:
        return self._hello or self.hello()

    def _invoke(self, payload: bytes, flags: RunFlag, hello: Hello) -> wire.RunReply:
        slowest = self._slowest_invoke_s
        deadline = self._invoke_deadline_s if slowest is None else max(MIN_INVOKE_DEADLINE_S, INVOKE_MARGIN * slowest)
        try:
            reply = self._ask(Type.RUN, payload, deadline)
        except LinkError as error:
            raise self._cause(error) from error
        self._slowest_invoke_s = max(self._answer_s, slowest or 0.0)
        return wire.decode_run_reply(reply.payload, flags, sum(t.nbytes for t in hello.outputs))

    def _read_outputs(self, hello: Hello) -> bytes:
        parts = [
            self._ask(Type.READ, wire.read_payload(tensor, offset, min(hello.max_payload, spec.nbytes - offset))).payload
            for tensor, spec in enumerate(hello.outputs)
            for offset in range(0, spec.nbytes, hello.max_payload)
        ]
        return b"".join(parts)

    def _cause(self, error: LinkError) -> LinkError | DeviceError:
        """A board that no longer answers may have been reset by a fault, which its next hello tells."""
        self._hello = None
        try:
            fault = self.hello().fault
        except (LinkError, DeviceError):
            return error
        return self.fault_error() if fault else error

    def _ask(self, kind: Type, payload: bytes, extra_s: float = 0.0) -> Frame:
        """A good reply with status OK. Raises LinkError, DeviceError."""
        room = self._hello.max_payload if self._hello else len(payload)
        reply = self._exchange(kind, payload, BASE_DEADLINE_S + extra_s + BYTE_DEADLINE_S * (len(payload) + room))
        if reply.status == Status.NO_HELLO:
            raise self._reset_error()
        if reply.status != Status.OK:
            raise _refusal(kind, reply)
        return reply

    def _reset_error(self) -> DeviceError:
        self._hello = None
        fault = self.hello().fault
        if fault:
            return self.fault_error()
        return DeviceError(
            "the board was reset during the session",
            expected="the session to go on", received="no hello since its reset", remedy="check its power supply; then run again",
        )  # fmt: skip

    def _exchange(self, kind: Type, payload: bytes, deadline_s: float) -> Frame:
        """Sends a request until a good reply to it arrives. Raises LinkError after the last retry."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        frame = wire.encode(Frame(kind, self._sequence, payload))
        self.statistics.requests += 1
        for attempt in range(wire.RETRIES + 1):
            self.statistics.retries += attempt > 0
            self.statistics.bytes_sent += len(frame)
            started = self._clock()
            self._link.write(frame)
            try:
                reply = self._receive(kind, deadline_s)
            except WireError as error:
                failure: LinkError = error
                self.statistics.damaged += 1
                self._drain()
            except _Timeout as error:
                failure = error
                self.statistics.timeouts += 1
                self._drain()
            else:
                self._answer_s = self._clock() - started
                if reply.status != Status.BAD_CRC:
                    return reply
                self.statistics.refused += 1
                failure = LinkError("the board receives damaged frames", remedy="check the wires, their length and the baud rate")
        raise failure

    def _receive(self, kind: Type, deadline_s: float) -> Frame:
        """The reply to the request under way; replies to earlier ones are dropped. Raises WireError, _Timeout."""
        until = self._clock() + deadline_s
        while True:
            header = wire.decode_header(self._read(wire.HEADER_BYTES, deadline_s))
            frame = wire.decode_rest(header, self._read(header.rest_bytes, deadline_s))
            if (frame.type, frame.sequence) == (kind | wire.REPLY_BIT, self._sequence):
                return frame
            self.statistics.stale += 1
            if self._clock() > until:
                raise _Timeout(f"only stale replies on {self._link.url}", remedy="close other programs that use this port")

    def _read(self, n: int, timeout: float) -> bytes:
        data = self._link.read(n, timeout)
        self.statistics.bytes_received += len(data)
        if len(data) < n:
            raise _Timeout(
                f"no answer on {self._link.url}",
                expected=f"{n} bytes within {timeout:.1f} s", received=f"{len(data)} bytes",
                remedy="check that the board is powered, its TX and RX are connected and the baud rate is right",
            )  # fmt: skip
        return data

    def _drain(self) -> None:
        """Keeps quiet until nothing has come for HOST_SILENCE_S, so that the board has dropped its half frame too."""
        until = self._clock() + DRAIN_LIMIT_S
        while self._link.read(65536, wire.HOST_SILENCE_S):
            if self._clock() > until:
                raise LinkError(
                    f"{self._link.url} never falls silent",
                    expected="a board that speaks only when asked", received="bytes without end",
                    remedy="check the baud rate and that this is the board's port",
                )  # fmt: skip


def _check_sizes(tensors: Sequence[bytes], specs: Sequence[TensorSpec]) -> None:
    received, expected = [len(t) for t in tensors], [s.nbytes for s in specs]
    if received != expected:
        raise UserError("the window does not fit the model's inputs", expected=f"{expected} bytes", received=f"{received} bytes")


def _pieces(tensors: Sequence[bytes], room: int) -> list[tuple[int, int, bytes]]:
    """(tensor, offset, data) of every RUN frame that the inputs need."""
    return [
        (i, offset, bytes(data[offset : offset + room])) for i, data in enumerate(tensors) for offset in range(0, len(data), room)
    ]


def _refusal(kind: Type, reply: Frame) -> DeviceError:
    name = Status(reply.status).name if reply.status in list(Status) else f"status {reply.status}"
    why = reply.payload.decode("ascii", "replace")
    return DeviceError(
        f"the board refused {kind.name}", expected="status OK", received=f"{name} {why}".strip(),
        remedy="compare the board's firmware with the host's model; flash again",
    )  # fmt: skip
