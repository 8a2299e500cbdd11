"""All virtual sensors of a board: from a recording to the pages of TWIM0, SAADC and TIMER1."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyrig.core.errors import UserError
from tinyrig.virtual.peripherals import Registers
from tinyrig.virtual.sensors.devices import SENSORS, Faults
from tinyrig.virtual.sensors.recording import Player, load
from tinyrig.virtual.sensors.saadc import Saadc
from tinyrig.virtual.sensors.timer import SampleTimer
from tinyrig.virtual.sensors.twim import Bus, Twim
from tinyrig.virtual.uarte import DmaAccess

TWIM0, SAADC, TIMER1 = 0x40003000, 0x40007000, 0x40009000


@dataclass(frozen=True)
class Chip:
    """What the sensors need of the board: its RAM, its time in us, how that goes on while the program waits, and the cycles that
    the program has run."""

    memory: DmaAccess
    now_us: Callable[[], float]
    pass_us: Callable[[float], None]
    cycles: Callable[[], int]


IDLE_CYCLES = 400
"""A program that does nothing but poll looks at the line again within so many, and does so IDLE_POLLS times in a row: the
operators of an inference may be short too."""
IDLE_POLLS = 16
OWN_CLOCK_US = 100.0
"""So long at most an idle program is left alone that has set no sample time in TIMER1: it may keep its own, as an Arduino sketch
does with micros()."""


class Bench:
    """`pages` serve the chip's accesses. `speed`: how many of the chip's seconds pass in one of the host's. `log`: a file for
    each transfer and scan, a line each: `i2c ADDRESS WRITTEN READ` in hexadecimal, `adc PSELP:CONFIG,... RESOLUTION COUNTS`."""

    def __init__(self, path: Path, speed: float, faults: Sequence[object], chip: Chip, log: Path | None = None) -> None:
        recording, self._chip, self._speed = load(path), chip, speed
        found = Faults(faults)
        if recording.sensor not in SENSORS:
            raise UserError(f"{path}: an unknown sensor", expected=", ".join(SENSORS), received=recording.sensor[:80])
        self._player = Player(recording)
        devices, volts = SENSORS[recording.sensor](self._player, found, chip.now_us, recording.trials.shape[2])
        bus = Bus(devices, found.get("nack"), found.get("bus"))
        seen = _log(log) if log else lambda _: None
        self._twim = Twim(bus, chip.memory, chip.now_us, self.wait_us, seen)
        self._adc = Saadc(volts, chip.memory, chip.now_us, seen)
        self._polled, self._idle = 0, 0
        self.timer = SampleTimer(chip.now_us, self.wait_us, found.get("drop"), found.get("drift"))
        self.pages: dict[int, Registers] = {TWIM0: self._twim, SAADC: self._adc, TIMER1: self.timer}
        self._host, self._board = time.monotonic(), chip.now_us()

    def _ahead_s(self) -> float:
        """Seconds of the host by which the chip's time is ahead of it; negative: the emulation is too slow."""
        return (self._chip.now_us() - self._board) / 1e6 / self._speed - (time.monotonic() - self._host)

    def wait_us(self, us: float) -> None:
        """The program waits for something that comes in so many microseconds."""
        self._chip.pass_us(us)
        ahead = self._ahead_s()
        if ahead > 0.001:
            time.sleep(ahead)

    def patience_s(self) -> float:
        """How long the host may wait for the line: not past the next sample time, and not while the program is busy."""
        busy = self._twim.busy or self._adc.busy or self._chip.cycles() - self._polled > IDLE_CYCLES
        self._polled, self._idle = self._chip.cycles(), 0 if busy else self._idle + 1
        if self._idle < IDLE_POLLS:
            return 0.0
        return max(0.0, min(1.0, self._until_sample() / 1e6 / self._speed + min(0.0, self._ahead_s())))

    def waited_us(self, seconds: float) -> float:
        """How much of the chip's time passes with a wait of the host for the line: what the emulation is behind comes on top. A
        program that is busy does not wait."""
        if self._idle < IDLE_POLLS:
            return 0.0
        behind = max(0.0, -self._ahead_s()) * self._speed * 1e6
        return min(max(seconds * self._speed * 1e6, behind), max(self._until_sample(), 1.0))

    def _until_sample(self) -> float:
        """In us, as far as it is known."""
        return min(self.timer.until_sample(), OWN_CLOCK_US) if self.timer.unset else self.timer.until_sample()


def _log(path: Path) -> Callable[[str], None]:
    """Raises UserError where the file can't be written."""
    try:
        file = path.open("w", encoding="ascii", buffering=1)  # by lines: the process is ended from outside
    except OSError as error:
        raise UserError(f"{path} can't be written", received=str(error), remedy="name another file for --sensor-log") from error
    return lambda text: print(text, file=file)
