"""All virtual sensors of a board: from a recording to the pages of TWIM0, SAADC and TIMER1."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.virtual.faults import Fault
from tinyrig.virtual.peripherals import Registers
from tinyrig.virtual.sensors import glove, lsm9ds1
from tinyrig.virtual.sensors.recording import Player, load
from tinyrig.virtual.sensors.saadc import Saadc
from tinyrig.virtual.sensors.timer import SampleTimer
from tinyrig.virtual.sensors.twim import Bus, Device, Twim
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


class Faults:
    """The first argument of each sensor fault by name."""

    def __init__(self, faults: Sequence[object]) -> None:
        self._found = {f.name: f.argument for f in faults if isinstance(f, Fault) and f.name.startswith("sensor-")}

    def get(self, name: str, otherwise: int = 0) -> int:
        return self._found.get(f"sensor-{name}", otherwise)


class Bench:
    """`pages` serve the chip's accesses. `speed`: how many of the chip's seconds pass in one of the host's."""

    def __init__(self, path: Path, speed: float, faults: Sequence[object], chip: Chip) -> None:
        recording, self._chip, self._speed = load(path), chip, speed
        found = Faults(faults)
        if recording.sensor not in SENSORS:
            raise UserError(f"{path}: an unknown sensor", expected=", ".join(SENSORS), received=recording.sensor[:80])
        self._player = Player(recording)
        devices, volts = SENSORS[recording.sensor](self._player, found, chip.now_us, recording.trials.shape[2])
        bus = Bus(devices, found.get("nack"), found.get("bus"))
        self._twim, self._adc = Twim(bus, chip.memory, chip.now_us, self.wait_us), Saadc(volts, chip.memory, chip.now_us)
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
        return max(0.0, min(1.0, self.timer.until_sample() / 1e6 / self._speed + min(0.0, self._ahead_s())))

    def waited_us(self, seconds: float) -> float:
        """How much of the chip's time passes with a wait of the host for the line: what the emulation is behind comes on top. A
        program that is busy does not wait."""
        if self._idle < IDLE_POLLS:
            return 0.0
        behind = max(0.0, -self._ahead_s()) * self._speed * 1e6
        return min(max(seconds * self._speed * 1e6, behind), max(self.timer.until_sample(), 1.0))


def _nothing() -> None:
    pass


Volts = Callable[[int], float]


def _glove(player: Player, faults: Faults, now_us: Callable[[], float], channels: int) -> tuple[dict[int, Device], Volts]:
    _check_channels("glove", channels, 35)

    def finger(n: int) -> glove.Mpu6050:
        first = n == 0
        return glove.Mpu6050(
            lambda: player.row(now_us())[n * glove.AXES : (n + 1) * glove.AXES].tolist(),
            player.arm if first else _nothing,
            player.rest if first else _nothing,
            identity=0x70 if faults.get("missing", -1) == n else glove.MPU6050,
            stuck_from=faults.get("stuck") if first else 0,
            clipped=faults.get("clip", -1) if first else -1,
        )

    mux = glove.Mux([finger(n) for n in range(glove.FINGERS)])
    opened = faults.get("open", -1)

    def volts(pin: int) -> float:
        n = glove.FORCE_INPUTS.index(pin) if pin in glove.FORCE_INPUTS else -1
        if n < 0 or n == opened:
            return 0.0
        pressed: np.ndarray = player.row(now_us())
        return max(glove.BLEED_V, float(pressed[glove.FINGERS * glove.AXES + n]))

    return {glove.MUX: mux, glove.MPU6050: glove.Behind(mux)}, volts


def _nano33_rev1(player: Player, faults: Faults, now_us: Callable[[], float], channels: int) -> tuple[dict[int, Device], Volts]:
    """Of a recording without a magnetometer that one reads 0."""
    _check_channels("nano33-rev1", channels, 9 if channels == 9 else 6)
    missing = faults.get("missing", -1)

    def row() -> list[float]:
        return [float(v) for v in player.row(now_us())] + [0.0] * (9 - channels)

    inertial = lsm9ds1.Inertial(
        row,
        player.arm,
        player.rest,
        identity=0 if missing == 0 else lsm9ds1.IDENTITY_AG,
        stuck_from=faults.get("stuck"),
        clipped=faults.get("clip", -1),
    )
    magnetic = lsm9ds1.Magnetic(lambda: row()[6:], 0 if missing == 1 else lsm9ds1.IDENTITY_M)
    return {lsm9ds1.INERTIAL: inertial, lsm9ds1.MAGNETIC: magnetic}, lambda _: 0.0


def _check_channels(sensor: str, received: int, expected: int) -> None:
    if received != expected:
        raise UserError(f"a recording that sensor {sensor} can't read", expected=f"{expected} channels", received=str(received))


SENSORS: dict[str, Callable[[Player, Faults, Callable[[], float], int], tuple[dict[int, Device], Volts]]] = {
    "glove": _glove,
    "nano33-rev1": _nano33_rev1,
}
