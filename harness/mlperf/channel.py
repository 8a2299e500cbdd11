"""Commands and replies on a line that has neither sequence numbers nor checksums: deadlines, repetition, getting back in step.

What goes wrong on the line is counted like that of our own protocol.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tinyrig.core.errors import LinkError
from tinyrig.link.exchange import Statistics
from tinyrig.link.serial_link import Link
from tinyrig.mlperf.text import Decoder, Message, command

T = TypeVar("T")


@dataclass(frozen=True)
class Times:
    """Seconds, except `tries`: of one command, and of a window. quiet_s: silence after which nothing more is under way."""

    reply_s: float = 2.0
    hello_s: float = 2.0
    quiet_s: float = 0.1
    tries: int = 6
    inferences_s: float = 30.0  # of one inference whose time is not known yet


class CommandFailed(LinkError):
    """One try of a command failed on the line."""


class NoReply(CommandFailed):
    """It brought no complete reply in its time."""


class BoardRebooted(CommandFailed):
    """The board has restarted: what it held is gone."""


class CommandRefused(CommandFailed):
    """The firmware answered with `message`, an error."""

    def __init__(self, message: Message) -> None:
        super().__init__("the firmware refused a command", received=message.text)
        self.message = message


class CommandChannel:
    """Speaks to the board at the other end of `link`. `clock` returns seconds, monotonic."""

    def __init__(self, link: Link, times: Times, clock: Callable[[], float] = time.monotonic) -> None:
        self._link, self._clock, self.times = link, clock, times
        self._decoder = Decoder()
        self.arrived = 0.0
        """When the last byte did, by `clock`."""
        self.statistics = Statistics()
        self.reboots = 0

    def close(self) -> None:
        self._link.close()

    def resync(self) -> None:
        """Gets back in step, however the line was left: what is under way is let pass, then the board must say its name.

        Raises LinkError where it does not.
        """
        heard = ""
        for _ in range(self.times.tries):
            self._drain()
            try:
                only(self.ask("name", self.times.hello_s), "name")
                self._drain()
                return
            except CommandRefused as error:  # the rest of a damaged command stood before it
                heard = error.received
            except CommandFailed as error:
                heard = error.received or ("silence" if isinstance(error, NoReply) else error.what)
        raise LinkError(
            f"no MLPerf Tiny firmware answers on {self._link.url}",
            expected="m-name-... and m-ready in reply to `name%`",
            received=heard or "silence",
            remedy="check port, wires and power, and that the firmware is one of docs/mlperf.md",
        )

    def again(self, what: str, once: Callable[[], T]) -> T:
        """`once`, tried again after the line's troubles. Raises the last of them with what to do about it."""
        since: float | None = None
        for attempt in range(self.times.tries):
            sent = self.statistics.bytes_sent
            try:
                result = once()
            except CommandFailed as error:
                trouble, since = error, self._clock() if since is None else since
                self.count(error)
                if attempt + 1 < self.times.tries:
                    self.statistics.retries += 1
                    self.resync()
                self.statistics.bytes_resent += self.statistics.bytes_sent - sent
            else:
                if since is not None:
                    self.statistics.recoveries_s.append(self._clock() - since)
                return result
        trouble.what = f"`{what}` failed {self.times.tries} times on {self._link.url}: {trouble.what}"
        trouble.remedy = "check cable, ground and baud rate; a board that restarts by itself needs a better supply"
        raise trouble

    def count(self, error: CommandFailed) -> None:
        """In the statistics."""
        if isinstance(error, NoReply):
            self.statistics.timeouts += 1
        elif isinstance(error, CommandRefused):
            self.statistics.refused += 1
        elif isinstance(error, BoardRebooted):
            self.reboots += 1
        else:
            self.statistics.damaged += 1

    def ask(self, text: str, seconds: float, each: Callable[[Message], None] = lambda message: None) -> list[Message]:
        """Sends a command and returns its reply up to m-ready; `each` sees the messages as they arrive."""
        raw = command(text)
        self.statistics.requests += 1
        self.statistics.bytes_sent += len(raw)
        self._link.write(raw)
        reply: list[Message] = []
        sent = self._clock()
        while self._clock() < sent + (seconds if reply else min(seconds, self.times.reply_s)):  # its first line comes at once
            for message in self._receive():
                reply.append(message)
                each(message)
                if message.kind == "boot":
                    raise BoardRebooted("the board restarted", received=told(reply))
                if message.kind == "ready":
                    return self._complete(reply)
        raise NoReply(f"no complete reply to `{text[:24]}` within {seconds:g} s", expected="m-ready", received=told(reply))

    @staticmethod
    def _complete(reply: list[Message]) -> list[Message]:
        error = next((m for m in reply if m.kind == "error"), None)
        if error is not None:
            raise CommandRefused(error)
        return reply

    def _receive(self) -> list[Message]:
        """The messages that one byte completes, or none after quiet_s; a byte at a time, because no line's length is known."""
        byte = self._link.read(1, self.times.quiet_s)
        if byte:
            self.arrived = self._clock()
            self.statistics.bytes_received += 1
        return self._decoder.feed(byte)

    def _drain(self) -> None:
        """Until the line is silent; a board that never stops talking is let go after hello_s."""
        until = self._clock() + self.times.hello_s
        while self._link.read(1, self.times.quiet_s) and self._clock() < until:
            pass
        self._decoder = Decoder()


def only(reply: list[Message], kind: str) -> Message:
    """The one line of this kind. Raises CommandFailed."""
    found = [m for m in reply if m.kind == kind]
    if len(found) != 1:
        raise CommandFailed("a reply is not whole", expected=f"one {kind} line", received=told(reply))
    return found[0]


def told(reply: list[Message]) -> str:
    """The end of a reply, for errors."""
    return "; ".join(f"{m.kind} {m.text}".strip()[:60] for m in reply[-6:])
