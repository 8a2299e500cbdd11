"""BMI270 and BMM150 of the Nano 33 BLE Sense, rev. 2. Sources: Bosch BST-BMI270-DS000 and BST-BMM150-DS001."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence

INERTIAL, MAGNETIC = 0x68, 0x10
CHIP_ID, IDENTITY_BMI270, M_CHIP_ID, IDENTITY_BMM150 = 0x00, 0x24, 0x40, 0x32
DATA, INTERNAL_STATUS, FEAT_PAGE, FEATURES, G_TRIG_1, GYR_CAS = 0x0C, 0x21, 0x2F, 0x30, 0x32, 0x3C
ACC_CONF, ACC_RANGE, GYR_RANGE, INIT_CTRL, INIT_ADDR_0, INIT_ADDR_1, INIT_DATA = 0x40, 0x41, 0x43, 0x59, 0x5B, 0x5C, 0x5E
ACC_SELF_TEST, GYR_SELF_TEST_AXES, PWR_CONF, PWR_CTRL, CMD = 0x6D, 0x6E, 0x7C, 0x7D, 0x7E
SOFT_RESET, G_TRIGGER, POWER_SAVE, ACC_ON, GYR_ON = 0xB6, 0x02, 0x01, 0x04, 0x02
NOT_INITIALISED, INITIALISED, INIT_ERROR = 0, 1, 2
PROGRAM_BYTES = 8192
TEST_G = (9.0, -8.5, 6.0)
"""By so much a part moves when it is pushed in positive direction."""
M_DATA, M_POWER, M_MODE, M_REP_XY = 0x42, 0x4B, 0x4C, 0x51
UT_PER_GAUSS, UT = 100.0, 0.3


class Bmi270:
    """`values()`: ax ay az in g, wx wy wz in rad/s now. `identity`: what CHIP_ID says; `cross`: its GYR_CAS.factor_zx;
    `broken`: its self-tests fail; `keeps`: so many bytes of its program stay. Other words as Mpu6050's. Until its program has
    been loaded as DS 4.4 says it measures nothing."""

    def __init__(
        self,
        values: Callable[[], Sequence[float]],
        on_configure: Callable[[], None] = lambda: None,
        on_reset: Callable[[], None] = lambda: None,
        identity: int = IDENTITY_BMI270,
        stuck_from: int = 0,
        clipped: int = -1,
        cross: int = 0,
        broken: bool = False,
        keeps: int = PROGRAM_BYTES,
    ) -> None:
        self._values, self._on_configure, self._on_reset = values, on_configure, on_reset
        self._identity, self._stuck_from, self._clipped = identity, stuck_from, clipped
        self._cross, self._broken, self._keeps = cross, broken, keeps
        self._pointer, self._readings, self._last = 0, 0, bytes(12)
        self._reset()

    def _reset(self) -> None:
        self.registers = bytearray(128)
        self.registers[CHIP_ID], self.registers[PWR_CONF] = self._identity, 0x03
        self.registers[ACC_CONF], self.registers[ACC_RANGE] = 0xA8, 0x02
        self.features = [bytearray(16) for _ in range(8)]
        self.features[0][GYR_CAS - FEATURES] = self._cross & 0x7F
        self.program, self._loaded = bytearray(PROGRAM_BYTES), bytearray(PROGRAM_BYTES)

    @property
    def working(self) -> bool:
        """Whether the program was loaded."""
        return self.registers[INTERNAL_STATUS] & 15 == INITIALISED

    def write(self, data: bytes) -> None:
        """A register's number, then values for it and those after it; INIT_DATA stays where it is and its address counts."""
        self._pointer = data[0] & 0x7F if data else self._pointer
        if self._pointer == INIT_DATA:
            self._load(data[1:])
            return
        for value in data[1:]:
            self._put(self._pointer, value)
            self._pointer = (self._pointer + 1) & 0x7F

    def _load(self, data: bytes) -> None:
        """Nothing is taken while power is saved, or before INIT_CTRL is 0 after a reset or a load."""
        if self.registers[PWR_CONF] & POWER_SAVE or self.registers[INIT_CTRL]:
            return
        at = 2 * (self.registers[INIT_ADDR_0] & 15 | self.registers[INIT_ADDR_1] << 4)
        taken = data[: max(0, self._keeps - at)]
        self.program[at : at + len(taken)] = taken
        self._loaded[at : at + len(taken)] = b"\1" * len(taken)

    def _put(self, register: int, value: int) -> None:
        if register == CMD:
            self._command(value)
        elif FEATURES <= register < FEATURES + 16:
            self.features[self.registers[FEAT_PAGE] & 7][register - FEATURES] = value
        elif register not in (CHIP_ID, INTERNAL_STATUS, GYR_SELF_TEST_AXES):
            self.registers[register] = value
        if register == INIT_CTRL and value & 1:
            whole = all(self._loaded) and any(self.program)
            self.registers[INTERNAL_STATUS] = INITIALISED if whole else INIT_ERROR
        if register == PWR_CTRL and self.working and value & GYR_ON:
            self._on_configure()

    def _command(self, value: int) -> None:
        if value == SOFT_RESET:
            self._reset()
            self._on_reset()
        elif value == G_TRIGGER and self.working and self.registers[PWR_CTRL] & ACC_ON:
            selected = self.features[1][G_TRIG_1 + 1 - FEATURES] & 1  # bit 8: retrimming, which has no result here
            self.registers[GYR_SELF_TEST_AXES] = 0 if selected else 0x01 if self._broken else 0x0F

    def read(self, count: int) -> bytes:
        if self._pointer == DATA:
            self.registers[DATA : DATA + 12] = self._reading()
        page = self.features[self.registers[FEAT_PAGE] & 7]
        everything = bytes(self.registers[:FEATURES]) + bytes(page) + bytes(self.registers[FEATURES + 16 :])
        data = bytes(everything[(self._pointer + i) & 0x7F] for i in range(count))
        self._pointer = (self._pointer + count) & 0x7F
        return data

    def _reading(self) -> bytes:
        self._readings += 1
        if not 0 < self._stuck_from < self._readings:
            self._last = struct.pack("<6h", *(self._counts(axis, value) for axis, value in enumerate(self._values()[:6])))
        return self._last

    def _counts(self, axis: int, value: float) -> int:
        on = self.registers[PWR_CTRL] & (GYR_ON if axis >= 3 else ACC_ON)
        if not on or not self.working:
            return 0
        if axis >= 3:
            per_unit = 16.384 * (1 << (self.registers[GYR_RANGE] & 7)) * 180 / math.pi
        else:
            per_unit = 16384 / (1 << (self.registers[ACC_RANGE] & 3))
            value += self._push(axis)
        return int(min(32767, max(-32768, round((1e9 if axis == self._clipped else value) * per_unit))))

    def _push(self, axis: int) -> float:
        test = self.registers[ACC_SELF_TEST]
        if not test & 1 or self._broken:
            return 0.0
        return TEST_G[axis] * (1 if test & 4 else -1)


class Bmm150:
    """`values()`: mx my mz in gauss now. It is suspended, and answers nothing but its power, until that is on."""

    def __init__(self, values: Callable[[], Sequence[float]], identity: int = IDENTITY_BMM150, broken: bool = False) -> None:
        self._values, self._identity, self._broken = values, identity, broken
        self._pointer = 0
        self._reset()

    def _reset(self) -> None:
        self.registers = bytearray(128)
        self.registers[M_MODE] = 0x06

    def write(self, data: bytes) -> None:
        self._pointer = data[0] & 0x7F if data else self._pointer
        for value in data[1:]:
            self._put(self._pointer, value)
            self._pointer = (self._pointer + 1) & 0x7F

    def _put(self, register: int, value: int) -> None:
        if register == M_POWER:
            if value & 0x82 == 0x82 or not value & 1:
                self._reset()
            self.registers[M_POWER] = value & 1
            self.registers[M_CHIP_ID] = self._identity if value & 1 else 0
        elif self.registers[M_POWER] and register != M_CHIP_ID:
            self.registers[register] = value
            if register == M_MODE and value & 1:
                self._test()

    def _test(self) -> None:
        """Ends at once; bit 0 of each axis is its result."""
        self.registers[M_MODE] &= 0xFE
        for axis in range(3):
            self.registers[M_DATA + 2 * axis] = 0 if self._broken else 1

    def read(self, count: int) -> bytes:
        if self._pointer == M_DATA and self.registers[M_POWER] and not self.registers[M_MODE] & 6:
            self.registers[M_DATA : M_DATA + 8] = self._reading()
        data = bytes(self.registers[(self._pointer + i) & 0x7F] for i in range(count))
        self._pointer = (self._pointer + count) & 0x7F
        return data

    def _reading(self) -> bytes:
        """13, 13 and 15 bits, then the hall resistance's 14 with data ready. Beyond its range an axis reads the lowest value."""
        words = []
        for value, bits in zip(self._values(), (13, 13, 15), strict=True):
            counts, end = round(value * UT_PER_GAUSS / UT), 1 << (bits - 1)
            words.append((counts if -end < counts < end else -end) << (16 - bits))
        return struct.pack("<3hH", *words, 1)
