"""What people see of a recording and answer: prompts, a countdown and traces on a terminal; plain lines where nobody is asked."""

from __future__ import annotations

import sys
import time
from enum import Enum
from typing import TextIO

import numpy as np

from tinyrig.live.command import bars

COUNTDOWN = 3
REDRAW_S = 0.1


class Answer(Enum):
    """What becomes of a trial."""

    KEEP = "keep"
    REPEAT = "repeat"
    SKIP = "skip"


class Guide:
    """Plain: a line a trial, everything is kept. `out`: where to."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._title = ""

    def before(self, label: str, number: int, of: int) -> None:
        """Trial `number` is about to begin."""
        self._title = f"{label} {number}/{of}"

    def sampled(self, done: int, of: int, values: np.ndarray) -> None:
        """A frame came: values [C] in the channels' units."""

    def incomplete(self, dropped: int, lost: int) -> None:
        """The trial can't be stored."""
        self._say(f"{self._title}: {dropped} samples not taken, {lost} not fetched: repeated")

    def after(self, clipped: int) -> Answer:
        """Whether to keep the trial."""
        if clipped:
            self._say(f"{self._title}: {clipped} values at the end of their range")
        return Answer.KEEP

    def stored(self, name: str) -> None:
        self._say(f"{self._title}: {name}")

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)


class TerminalGuide(Guide):
    """Asks. `keys`: where answers come from."""

    def __init__(self, out: TextIO, keys: TextIO) -> None:
        super().__init__(out)
        self._keys = keys
        self._low = self._high = np.zeros(0)
        self._drawn = 0.0

    def before(self, label: str, number: int, of: int) -> None:
        super().before(label, number, of)
        self._low = self._high = np.zeros(0)
        self._ask(f"{self._title}: Enter begins")
        for left in range(COUNTDOWN, 0, -1):
            self._draw(f"{self._title}: {left} ")
            time.sleep(1)

    def sampled(self, done: int, of: int, values: np.ndarray) -> None:
        self._low = np.minimum(self._low, values) if self._low.size else values.copy()
        self._high = np.maximum(self._high, values) if self._high.size else values.copy()
        if time.monotonic() - self._drawn >= REDRAW_S or done == of:
            self._drawn = time.monotonic()
            self._draw(f"{self._title}: {done}/{of} {bars(values, self._low, self._high)}")

    def incomplete(self, dropped: int, lost: int) -> None:
        self._say("")
        super().incomplete(dropped, lost)

    def after(self, clipped: int) -> Answer:
        self._say("")
        super().after(clipped)
        while True:
            word = self._ask("[k]eep, [r]epeat, [s]kip?") or "k"
            for answer in Answer:
                if answer.value.startswith(word.lower()):
                    return answer

    def _ask(self, text: str) -> str:
        print(f"{text} ", end="", file=self._out, flush=True)
        line = self._keys.readline()
        if not line:
            raise KeyboardInterrupt  # the terminal is gone
        return line.strip()

    def _draw(self, text: str) -> None:
        print(f"\r{text}\x1b[K", end="", file=self._out, flush=True)


def guide(yes: bool) -> Guide:
    """Asks only where a person sits: both ends are a terminal, and --yes is not given."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return Guide(sys.stdout)
    return TerminalGuide(sys.stderr, sys.stdin)
