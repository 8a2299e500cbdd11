"""What a power meter's driver is: the border that `tinyrig.meters` entry points implement (docs/energy.md).

A driver is a callable that takes a Wiring and gives a MeterDriver. It runs in a process of its own, so it may block, use threads
and carry any licence. Whatever it raises is reported to the user as the reason why the meter can't be used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Wiring:
    """[energy] of rig.toml, as far as a driver needs it. `port` is empty for the only meter that is attached; `mode` is `ampere`
    (in the board's supply line) or `source` (the meter is the supply, of `voltage_mv`); `channel` the trigger's logic input."""

    port: str = ""
    mode: str = "ampere"
    voltage_mv: int = 3300
    channel: int = 0


class Recording(Protocol):
    """What was recorded between start and stop: `samples` of them, one each `sample_us`. `trigger`: bool, whether each saw the
    trigger high; `lost`: int, positions before which samples are missing."""

    @property
    def samples(self) -> int: ...

    @property
    def sample_us(self) -> float: ...

    @property
    def trigger(self) -> np.ndarray: ...

    @property
    def lost(self) -> np.ndarray: ...

    def currents_ua(self, start: int, end: int) -> np.ndarray:
        """float64 [end - start], microamperes."""

    def voltages_mv(self, start: int, end: int) -> np.ndarray | None:
        """float64 [end - start], millivolts; None where the meter does not measure it and [energy] voltage_mv counts."""

    def saturated(self, start: int, end: int) -> bool:
        """Whether more flowed than the meter can show."""


class MeterDriver(Protocol):
    """`title` is how the meter is called, `trigger_input` the name that its maker prints beside the input of the trigger."""

    title: str
    trigger_input: str

    def start(self) -> None:
        """Begins a recording; returns when samples come."""

    def stop(self) -> Recording:
        """Ends the recording."""

    def close(self) -> None:
        """Gives the meter back, silent; also after an error."""


@dataclass(frozen=True)
class Trace:
    """A Recording that is held in arrays, of equal length: `current_ua` and `voltage_mv` (empty: not measured) float64,
    `trigger` bool."""

    sample_us: float
    current_ua: np.ndarray
    trigger: np.ndarray
    voltage_mv: np.ndarray = field(default_factory=lambda: np.zeros(0))
    lost: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    most_ua: float = np.inf
    """From here on the meter is saturated."""

    @property
    def samples(self) -> int:
        return len(self.current_ua)

    def currents_ua(self, start: int, end: int) -> np.ndarray:
        return self.current_ua[start:end]

    def voltages_mv(self, start: int, end: int) -> np.ndarray | None:
        return self.voltage_mv[start:end] if len(self.voltage_mv) else None

    def saturated(self, start: int, end: int) -> bool:
        return bool(np.any(np.abs(self.current_ua[start:end]) >= self.most_ua))
