"""Recording images on virtual boards, for the tests of drivers: what they say on the I2C bus and to the converter."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tinyrig.core.boards import BOARDS
from tinyrig.core.config import Config, Folders
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.live.image import RECORDING, live_image
from tinyrig.live.sampler import Sampler
from tinyrig.live.sensors import Sensor, sensor_named
from tinyrig.virtual.launch import VirtualBoard

PROGRAM = bytes((7 * i + i // 256) % 256 for i in range(8192))
"""Stands for the BMI270's."""


def moving(sensor: Sensor, steps: int = 40) -> np.ndarray:
    """float32 [1,T,C]: every channel changes from step to step, within its range."""
    rng = np.random.default_rng(3)
    x = rng.uniform(-0.9, 0.9, (1, steps, len(sensor.channels))).astype(np.float32)
    volts = [i for i, unit in enumerate(sensor.units) if unit == "V"]
    x[:, :, volts] = np.abs(x[:, :, volts]) + 0.2
    return x


@contextmanager
def sampler_of(name: str, folder: Path, faults: Sequence[str] = (), builds: str = "virtual") -> Iterator[tuple[Sampler, Path]]:
    """(the board's, the log of its buses). builds: the board whose image runs on the virtual one."""
    sensor, log = sensor_named(name), folder / "log"
    (folder / "program.bin").write_bytes(PROGRAM)
    np.savez(folder / "played.npz", x=moving(sensor), rate_hz=np.array(100.0), sensor=np.array(name))
    config = Config(
        folders=Folders(build=str(folder.parent / "build")),
        bmi270_config=str(folder / "program.bin"),
        bmi270_sha256=hashlib.sha256(PROGRAM).hexdigest(),
    )
    image = live_image(RECORDING, sensor, BOARDS[builds], config)
    with (
        VirtualBoard(image=image.elf, faults=faults, sensors=folder / "played.npz", sensor_speed=10, sensor_log=log) as board,
        Session(open_link(board.port, BOARDS["virtual"].baud)) as session,
    ):
        yield Sampler(session, sensor), log
