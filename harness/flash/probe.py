"""Whichever tool for a debug probe is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import HostError, RigError
from tinyrig.flash import pyocd, stlink
from tinyrig.places.remedies import extra

if TYPE_CHECKING:
    from tinyrig.core.boards import Board
    from tinyrig.flash.job import FlashJob

FLASHERS: dict[str, Callable[[FlashJob, RigError | None], RigError | None]] = {
    "pyocd": pyocd.flash_pyocd,
    "st-flash": stlink.flash_stlink,
    "probe": lambda job, before: flash_probe(job, before),
}
RESTARTERS: dict[str, Callable[[Board, str, Deadline], None]] = {
    "pyocd": pyocd.restart_pyocd,
    "st-flash": stlink.restart_stlink,
    "probe": lambda board, probe, deadline: RESTARTERS[tool(board, deadline)](board, probe, deadline),
}


def flash_probe(job: FlashJob, before: RigError | None) -> RigError | None:
    """With pyOCD where it knows the chip, else with st-flash."""
    return FLASHERS[tool(job.board, job.deadline)](job, before)


def tool(board: Board, deadline: Deadline) -> str:
    """`pyocd` or `st-flash`. Raises HostError where neither can be used."""
    if pyocd.knows(board.swd_target, deadline):
        return "pyocd"
    if board.swd_target.startswith("stm32") and stlink.find():
        return "st-flash"
    raise HostError(
        f"no tool to flash {board.title} is installed",
        expected=f"pyOCD with the target {board.swd_target}, or st-flash",
        received="neither",
        remedy=f"apt-get install stlink-tools; or {extra('swd')}, then python -m pyocd pack install {board.swd_target}",
    )
