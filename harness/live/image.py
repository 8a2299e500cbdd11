"""Firmware images that sample: firmware/live and one sensor's driver beside a model, or beside none for recording."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import MappingProxyType

from tinyrig.core.boards import Board
from tinyrig.core.config import Config
from tinyrig.core.errors import UserError
from tinyrig.core.records import CompiledModel, Image
from tinyrig.live.program.bmi270 import program_source
from tinyrig.live.sensors import Sensor
from tinyrig.places.installed import FIRMWARE
from tinyrig.workload.arduino_sketch import SAMPLING
from tinyrig.workload.image import build_image

BUSES = MappingProxyType({"gcc": "nrf52840.c", "arduino": "arduino.cpp", "sketch": "arduino.cpp"})
"""How a board's image is built -> the file of firmware/sensors that drives its buses."""
PORT = "nrf52840"
"""The only bare chip with buses."""
PAYLOAD = 4096
"""Bytes of a FETCH's reply: 49 frames of the glove."""
RECORDING = CompiledModel("null", "0" * 64, {}, (), (), (), (), 0, 0, extra_sources=(FIRMWARE / "app" / "null_engine.c",))
"""No model at all."""


def live_image(model: CompiledModel, sensor: Sensor, board: Board, config: Config) -> Image:
    """Built, or taken again. Raises UserError for a board without such buses, and as build_image."""
    buses = _buses(board, sensor)
    programs = _programs(sensor, config)
    sources = sorted((FIRMWARE / "live").glob("*.c"))
    sources += [FIRMWARE / "sensors" / name for name in (buses, sensor.driver)]
    sampling = dataclasses.replace(
        model,
        sources={**model.sources, **programs},
        extra_sources=(*model.extra_sources, *sources),
        include_dirs=(*model.include_dirs, FIRMWARE / "live", FIRMWARE / "sensors"),
        least_payload=PAYLOAD,
    )
    equipped = dataclasses.replace(board, cpu_flags=(*board.cpu_flags, SAMPLING))
    return build_image(sampling, equipped, Path(config.folders.build), config.limits.build_s)


def _buses(board: Board, sensor: Sensor) -> str:
    """Raises UserError."""
    if board.builder not in BUSES or (board.builder == "gcc" and board.port != PORT):
        raise UserError(
            f"board {board.name} can't sample",
            expected="virtual, nano33ble, nano33ble-uart or arduino:FQBN@PORT, whose buses firmware/sensors drives",
            received=board.name,
        )
    if sensor.on_nano33 and board.builder == "sketch":
        raise UserError(
            f"board {board.name} has no {sensor.title}",
            expected="nano33ble or nano33ble-uart for this sensor, or a sensor that is wired to the board: --sensor glove",
            received=f"--sensor {sensor.name}",
        )
    return BUSES[board.builder]


def _programs(sensor: Sensor, config: Config) -> dict[str, str]:
    """C sources that a device's maker keeps, by file name. Raises UserError."""
    if not sensor.needs_bmi270:
        return {}
    return {"bmi270_program.c": program_source(config.bmi270_config, config.bmi270_sha256)}
