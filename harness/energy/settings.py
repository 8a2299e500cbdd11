"""Whether a meter measures a board, and which: [energy] of rig.toml, or the file of --energy."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tinyrig.core.boards import Board
from tinyrig.core.config import Config, Energy
from tinyrig.core.errors import UserError
from tinyrig.core.records import MEASURED
from tinyrig.energy.meters import IMPORTED, check_known


def with_trace(config: Config, file: Path, asked: int) -> Config:
    """The recording `file` in place of rig.toml's meter. `asked`: how many models, 0 for all. Raises UserError unless one is."""
    if asked != 1:
        raise UserError(
            "--energy needs one model",
            expected="one --model or --variant: the file holds the inferences of one",
            received=f"{asked} models" if asked else "all variants",
            remedy="name one, and record each in a run of its own",
        )
    return dataclasses.replace(
        config, energy=dataclasses.replace(config.energy or Energy(), meter=IMPORTED, port=str(file), board="")
    )


def wired_to(config: Config, board: Board) -> Energy | None:
    """[energy], if that is wired to `board`: the one it names, else any physical one; a file is of whichever board runs. Raises
    UserError for an unknown meter."""
    wanted = config.energy
    if wanted is None:
        return None
    check_known(wanted.meter)
    fits = wanted.board == board.name if wanted.board else wanted.meter == IMPORTED or board.timing == MEASURED
    return wanted if fits else None
