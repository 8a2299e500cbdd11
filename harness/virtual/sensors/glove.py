"""The paper's glove: five MPU-6050 behind a TCA9548A and five force-sensitive resistors, 35 channels in the order of
variants/data/glove.py. Sources: RM-MPU-6000A-00 rev. 4.2, SCPS207."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence

from tinyrig.virtual.sensors.twim import Device, Nack

MUX, MPU6050 = 0x70, 0x68
FINGERS, AXES = 5, 6
FORCE_INPUTS = (2, 3, 6, 5, 4)
"""AIN of the five resistors: A0 to A3 and A6 of the board."""
BLEED_V = 3.3 * 10 / 1010
"""1 Mohm across each resistor at the fingertip, 10 kohm to ground: what a resistor reads that nobody presses."""
SMPLRT_DIV, CONFIG, GYRO_CONFIG, ACCEL_CONFIG, ACCEL_XOUT_H, PWR_MGMT_1, WHO_AM_I = 0x19, 0x1A, 0x1B, 0x1C, 0x3B, 0x6B, 0x75
SELF_TEST_X, RESET, SLEEP = 0x0D, 0x80, 0x40
TRIM = bytes([0x4D, 0x50, 0x51, 0x15])
"""A part's SELF_TEST registers: codes of both sensors, RM 4.1."""
DEGREES = (131.0, 65.5, 32.8, 16.4)
"""LSB per degree/s at FS_SEL 0 to 3, RM 4.19."""
AT_RESET = {PWR_MGMT_1: SLEEP, WHO_AM_I: MPU6050, **{SELF_TEST_X + i: value for i, value in enumerate(TRIM)}}


class Mux:
    """TCA9548A: one register, a bit for each of eight downstream buses."""

    def __init__(self, downstream: Sequence[Device]) -> None:
        self._downstream, self._mask = downstream, 0

    def write(self, data: bytes) -> None:
        self._mask = data[-1] if data else self._mask

    def read(self, count: int) -> bytes:
        return bytes([self._mask] * count)

    def selected(self) -> Device:
        """The device of the one bus that is connected. Raises Nack."""
        found = [device for i, device in enumerate(self._downstream) if self._mask >> i & 1]
        if len(found) != 1:
            raise Nack
        return found[0]


class Behind:
    """What stands behind the multiplexer at one address."""

    def __init__(self, mux: Mux) -> None:
        self._mux = mux

    def write(self, data: bytes) -> None:
        self._mux.selected().write(data)

    def read(self, count: int) -> bytes:
        return self._mux.selected().read(count)


class Mpu6050:
    """One finger's. `values()`: ax ay az in g, gx gy gz in rad/s now; `on_configure()` is called at a new sample rate,
    `on_reset()` at a reset. `identity`: what WHO_AM_I says; `stuck_from`: the reading from which on all are the same, 0: none;
    `clipped`: axis at its end, -1: none; `broken`: it does not respond to its self-test."""

    def __init__(
        self,
        values: Callable[[], Sequence[float]],
        on_configure: Callable[[], None] = lambda: None,
        on_reset: Callable[[], None] = lambda: None,
        identity: int = MPU6050,
        stuck_from: int = 0,
        clipped: int = -1,
        broken: bool = False,
    ) -> None:
        self._values, self._on_configure, self._on_reset = values, on_configure, on_reset
        self._identity = identity
        self._stuck_from, self._clipped, self._broken = stuck_from, clipped, broken
        self._pointer, self._readings, self._last = 0, 0, bytes(14)
        self._reset()

    def _reset(self) -> None:
        self.registers = bytearray(128)
        for register, value in {**AT_RESET, WHO_AM_I: self._identity}.items():
            self.registers[register] = value

    def write(self, data: bytes) -> None:
        """A register's number, then values for it and those after it."""
        self._pointer = data[0] & 0x7F if data else self._pointer
        for value in data[1:]:
            self._put(self._pointer, value)
            self._pointer = (self._pointer + 1) & 0x7F

    def _put(self, register: int, value: int) -> None:
        if register == PWR_MGMT_1 and value & RESET:
            self._reset()
            self._on_reset()
            return
        if register != WHO_AM_I:
            self.registers[register] = value
        if register == SMPLRT_DIV:
            self._on_configure()

    def read(self, count: int) -> bytes:
        if self._pointer <= ACCEL_XOUT_H < self._pointer + count and not self.registers[PWR_MGMT_1] & SLEEP:
            self.registers[ACCEL_XOUT_H : ACCEL_XOUT_H + 14] = self._reading()
        data = bytes(self.registers[(self._pointer + i) & 0x7F] for i in range(count))
        self._pointer = (self._pointer + count) & 0x7F
        return data

    def _reading(self) -> bytes:
        self._readings += 1
        if not 0 < self._stuck_from < self._readings:
            counts = [self._counts(axis, value) for axis, value in enumerate(self._values())]
            self._last = struct.pack(">7h", *counts[:3], 0, *counts[3:])
        return self._last

    def _counts(self, axis: int, value: float) -> int:
        accel, gyro = self.registers[ACCEL_CONFIG], self.registers[GYRO_CONFIG]
        config, ranges = (gyro, gyro >> 3 & 3) if axis >= 3 else (accel, accel >> 3 & 3)
        per_unit = DEGREES[ranges] * 180 / math.pi if axis >= 3 else 16384 / (1 << ranges)
        stimulus = self._response(axis) if config & 0x80 >> axis % 3 and not self._broken else 0.0
        full = 1e9 if axis == self._clipped else value * per_unit + stimulus
        return int(min(32767, max(-32768, round(full))))

    def _response(self, axis: int) -> float:
        """Counts that the self-test adds: RM 4.1, the factory's."""
        test = self.registers[SELF_TEST_X : SELF_TEST_X + 4]
        if axis >= 3:
            code = test[axis - 3] & 0x1F
            factor = 25 * 131 * 1.046 ** (code - 1)
            return -factor if axis == 4 else factor
        code = (test[axis] >> 5) << 2 | test[3] >> (4 - 2 * axis) & 3
        return float(4096 * 0.34 * (0.92 / 0.34) ** ((code - 1) / 30))
