"""Each driver's register traffic on the virtual board against tables out of data sheets, typed in here once more, and what each
fault of a sensor ends in."""

import re
import time

import pytest

from tinyrig.core.errors import DeviceError
from tinyrig.live.protocol import Asked, Flag
from tinyrig.live.tests.sampling import PROGRAM, sampler_of

PERIOD_US = 10_000

MPU6050 = {  # RM-MPU-6000A-00 rev. 4.2
    "init": [
        (0x6B, 0x80, "4.28 PWR_MGMT_1: DEVICE_RESET"),
        (0x6B, 0x01, "4.28: awake, PLL with X gyroscope"),
        (0x1A, 3, "4.3 DLPF 44 Hz"),
    ],
    "test": [
        (0x1B, 0xE0, "4.4 GYRO_CONFIG: self-test of x, y, z at +-250 degrees/s"),
        (0x1C, 0xF0, "4.5 ACCEL_CONFIG: self-test of x, y, z at +-8 g"),
        (0x1B, 0x00, "4.4: without"),
        (0x1C, 0x10, "4.5: without, +-8 g"),
    ],
    "configure": [
        (0x19, 9, "4.2 SMPLRT_DIV: 1 kHz / (1 + 9)"),
        (0x1B, 0x10, "4.4 GYRO_CONFIG: +-1000 degrees/s"),
        (0x1C, 0x08, "4.5 ACCEL_CONFIG: +-4 g"),
    ],
}
LSM9DS1_AG = [  # DocID025715 rev. 3
    (0x22, 0x05, "7.23 CTRL_REG8: SW_RESET, IF_ADD_INC"),
    (0x22, 0x44, "7.23: BDU, IF_ADD_INC"),
    (0x24, 0x05, "7.25 CTRL_REG10: ST_G, ST_XL"),
    (0x20, 0x60, "7.21 CTRL_REG6_XL: 119 Hz, +-2 g"),
    (0x10, 0x78, "7.12 CTRL_REG1_G: 119 Hz, 2000 dps"),
    (0x24, 0x00, "7.25: no self-test"),
    (0x22, 0x44, "7.23: BDU, IF_ADD_INC"),
    (0x20, 0x78, "7.21: 119 Hz, +-8 g"),
    (0x10, 0x78, "7.12: 119 Hz, 2000 dps"),
]
LSM9DS1_M = [
    (0x21, 0x04, "8.6 CTRL_REG2_M: SOFT_RST"),
    (0x21, 0x40, "8.6: +-12 gauss"),
    (0x24, 0x40, "8.9 CTRL_REG5_M: BDU"),
    (0x22, 0x00, "8.7 CTRL_REG3_M: continuous conversion"),
    (0x20, 0x1D, "8.5 CTRL_REG1_M: 80 Hz, ST"),
    (0x20, 0x1C, "8.5: 80 Hz"),
    (0x20, 0xDC, "8.5: TEMP_COMP, high performance, 80 Hz"),
    (0x21, 0x00, "8.6: +-4 gauss"),
    (0x23, 0x08, "8.8 CTRL_REG4_M: Z high performance"),
    (0x24, 0x40, "8.9: BDU"),
    (0x22, 0x00, "8.7: continuous conversion"),
]
BMI270_START = [  # BST-BMI270-DS000, 4.4
    (0x7E, 0xB6, "CMD: soft reset"),
    (0x7C, 0x00, "PWR_CONF: power saving off"),
    (0x59, 0x00, "INIT_CTRL: the program follows"),
    (0x59, 0x01, "INIT_CTRL: it is whole"),
]
BMI270_TEST = [  # 4.9
    (0x7D, 0x04, "PWR_CTRL: acceleration"),
    (0x2F, 0x01, "FEAT_PAGE: that of G_TRIG_1"),
    (0x32, 0x00, "G_TRIG_1: bit 8 off, the self-test"),
    (0x7E, 0x02, "CMD: g_trigger"),
    (0x7D, 0x04, "PWR_CTRL: acceleration"),
    (0x41, 0x03, "ACC_RANGE: +-16 g"),
    (0x40, 0xAC, "ACC_CONF: 1600 Hz, filter_perf"),
    (0x6D, 0x0D, "ACC_SELF_TEST: high amplitude, positive"),
    (0x6D, 0x09, "ACC_SELF_TEST: high amplitude, negative"),
]
BMI270_CONFIGURE = [  # 5.2
    (0x2F, 0x00, "FEAT_PAGE: that of GYR_CAS"),
    (0x40, 0xA8, "ACC_CONF: 100 Hz, filter_perf, normal bandwidth"),
    (0x41, 0x02, "ACC_RANGE: +-8 g"),
    (0x42, 0xE8, "GYR_CONF: 100 Hz, filter_perf, noise_perf, normal bandwidth"),
    (0x43, 0x00, "GYR_RANGE: +-2000 degrees/s"),
    (0x7D, 0x0E, "PWR_CTRL: temperature, acceleration, rotation"),
]
BMM150 = [  # BST-BMM150-DS001, 5
    (0x4B, 0x01, "power on, from suspend to sleep"),
    (0x4B, 0x83, "soft reset, power on"),
    (0x4C, 0x07, "sleep, normal self-test"),
    (0x51, 4, "REPXY: 1 + 2 * 4 = 9 times, the regular preset"),
    (0x52, 14, "REPZ: 1 + 14 = 15 times"),
    (0x4C, 0x38, "30 Hz, normal mode"),
]


class Traffic:
    """A log of the buses, taken apart: (address, written, read) of each transfer, and the converter's lines."""

    def __init__(self, lines):
        words = [line.split() for line in lines]
        self.transfers = [
            (int(w[1], 16), *(b"" if t == "-" else bytes.fromhex(t) for t in w[2:])) for w in words if w[0] == "i2c"
        ]
        self.scans = [w[1:] for w in words if w[0] == "adc"]

    def settings(self, address):
        """(register, value) of every write of one register of a device, in order."""
        return [(w[0], w[1]) for a, w, r in self.transfers if a == address and len(w) == 2]

    def reads(self, address):
        """{(register, bytes)} of what is read of a device."""
        return {(w[0], len(r)) for a, w, r in self.transfers if a == address and r}


def values(table):
    return [(register, value) for register, value, _ in table]


def traffic(name, tmp_path, builds="virtual"):
    with sampler_of(name, tmp_path, builds=builds) as (sampler, log):
        sampler.start(Asked(PERIOD_US, Flag.FRAMES | Flag.SELF_TEST))
        until = time.monotonic() + 20
        while sampler.fetch().status.slots < 2:
            assert time.monotonic() < until
        sampler.stop()
        lines = log.read_text().splitlines()
    return Traffic(lines[: -1 if not lines[-1].count(" ") else None])


@pytest.mark.slow
def test_glove(tmp_path):
    found = traffic("glove", tmp_path)
    selected = [w[0] for a, w, _ in found.transfers if a == 0x70]
    assert selected[:20] == [1, 2, 4, 8, 16] * 4  # SCPS207 8.6.2: one bit for each channel; identify, wake, test, configure
    tables = MPU6050["init"][:1], MPU6050["init"][1:], MPU6050["test"], MPU6050["configure"]
    assert found.settings(0x68) == [setting for table in tables for setting in values(table) * 5]
    # RM 4.32 WHO_AM_I, 4.1 SELF_TEST_X to _A, 4.17 ACCEL_XOUT_H to GYRO_ZOUT_L
    assert found.reads(0x68) == {(0x75, 1), (0x0D, 4), (0x3B, 14)}
    # PS 6.23: PSELP of AIN2, 3, 6, 5, 4; gain 1/4, reference VDD/4, 40 us; 12 bits
    config = 2 << 8 | 1 << 12 | 5 << 16
    assert found.scans[0][:2] == [",".join(f"{pin + 1}:{config:08x}" for pin in (2, 3, 6, 5, 4)), "2"]


@pytest.mark.slow
def test_lsm9ds1(tmp_path):
    found = traffic("nano33-rev1", tmp_path)
    assert found.settings(0x6B) == values(LSM9DS1_AG)
    assert found.settings(0x1E) == values(LSM9DS1_M)
    assert found.reads(0x6B) == {(0x0F, 1), (0x18, 6), (0x28, 6)}  # 7.8 WHO_AM_I, 7.17 OUT_X_G, 7.30 OUT_X_XL
    assert found.reads(0x1E) == {(0x0F, 1), (0xA8, 6)}  # 8.4 WHO_AM_I_M, 8.11 OUT_X_L_M with bit 7: it counts up


def test_bmi270_and_bmm150(tmp_path):
    found = traffic("nano33-rev2", tmp_path)
    expected = values(BMI270_START + [row for row in BMI270_TEST if row[0] != 0x32] + BMI270_START + BMI270_CONFIGURE)
    assert found.settings(0x68) == expected
    assert found.settings(0x10) == values(BMM150)
    # CHIP_ID, INTERNAL_STATUS, G_TRIG_1, GYR_SELF_TEST_AXES, GYR_CAS, acceleration alone, acceleration with rotation
    assert found.reads(0x68) == {(0x00, 1), (0x21, 1), (0x32, 2), (0x6E, 1), (0x3C, 1), (0x0C, 6), (0x0C, 12)}
    assert found.reads(0x10) == {(0x40, 1), (0x42, 8)}
    assert [w[1:] for a, w, _ in found.transfers if a == 0x68 and w[0] == 0x32 and len(w) == 3] == [b"\0\0"]
    assert loaded(found) == PROGRAM * 2  # after the reset, and after that which ends the self-test


def loaded(found):
    """What INIT_DATA got, where INIT_ADDR said: a 16-bit word's number, its low four bits first."""
    data, at = bytearray(), 0
    for address, written, _ in found.transfers:
        if address == 0x68 and written[0] == 0x5B:
            at = 2 * (written[1] | written[2] << 4)
        elif address == 0x68 and written[0] == 0x5E:
            assert at == len(data) % len(PROGRAM)
            data += written[1:]
    return bytes(data)


ENDS = {  # fault: what it ends in, by sensor
    "sensor-missing:0": dict.fromkeys(("glove", "nano33-rev1", "nano33-rev2"), "another device answers"),
    "sensor-missing:1": dict.fromkeys(("glove", "nano33-rev1", "nano33-rev2"), "another device answers"),
    "sensor-nack:1": dict.fromkeys(("glove", "nano33-rev1", "nano33-rev2"), "does not acknowledge"),
    "sensor-nack:-": dict.fromkeys(("glove", "nano33-rev1", "nano33-rev2"), "does not acknowledge"),
    "sensor-bus:-": dict.fromkeys(("glove", "nano33-rev1", "nano33-rev2"), "a line is held low"),
    "sensor-stuck:5": dict.fromkeys(("glove", "nano33-rev1", "nano33-rev2"), "repeats one reading"),
    "sensor-weak:0": dict.fromkeys(("glove", "nano33-rev1", "nano33-rev2"), "fails its self-test"),
    "sensor-weak:1": dict.fromkeys(("glove", "nano33-rev1", "nano33-rev2"), "fails its self-test"),
    "sensor-program:8000": {"nano33-rev2": "does not take its maker's program"},
    "sensor-open:2": {"glove": "its wire is broken"},
}
DURING = {"glove": 90, "nano33-rev1": 40, "nano33-rev2": 580}
"""A transfer behind the start of each without self-test: there '-' breaks off."""
QUICK = {("sensor-program:8000", "nano33-rev2"), ("sensor-weak:0", "glove")}
PAIRS = [
    pytest.param(fault, name, marks=() if (fault, name) in QUICK else pytest.mark.slow, id=f"{fault}-{name}")
    for fault, sensors in ENDS.items()
    for name in sensors
]


@pytest.mark.parametrize(("fault", "name"), PAIRS)
def test_a_fault_has_a_name(tmp_path, fault, name):
    injected = fault.replace(":-", f":{DURING[name]}")
    with sampler_of(name, tmp_path, [injected]) as (sampler, _), pytest.raises(DeviceError, match=re.escape(ENDS[fault][name])):
        sampler.start(Asked(PERIOD_US, Flag.FRAMES | (Flag.SELF_TEST if "weak" in fault else Flag.NONE)))
        until = time.monotonic() + 20
        while time.monotonic() < until:
            status = sampler.fetch().status
            if status.fault:
                raise sampler.fault_error(status.fault, status.device)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["glove", "nano33-rev1", "nano33-rev2"])
def test_dropped_samples_and_saturated_axes_are_counted(tmp_path, name):
    frames = []
    with sampler_of(name, tmp_path, ["sensor-drop:5", "sensor-clip:1"]) as (sampler, _):
        sampler.start(Asked(PERIOD_US, Flag.FRAMES))
        while len(frames) < 20:
            fetched = sampler.fetch()
            frames += fetched.frames
    assert fetched.status.dropped > 0
    numbers = [f.number for f in frames]
    assert numbers[-1] - numbers[0] + 1 - len(numbers) >= 2  # the gaps can be seen in the numbers
    assert all(f.counts[1] == 32767 for f in frames)
