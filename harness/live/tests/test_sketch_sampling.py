"""The Arduino sketch that samples, over Wire, analogRead and micros, on the virtual board behind a shim of the Arduino API."""

import io
import re
import subprocess
import time

import numpy as np
import pytest

from tinyrig.arduino.facts import with_facts
from tinyrig.core.boards import BOARDS, BoardTarget, by_fqbn
from tinyrig.core.config import Config, Folders
from tinyrig.core.errors import DeviceError, UserError
from tinyrig.core.hardware.arduino import arduino_board
from tinyrig.live import run
from tinyrig.live.image import RECORDING, live_image
from tinyrig.live.protocol import Asked, Flag
from tinyrig.live.sensors import sensor_named
from tinyrig.live.tests.sampling import moving, sampler_of
from tinyrig.live.tests.test_drivers import PERIOD_US, traffic
from tinyrig.live.tests.test_live import GLOVE, plan
from tinyrig.places.installed import FIRMWARE
from tinyrig.record.guide import Guide
from tinyrig.record.record import Plan, record
from tinyrig.tests.arduino_cli import SHIM, WARN
from tinyrig.tests.arduino_cores import PROFILES
from tinyrig.tests.small_models import dense_int8
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload.tests.test_arduino_sketch import fake  # noqa: F401 - a fixture

SKETCH = "nano33ble"
DEVICES = {"glove": (0x70, 0x68), "nano33-rev1": (0x6B, 0x1E), "nano33-rev2": (0x68, 0x10)}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(DEVICES))
def test_devices_see_what_they_see_of_the_bare_image(fake, tmp_path, name):  # noqa: F811
    bare, sketch = (traffic(name, folder, builds) for builds, folder in folders(tmp_path).items())
    for address in DEVICES[name]:
        assert bare.settings(address) == sketch.settings(address)
        assert bare.reads(address) == sketch.reads(address)
    pins = [scan[0] for scan in sketch.scans[:5]]
    assert ",".join(pins) == ",".join(scan[0] for scan in bare.scans[:1])  # one after the other


def folders(tmp_path):
    found = {builds: tmp_path / builds for builds in ("virtual", SKETCH)}
    for folder in found.values():
        folder.mkdir()
    return found


@pytest.mark.parametrize(
    ("fault", "name", "end"),
    [
        ("sensor-nack:1", "glove", "does not acknowledge"),
        pytest.param("sensor-bus:90", "glove", "a line is held low", marks=pytest.mark.slow),
        pytest.param("sensor-open:2", "glove", "its wire is broken", marks=pytest.mark.slow),
        pytest.param("sensor-stuck:5", "nano33-rev1", "repeats one reading", marks=pytest.mark.slow),
    ],
)
def test_a_fault_has_its_name(fake, tmp_path, fault, name, end):  # noqa: F811
    with sampler_of(name, tmp_path, [fault], SKETCH) as (sampler, _), pytest.raises(DeviceError, match=re.escape(end)):
        sampler.start(Asked(PERIOD_US, Flag.FRAMES))
        until = time.monotonic() + 20
        while time.monotonic() < until:
            status = sampler.fetch().status
            if status.fault:
                raise sampler.fault_error(status.fault, status.device)


def test_every_live_decision_of_the_sketch_is_the_hosts(fake, tmp_path):  # noqa: F811
    wanted = plan(tmp_path, dense_int8(), play="", speed=1.0)
    with VirtualBoard(sensors=tmp_path / "played.npz", sensor_speed=20.0) as virtual:
        found = run.live(wanted, BoardTarget(BOARDS[SKETCH], virtual.port), Config(), lambda *_: None)
    assert found["verified"]["passed"] and found["counts"]["decisions"] >= 20, found["verified"]
    assert found["counts"]["dropped_samples"] == found["counts"]["missed_deadlines"] == 0


def test_another_board_has_no_sensor_of_the_nano_33():
    with pytest.raises(UserError, match="has no LSM9DS1") as caught:
        live_image(RECORDING, sensor_named("nano33-rev1"), arduino_board("arduino:renesas_uno:unor4wifi"), Config())
    assert "--sensor glove" in caught.value.expected


CORES = [p for p in PROFILES.values() if p.runs_on]


@pytest.mark.parametrize("profile", CORES, ids=[p.fqbn.split(":")[-1] for p in CORES])
def test_every_core_compiles_the_buses(profile, tmp_path):
    compiler = [profile.compiler.replace("gcc", "g++"), "-std=gnu++17", "-fno-exceptions", *profile.cpu, *profile.defines, *WARN]
    picolibc = ["--specs=picolibc.specs"] if "riscv" in profile.compiler else []
    words = [*compiler, *picolibc, f"-I{SHIM}", "-c", FIRMWARE / "sensors" / "arduino.cpp", "-o", tmp_path / "buses.o"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


@pytest.mark.slow
def test_a_stm32_core_records_what_the_glove_reads(fake, tmp_path):  # noqa: F811
    board = with_facts(by_fqbn("STMicroelectronics:stm32:Nucleo_64:pnum=NUCLEO_F446RE"))
    x, asked = moving(GLOVE, 6), Plan(GLOVE, "cube", 1, 0.3, 20.0, tmp_path / "data", self_test=False)
    np.savez(tmp_path / "played.npz", x=x, rate_hz=np.array(20.0), sensor=np.array("glove"))
    with VirtualBoard(sensors=tmp_path / "played.npz", sensor_speed=20.0) as virtual:
        config = Config(folders=Folders(build=str(tmp_path / "build")))
        record(asked, BoardTarget(board, virtual.port), config, Guide(io.StringIO()))
    found = np.loadtxt(tmp_path / "data" / "cube-001.csv", delimiter=",", skiprows=1)
    step = np.array([*([1 / 8192] * 3 + [np.pi / 180 / 32.8] * 3) * 5, *[3.3 / 4096] * 5])
    assert (np.abs(found - x[0]) <= 0.501 * step).all()
