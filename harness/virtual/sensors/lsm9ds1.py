"""LSM9DS1 as two devices: accelerometer with gyroscope, and magnetometer. Source: ST DocID025715 rev. 3."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence

INERTIAL, MAGNETIC = 0x6B, 0x1E
WHO_AM_I, IDENTITY_AG, IDENTITY_M = 0x0F, 0x68, 0x3D
CTRL_REG1_G, CTRL_REG6_XL, CTRL_REG8, OUT_G, OUT_XL, SW_RESET = 0x10, 0x20, 0x22, 0x18, 0x28, 1
CTRL_REG10, TEST_XL, TEST_G = 0x24, 1, 4
TEST_RESPONSE = (0.5, 0.5, 0.5, math.radians(500), math.radians(500), math.radians(500))
M_TEST_RESPONSE = (2.0, 2.0, 0.5)
"""What a part's stimulus adds, in g and rad/s, and in gauss."""
CTRL_REG1_M, M_TEST = 0x20, 1
CTRL_REG2_M, CTRL_REG3_M, OUT_M, M_RESETS, M_OFF = 0x21, 0x22, 0x28, 0x0C, 3
MG = (0.061, 0.732, 0.122, 0.244)
MDPS = (8.75, 17.5, 0.0, 70.0)
MGAUSS = (0.14, 0.29, 0.43, 0.58)
"""Table 3, per LSB, by the setting of the range."""


def _counts(value: float, unit: float) -> int:
    return int(min(32767, max(-32768, round(value / unit)))) if unit else 0


class _Registers:
    """`identity`: what WHO_AM_I says. Bit 7 of an address counts up; the inertial part counts always (IF_ADD_INC after reset)."""

    def __init__(self, identity: int, always: bool) -> None:
        self.registers = bytearray(128)
        self._identity, self._always, self._pointer, self._counts_up = identity, always, 0, always
        self.registers[WHO_AM_I] = identity

    def write(self, data: bytes) -> None:
        if data:
            self._pointer, self._counts_up = data[0] & 0x7F, self._always or bool(data[0] & 0x80)
        for value in data[1:]:
            self._put(self._pointer, value)
            self._pointer = (self._pointer + self._counts_up) & 0x7F

    def _put(self, register: int, value: int) -> None:
        if register != WHO_AM_I:
            self.registers[register] = value

    def _refresh(self, register: int) -> None:
        """The program is about to read from `register` on."""

    def read(self, count: int) -> bytes:
        self._refresh(self._pointer)
        step = int(self._counts_up)
        data = bytes(self.registers[(self._pointer + step * i) & 0x7F] for i in range(count))
        self._pointer = (self._pointer + step * count) & 0x7F
        return data


class Inertial(_Registers):
    """`values()`: ax ay az in g, wx wy wz in rad/s now. Other words as Mpu6050's."""

    def __init__(
        self,
        values: Callable[[], Sequence[float]],
        on_configure: Callable[[], None] = lambda: None,
        on_reset: Callable[[], None] = lambda: None,
        identity: int = IDENTITY_AG,
        stuck_from: int = 0,
        clipped: int = -1,
        broken: bool = False,
    ) -> None:
        super().__init__(identity, always=True)
        self._values, self._on_configure, self._on_reset = values, on_configure, on_reset
        self._stuck_from, self._clipped, self._readings = stuck_from, clipped, 0
        self._broken = broken

    def _put(self, register: int, value: int) -> None:
        if register == CTRL_REG8 and value & SW_RESET:
            self.registers[CTRL_REG1_G] = self.registers[CTRL_REG6_XL] = self.registers[CTRL_REG10] = 0
            self._on_reset()
            return
        super()._put(register, value)
        if register == CTRL_REG1_G and value >> 5 and not self.registers[CTRL_REG10]:  # what moves in a self-test is the test
            self._on_configure()

    def _refresh(self, register: int) -> None:
        if register not in (OUT_G, OUT_XL):
            return
        self._readings += register == OUT_XL
        if 0 < self._stuck_from < self._readings:
            return
        gyro = register == OUT_G
        control = self.registers[CTRL_REG1_G if gyro else CTRL_REG6_XL]
        fs = control >> 3 & 3
        unit = math.radians(MDPS[fs] / 1000) if gyro else MG[fs] / 1000
        first = 3 if gyro else 0
        tested = bool(self.registers[CTRL_REG10] & (TEST_G if gyro else TEST_XL)) and not self._broken
        now = [v + tested * push for v, push in zip(self._values(), TEST_RESPONSE, strict=False)]
        values = [1e9 if first + i == self._clipped else v for i, v in enumerate(now[first : first + 3])]
        counts = [_counts(v, unit) if control >> 5 else 0 for v in values]
        self.registers[register : register + 6] = struct.pack("<3h", *counts)


class Magnetic(_Registers):
    """`values()`: mx my mz in gauss now; `broken`: it does not respond to its self-test."""

    def __init__(self, values: Callable[[], Sequence[float]], identity: int = IDENTITY_M, broken: bool = False) -> None:
        super().__init__(identity, always=False)
        self._values, self._broken = values, broken
        self.registers[CTRL_REG3_M] = M_OFF

    def _put(self, register: int, value: int) -> None:
        super()._put(register, value & ~M_RESETS if register == CTRL_REG2_M else value)

    def _refresh(self, register: int) -> None:
        if register == OUT_M and not self.registers[CTRL_REG3_M] & M_OFF:
            unit = MGAUSS[self.registers[CTRL_REG2_M] >> 5 & 3] / 1000
            tested = bool(self.registers[CTRL_REG1_M] & M_TEST) and not self._broken
            now = [v + tested * push for v, push in zip(self._values(), M_TEST_RESPONSE, strict=True)]
            self.registers[OUT_M : OUT_M + 6] = struct.pack("<3h", *(_counts(v, unit) for v in now))
