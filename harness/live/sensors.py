"""SENSORS: a literal table of what can be sampled. The firmware's half is firmware/sensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from tinyrig.core.errors import UserError

FINGERS = ("thumb", "index", "middle", "ring", "little")
_ACCEL, _GYRO, _MAGNET = ("ax", "ay", "az"), ("gx", "gy", "gz"), ("mx", "my", "mz")


@dataclass(frozen=True)
class Sensor:
    """`driver`: its file in firmware/sensors. `units` and `clip` (the largest count) go with `channels`. `devices`: what the
    number of a fault's device means."""

    name: str
    title: str
    driver: str
    channels: tuple[str, ...]
    units: tuple[str, ...]
    clip: tuple[int, ...]
    ranges: str
    devices: tuple[str, ...]
    rate_hz: float
    plays: str = "glove"
    """What a virtual one reads where nothing is said."""
    also: tuple[str, ...] = ()
    """Sensors whose recordings have the same channels and units."""
    on_nano33: bool = False
    """Whether it is a part of the Nano 33 BLE Sense."""
    needs_bmi270: bool = False
    """Whether the firmware needs the BMI270's program, which rig.toml's bmi270_config names."""

    def at_end(self, counts: np.ndarray) -> np.ndarray:
        """bool as counts, int16 [..., C]: which lie at an end of their range."""
        found: np.ndarray = np.abs(counts.astype(np.int32)) >= np.array(self.clip)
        return found


_GLOVE = Sensor(
    "glove",
    "five MPU-6050 behind a TCA9548A, five force-sensitive resistors",
    "glove.c",
    (*(f"{f}_{axis}" for f in FINGERS for axis in (*_ACCEL, *_GYRO)), *(f"{f}_force" for f in FINGERS)),
    (*(("g",) * 3 + ("rad/s",) * 3) * 5, *("V",) * 5),
    (*(32767,) * 30, *(4095,) * 5),
    "+-4 g, +-1000 degrees/s, 0 to VDD",
    (*(f"MPU-6050 of the {f} finger" for f in FINGERS), *(f"force sensor of the {f} finger" for f in FINGERS), "TCA9548A"),
    20.0,
)
_NANO33_REV1 = Sensor(
    "nano33-rev1",
    "LSM9DS1 of the Nano 33 BLE Sense, rev. 1",
    "lsm9ds1.c",
    (*_ACCEL, "wx", "wy", "wz", *_MAGNET),
    (*("g",) * 3, *("rad/s",) * 3, *("gauss",) * 3),
    (32767,) * 9,
    "+-8 g, +-2000 degrees/s, +-4 gauss",
    ("accelerometer and gyroscope", "magnetometer"),
    25.0,
    "watch",
    ("nano33-rev2",),
    True,
)
_NANO33_REV2 = Sensor(
    "nano33-rev2",
    "BMI270 and BMM150 of the Nano 33 BLE Sense, rev. 2",
    "bmi270.c",
    (*_ACCEL, "wx", "wy", "wz", *_MAGNET),
    (*("g",) * 3, *("rad/s",) * 3, *("gauss",) * 3),
    (*(32767,) * 6, 4096, 4096, 16384),
    "+-8 g, +-2000 degrees/s, +-13 gauss",
    ("BMI270", "BMM150"),
    25.0,
    "watch",
    ("nano33-rev1",),
    True,
    True,
)
SENSORS: Mapping[str, Sensor] = MappingProxyType({s.name: s for s in (_GLOVE, _NANO33_REV1, _NANO33_REV2)})

FAULTS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {  # number on the wire: (what it is, what to do)
        1: ("another device answers in its place, or none of its kind", "check which device is wired there"),
        2: ("does not acknowledge on the I2C bus", "check its power, its wires and its address"),
        3: ("the I2C bus stands still: a line is held low", "check SDA and SCL for shorts; power the sensors off and on"),
        4: ("repeats one reading, bit for bit", "power the sensor off and on"),
        5: ("reads less than its bleeding resistor gives: its wire is broken", "check the wire to it"),
        6: ("fails its self-test: the response to its own stimulus is outside the data sheet's limits", "replace the device"),
        7: ("the analog converter does not finish", "reset the board"),
        8: ("does not take its maker's program", "check the file that bmi270_config names, then power the sensor off and on"),
    }
)


def sensor_named(name: str) -> Sensor:
    """Raises UserError."""
    if name not in SENSORS:
        raise UserError("no such sensor", expected=", ".join(SENSORS), received=name)
    return SENSORS[name]
