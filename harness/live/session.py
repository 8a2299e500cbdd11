"""A live session: the board samples, slides its window and decides; the host comes for frames and decisions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tinyrig.core.errors import DeviceError, UserError
from tinyrig.host.signals import Held
from tinyrig.live import protocol
from tinyrig.live.protocol import Asked, Decision, Fetched, Flag, Frame, Smoothing, Status
from tinyrig.live.sampler import Sampler

PAUSE_S = 0.05
LONGEST_S = 4000.0
"""The board's 32 bits of microseconds wrap after 4295 s."""
BITS_PER_BYTE = 10
SILENT_S = 20.0
"""So long no sample may come."""
FETCH_BYTES = 16 + 4 + 20 + 60
"""Of the line, for each fetch beside what it brings."""


@dataclass
class Gathered:
    """All that came, in order. `status`: the last one."""

    status: Status | None = None
    frames: dict[int, Frame] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)

    def add(self, fetched: Fetched) -> None:
        self.status = fetched.status
        self.frames.update((f.number, f) for f in fetched.frames)
        self.decisions += fetched.decisions

    def window(self, decision: Decision) -> np.ndarray | None:
        """int16 [T,C] of a decision's frames; None where one is missing on the host."""
        numbers = range(decision.first, decision.last + 1)
        if any(n not in self.frames for n in numbers):
            return None
        return np.stack([self.frames[n].counts for n in numbers])


def line_need(rate_hz: float, hop: int, channels: int, score_bytes: int, frames: bool) -> float:
    """Bytes a second that a session needs of the line, both ways."""
    each = protocol.frame_bytes(channels) if frames else 0
    return rate_hz * each + rate_hz / hop * protocol.decision_bytes(score_bytes) + FETCH_BYTES / PAUSE_S


def check_line(need: float, baud: int, verify: bool) -> str:
    """What is said before the start. Raises UserError where the line can't carry what has to be verified."""
    there = baud / BITS_PER_BYTE
    text = f"the line carries {there:,.0f} bytes a second, {need:,.0f} are needed"
    if need > there and verify:
        raise UserError(
            f"{text}: not every frame would arrive",
            expected=f"at most {there:,.0f} bytes a second",
            received=f"{need:,.0f}",
            remedy="sample more slowly, with a longer hop, or without --verify",
        )
    return text


def follow(sampler: Sampler, asked: Asked, seconds: float, seen: Callable[[Fetched], None], held: Held) -> Gathered:
    """Samples and decides for `seconds` of the board's clock, or until a signal is held: the board is asked to stop all the same,
    and gives what it has. Raises LinkError, DeviceError: a sensor's fault among them."""
    wanted = round(seconds * 1e6 / asked.period_us)
    gathered = Gathered()
    sampler.start(asked)
    last, slots = time.monotonic(), 0
    while slots < wanted and not held.number:
        time.sleep(PAUSE_S)
        fetched = sampler.fetch()
        _add(gathered, fetched, seen)
        if fetched.status.fault:
            sampler.stop()
            raise sampler.fault_error(fetched.status.fault, fetched.status.device)
        if fetched.status.slots > slots:
            last, slots = time.monotonic(), fetched.status.slots
        elif time.monotonic() - last > SILENT_S + asked.period_us / 1e6:
            sampler.stop()
            raise DeviceError("the board's sample clock does not go on", received=f"sample time {slots} for {SILENT_S:g} s")
    fetched = sampler.stop()
    _add(gathered, fetched, seen)
    while fetched.frames or fetched.decisions:
        fetched = sampler.fetch()
        _add(gathered, fetched, seen)
    return gathered


def _add(gathered: Gathered, fetched: Fetched, seen: Callable[[Fetched], None]) -> None:
    gathered.add(fetched)
    seen(fetched)


def flags(frames: bool, self_test: bool) -> Flag:
    """What a live session asks for."""
    return Flag.INFER | (Flag.FRAMES if frames else Flag.NONE) | (Flag.SELF_TEST if self_test else Flag.NONE)


def smoothing_of(word: str) -> tuple[Smoothing, int]:
    """`majority:5` or `hysteresis:3` -> how, of how many; "": none. Raises UserError."""
    if not word:
        return Smoothing.NONE, 0
    name, _, count = word.partition(":")
    known = {s.name.lower(): s for s in Smoothing if s}
    if name not in known or not count.isdigit() or not 1 <= int(count) <= 32:
        raise UserError("no such smoothing", expected="majority:K or hysteresis:K, K from 1 to 32", received=word[:80])
    return known[name], int(count)
