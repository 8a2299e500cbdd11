"""Bytes <-> messages of the MLPerf Tiny firmware's text protocol, no I/O. docs/mlperf.md describes it and names the sources.

The text carries no checksum: a line that is not exactly one of the known forms is noise, never a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tinyrig.core.text import printable
from tinyrig.link import bounds

TERMINATOR = b"%"
COMMAND_BYTES = 80
"""Longest command that the firmware's buffer takes, without its terminator."""
CHUNK_BYTES = 31
"""Of a window in one `db` command: what MLCommons' own runner sends; 65 of the 80 characters."""
MAX_LINE = 4096
"""Longer lines are noise: a board that sends no line ends must not fill the host's memory."""
LAP_RANGE = 1 << 32
"""Timestamps are 32-bit microseconds and wrap after 71 minutes."""

_NUMBER = r"-?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|(?i:nan|inf(?:inity)?))"
"""As C prints it; which values are possible is check_results()'s."""
_FORMS = tuple(
    (kind, re.compile(form))
    for kind, form in (
        ("ready", r"m-ready"),
        ("lap", r"m-lap-us-(\d{1,10})"),
        ("results", rf"m-results-\[({_NUMBER}(?:,{_NUMBER})*),?\]"),  # one reference firmware ends its list with a comma
        ("loaded", r"m-load-done"),
        ("expecting", r"m-\[Expecting (\d+) bytes\]"),
        ("buffer", r"m-buffer-([0-9a-fA-F]{2}(?:-[0-9a-fA-F]{2})*)"),
        ("warmup", r"m-warmup-start-(\d+)"),
        ("warm", r"m-warmup-done"),
        ("start", r"m-infer-start-(\d+)"),
        ("done", r"m-infer-done"),
        ("name", r"m-name-[^\[\]]*-\[(.*)\]"),
        ("profile", r"m-profile-\[(.*)\]"),
        ("model", r"m-model-\[(.*)\]"),
        ("mode", r"m-timestamp-mode-(\w+)"),
        ("boot", r"m-init-done"),
        ("error", r"e-\[(.*)\]"),
        ("too-large", r"(Supplied buffer size \d+ exceeds maximum.*)"),
        ("wrong-size", r"(Input db has.*)"),
    )
)


@dataclass(frozen=True)
class Message:
    """One line of the board. `kind` is a name of the table above or "noise"; `text` what stands in its place for a value."""

    kind: str
    text: str = ""

    @property
    def number(self) -> int:
        return int(self.text)

    @property
    def values(self) -> tuple[float, ...]:
        """Of results."""
        return tuple(float(word) for word in self.text.split(","))

    @property
    def changed_nothing(self) -> bool:
        """Of error: whether the firmware did not take the command at all."""
        return self.text.startswith(("Insuffic", "Unknown command"))  # the reference firmware writes "Insufficent"

    def lacks(self, name: str) -> bool:
        """Of error: whether the firmware does not have this command."""
        return self.text.startswith(f"Unknown command: {name}")

    @property
    def data(self) -> bytes:
        """Of buffer."""
        return bytes.fromhex(self.text.replace("-", ""))


def parse(line: str) -> Message:
    """One line, without its end."""
    for kind, form in _FORMS:
        if found := form.fullmatch(line):
            text = found.group(1) if form.groups else ""
            possible = kind != "lap" or int(text) < LAP_RANGE
            return Message(kind if possible else "noise", printable(text if possible else line, MAX_LINE))
    return Message("noise", printable(line, MAX_LINE))


class Decoder:
    """Keeps an unfinished line until its end arrives. CR and NUL carry nothing; bytes beyond ASCII make a line noise."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._overlong = False

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes."""
        messages = []
        *whole, rest = data.split(b"\n")
        for part in whole:
            self._take(part)
            messages += self._finish()
        self._take(rest)
        return messages

    def _take(self, part: bytes) -> None:
        room = MAX_LINE - len(self._line)
        self._overlong |= len(part) > room
        self._line += part[:room]

    def _finish(self) -> list[Message]:
        raw, overlong = bytes(self._line), self._overlong
        self._line.clear()
        self._overlong = False
        line = raw.translate(None, b"\r\0").decode("ascii", "replace")
        if overlong:
            return [Message("noise", line)]
        return [parse(line)] if line else []

    @property
    def pending(self) -> bytes:
        """The line under way."""
        return bytes(self._line)


def command(text: str) -> bytes:
    """A command as it goes over the line. Raises ValueError for one that the firmware's buffer would cut."""
    if len(text) > COMMAND_BYTES or TERMINATOR.decode() in text or not text.isascii() or not text.strip():
        raise ValueError(f"not a command of up to {COMMAND_BYTES} characters: {text[:90]!r}")
    return text.encode() + TERMINATOR


def load_commands(data: bytes) -> list[str]:
    """The commands that put `data` into the firmware's buffer, after the one that announces its length."""
    chunks = (data[i : i + CHUNK_BYTES] for i in range(0, len(data), CHUNK_BYTES))
    return [f"db load {len(data)}", *(f"db {chunk.hex()}" for chunk in chunks)]


def elapsed_us(first: int, second: int) -> int:
    """Between two timestamps, less than a wrap apart."""
    return (second - first) % LAP_RANGE


def check_results(text: str) -> None:
    """Raises Impossible for the first number of a results list that no output has: NaN, infinity, beyond float32."""
    for i, word in enumerate(text.split(","), 1):
        said_by = f"the firmware, of result {i} ({printable(word, 40)}),"
        bounds.check("result", float(word), said_by=said_by)
        bounds.check("exponent of a result", int(word.lower().partition("e")[2] or 0), said_by=said_by)


def printed_unit(text: str) -> float:
    """The value of the last printed digit of a list of possible results, the coarsest of its numbers: 0.001 for "0.125,0.870"."""
    places = []
    for word in text.split(","):
        mantissa, _, exponent = word.lower().partition("e")
        if mantissa.lstrip("-")[:1].isdigit():
            places.append(len(mantissa.partition(".")[2]) - int(exponent or 0))
    return 10.0 ** -min(places, default=0)
