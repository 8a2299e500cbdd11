"""One request and its reply over a line that may damage, lose, delay or repeat anything; WIRE.md says how.

A failed try is repeated at once or after its deadline; what was seen meanwhile is counted, and it ends in bounded time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeVar

from tinyrig.core.errors import DeviceError, LinkError
from tinyrig.core.text import printable
from tinyrig.link import wire
from tinyrig.link.pacing import Deadlines
from tinyrig.link.serial_link import Link
from tinyrig.link.wire import Frame, Status, Type, WireError

NOISE_BYTES = 8
"""Fewer bytes that belong to no frame may be left over from earlier; more were the reply."""
BABBLE_S = 2.0
"""A line that has not fallen silent so long after the deadline is given up at once."""
SLOWEST_BYTE_S = 1e-4
"""A reply that trickles in more slowly than a 115200 baud line, after 6 s of grace, is none."""
MIN_TRIES = 4
"""So often is any request sent before it is given up for lack of time."""
GREETING_PATIENCE_S = 1.5
"""How long a port may be silent on which no board has answered yet."""
PATIENCE_S = 5.0
"""How long a board may be silent that has answered: converters and hubs stall for seconds."""
WINDOW_LIMIT_S = 60.0
"""Recovering may take so long in one window; a line as bad as that gives no night's results."""
T = TypeVar("T")
Clock = Callable[[], float]


@dataclass
class Statistics:
    """Counts of one session."""

    requests: int = 0
    retries: int = 0  # frames sent again
    timeouts: int = 0  # no reply, or half of one, within the deadline
    damaged: int = 0  # bytes that are no good reply to the request
    refused: int = 0  # the board saw a damaged or unfinished request
    stale: int = 0  # whole replies to earlier requests, dropped
    bad_inputs: int = 0  # the board refused to run: its inputs were not the window's
    reconnects: int = 0  # the port had vanished and was found again
    bytes_sent: int = 0
    bytes_received: int = 0
    bytes_resent: int = 0  # of bytes_sent, those that had been sent in vain before
    recoveries_s: list[float] = field(default_factory=list)  # from a first failure to the next good reply

    @property
    def recoveries(self) -> int:
        return len(self.recoveries_s)

    def summary(self) -> dict[str, Any]:
        """Plain numbers; times in seconds, None when nothing had to recover."""
        counts = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        times = self.recoveries_s
        return counts | {
            "recoveries": len(times),
            "recovery_median_s": round(median(times), 4) if times else None,
            "recovery_worst_s": round(max(times), 4) if times else None,
        }


class Lost(LinkError):
    """One try of a request brought no good reply. `silent`: not a byte came."""

    silent = False


class _Silence(Lost):
    silent = True


class _Overtaken(Lost):
    """The board has seen a newer sequence number than ours: a frame of an earlier session arrived late."""


class Refused(DeviceError):
    """The board understood the request and will not do it."""

    def __init__(self, kind: Type, reply: Frame) -> None:
        name = Status(reply.status).name if reply.status in list(Status) else f"status {reply.status}"
        why = printable(reply.payload.decode("ascii", "backslashreplace"))
        super().__init__(
            f"the board refused {kind.name}",
            expected="status OK",
            received=f"{name} {why}".strip(),
            remedy="compare the board's firmware with the host's model; flash again",
        )
        self.status = reply.status


_RESENT = {Status.BAD_CRC: "the board receives damaged frames", Status.CUT: "the board receives frames that stop half-way"}
_CHECK_WIRES = "check the wires, their length, the ground and the baud rate"


class Trouble:
    """Failures in a row: when it is too much of them, and how long it took to get over them."""

    def __init__(self, clock: Clock, statistics: Statistics, url: str) -> None:
        self._clock, self._statistics, self._url = clock, statistics, url
        self.patience_s = GREETING_PATIENCE_S
        self._since: float | None = None
        self._failures, self._silent = 0, True
        self._before = 0.0  # seconds of earlier troubles in this window

    def new_window(self) -> None:
        self._before = 0.0

    def begin(self) -> None:
        """From now on time is lost."""
        if self._since is None:
            self._since, self._failures, self._silent = self._clock(), 0, True

    def over(self) -> None:
        """A good reply came."""
        if self._since is not None:
            seconds = self._clock() - self._since
            self._statistics.recoveries_s.append(seconds)
            self._before += seconds
            self._since = None

    def failed(self, failure: Lost, started: float, n: int) -> None:
        """`n` bytes sent at `started` were in vain. Raises LinkError when it is enough."""
        self._since, first = (started, True) if self._since is None else (self._since, False)
        self._failures = 1 if first else self._failures + 1
        self._silent = failure.silent and (first or self._silent)
        seconds = self._clock() - self._since
        late = (self._silent and seconds >= self.patience_s) or self._before + seconds >= WINDOW_LIMIT_S
        if self._failures > wire.RETRIES or (self._failures >= MIN_TRIES and late):
            self._since = None
            raise self._summed_up(failure, seconds) from failure
        self._statistics.retries += 1
        self._statistics.bytes_resent += n

    def _summed_up(self, failure: Lost, seconds: float) -> LinkError:
        s = self._statistics
        counted = ", ".join(f"{getattr(s, name)} {name}" for name in ("timeouts", "damaged", "refused", "stale"))
        return LinkError(
            f"{failure.what}, {self._failures} times in a row over {seconds:.1f} s",
            expected=failure.expected or "a good reply",
            received=f"{failure.received or 'none'}; {self._before + seconds:.1f} s lost in this window; "
            f"in this session {counted}, {s.bytes_received} bytes received, {s.bytes_sent} sent",
            remedy=failure.remedy or _CHECK_WIRES,
        )


class FrameReader:
    """Finds the frames among the bytes of a link, whatever else comes between them."""

    def __init__(self, link: Link, clock: Clock, statistics: Statistics) -> None:
        self._link, self._clock, self._statistics = link, clock, statistics
        self._buffer = bytearray()
        self._noise = 0

    def frame(self, until: float) -> Frame:
        """The next frame that begins before `until`. Raises _Silence, Lost, WireError, LinkError when the line babbles."""
        header = self._header(until)
        latest = self._clock() + SLOWEST_BYTE_S * (wire.MAX_PAYLOAD_LIMIT + header.rest_bytes)
        while len(self._buffer) < header.rest_bytes:
            missing = header.rest_bytes - len(self._buffer)
            if not self._more(missing, wire.HOST_SILENCE_S) or self._clock() > latest:
                expected, received = f"{header.rest_bytes} bytes after the header", f"{len(self._buffer)} bytes"
                self._buffer.clear()
                raise Lost(f"half a reply on {self._link.url}", expected=expected, received=received)
        rest = bytes(self._buffer[: header.rest_bytes])
        del self._buffer[: header.rest_bytes]
        return wire.decode_rest(header, rest)

    def _header(self, until: float) -> wire.Header:
        self._noise = 0
        while True:
            if len(self._buffer) >= wire.HEADER_BYTES:
                try:
                    header = wire.decode_header(bytes(self._buffer[: wire.HEADER_BYTES]))
                except WireError:
                    self._drop(1)
                    continue
                del self._buffer[: wire.HEADER_BYTES]
                return header
            self._await(until)

    def _await(self, until: float) -> None:
        """More of a header, or the end of waiting for one."""
        left = max(0.0, until - self._clock())
        begun = self._buffer or self._noise >= NOISE_BYTES
        if self._more(wire.HEADER_BYTES - len(self._buffer), min(left, wire.HOST_SILENCE_S) if begun else left):
            if self._buffer[0] != wire.MAGIC[0]:
                self._drop(0)
            if self._clock() > until + BABBLE_S:
                raise LinkError(
                    f"{self._link.url} never falls silent",
                    expected="a board that speaks only when asked",
                    received="bytes without end",
                    remedy="check the baud rate and that this is the board's port",
                )
            return
        self._noise += len(self._buffer)
        self._buffer.clear()
        if self._noise >= NOISE_BYTES:
            raise WireError(f"a damaged reply on {self._link.url}", received=f"{self._noise} bytes that are not a frame")
        if self._clock() >= until:
            raise _Silence(
                f"no answer on {self._link.url}",
                expected="a reply within the deadline",
                received="silence",
                remedy="check that the board is powered, its TX and RX are connected and the baud rate is right",
            )

    def _drop(self, least: int) -> None:
        """Noise up to the next place where a header may begin."""
        at = self._buffer.find(wire.MAGIC[:1], least)
        n = len(self._buffer) if at < 0 else at
        self._noise += n
        del self._buffer[:n]

    def _more(self, n: int, timeout: float) -> bool:
        data = self._link.read(n, timeout)
        self._statistics.bytes_received += len(data)
        self._buffer += data
        return bool(data)


class Exchange:
    """Requests over `link`, one at a time. `sequence` is the number before that of the first: random, so that late replies to
    an earlier session are not taken for ours."""

    def __init__(self, link: Link, clock: Clock, sequence: int | None = None) -> None:
        self.statistics = Statistics()
        self.trouble = Trouble(clock, self.statistics, link.url)
        self.answer_s = 0.0  # from the last sending of a frame to its good reply
        self._clock = clock
        self._deadlines = Deadlines()
        self._sequence = int.from_bytes(os.urandom(2), "little") if sequence is None else sequence
        self.attach(link)

    def attach(self, link: Link) -> None:
        """Continues over another link."""
        self.link = link
        self._reader = FrameReader(link, self._clock, self.statistics)

    def ask(
        self,
        kind: Type,
        payload: bytes,
        check: Callable[[bytes], T],
        full_s: float,
        expect: int = 0,
        tries: int = 0,
        board_s: Callable[[int], float] | None = None,
    ) -> T:
        """What `check` makes of a good reply's payload; it raises WireError for one that answers something else.

        `full_s` bounds one try's deadline without `board_s(tried)`, the time that the board itself needs; `expect`: bytes of the
        reply.
        Raises Lost after `tries` (0: as long as there is hope), LinkError when there is none, Refused, LinkGone. A board that
        needs time of its own and is silent may still be at work, so that is no try lost.
        """
        self.statistics.requests += 1
        self._sequence = (self._sequence + 1) & 0xFFFF
        n = 2 * (wire.HEADER_BYTES + wire.CRC_BYTES) + len(payload) + expect
        tried = spoilt = 0
        while True:
            deadline = self._deadlines.deadline_s(n, tried, full_s) + (board_s(tried) if board_s else 0.0)
            frame = wire.encode(Frame(kind, self._sequence, payload))
            started = self._clock()
            try:
                reply = self._try(kind, frame, started + deadline)
                result = check(reply.payload) if reply.status == Status.OK else Refused(kind, reply)
            except WireError as error:
                self.statistics.damaged += 1
                failure = Lost(error.what, expected=error.expected, received=error.received, remedy=_CHECK_WIRES)
            except Lost as error:
                failure = error
            else:
                self.answer_s = self._clock() - started
                self.trouble.over()
                if not tried and not board_s:
                    self._deadlines.answered(n, self.answer_s)
                if isinstance(result, Refused):
                    raise result
                return result
            tried += 1
            spoilt += not (board_s and failure.silent)
            self.trouble.failed(failure, started, len(frame))
            if isinstance(failure, _Overtaken):
                self._sequence = (self._sequence + 0x8000) & 0xFFFF
            elif tries and spoilt == tries:
                raise failure

    def _try(self, kind: Type, frame: bytes, until: float) -> Frame:
        """Sends once; the reply with whatever status. Raises Lost, WireError."""
        self.statistics.bytes_sent += len(frame)
        self.link.write(frame)
        try:
            reply = self._reply(kind, until)
        except Lost:
            self.statistics.timeouts += 1
            self._deadlines.passed_by()
            raise
        if reply.status in _RESENT:
            self.statistics.refused += 1
            raise Lost(_RESENT[Status(reply.status)], received=Status(reply.status).name, remedy=_CHECK_WIRES)
        if reply.status == Status.STALE:
            self.statistics.refused += 1
            raise _Overtaken("the board has seen newer requests", remedy="close other programs that use this port")
        return reply

    def _reply(self, kind: Type, until: float) -> Frame:
        """The reply to the request under way; replies to earlier ones are dropped."""
        while True:
            frame = self._reader.frame(until)
            if (frame.type, frame.sequence) == (kind | wire.REPLY_BIT, self._sequence):
                return frame
            self.statistics.stale += 1
            if self._clock() > until:
                raise Lost(f"only stale replies on {self.link.url}", remedy="close other programs that use this port")
