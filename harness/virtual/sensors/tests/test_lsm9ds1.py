"""The LSM9DS1 against its data sheet's table 3 and register map, typed in here once more."""

import math
import struct

import pytest

from tinyrig.virtual.sensors.lsm9ds1 import Inertial, Magnetic


def words(device, register):
    device.write(bytes([register]))
    return struct.unpack("<3h", device.read(6))


@pytest.mark.parametrize(("fs", "mg"), [(0, 0.061), (1, 0.732), (2, 0.122), (3, 0.244)])
def test_acceleration(fs, mg):
    device = Inertial(lambda: [1.0, -0.5, 0, 0, 0, 0])
    assert words(device, 0x28) == (0, 0, 0)  # powered down after reset
    device.write(bytes([0x20, 3 << 5 | fs << 3]))
    assert words(device, 0x28) == (round(1000 / mg), -round(500 / mg), 0)


@pytest.mark.parametrize(("fs", "mdps"), [(0, 8.75), (1, 17.5), (3, 70.0)])
def test_rotation(fs, mdps):
    device = Inertial(lambda: [0, 0, 0, math.radians(100), 0, 0])
    device.write(bytes([0x10, 3 << 5 | fs << 3]))
    assert words(device, 0x18)[0] == round(100_000 / mdps)


def test_magnetic_field_only_where_it_is_on_and_counts_up():
    device = Magnetic(lambda: [1.4, 0, -1.4])
    assert words(device, 0xA8) == (0, 0, 0)
    device.write(bytes([0x22, 0]))
    assert words(device, 0xA8) == (10_000, 0, -10_000)
    assert words(device, 0x28) == (0x1010,) * 3  # bit 7 is not set: the same byte again and again


def test_identities_and_reset():
    told = []
    device = Inertial(lambda: [0] * 6, lambda: told.append("configured"), lambda: told.append("reset"))
    for part, identity in ((device, 0x68), (Magnetic(lambda: [0] * 3), 0x3D)):
        part.write(b"\x0f")
        assert part.read(1)[0] == identity
    device.write(bytes([0x10, 0x78]))
    device.write(bytes([0x22, 0x05]))
    assert told == ["configured", "reset"]
    assert device.registers[0x10] == 0
