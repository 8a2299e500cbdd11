"""What virtual sensors read: a recording, played in its own sample clock."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.core.files.npz import open_npz

MAX_VALUES = 1 << 26


@dataclass(frozen=True)
class Recording:
    """trials float32 [N,T,C] in the sensor's units, one after another at `rate_hz`; `sensor` is which device reads them."""

    trials: np.ndarray
    rate_hz: float
    sensor: str


def load(path: Path) -> Recording:
    """An .npz with x [N,T,C] or [T,C], rate_hz and sensor. Raises UserError."""
    with open_npz(path, "write it with numpy.savez") as npz:
        missing = [name for name in ("x", "rate_hz", "sensor") if name not in npz.headers]
        if missing:
            raise UserError(f"{path}: no array {missing[0]!r}", expected="x, rate_hz and sensor", received=", ".join(npz.headers))
        x, rate, sensor = (npz.array(name) for name in ("x", "rate_hz", "sensor"))
    x = x[None] if x.ndim == 2 else x
    usable = x.ndim == 3 and x.dtype.kind in "fiu" and 0 < x.size <= MAX_VALUES and np.isfinite(x).all()
    if not usable or rate.size != 1 or not 0 < float(rate.reshape(-1)[0]) <= 10_000 or sensor.size != 1:
        raise UserError(
            f"{path} is no recording", expected="x [trials, steps, channels], rate_hz to 10,000, sensor", received=str(x.shape)
        )
    return Recording(np.asarray(x, np.float32), float(rate.reshape(-1)[0]), str(sensor.reshape(-1)[0]))


class Player:
    """Which row is read at a time. Each start of sampling begins with the next trial; behind a trial come those after it, behind
    the last the first."""

    def __init__(self, recording: Recording) -> None:
        n, steps, channels = recording.trials.shape
        self._rows = recording.trials.reshape(n * steps, channels)
        self._steps, self._per_us = steps, recording.rate_hz / 1e6
        self._trial, self._since_us, self._armed, self._still = -1, 0.0, False, True

    def rest(self) -> None:
        """The sensor was reset: until it is configured it is held still, as its self-test asks for, and reads 0."""
        self._still = True

    def arm(self) -> None:
        """It was configured: the next reading is the first of a trial."""
        self._armed, self._still = True, False

    def row(self, now_us: float) -> np.ndarray:
        """float32 [C]."""
        if self._still:
            return np.zeros(self._rows.shape[1], np.float32)
        if self._armed:
            self._armed, self._since_us = False, now_us
            self._trial += 1
        step = int((now_us - self._since_us) * self._per_us + 0.5)
        row: np.ndarray = self._rows[(self._trial * self._steps + step) % len(self._rows)]
        return row
