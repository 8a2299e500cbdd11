"""The devices against numbers out of their data sheets, typed in here once more, and what each fault does."""

import math
import struct

import numpy as np
import pytest

from tinyrig.core.errors import UserError
from tinyrig.virtual.sensors import glove
from tinyrig.virtual.sensors.recording import Player, Recording, load
from tinyrig.virtual.sensors.saadc import Saadc
from tinyrig.virtual.sensors.timer import SampleTimer
from tinyrig.virtual.sensors.twim import Bus, Nack, Twim
from tinyrig.virtual.uarte import DmaAccess

RAM = 0x20000000


class Clock:
    """The chip's time."""

    def __init__(self):
        self.us = 0.0

    def now(self):
        return self.us

    def pass_us(self, us):
        self.us += us


class Ram:
    """The first 256 bytes."""

    def __init__(self):
        self.bytes = bytearray(256)
        self.access = DmaAccess(self.read, self.write)

    def read(self, address, count):
        return bytes(self.bytes[address - RAM : address - RAM + count])

    def write(self, address, data):
        self.bytes[address - RAM : address - RAM + len(data)] = data


def awake(values, **faults):
    device = glove.Mpu6050(lambda: values, **faults)
    device.write(bytes([0x6B, 0x01]))
    return device


def reading(device):
    device.write(bytes([0x3B]))
    return struct.unpack(">7h", device.read(14))


def test_mpu6050_says_who_it_is_and_sleeps_after_its_reset():
    device = glove.Mpu6050(lambda: [1.0] * 6)
    device.write(bytes([0x75]))
    assert device.read(1) == b"\x68"
    assert reading(device) == (0,) * 7
    device.write(bytes([0x6B, 0x01]))
    assert reading(device)[0] == 16384  # RM 4.17: 16384 LSB/g at +-2 g after reset
    device.write(bytes([0x6B, 0x80]))
    assert reading(device) == (0,) * 7


@pytest.mark.parametrize(("setting", "counts"), [(0x00, 16384), (0x08, 8192), (0x10, 4096), (0x18, 2048)])
def test_mpu6050_ranges_of_acceleration(setting, counts):
    device = awake([1.0, 0, -1.0, 0, 0, 0])
    device.write(bytes([0x1C, setting]))
    assert reading(device)[:3] == (counts, 0, -counts)


@pytest.mark.parametrize(("setting", "per_degree"), [(0x00, 131.0), (0x08, 65.5), (0x10, 32.8), (0x18, 16.4)])
def test_mpu6050_ranges_of_rotation(setting, per_degree):
    device = awake([0, 0, 0, math.radians(100), 0, 0])
    device.write(bytes([0x1B, setting]))
    assert reading(device)[4] == round(100 * per_degree)


def test_mpu6050_saturates_and_repeats_and_is_another():
    assert reading(awake([3.0, -3.0, 0, 0, 0, 0]))[:2] == (32767, -32768)
    assert reading(awake([0] * 6, clipped=4))[5] == 32767
    values = [0.5] * 6
    stuck = awake(values, stuck_from=1)
    first = reading(stuck)
    values[0] = 0.7
    assert reading(stuck) == first
    other = glove.Mpu6050(lambda: [0] * 6, identity=0x70)
    other.write(bytes([0x75]))
    assert other.read(1) == b"\x70"


def test_tca9548a_connects_what_its_bits_say():
    mux = glove.Mux([awake([n / 10] + [0] * 5) for n in range(5)])
    with pytest.raises(Nack):
        mux.selected()
    mux.write(b"\x04")
    assert mux.read(1) == b"\x04"
    assert reading(mux.selected())[0] == round(0.2 * 16384)
    mux.write(b"\x03")
    with pytest.raises(Nack):  # two devices at one address
        mux.selected()


def transfer(bus, clock, ram, address, out, count):
    twim = Twim(bus, ram.access, clock.now, clock.pass_us)
    ram.bytes[: len(out)] = out
    for offset, value in (
        (0x500, 6),
        (0x524, 0x06400000),
        (0x588, address),
        (0x544, RAM),
        (0x548, len(out)),
        (0x534, RAM + 64),
        (0x538, count),
        (0x200, 1 << 7 | 1 << 12),
        (0x008, 1),
    ):
        twim.write(offset, value)
    return twim


def test_twim_moves_bytes_in_the_time_that_400_khz_take():
    clock, ram = Clock(), Ram()
    twim = transfer(Bus({0x68: awake([1.0] + [0] * 5)}), clock, ram, 0x68, b"\x3b", 14)
    assert not twim.read(0x124)
    assert twim.read(0x104) == 1
    assert ram.bytes[64:66] == struct.pack(">h", 16384)
    assert clock.us == pytest.approx((9 * 17 + 3) / 0.4)


def test_twim_nobody_acknowledges():
    twim = transfer(Bus({}), Clock(), Ram(), 0x68, b"\x3b", 14)
    assert twim.read(0x104) == 0  # the time passes, an error ends it
    assert (twim.read(0x124), twim.read(0x4C4)) == (1, 2)  # ANACK
    twim.write(0x014, 1)
    assert twim.read(0x104) == 1


def test_twim_on_a_bus_that_is_held_never_ends():
    clock = Clock()
    twim = transfer(Bus({}, hold_from=1), clock, Ram(), 0x68, b"\x3b", 14)
    clock.us = 1e6
    twim.write(0x014, 1)
    assert (twim.read(0x104), twim.read(0x124)) == (0, 0)


def test_saadc_scans_its_inputs_over_the_supply():
    clock, ram = Clock(), Ram()
    adc = Saadc({2: 1.65, 3: 3.3, 6: -0.1}.__getitem__, ram.access, clock.now)
    for n, pin in enumerate((2, 3, 6)):
        adc.write(0x510 + 16 * n, pin + 1)
    for offset, value in ((0x500, 1), (0x5F0, 2), (0x62C, RAM), (0x630, 3), (0x000, 1), (0x004, 1)):
        adc.write(offset, value)
    assert adc.read(0x104) == 0
    clock.us = 3 * 42
    assert adc.read(0x104) == 1
    assert struct.unpack("<3h", ram.bytes[:6]) == (2048, 4095, 0)


def test_timer_compares_captures_and_loses_every_nth_time():
    clock = Clock()
    timer = SampleTimer(clock.now, clock.pass_us, drop_every=3)
    timer.write(0x000, 1)
    timer.write(0x540, 1000)
    assert timer.until_sample() == 1000
    assert timer.read(0x140) == 0
    clock.us = 1000
    assert timer.read(0x140) == 1
    timer.write(0x140, 0)
    timer.write(0x540, 2000)
    clock.us = 2000
    assert timer.read(0x140) == 1
    timer.write(0x140, 0)
    timer.write(0x540, 3000)
    clock.us = 3000
    assert timer.read(0x140) == 0  # the third one comes at 4000
    clock.us = 4000
    assert timer.read(0x140) == 1
    timer.write(0x048, 1)
    assert timer.read(0x548) == 4000
    timer.write(0x544, 4500)
    assert timer.read(0x144) == 1  # a wait ends in time
    assert clock.us == 4500


def test_a_recording_is_played_in_its_own_clock():
    rows = np.arange(8, dtype=np.float32).reshape(2, 4, 1)
    player = Player(Recording(rows, 10.0, "glove"))
    assert player.row(5e6) == 0  # at rest
    player.arm()
    assert [player.row(7e6 + t * 1e5 + 40).item() for t in range(9)] == [0, 1, 2, 3, 4, 5, 6, 7, 0]
    player.rest()
    assert player.row(9e6) == 0  # held still
    player.arm()
    assert player.row(9e6) == 4  # the next trial


@pytest.mark.parametrize("missing", ["x", "rate_hz", "sensor"])
def test_a_recording_that_lacks_something(tmp_path, missing):
    arrays = {"x": np.zeros((1, 3, 35)), "rate_hz": 20.0, "sensor": "glove"}
    del arrays[missing]
    np.savez(tmp_path / "r.npz", **arrays)
    with pytest.raises(UserError, match=missing):
        load(tmp_path / "r.npz")
