"""A session with an MLPerf Tiny firmware: windows loaded and proven, inferences timed by the board.

The protocol has no sequence numbers and no checksums, so: a command's reply must hold the lines that this command alone causes; a
window is read back before it counts; a result counts when the board prints it twice alike; a window is loaded again after any
trouble.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from tinyrig.core.errors import DeviceError, LinkError
from tinyrig.link.exchange import Statistics
from tinyrig.link.serial_link import Link
from tinyrig.mlperf.buffer import BufferLoader
from tinyrig.mlperf.channel import BoardRebooted, CommandChannel, CommandFailed, CommandRefused, NoReply, Times, only, told
from tinyrig.mlperf.text import Message, check_results, elapsed_us

BAUDS = (115_200, 921_600, 76_800, 9_600)
"""Tried in this order: of keyword spotting and visual wake words, anomaly detection, image classification, all energy builds."""


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


class Device:
    """Speaks to the board at the other end of `link`, which it closes at its end. `clock` returns seconds, monotonic."""

    def __init__(self, link: Link, times: Times | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._channel = CommandChannel(link, times or Times(), clock)
        self._times = self._channel.times
        self._loader = BufferLoader(self._channel)
        self.repeats_results = True
        """Whether `results` prints the last results again; without it they are taken as they came."""

    @property
    def statistics(self) -> Statistics:
        return self._channel.statistics

    @property
    def reboots(self) -> int:
        """How often the board restarted by itself."""
        return self._channel.reboots

    @property
    def reads_back(self) -> bool:
        """Whether a window is read back, not only counted by the firmware."""
        return self._loader.reads_back

    def __enter__(self) -> Device:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._channel.close()

    def resync(self) -> None:
        """See CommandChannel.resync()."""
        self._channel.resync()

    def identify(self) -> Identity:
        """Raises LinkError where nobody answers, DeviceError for a firmware that can't be timed."""
        self.resync()
        name = self._channel.again("name", lambda: only(self._channel.ask("name", self._times.reply_s), "name"))
        profile, model = self._channel.again("profile", self._profile)
        return Identity(name.text, profile.text, model.text)

    def _profile(self) -> tuple[Message, Message]:
        lines = self._channel.ask("profile", self._times.reply_s)
        return only(lines, "profile"), only(lines, "model")

    def timestamp(self) -> int:
        """The board's clock, us. Raises DeviceError for a firmware that has none to tell."""
        try:
            return self._channel.again(
                "timestamp", lambda: only(self._channel.ask("timestamp", self._times.reply_s), "lap").number
            )
        except LinkError as error:
            if not isinstance(error, NoReply):
                raise _no_timestamps(error) from error
            raise

    def infer(self, data: bytes, iterations: int, warmups: int, seconds: float) -> Inferences:
        """Loads `data` and runs it; `seconds` is what the inferences may take. Raises LinkError, DeviceError."""
        return self._channel.again("infer", lambda: self._infer(data, iterations, warmups, seconds))

    def _infer(self, data: bytes, iterations: int, warmups: int, seconds: float) -> Inferences:
        self._loader.load(data)
        times: list[tuple[int, float]] = []

        def mark(message: Message) -> None:
            if message.kind == "lap":
                times.append((message.number, self._channel.arrived))

        reply = self._channel.ask(f"infer {iterations} {warmups}", self._times.reply_s + seconds, mark)
        _check_inferences(reply, len(data), iterations, warmups)
        (first, at), (second, until) = times
        results = self._confirmed(only(reply, "results").text)
        check_results(results)
        return Inferences(iterations, elapsed_us(first, second), (until - at) * 1e6, results)

    def _confirmed(self, results: str) -> str:
        """What is printed twice alike: a lost digit would leave another number. Asking again costs no inference."""
        seen = {results}
        for _ in range(self._times.tries):
            if not self.repeats_results:
                return results
            try:
                again = only(self._channel.ask("results", self._times.reply_s), "results").text
            except BoardRebooted:
                raise
            except CommandRefused as error:
                self.repeats_results = not error.message.lacks("results")
            except CommandFailed as error:
                self._channel.count(error)
                self.statistics.retries += 1
                self.resync()
            else:
                if again in seen:
                    return again
                seen.add(again)
        raise CommandFailed(
            "the board never printed the same results twice", expected=results[:200], received=f"{len(seen)} versions"
        )


def _check_inferences(reply: list[Message], size: int, iterations: int, warmups: int) -> None:
    """Whether the reply to `infer` is whole and of what was asked for. Raises DeviceError, CommandFailed."""
    wrong = next((m for m in reply if m.kind == "wrong-size"), None)
    if wrong is not None:
        raise DeviceError(
            "the firmware takes windows of another size",
            expected=wrong.text,
            received=f"{size} bytes",
            remedy="give windows in the form that this benchmark streams (docs/mlperf.md)",
        )
    kinds = [m.kind for m in reply if m.kind != "noise"]
    damaged = any(m.kind == "noise" for m in reply)
    if "start" in kinds and "done" in kinds and "lap" not in kinds and not damaged:
        raise _no_timestamps()
    if kinds != ["warmup", "warm", "start", "lap", "lap", "done", "results", "ready"]:
        raise CommandFailed(
            "the reply to `infer` is not whole", expected="warm-up, two timestamps, results", received=told(reply)
        )
    ran = (only(reply, "start").number, only(reply, "warmup").number)
    if ran != (iterations, warmups):
        raise CommandFailed(
            "other inferences ran than were requested",
            expected=f"{iterations} after {warmups}",
            received="{} after {}".format(*ran),
        )


def _no_timestamps(error: LinkError | None = None) -> DeviceError:
    return DeviceError(
        "the firmware prints no timestamps",
        expected="m-lap-us-... (a build with EE_CFG_ENERGY_MODE 0)",
        received=error.received if error else "inferences without them",
        remedy="build it for performance mode; an energy build marks its inferences on a pin only",
    )
