"""Firmware images that sample: firmware/live and one sensor's driver beside a model, or beside none for recording."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tinyrig.core.boards import Board
from tinyrig.core.config import Config
from tinyrig.core.errors import UserError
from tinyrig.core.records import CompiledModel, Image
from tinyrig.live.program.bmi270 import program_source
from tinyrig.live.sensors import Sensor
from tinyrig.places.installed import FIRMWARE
from tinyrig.workload.image import build_image

PORT = "nrf52840"
"""The one whose buses firmware/sensors drives."""
DEFINE = "-DAPP_LIVE"
PAYLOAD = 4096
"""Bytes of a FETCH's reply: 49 frames of the glove."""
RECORDING = CompiledModel("null", "0" * 64, {}, (), (), (), (), 0, 0, extra_sources=(FIRMWARE / "app" / "null_engine.c",))
"""No model at all."""


def live_image(model: CompiledModel, sensor: Sensor, board: Board, config: Config) -> Image:
    """Built, or taken again. Raises UserError for a board without such buses, and as build_image."""
    if board.port != PORT:
        raise UserError(
            f"board {board.name} can't sample",
            expected="virtual, or nano33ble-uart: firmware/sensors drives the buses of a bare nRF52840",
            received=board.name,
        )
    programs = _programs(sensor, config)
    sources = sorted((FIRMWARE / "live").glob("*.c"))
    sources += [FIRMWARE / "sensors" / name for name in (f"{PORT}.c", sensor.driver)]
    sampling = dataclasses.replace(
        model,
        sources={**model.sources, **programs},
        extra_sources=(*model.extra_sources, *sources),
        include_dirs=(*model.include_dirs, FIRMWARE / "live", FIRMWARE / "sensors"),
        least_payload=PAYLOAD,
    )
    equipped = dataclasses.replace(board, cpu_flags=(*board.cpu_flags, DEFINE))
    return build_image(sampling, equipped, Path(config.folders.build), config.limits.build_s)


def _programs(sensor: Sensor, config: Config) -> dict[str, str]:
    """C sources that a device's maker keeps, by file name. Raises UserError."""
    if not sensor.needs_bmi270:
        return {}
    return {"bmi270_program.c": program_source(config.bmi270_config, config.bmi270_sha256)}
