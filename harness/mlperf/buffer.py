"""A window into the firmware's buffer, proven to be there."""

from __future__ import annotations

from tinyrig.core.errors import DeviceError
from tinyrig.mlperf.channel import CommandChannel, CommandFailed, CommandRefused, told
from tinyrig.mlperf.text import Message, load_commands

UNREAD = 3
"""Refusals of `db print` before the first buffer it shows: the firmware lacks it, no damaged command is so frequent."""


class BufferLoader:
    """Each call is one try: see CommandChannel.again()."""

    def __init__(self, channel: CommandChannel) -> None:
        self._channel, self._times = channel, channel.times
        self._unread = 0
        self.reads_back = True
        """Whether `db print` shows the buffer; without it the firmware's count of bytes alone proves a window."""

    def load(self, data: bytes) -> None:
        """Raises CommandFailed, or DeviceError where the buffer is too small."""
        announce, *chunks = load_commands(data)
        reply = self._channel.ask(announce, self._times.reply_s)
        expecting = [m.number for m in reply if m.kind == "expecting"]
        if expecting != [len(data)]:
            _check_size(reply, len(data))
            raise CommandFailed(
                "`db load` got an unexpected answer", expected=f"Expecting {len(data)} bytes", received=told(reply)
            )
        for i, chunk in enumerate(chunks):
            done = any(m.kind == "loaded" for m in self._chunk(chunk))
            if done != (i == len(chunks) - 1):
                raise CommandFailed(
                    "bytes were lost while a window was loaded",
                    expected="m-load-done after the last of them",
                    received="none" if not done else f"it after {i + 1} of {len(chunks)} commands",
                )
        if self.reads_back:
            self._read_back(data)

    def _chunk(self, chunk: str) -> list[Message]:
        """A command that was refused as a whole changed nothing and is sent again."""
        statistics = self._channel.statistics
        for last in [False] * self._times.tries + [True]:
            try:
                return self._channel.ask(chunk, self._times.reply_s)
            except CommandRefused as error:
                if last or not error.message.changed_nothing:
                    raise
                statistics.refused += 1
                statistics.retries += 1
                statistics.bytes_resent += len(chunk) + 1
        raise AssertionError

    def _read_back(self, data: bytes) -> None:
        try:
            # The reference firmware prints all and takes no numbers; the original takes them and prints 16 bytes without.
            reply = self._channel.ask(f"db print {len(data)} 0", self._times.reply_s + len(data) * 1e-3)
        except CommandRefused:
            self._unread += 1
            if self._unread < UNREAD:
                raise
            self.reads_back = False
            return
        buffer = b"".join(m.data for m in reply if m.kind == "buffer")
        if buffer != data:
            raise CommandFailed(
                "the board's buffer does not hold the window",
                expected=f"{len(data)} bytes {data[:16].hex()}...",
                received=f"{len(buffer)} bytes {buffer[:16].hex()}...",
            )
        self._unread = -UNREAD * self._times.tries


def _check_size(reply: list[Message], size: int) -> None:
    too_large = next((m for m in reply if m.kind == "too-large"), None)
    if too_large is not None:
        raise DeviceError(
            "the window does not fit the firmware's buffer",
            expected=f"room for {size} bytes",
            received=too_large.text,
            remedy="give windows in the form that this benchmark streams (docs/mlperf.md)",
        )
