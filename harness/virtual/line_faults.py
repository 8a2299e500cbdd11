"""Random faults of a serial line, by rate and seed. The same bytes in the same transfers meet the same faults.

A transfer to the board is what the host sends between two answers or silences, one from the board what it sends in one piece.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tinyrig.core.errors import UserError

BYTE_FAULTS = {
    "drop": "a byte is lost",
    "flip": "a byte has one bit flipped",
    "insert": "a stray byte comes before a byte",
    "dup": "a byte arrives twice",
}
TRANSFER_FAULTS = {
    # name: (seconds if left out, what it does)
    "cut": (0.0, "a transfer ends early"),
    "delay": (0.5, "a transfer arrives SECONDS late, after what was sent meanwhile"),
    "stall": (1.0, "both directions are silent for SECONDS, then continue"),
    "disconnect": (1.0, "the port vanishes and is back after SECONDS, under another name"),
}
BOTH_WAYS = ("stall", "disconnect")
"""Not to be had for one direction."""
DEFAULT_RATE = {**dict.fromkeys(BYTE_FAULTS, 1e-4), "cut": 0.01, "delay": 0.01, "stall": 1e-3, "disconnect": 1e-3}
SYNTAX = "line-KIND[:RATE[:SECONDS]], line-rx-KIND or line-tx-KIND for one direction (to or from the board)"
HELP = "\n".join(
    [
        f"random faults of the line: {SYNTAX}",
        "  RATE: a probability below 1 for each byte or transfer; from 1: every Nth",
        *(f"  line-{kind}  {text} (RATE {DEFAULT_RATE[kind]:g} if left out)" for kind, text in BYTE_FAULTS.items()),
        *(
            f"  line-{kind}  {text} (RATE {DEFAULT_RATE[kind]:g}, SECONDS {s:g} if left out)"
            for kind, (s, text) in TRANSFER_FAULTS.items()
        ),
    ]
)


@dataclass(frozen=True)
class LineFault:
    """`directions` holds "rx" (to the board), "tx" or both; `rate` is a chance below 1 or every so-manieth."""

    kind: str
    directions: tuple[str, ...]
    rate: float
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return f"line-{self.kind}"


def parse_line_fault(text: str) -> LineFault:
    """`line-flip:1e-4` -> LineFault. Raises UserError."""
    name, *numbers = text.split(":")
    words = name.split("-")[1:]
    directions = (words.pop(0),) if len(words) == 2 and words[0] in ("rx", "tx") else ("rx", "tx")
    kind = words[0] if len(words) == 1 else ""
    if kind not in DEFAULT_RATE or (len(directions) == 1 and kind in BOTH_WAYS):
        raise UserError(f"unknown fault {text!r}", expected=f"{SYNTAX}, KIND one of {', '.join(DEFAULT_RATE)}", received=text)
    timed = TRANSFER_FAULTS.get(kind, (0.0,))[0] > 0
    rate = _number(numbers[0], text) if numbers else DEFAULT_RATE[kind]
    seconds = _number(numbers[1], text) if numbers[1:] else TRANSFER_FAULTS.get(kind, (0.0,))[0]
    if len(numbers) > 1 + timed or not 0 < rate < 1e9 or (rate > 1 and rate % 1) or not 0 <= seconds <= 3600:
        raise UserError(
            f"fault {name}: bad argument",
            expected="a RATE: a probability below 1 or a whole number" + (", then SECONDS up to 3600" if timed else ""),
            received=text,
        )
    return LineFault(kind, directions, rate, seconds)


def _number(word: str, text: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise UserError("a fault's argument is not a number", expected=SYNTAX, received=text) from error


class Schedule:
    """When a fault comes, counted in units (bytes or transfers)."""

    def __init__(self, rate: float, seed: str) -> None:
        self._rate, self._random = rate, random.Random(seed)
        self._left = self._gap()

    def _gap(self) -> int:
        """Units before the next one that is hit."""
        if self._rate >= 1:
            return int(self._rate) - 1
        return int(math.log(1.0 - self._random.random()) / math.log1p(-self._rate))

    def hits(self, n: int) -> Iterator[int]:
        """Which of the next `n` units are hit."""
        at = self._left
        while at < n:
            yield at
            at += 1 + self._gap()
        self._left = at - n


class ByteFaults:
    """Damages the bytes of one direction; `injected` counts what it did."""

    def __init__(self, direction: str, faults: Iterable[LineFault], seed: int, injected: Counter[str]) -> None:
        self._direction, self._injected = direction, injected
        self._random = random.Random(f"{seed} {direction}")
        self._schedules = [
            (f.kind, Schedule(f.rate, f"{seed} {direction} {f.kind}"))
            for f in faults
            if f.kind in BYTE_FAULTS and direction in f.directions
        ]

    def apply(self, data: bytes) -> bytes:
        """`data` as the other side will see it."""
        hits = sorted((at, kind) for kind, schedule in self._schedules for at in schedule.hits(len(data)))
        if not hits:
            return data
        pieces, done = [], 0
        for at, kind in hits:
            self._injected[f"{self._direction}-{kind}"] += 1
            if at < done:
                continue  # the same byte was hit already
            pieces += [data[done:at], self._damaged(kind, data[at])]
            done = at + 1
        return b"".join([*pieces, data[done:]])

    def _damaged(self, kind: str, value: int) -> bytes:
        if kind == "drop":
            return b""
        if kind == "dup":
            return bytes([value, value])
        if kind == "insert":
            return bytes([self._random.randrange(256), value])
        return bytes([value ^ 1 << self._random.randrange(8)])


class TransferFaults:
    """What becomes of each transfer of one direction; the first fault that hits it counts."""

    def __init__(self, direction: str, faults: Iterable[LineFault], seed: int, injected: Counter[str]) -> None:
        self._direction, self._injected = direction, injected
        self._random = random.Random(f"{seed} {direction} transfers")
        self._faults = [
            (f, Schedule(f.rate, f"{seed} {direction} {f.kind}"))
            for f in faults
            if f.kind in TRANSFER_FAULTS and direction in (("rx",) if f.kind in BOTH_WAYS else f.directions)
        ]

    def fate(self) -> LineFault | None:
        """Of the next transfer."""
        hit = [fault for fault, schedule in self._faults if list(schedule.hits(1))]
        if not hit:
            return None
        kind = hit[0].kind
        self._injected[kind if kind in BOTH_WAYS else f"{self._direction}-{kind}"] += 1
        return hit[0]

    def cut(self, data: bytes) -> bytes:
        """What arrives of a transfer that ends early."""
        return data[: self._random.randrange(len(data))] if data else data
