"""A conversation with one board: hello, windows in, samples out, whatever the line does meanwhile; WIRE.md says how.

The host asks, the board answers; one request is under way at a time, so no threads are needed. Repetition and deadlines are
exchange.py's; here are pieces that fit the line, windows that are sent again, and a port that comes back.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tinyrig.core.errors import DeviceError, LinkError, UserError
from tinyrig.core.records import FaultRecord, Hello, Sample, TensorSpec
from tinyrig.link import wire
from tinyrig.link.clock_check import Reading
from tinyrig.link.exchange import GREETING_PATIENCE_S, PATIENCE_S, Exchange, Lost, Refused, Statistics
from tinyrig.link.fault_report import fault_error
from tinyrig.link.pacing import SMALLEST_PIECE, Pace
from tinyrig.link.serial_link import Link, LinkGone
from tinyrig.link.wire import RunFlag, RunReply, Status, Type, WireError

BASE_DEADLINE_S = 0.5
"""For a request that the board answers at once."""
BYTE_DEADLINE_S = 1e-4
"""More for every byte of a frame: slower than a 115200 baud line."""
FIRST_INVOKE_DEADLINE_S = 30.0
"""For an inference of unknown length. On the board 2 million float MACs take about a second; an emulator that
counts cycles may be much slower."""
INVOKE_MARGIN = 3
"""Later inferences may take so many times the slowest one yet, twice as long at each try."""
FIRST_TRY_S = 2.0
"""The first inference's first deadline; each next one is FIRST_TRY_GROWTH times as long, up to FIRST_INVOKE_DEADLINE_S."""
FIRST_TRY_GROWTH = 4
MIN_INVOKE_DEADLINE_S = 0.3
"""A deadline that proves too short does no harm: the board answers a repetition without executing it again."""
WINDOW_TRIES = 8
"""So often a window is sent whole before its inputs are said not to stay on the board, and so often the port may vanish in it."""
REATTACH_S = 20.0
"""A port that vanished must be back, and its board answer, within this."""
REATTACH_PAUSE_S = 0.1
T = TypeVar("T")

__all__ = ["Session", "Statistics"]


class _Again(Exception):
    """The window must be sent again: its inputs or outputs on the board are no longer its own, or no way was found to
    fetch them. Carries no blame: the line was damaged meanwhile."""


@dataclass(frozen=True)
class _Window:
    tensors: tuple[bytes, ...]
    flags: RunFlag
    crc: int


class Session:
    """Speaks to the board at the other end of `link`. `clock` returns seconds, monotonic. `reopen` opens the board's port anew
    after it vanished (None: that ends the session).

    Methods raise LinkError when no good reply comes within deadline and retries, DeviceError when the board refuses.
    """

    def __init__(
        self,
        link: Link,
        clock: Callable[[], float] = time.monotonic,
        invoke_deadline_s: float = FIRST_INVOKE_DEADLINE_S,
        reopen: Callable[[], Link] | None = None,
    ) -> None:
        self._exchange = Exchange(link, clock)
        self.elf: Path | None = None
        """The image that runs, to name the functions of a fault; None: not known."""
        self._clock = clock
        self._reopen = reopen
        self._hello: Hello | None = None
        self._invoke_deadline_s = invoke_deadline_s
        self._slowest_invoke_s: float | None = None
        self._out, self._in = Pace(1), Pace(1)  # until hello tells what fits
        self._vanished = 0  # how often the port has in this window

    @property
    def statistics(self) -> Statistics:
        return self._exchange.statistics

    @property
    def retries(self) -> int:
        """How often a frame had to be sent again."""
        return self.statistics.retries

    @property
    def _link(self) -> Link:
        return self._exchange.link

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the link."""
        self._link.close()

    def hello(self) -> Hello:
        """Asks the board who it is; begins a session."""
        try:
            hello = self._greet()
        except LinkGone as gone:
            self._vanished = 0
            self._reattach(gone)
            hello = self._greet()
        if hello.wire_version != wire.VERSION:
            raise DeviceError(
                "the board speaks another wire version",
                expected=str(wire.VERSION),
                received=str(hello.wire_version),
                remedy="flash a firmware built from this tree",
            )
        if self._hello is None:
            self._out, self._in = Pace(hello.max_payload - wire.RUN_BYTES), Pace(hello.max_payload)
        self._hello = hello
        self._exchange.trouble.patience_s = PATIENCE_S
        return hello

    def _greet(self) -> Hello:
        return self._ask(Type.HELLO, b"", wire.decode_hello, expect=wire.HELLO_BYTES + 4 * wire.HELLO_TENSOR_BYTES)

    def echo(self, data: bytes) -> bytes:
        """Has `data` (at most max_payload bytes) sent back."""
        return self._ask(Type.ECHO, data, _exactly(len(data)), expect=len(data))

    def counter(self) -> Reading | None:
        """The board's counter now; None from a firmware that does not tell it. Tried once, because a kept reply would tell an
        earlier moment. Raises Lost (a LinkError)."""
        self._known()
        before = self._clock()
        try:
            cycles = self._ask(Type.CLOCK, b"", wire.decode_clock, expect=wire.CLOCK_BYTES, tries=1)
        except Refused as error:
            if error.status == Status.BAD_TYPE:
                return None
            raise
        return Reading(before, self._clock(), cycles)

    def fault(self) -> FaultRecord | None:
        """What the board kept of the fault that caused its last reset; None: it was no fault."""
        self._known()
        return self._ask(Type.FAULT, b"", wire.decode_fault, expect=4 * wire.FAULT_WORDS)

    def fault_error(self) -> DeviceError:
        """The error for a board whose hello tells of a fault."""
        self._slowest_invoke_s = None  # nor does the board know any more how long an inference may take
        try:
            record = self.fault()
        except (LinkError, DeviceError):
            record = None  # an older firmware, or it is gone already
        return fault_error(record or FaultRecord(1, 0, (0,) * 9, 0, 0, 0, 0, ()), self.elf)

    def reboot(self, bootloader: bool = True) -> None:
        """Resets the board into its bootloader or into the application again. The session needs a new hello afterwards.

        The reply may be lost and the board be gone by the next try. Silence then counts as obeyed where the bootloader was asked
        for: flashing finds out.
        """
        self._known()
        self._exchange.trouble.patience_s = GREETING_PATIENCE_S
        try:
            self._exchange.ask(Type.REBOOT, wire.reboot_payload(bootloader), _exactly(0), BASE_DEADLINE_S)
        except Refused as error:
            if error.status != Status.NO_HELLO:
                raise
            if bootloader:  # it came back as the application
                self._hello = None
                self.hello()
                self._exchange.ask(Type.REBOOT, wire.reboot_payload(bootloader), _exactly(0), BASE_DEADLINE_S)
        except LinkError:
            if not bootloader:
                raise
        self._hello = None

    def run(
        self,
        inputs: bytes | Sequence[bytes],
        stack: bool = False,
        profile: bool = False,
        kind: str = "window",
        index: int = 0,
        mark: bool = False,
    ) -> Sample:
        """One inference. `inputs`: the bytes of each input tensor (of the only one). Returns a Sample of `kind` and `index`.

        `stack` asks for the high-water mark, `profile` for cycles of each step, `mark` for a pin that is high meanwhile. Raises
        also UserError on wrong input sizes.
        """
        hello = self._known()
        tensors = (inputs,) if isinstance(inputs, bytes | bytearray | memoryview) else tuple(inputs)
        _check_sizes(tensors, hello.inputs)
        flags = RunFlag.INVOKE | (RunFlag.STACK if stack else 0) | (RunFlag.PROFILE if profile else 0)
        flags |= RunFlag.MARK if mark else 0
        reply, outputs = self._until_done(_Window(tensors, flags, wire.tensors_crc(tensors)), hello)
        return Sample(kind, index, outputs, reply.cycles, reply.stack_bytes, reply.op_cycles)

    def stream(self, windows: Iterable[bytes | Sequence[bytes]], kind: str = "window") -> Iterator[Sample]:
        """One Sample for each window, in order."""
        for index, window in enumerate(windows):
            yield self.run(window, kind=kind, index=index)

    def _known(self) -> Hello:
        return self._hello or self.hello()

    # ---- one window ----

    def _until_done(self, window: _Window, hello: Hello) -> tuple[RunReply, bytes]:
        self._exchange.trouble.new_window()
        self._vanished = 0
        for _ in range(WINDOW_TRIES):
            sent = self.statistics.bytes_sent - self.statistics.bytes_resent
            try:
                reply = self._infer(window, hello)
                return reply, self._read_outputs(hello, reply.outputs_crc) if reply.outputs is None else reply.outputs
            except LinkGone as error:
                self._reattach(error)
            except _Again:
                pass
            self.statistics.bytes_resent = self.statistics.bytes_sent - sent
        if self._vanished:
            raise LinkError(
                f"{self._link.url} vanished again and again",
                expected="a port that stays for one window",
                received=f"gone {self._vanished} times",
                remedy="check the cable and the hub's power",
            )
        raise DeviceError(
            "the board's inputs do not stay as they were written",
            expected=f"input tensors with CRC-32 {window.crc:08x}",
            received=f"other bytes, {WINDOW_TRIES} times in a row",
            remedy="check that the engine gives every input tensor memory of its own; check the board's power",
        )

    def _infer(self, window: _Window, hello: Hello) -> RunReply:
        """Places the inputs piece by piece, the last one with the INVOKE where that is a single frame's risk at most."""
        rest = deque((tensor, 0, data) for tensor, data in enumerate(window.tensors) if data)
        # Of an inference of unknown length a lost request is noticed late: let only a short frame be at stake.
        joined = self._slowest_invoke_s is not None and (self._out.is_full or sum(map(len, window.tensors)) <= self._out.size)
        while rest:
            tensor, offset, data = rest.popleft()
            piece, after = data[: self._out.size], data[self._out.size :]
            try:
                if joined and not rest and not after:
                    return self._invoke(window, hello, tensor, offset, piece, tries=len(piece) > SMALLEST_PIECE)
                self._place(tensor, offset, piece)
                if after:
                    rest.appendleft((tensor, offset + len(piece), after))
            except LinkGone as error:
                self._reattach(error)
                self.statistics.bytes_resent += len(piece)
                rest.appendleft((tensor, offset, data))
            except Lost:
                joined = joined and bool(rest or after)
                rest.appendleft((tensor, offset, data))
        return self._invoke(window, hello, 0, 0, b"")

    def _place(self, tensor: int, offset: int, piece: bytes) -> None:
        """A piece that was lost is cut anew, so each is tried once. Raises Lost."""
        try:
            self._ask(Type.RUN, wire.run_payload(tensor, offset, piece), _exactly(0), tries=1)
        except Lost:
            self._out.failed()
            raise
        self._out.passed(len(piece))

    def _invoke(self, window: _Window, hello: Hello, tensor: int, offset: int, piece: bytes, tries: int = 0) -> RunReply:
        """Raises Lost after `tries`, _Again."""
        nbytes = sum(t.nbytes for t in hello.outputs)
        apart = nbytes > self._in.size
        flags = window.flags | (RunFlag.NO_OUTPUTS if apart else 0)
        expect = wire.RUN_REPLY_BYTES + 4 * hello.op_count * (RunFlag.PROFILE in flags) + (0 if apart else nbytes)
        payload = wire.run_payload(tensor, offset, piece, flags, window.crc)
        large = not apart and nbytes > SMALLEST_PIECE
        try:
            check = _reply_to(window.crc, flags, nbytes)
            reply = self._ask(Type.RUN, payload, check, expect, tries or 2 * large, self._invoke_s)
        except Lost as error:
            (self._out if piece else self._in).failed()
            if piece:
                raise
            raise _Again from error
        except Refused as error:
            if error.status != Status.BAD_INPUT:
                raise
            self.statistics.bad_inputs += 1
            raise _Again from error
        except LinkGone:
            raise
        except LinkError as error:
            raise self._cause(error) from error
        self._slowest_invoke_s = max(self._exchange.answer_s, self._slowest_invoke_s or 0.0)
        self._out.passed(len(piece))
        self._in.passed(0 if apart else nbytes)
        return reply

    def _invoke_s(self, tried: int) -> float:
        slowest = self._slowest_invoke_s
        if slowest is None:
            return min(self._invoke_deadline_s, FIRST_TRY_S * FIRST_TRY_GROWTH**tried)
        return max(MIN_INVOKE_DEADLINE_S, INVOKE_MARGIN * slowest) * 2**tried

    def _read_outputs(self, hello: Hello, crc: int) -> bytes:
        """Raises _Again when they are not those of the inference."""
        outputs = b"".join(self._read(tensor, spec.nbytes) for tensor, spec in enumerate(hello.outputs))
        try:
            wire.check_outputs(outputs, crc)
        except WireError as error:
            raise _Again from error
        return outputs

    def _read(self, tensor: int, nbytes: int) -> bytes:
        data = bytearray()
        while len(data) < nbytes:
            n = min(self._in.size, nbytes - len(data))
            try:
                data += self._ask(Type.READ, wire.read_payload(tensor, len(data), n), _exactly(n), expect=n, tries=1)
                self._in.passed(n)
            except Lost:
                self._in.failed()
        return bytes(data)

    # ---- requests and what may end a session ----

    def _ask(
        self,
        kind: Type,
        payload: bytes,
        check: Callable[[bytes], T],
        expect: int = 0,
        tries: int = 0,
        board_s: Callable[[int], float] | None = None,
    ) -> T:
        full_s = BASE_DEADLINE_S + BYTE_DEADLINE_S * (len(payload) + expect)
        try:
            return self._exchange.ask(kind, payload, check, full_s, expect, tries, board_s)
        except Refused as error:
            if error.status == Status.NO_HELLO:
                raise self._reset_error() from error
            raise

    def _cause(self, error: LinkError) -> LinkError | DeviceError:
        """A board that no longer answers may have been reset by a fault, which its next hello tells."""
        self._hello = None
        self._exchange.trouble.patience_s = GREETING_PATIENCE_S
        try:
            fault = self.hello().fault
        except (LinkError, DeviceError):
            return error
        return self.fault_error() if fault else error

    def _reset_error(self) -> DeviceError:
        self._hello = None
        fault = self.hello().fault
        if fault:
            return self.fault_error()
        return DeviceError(
            "the board was reset during the session",
            expected="the session to go on",
            received="no hello since its reset",
            remedy="check its power supply; then run again",
        )

    def _reattach(self, gone: LinkGone) -> None:
        """Opens the port again and proves that the same board with the same firmware, not reset meanwhile, is behind it."""
        self._vanished += 1
        if self._reopen is None or self._vanished >= WINDOW_TRIES:
            raise gone
        self._exchange.trouble.begin()
        until = self._clock() + REATTACH_S
        while True:
            self._link.close()
            try:
                self._exchange.attach(self._reopen())
                self._recognise()
                break
            except LinkError as error:  # not there yet, or gone again
                if self._clock() > until:
                    raise LinkError(
                        f"{gone.what} and did not come back",
                        expected=f"the board again within {REATTACH_S:g} s",
                        received=error.received or error.what,
                        remedy=gone.remedy,
                    ) from error
            time.sleep(REATTACH_PAUSE_S)
        self.statistics.reconnects += 1

    def _recognise(self) -> None:
        before = self._hello
        if before is None:
            return
        self.echo(b"")  # before hello: a board that was reset says so
        now = self._greet()
        for what in ("build_id", "model_sha256", "board_id"):
            if getattr(now, what) != getattr(before, what):
                raise DeviceError(
                    f"another board answers after the port came back: its {what} differs",
                    expected=getattr(before, what),
                    received=getattr(now, what),
                    remedy="leave the boards plugged in during a run; name the port by its /dev/serial/by-id link",
                )


def _exactly(n: int) -> Callable[[bytes], bytes]:
    """Checks a reply's length."""

    def check(payload: bytes) -> bytes:
        if len(payload) != n:
            raise WireError("a reply of a wrong length", expected=f"{n} bytes", received=f"{len(payload)} bytes")
        return payload

    return check


def _reply_to(crc: int, flags: RunFlag, output_bytes: int) -> Callable[[bytes], RunReply]:
    """Checks that an INVOKE's reply is of these inputs and flags: one held up on the line may be of others."""

    def check(payload: bytes) -> RunReply:
        reply = wire.decode_run_reply(payload, output_bytes)
        if (reply.inputs_crc, reply.flags) != (crc, flags):
            raise WireError(
                "a reply to another inference",
                expected=f"inputs {crc:08x}, flags {int(flags)}",
                received=f"inputs {reply.inputs_crc:08x}, flags {int(reply.flags)}",
            )
        return reply

    return check


def _check_sizes(tensors: Sequence[bytes], specs: Sequence[TensorSpec]) -> None:
    received, expected = [len(t) for t in tensors], [s.nbytes for s in specs]
    if received != expected:
        raise UserError("the window does not fit the model's inputs", expected=f"{expected} bytes", received=f"{received} bytes")
