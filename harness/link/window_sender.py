"""One window to the board and its outputs back, in pieces that fit the line, again where the line spoilt it; WIRE.md says how."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tinyrig.core.errors import DeviceError, LinkError
from tinyrig.core.records import Hello
from tinyrig.link import wire
from tinyrig.link.connection import Connection, exactly
from tinyrig.link.exchange import Lost, Refused
from tinyrig.link.pacing import SMALLEST_PIECE, Pace
from tinyrig.link.serial_link import LinkGone
from tinyrig.link.wire import RunFlag, RunReply, Status, Type, WireError

WINDOW_TRIES = 8
"""So often a window is sent whole before its inputs are said not to stay on the board."""


class StateLost(DeviceError):
    """The engine's state on the board is not the one that a window of a sequence continues: the sequence must begin again."""


class _Again(Exception):
    """The window must be sent again: its inputs or outputs on the board are no longer its own, or no way was found to
    fetch them. Carries no blame: the line was damaged meanwhile."""


@dataclass(frozen=True)
class WireWindow:
    """The bytes of each input tensor, what is asked of the inference, and the CRC-32 of those bytes. `after`: how many windows of
    its sequence came before."""

    tensors: tuple[bytes, ...]
    flags: RunFlag
    crc: int
    after: int = 0


class WindowSender:
    """Sends windows to the board that said `hello`, one after another; the sizes of its pieces follow the line."""

    def __init__(self, connection: Connection, hello: Hello) -> None:
        self.hello = hello
        self._connection, self._statistics = connection, connection.statistics
        self.took_s = 0.0
        """Host's seconds from before the last inference's request to its reply, repetitions included."""
        self._out, self._in = Pace(hello.max_payload - wire.RUN_BYTES), Pace(hello.max_payload)

    def run(self, window: WireWindow) -> tuple[RunReply, bytes]:
        """The reply to the inference, and its outputs. Raises LinkError, DeviceError."""
        connection, statistics = self._connection, self._statistics
        connection.new_window()
        for _ in range(WINDOW_TRIES):
            sent = statistics.bytes_sent - statistics.bytes_resent
            try:
                reply = self._infer(window)
                return reply, self._read_outputs(reply.outputs_crc) if reply.outputs is None else reply.outputs
            except LinkGone as error:
                connection.reattach(error)
            except _Again:
                pass
            statistics.bytes_resent = statistics.bytes_sent - sent
        if connection.vanished:
            raise LinkError(
                f"{connection.link.url} vanished again and again",
                expected="a port that stays for one window",
                received=f"gone {connection.vanished} times",
                remedy="check the cable and the hub's power",
            )
        raise DeviceError(
            "the board's inputs do not stay as they were written",
            expected=f"input tensors with CRC-32 {window.crc:08x}",
            received=f"other bytes, {WINDOW_TRIES} times in a row",
            remedy="check that the engine gives every input tensor memory of its own; check the board's power",
        )

    def _infer(self, window: WireWindow) -> RunReply:
        """Places the inputs piece by piece, the last one with the INVOKE where that is a single frame's risk at most."""
        rest = deque((tensor, 0, data) for tensor, data in enumerate(window.tensors) if data)
        # Of an inference of unknown length a lost request is noticed late: let only a short frame be at stake.
        fits = self._out.is_full or sum(map(len, window.tensors)) <= self._out.size
        joined = self._connection.invoke_deadlines.known and fits
        while rest:
            tensor, offset, data = rest.popleft()
            piece, after = data[: self._out.size], data[self._out.size :]
            try:
                if joined and not rest and not after:
                    return self._invoke(window, tensor, offset, piece, tries=len(piece) > SMALLEST_PIECE)
                self._place(tensor, offset, piece)
                if after:
                    rest.appendleft((tensor, offset + len(piece), after))
            except LinkGone as error:
                self._connection.reattach(error)
                self._statistics.bytes_resent += len(piece)
                rest.appendleft((tensor, offset, data))
            except Lost:
                joined = joined and bool(rest or after)
                rest.appendleft((tensor, offset, data))
        return self._invoke(window, 0, 0, b"")

    def _place(self, tensor: int, offset: int, piece: bytes) -> None:
        """A piece that was lost is cut again, so each is tried once. Raises Lost."""
        try:
            self._connection.ask(Type.RUN, wire.run_payload(tensor, offset, piece), exactly(0), tries=1)
        except Lost:
            self._out.failed()
            raise
        self._out.passed(len(piece))

    def _invoke(self, window: WireWindow, tensor: int, offset: int, piece: bytes, tries: int = 0) -> RunReply:
        """Raises Lost after `tries`, _Again."""
        nbytes = sum(t.nbytes for t in self.hello.outputs)
        apart = nbytes > self._in.size
        flags = window.flags | (RunFlag.NO_OUTPUTS if apart else 0)
        expect = wire.RUN_REPLY_BYTES + 4 * self.hello.op_count * (RunFlag.PROFILE in flags) + (0 if apart else nbytes)
        payload = wire.run_payload(tensor, offset, piece, flags, window.crc, wire.state_count(window.after))
        large = not apart and nbytes > SMALLEST_PIECE
        deadlines, started = self._connection.invoke_deadlines, self._connection.now()
        try:
            check = _reply_to(window.crc, flags, nbytes)
            reply = self._connection.ask(Type.RUN, payload, check, expect, tries or 2 * large, deadlines.deadline_s)
        except Lost as error:
            (self._out if piece else self._in).failed()
            if piece:
                raise
            raise _Again from error
        except Refused as error:
            if error.status == Status.STATE:
                raise StateLost(
                    "the board's engine is at another place of the sequence",
                    expected=f"the state after {window.after} windows",
                    received=error.received,
                    remedy="run again; a board that is reset again and again needs its power checked",
                ) from error
            if error.status != Status.BAD_INPUT:
                raise
            self._statistics.bad_inputs += 1
            raise _Again from error
        except LinkGone:
            raise
        except LinkError as error:
            raise self._connection.cause_of(error) from error
        self.took_s = self._connection.now() - started
        deadlines.took(self._connection.exchange.answer_s)
        self._out.passed(len(piece))
        self._in.passed(0 if apart else nbytes)
        return reply

    def _read_outputs(self, crc: int) -> bytes:
        """Raises _Again when they are not those of the inference."""
        outputs = b"".join(self._read(tensor, spec.nbytes) for tensor, spec in enumerate(self.hello.outputs))
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
                payload = wire.read_payload(tensor, len(data), n)
                data += self._connection.ask(Type.READ, payload, exactly(n), expect=n, tries=1)
                self._in.passed(n)
            except Lost:
                self._in.failed()
        return bytes(data)


def _reply_to(crc: int, flags: RunFlag, output_bytes: int) -> Callable[[bytes], RunReply]:
    """Checks that an INVOKE's reply is of these inputs and flags: one held up on the line may be of others. A board that knows no
    bounds of its stack leaves STACK out of its answer."""

    def check(payload: bytes) -> RunReply:
        reply = wire.decode_run_reply(payload, output_bytes)
        if reply.inputs_crc != crc or reply.flags not in (flags, flags & ~RunFlag.STACK):
            raise WireError(
                "a reply to another inference",
                expected=f"inputs {crc:08x}, flags {int(flags)}",
                received=f"inputs {reply.inputs_crc:08x}, flags {int(reply.flags)}",
            )
        return reply

    return check
