"""The loops on a board: measured, fitted, and put down in a file."""

from __future__ import annotations

import datetime
import logging
import statistics
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from tinyrig.board.rig import Rig
from tinyrig.calibrate.fit import Fitted, fit
from tinyrig.calibrate.image import Pass, calibration_image, has_counters, passes, predict
from tinyrig.core.boards import BOARDS, Board, BoardTarget
from tinyrig.core.config import Config
from tinyrig.core.errors import LinkError, UserError
from tinyrig.core.records import INSTRUCTIONS, BoardInfo
from tinyrig.link.session import Session
from tinyrig.virtual.timing.memory import MemorySystem
from tinyrig.virtual.timing.model import FUSED_RULE, WIDE_RULE

log = logging.getLogger(__name__)
REPEATS = 5
"""Of each loop; the median counts."""
START = MemorySystem(0, 1 << 20)
"""The loops lie in the emulator's flash, whatever the board's address of it is."""
CHIPS_OF_PORTS = {"nrf52840": "nrf52840", "arduino": "nrf52840", "stm32f401": "stm32f401"}
"""By the port of a known board."""


@dataclass(frozen=True)
class Measured:
    """`cycles`: without those of the empty loop. `hits`, `misses`: as the chip's own counters have it; None: it has none."""

    one: Pass
    cycles: float
    hits: int | None = None
    misses: int | None = None


def measured_loops(target: BoardTarget, config: Config) -> tuple[list[Measured], BoardInfo, Board]:
    """Each loop's median. Raises RigErrors."""
    with Rig(target, config) as rig:
        if rig.board.timing == INSTRUCTIONS:
            raise UserError(
                "a board that counts instructions has no memory system to find",
                expected="a physical board, or virtual",
                received=rig.board.name,
            )
        if rig.board.builder in ("sketch", "zephyr"):
            raise UserError(
                f"{rig.board.name} can't be calibrated: the loops are made for a Cortex-M4 whose every cycle is counted",
                expected="virtual, nano33ble, or a board with a bare-metal image",
                received="an image beside whose measurements the interrupts of an Arduino core or of Zephyr run",
                remedy="compare networks on it by `tinyrig run`",
            )
        session, hello = rig.prepare(calibration_image(rig.board, config))
        asked = passes(rig.board)
        log.info("running %d loops", len(asked))
        try:
            empty = {cached: _run(session, Pass(0, cached), rig.board).cycles for cached in {one.cached for one in asked}}
            taken = [_run(session, one, rig.board) for one in asked]
        except LinkError as error:
            raise rig.diagnose(error) from error
        found = [Measured(m.one, m.cycles - empty[m.one.cached], m.hits, m.misses) for m in taken]
        return found, rig.info(hello), rig.board


def _run(session: Session, one: Pass, board: Board) -> Measured:
    samples = [session.run(bytes([one.number]), index=one.number) for _ in range(REPEATS)]
    cycles = float(statistics.median(sample.cycles for sample in samples))
    if not (one.cached and has_counters(board)):
        return Measured(one, cycles)
    hits, misses = np.frombuffer(samples[-1].outputs, "<u4").tolist()
    return Measured(one, cycles, hits, misses)


def calibrate(target: BoardTarget, config: Config) -> dict[str, Any]:
    """What docs/timing.md says of the file. Raises RigErrors."""
    loops, info, board = measured_loops(target, config)
    elf = calibration_image(BOARDS["virtual"], config).elf
    log.info("fitting")
    found = fit([m.cycles for m in loops], [m.one for m in loops], partial(predict, elf), START)
    return document(info, chip_name(board), loops, found)


def chip_name(board: Board) -> str:
    """Whose memory system a calibration of this board is: the virtual board's may be anybody's."""
    if board.starter:
        return board.name
    return CHIPS_OF_PORTS.get(board.port) or board.swd_target or board.name


def document(board: BoardInfo, chip: str, loops: list[Measured], found: Fitted) -> dict[str, Any]:
    rows = zip(loops, found.errors, strict=True)
    return {
        "schema": 1,
        "board": board.name,
        "board_id": board.id,
        "chip": chip,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "timing": board.timing,
        "system": {name: value for name, value in asdict(found.system).items() if not name.startswith("flash_")},
        "wide_rule": bool(found.rules & WIDE_RULE),
        "fused_rule": bool(found.rules & FUSED_RULE),
        "worst_error": found.worst(core=False),
        "worst_core_error": found.worst(core=True),
        "spread": found.worst(core=False),
        "held_out": [],
        "loops": [
            {
                "loop": m.one.loop,
                "name": m.one.text,
                "cached": m.one.cached,
                "cycles": m.cycles,
                "error": error,
                "hits": m.hits,
                "misses": m.misses,
            }
            for m, error in rows
        ],
    }
