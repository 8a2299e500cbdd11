"""The loops on a board: measured, fitted, and put down in a file."""

from __future__ import annotations

import logging
import statistics
from dataclasses import asdict
from functools import partial
from typing import Any

from tinyrig.board.rig import Rig
from tinyrig.calibrate.fit import Fitted, fit
from tinyrig.calibrate.image import LOOPS, calibration_image, predict
from tinyrig.core.boards import BOARDS, BoardTarget
from tinyrig.core.config import Config
from tinyrig.core.errors import LinkError, UserError
from tinyrig.core.records import INSTRUCTIONS, BoardInfo
from tinyrig.virtual.timing.memory import MemorySystem

log = logging.getLogger(__name__)
REPEATS = 5
"""Of each loop; the median counts."""
START = MemorySystem(0, 1 << 20)
"""The loops lie in the emulator's flash, whatever the board's address of it is."""


def measured_loops(target: BoardTarget, config: Config) -> tuple[list[float], BoardInfo]:
    """Median cycles of each loop without those of the empty one. Raises RigErrors."""
    with Rig(target, config) as rig:
        if rig.board.timing == INSTRUCTIONS:
            raise UserError(
                "a board that counts instructions has no memory system to find",
                expected="a physical board, or virtual",
                received=rig.board.name,
            )
        image = calibration_image(rig.board, config)
        session, hello = rig.prepare(image)
        log.info("running %d loops", LOOPS)
        try:
            taken = [[session.run(bytes([loop]), index=loop).cycles for _ in range(REPEATS)] for loop in range(LOOPS)]
        except LinkError as error:
            raise rig.diagnose(error) from error
        cycles = [statistics.median(loop) for loop in taken]
        return [loop - cycles[0] for loop in cycles], rig.info(hello)


def calibrate(target: BoardTarget, config: Config) -> dict[str, Any]:
    """What docs/timing.md says of the file. Raises RigErrors."""
    cycles, board = measured_loops(target, config)
    elf = calibration_image(BOARDS["virtual"], config).elf
    log.info("fitting")
    return document(board, cycles, fit(cycles, partial(predict, elf), START))


def document(board: BoardInfo, cycles: list[float], found: Fitted) -> dict[str, Any]:
    return {
        "schema": 1,
        "board": board.name,
        "board_id": board.id,
        "timing": board.timing,
        "system": {name: value for name, value in asdict(found.system).items() if not name.startswith("flash_")},
        "wide_rule": found.rules,
        "worst_error": found.worst,
        "loops": [
            {"loop": n, "cycles": measured, "error": error}
            for n, (measured, error) in enumerate(zip(cycles[1:], found.errors, strict=True), 1)
        ],
    }
