"""Which devices a sensor consists of, each reading its part of the recording and with its part of the faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.virtual.faults import Fault
from tinyrig.virtual.sensors import bmi270, glove, lsm9ds1
from tinyrig.virtual.sensors.recording import Player
from tinyrig.virtual.sensors.twim import Device


class Faults:
    """The first argument of each sensor fault by name."""

    def __init__(self, faults: Sequence[object]) -> None:
        self._found = {f.name: f.argument for f in faults if isinstance(f, Fault) and f.name.startswith("sensor-")}

    def get(self, name: str, otherwise: int = 0) -> int:
        return self._found.get(f"sensor-{name}", otherwise)


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
            broken=faults.get("weak", -1) == n,
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

    row = _padded(player, now_us, channels)
    inertial = lsm9ds1.Inertial(
        row,
        player.arm,
        player.rest,
        identity=0 if missing == 0 else lsm9ds1.IDENTITY_AG,
        stuck_from=faults.get("stuck"),
        clipped=faults.get("clip", -1),
        broken=faults.get("weak", -1) == 0,
    )
    broken = faults.get("weak", -1) == 1
    magnetic = lsm9ds1.Magnetic(lambda: row()[6:], 0 if missing == 1 else lsm9ds1.IDENTITY_M, broken)
    return {lsm9ds1.INERTIAL: inertial, lsm9ds1.MAGNETIC: magnetic}, lambda _: 0.0


def _nano33_rev2(player: Player, faults: Faults, now_us: Callable[[], float], channels: int) -> tuple[dict[int, Device], Volts]:
    """As _nano33_rev1."""
    _check_channels("nano33-rev2", channels, 9 if channels == 9 else 6)
    missing, weak = faults.get("missing", -1), faults.get("weak", -1)
    row = _padded(player, now_us, channels)
    inertial = bmi270.Bmi270(
        row,
        player.arm,
        player.rest,
        identity=0 if missing == 0 else bmi270.IDENTITY_BMI270,
        stuck_from=faults.get("stuck"),
        clipped=faults.get("clip", -1),
        broken=weak == 0,
        keeps=faults.get("program", bmi270.PROGRAM_BYTES),
    )
    magnetic = bmi270.Bmm150(lambda: row()[6:], 0 if missing == 1 else bmi270.IDENTITY_BMM150, weak == 1)
    return {bmi270.INERTIAL: inertial, bmi270.MAGNETIC: magnetic}, lambda _: 0.0


def _padded(player: Player, now_us: Callable[[], float], channels: int) -> Callable[[], list[float]]:
    """Nine channels; those that a recording lacks are 0."""
    return lambda: [float(v) for v in player.row(now_us())] + [0.0] * (9 - channels)


def _check_channels(sensor: str, received: int, expected: int) -> None:
    if received != expected:
        raise UserError(f"a recording that sensor {sensor} can't read", expected=f"{expected} channels", received=str(received))


SENSORS: dict[str, Callable[[Player, Faults, Callable[[], float], int], tuple[dict[int, Device], Volts]]] = {
    "glove": _glove,
    "nano33-rev1": _nano33_rev1,
    "nano33-rev2": _nano33_rev2,
}
