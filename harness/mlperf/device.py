"""A session with an MLPerf Tiny firmware: commands with deadlines, windows loaded and proven, inferences timed by the board.

The protocol has no sequence numbers and no checksums, so: a command's reply must hold the lines that this command alone causes; a
window is read back before it counts; a result counts when the board prints it twice alike; a window is loaded again after any
trouble. What goes wrong on the line is counted like that of our own protocol.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from tinyrig.core.errors import DeviceError, LinkError
from tinyrig.link.exchange import Statistics
from tinyrig.link.serial_link import Link
from tinyrig.mlperf.text import Decoder, Message, command, elapsed_us, load_commands

BAUDS = (115_200, 921_600, 76_800, 9_600)
"""Tried in this order: of keyword spotting and visual wake words, anomaly detection, image classification, all energy builds."""
UNREAD = 3
"""Refusals of `db print` before the first buffer it shows: the firmware lacks it, no damaged command is so frequent."""
T = TypeVar("T")


@dataclass(frozen=True)
class Times:
    """Seconds, except `tries`: of one command, and of a window. quiet_s: silence after which nothing more is under way."""

    reply_s: float = 2.0
    hello_s: float = 2.0
    quiet_s: float = 0.1
    tries: int = 6
    inferences_s: float = 30.0  # of one inference whose time is not known yet


@dataclass(frozen=True)
class Identity:
    """What the firmware says of itself: `name` its vendor, `profile` the firmware, `model` the benchmark's model, as kws01."""

    name: str
    profile: str
    model: str


@dataclass(frozen=True)
class Inferences:
    """`iterations` inferences of one window between two of the board's timestamps; host_us: the same on the host's clock, with
    the line's delays. `results` is the list as printed."""

    iterations: int
    elapsed_us: int
    host_us: float
    results: str


class Trouble(LinkError):
    """One try of a command failed on the line."""


class Silent(Trouble):
    """It brought no complete reply in its time."""


class Rebooted(Trouble):
    """The board has restarted: what it held is gone."""


class Refused(Trouble):
    """The firmware answered e-[...]; `received` is its text."""


class Device:
    """Speaks to the board at the other end of `link`, which it closes at its end. `clock` returns seconds, monotonic."""

    def __init__(self, link: Link, times: Times | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._link, self._times, self._clock = link, times or Times(), clock
        self._decoder = Decoder()
        self._arrived = 0.0
        self.statistics = Statistics()
        self.reboots = 0
        self._unread = 0
        self.reads_back = True
        """Whether `db print` shows the buffer; without it the firmware's count of bytes alone proves a window."""
        self.repeats_results = True
        """Whether `results` prints the last results again; without it they are taken as they came."""

    def __enter__(self) -> Device:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._link.close()

    # ---- commands ----

    def identify(self) -> Identity:
        """Raises LinkError where nobody answers, DeviceError for a firmware that can't be timed."""
        self.resync()
        name = self._again("name", lambda: _only(self._ask("name", self._times.reply_s), "name"))
        lines = self._again("profile", self._profile)
        return Identity(name.text, _only(lines, "profile").text, _only(lines, "model").text)

    def _profile(self) -> list[Message]:
        lines = self._ask("profile", self._times.reply_s)
        _only(lines, "profile"), _only(lines, "model")
        return lines

    def timestamp(self) -> int:
        """The board's clock, us. Raises DeviceError for a firmware that has none to tell."""
        try:
            return self._again("timestamp", lambda: _only(self._ask("timestamp", self._times.reply_s), "lap").number)
        except LinkError as error:
            if not isinstance(error, Silent):
                raise _no_timestamps(error) from error
            raise

    def load(self, data: bytes) -> None:
        """Puts `data` into the firmware's buffer and proves that it is there. Raises LinkError when tries are used up."""
        self._again("db", lambda: self._load(data))

    def infer(self, data: bytes, iterations: int, warmups: int, seconds: float) -> Inferences:
        """Loads `data` and runs it; `seconds` is what the inferences may take. Raises LinkError, DeviceError."""
        return self._again("infer", lambda: self._infer(data, iterations, warmups, seconds))

    def resync(self) -> None:
        """Gets back in step, however the line was left: what is under way is let pass, then the board must say its name.

        Raises LinkError where it does not.
        """
        heard = ""
        for _ in range(self._times.tries):
            self._drain()
            try:
                _only(self._ask("name", self._times.hello_s), "name")
                self._drain()
                return
            except Refused as error:  # the rest of a damaged command stood before it
                heard = error.received
            except Trouble as error:
                heard = error.received or ("silence" if isinstance(error, Silent) else error.what)
        raise LinkError(
            f"no MLPerf Tiny firmware answers on {self._link.url}",
            expected="m-name-... and m-ready in reply to `name%`",
            received=heard or "silence",
            remedy="check port, wires and power, and that the firmware is one of docs/mlperf.md",
        )

    # ---- once ----

    def _load(self, data: bytes) -> None:
        announce, *chunks = load_commands(data)
        reply = self._ask(announce, self._times.reply_s)
        expecting = [m.number for m in reply if m.kind == "expecting"]
        if expecting != [len(data)]:
            self._check_size(reply, len(data))
            raise Trouble("`db load` got an unexpected answer", expected=f"Expecting {len(data)} bytes", received=_told(reply))
        for i, chunk in enumerate(chunks):
            done = any(m.kind == "loaded" for m in self._chunk(chunk))
            if done != (i == len(chunks) - 1):
                raise Trouble(
                    "bytes were lost while a window was loaded",
                    expected="m-load-done after the last of them",
                    received="none" if not done else f"it after {i + 1} of {len(chunks)} commands",
                )
        if self.reads_back:
            self._read_back(data)

    def _chunk(self, chunk: str) -> list[Message]:
        """A command that was refused as a whole changed nothing and is sent again."""
        for last in [False] * self._times.tries + [True]:
            try:
                return self._ask(chunk, self._times.reply_s)
            except Refused as error:
                if last or not error.received.startswith(("Insuffic", "Unknown command")):
                    raise
                self.statistics.refused += 1
                self.statistics.retries += 1
                self.statistics.bytes_resent += len(chunk) + 1
        raise AssertionError

    def _check_size(self, reply: list[Message], size: int) -> None:
        told = [m.text for m in reply if m.kind == "noise" and "exceeds maximum" in m.text]
        if told:
            raise DeviceError(
                "the window does not fit the firmware's buffer",
                expected=f"room for {size} bytes",
                received=told[0],
                remedy="give windows in the form that this benchmark streams (docs/mlperf.md)",
            )

    def _read_back(self, data: bytes) -> None:
        try:
            # The reference firmware prints all and takes no numbers; the original takes them and prints 16 bytes without.
            reply = self._ask(f"db print {len(data)} 0", self._times.reply_s + len(data) * 1e-3)
        except Refused:
            self._unread += 1
            if self._unread < UNREAD:
                raise
            self.reads_back = False
            return
        buffer = b"".join(m.data for m in reply if m.kind == "buffer")
        if buffer != data:
            raise Trouble(
                "the board's buffer does not hold the window",
                expected=f"{len(data)} bytes {data[:16].hex()}...",
                received=f"{len(buffer)} bytes {buffer[:16].hex()}...",
            )
        self._unread = -UNREAD * self._times.tries

    def _infer(self, data: bytes, iterations: int, warmups: int, seconds: float) -> Inferences:
        self._load(data)
        times: list[tuple[int, float]] = []

        def mark(message: Message) -> None:
            if message.kind == "lap":
                times.append((message.number, self._arrived))

        reply = self._ask(f"infer {iterations} {warmups}", self._times.reply_s + seconds, mark)
        wrong = [m for m in reply if m.kind == "noise" and m.text.startswith("Input db has")]
        if wrong:
            raise DeviceError(
                "the firmware takes windows of another size",
                expected=wrong[0].text,
                received=f"{len(data)} bytes",
                remedy="give windows in the form that this benchmark streams (docs/mlperf.md)",
            )
        kinds = [m.kind for m in reply if m.kind != "noise"]
        damaged = any(m.kind == "noise" for m in reply)
        if "start" in kinds and "done" in kinds and "lap" not in kinds and not damaged:
            raise _no_timestamps()
        if kinds != ["warmup", "warm", "start", "lap", "lap", "done", "results", "ready"]:
            raise Trouble("the reply to `infer` is not whole", expected="warm-up, two timestamps, results", received=_told(reply))
        ran = (_only(reply, "start").number, _only(reply, "warmup").number)
        if ran != (iterations, warmups):
            raise Trouble(
                "other inferences ran than were requested",
                expected=f"{iterations} after {warmups}",
                received="{} after {}".format(*ran),
            )
        (first, at), (second, until) = times
        results = self._confirmed(_only(reply, "results").text)
        return Inferences(iterations, elapsed_us(first, second), (until - at) * 1e6, results)

    def _confirmed(self, results: str) -> str:
        """What is printed twice alike: a lost digit would leave another number. Asking again costs no inference."""
        seen = {results}
        for _ in range(self._times.tries):
            if not self.repeats_results:
                return results
            try:
                again = _only(self._ask("results", self._times.reply_s), "results").text
            except Rebooted:
                raise
            except Refused as error:
                self.repeats_results = not error.received.startswith("Unknown command: results")
            except Trouble as error:
                self._count(error)
                self.statistics.retries += 1
                self.resync()
            else:
                if again in seen:
                    return again
                seen.add(again)
        raise Trouble("the board never printed the same results twice", expected=results[:200], received=f"{len(seen)} versions")

    # ---- the line ----

    def _again(self, what: str, once: Callable[[], T]) -> T:
        """`once`, tried again after the line's troubles. Raises the last of them with what to do about it."""
        since: float | None = None
        for attempt in range(self._times.tries):
            sent = self.statistics.bytes_sent
            try:
                result = once()
            except Trouble as error:
                trouble, since = error, self._clock() if since is None else since
                self._count(error)
                if attempt + 1 < self._times.tries:
                    self.statistics.retries += 1
                    self.resync()
                self.statistics.bytes_resent += self.statistics.bytes_sent - sent
            else:
                if since is not None:
                    self.statistics.recoveries_s.append(self._clock() - since)
                return result
        trouble.what = f"`{what}` failed {self._times.tries} times on {self._link.url}: {trouble.what}"
        trouble.remedy = "check cable, ground and baud rate; a board that restarts by itself needs a better supply"
        raise trouble

    def _count(self, error: Trouble) -> None:
        if isinstance(error, Silent):
            self.statistics.timeouts += 1
        elif isinstance(error, Refused):
            self.statistics.refused += 1
        elif isinstance(error, Rebooted):
            self.reboots += 1
        else:
            self.statistics.damaged += 1

    def _ask(self, text: str, seconds: float, each: Callable[[Message], None] = lambda message: None) -> list[Message]:
        """Sends a command and returns its reply up to m-ready; `each` sees the messages as they arrive."""
        raw = command(text)
        self.statistics.requests += 1
        self.statistics.bytes_sent += len(raw)
        self._link.write(raw)
        reply: list[Message] = []
        sent = self._clock()
        while self._clock() < sent + (seconds if reply else min(seconds, self._times.reply_s)):  # its first line comes at once
            for message in self._receive():
                reply.append(message)
                each(message)
                if message.kind == "boot":
                    raise Rebooted("the board restarted", received=_told(reply))
                if message.kind == "ready":
                    return self._complete(reply)
        raise Silent(f"no complete reply to `{text[:24]}` within {seconds:g} s", expected="m-ready", received=_told(reply))

    @staticmethod
    def _complete(reply: list[Message]) -> list[Message]:
        error = next((m for m in reply if m.kind == "error"), None)
        if error is not None:
            raise Refused("the firmware refused a command", received=error.text)
        return reply

    def _receive(self) -> list[Message]:
        """The messages that one byte completes, or none after quiet_s; a byte at a time, because no line's length is known."""
        byte = self._link.read(1, self._times.quiet_s)
        if byte:
            self._arrived = self._clock()
            self.statistics.bytes_received += 1
        return self._decoder.feed(byte)

    def _drain(self) -> None:
        """Until the line is silent; a board that never stops talking is let go after hello_s."""
        until = self._clock() + self._times.hello_s
        while self._link.read(1, self._times.quiet_s) and self._clock() < until:
            pass
        self._decoder = Decoder()


def _only(reply: list[Message], kind: str) -> Message:
    found = [m for m in reply if m.kind == kind]
    if len(found) != 1:
        raise Trouble("a reply is not whole", expected=f"one {kind} line", received=_told(reply))
    return found[0]


def _told(reply: list[Message]) -> str:
    return "; ".join(f"{m.kind} {m.text}".strip()[:60] for m in reply[-6:])


def _no_timestamps(error: LinkError | None = None) -> DeviceError:
    return DeviceError(
        "the firmware prints no timestamps",
        expected="m-lap-us-... (a build with EE_CFG_ENERGY_MODE 0)",
        received=error.received if error else "inferences without them",
        remedy="build it for performance mode; an energy build marks its inferences on a pin only",
    )
