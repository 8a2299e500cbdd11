"""One trial from a board's sensor: every frame numbered and timed on the board, every loss counted, nothing filled in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyrig.core.errors import DeviceError, LinkError
from tinyrig.host.signals import Held, held
from tinyrig.live.protocol import Asked, Fetched, Flag, Frame
from tinyrig.live.sampler import Sampler

PAUSE_S = 0.05
"""Between two fetches."""
GRACE_S = 5.0
"""So long after its end a trial may still be incomplete on the host."""
WRAP = 1 << 32


@dataclass(frozen=True)
class Taken:
    """counts int16 [T,C]; `times_us` int64 [T], from the first frame on. `dropped`: sample times without a frame within the
    trial, `lost`: frames that the host did not get."""

    counts: np.ndarray
    times_us: np.ndarray
    dropped: int
    lost: int

    @property
    def complete(self) -> bool:
        return not self.dropped and not self.lost

    def jitter_us(self, period_us: int) -> float:
        """The largest distance of a frame from its time."""
        late = self.times_us - np.arange(len(self.times_us)) * period_us
        return float(np.abs(late - np.median(late)).max()) if len(late) else 0.0


def take(
    sampler: Sampler, period_us: int, steps: int, self_test: bool, seen: Callable[[Frame], None], speed: float = 1.0
) -> Taken:
    """Samples until `steps` times have come. Raises LinkError, DeviceError: a sensor's fault among them. A signal that asks for
    the end waits until the board has stopped."""
    with held() as signals:
        taken = _sampled(sampler, period_us, steps, self_test, seen, speed, signals)
    signals.end()
    return taken


def _sampled(
    sampler: Sampler, period_us: int, steps: int, self_test: bool, seen: Callable[[Frame], None], speed: float, signals: Held
) -> Taken:
    sampler.start(Asked(period_us, Flag.FRAMES | (Flag.SELF_TEST if self_test else Flag.NONE)))
    frames: list[Frame] = []
    until = time.monotonic() + steps * period_us / 1e6 / min(speed, 1.0) + GRACE_S
    while not frames or frames[-1].number < steps - 1:
        if time.monotonic() > until:
            sampler.stop()
            raise DeviceError(
                "the board's sample clock does not go on",
                expected=f"{steps} sample times",
                received=f"{frames[-1].number + 1 if frames else 0} in {steps * period_us / 1e6 + GRACE_S:g} s",
                remedy="reset the board",
            )
        if signals.number:
            sampler.stop()
            signals.end()
        time.sleep(PAUSE_S / max(1.0, speed / 4))
        fetched = sampler.fetch()
        _add(fetched, frames, seen)
        if fetched.status.fault:
            sampler.stop()
            raise sampler.fault_error(fetched.status.fault, fetched.status.device)
    sampler.stop()
    return _taken([f for f in frames if f.number < steps], steps, fetched.status.frames_lost)


def _add(fetched: Fetched, frames: list[Frame], seen: Callable[[Frame], None]) -> None:
    for frame in fetched.frames:
        frames.append(frame)
        seen(frame)


def _taken(frames: list[Frame], steps: int, lost: int) -> Taken:
    if not frames:
        raise LinkError("no frame of the trial arrived", expected=f"{steps}", received="0")
    times = np.array([(f.time_us - frames[0].time_us) % WRAP for f in frames], np.int64)
    missing = steps - len(frames)
    return Taken(np.stack([f.counts for f in frames]), times, max(0, missing - lost), min(lost, missing))
