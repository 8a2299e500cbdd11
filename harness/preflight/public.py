"""`tinyrig.check`: what is known of a model before a board is touched, from Python."""

from __future__ import annotations

import os
from pathlib import Path

from tinyrig.core.boards import known_boards
from tinyrig.core.config import load_config
from tinyrig.preflight.files import check_file
from tinyrig.preflight.records import ModelCheck


def check(model: str | os.PathLike[str]) -> ModelCheck:
    """Obstacles, layers, memory and fit of `model`, a file or the name of a table [models.NAME] of rig.toml, for every board of
    the table and of rig.toml. Needs no board and no compiler.

    A model that can't be compiled, or a file that is none, is a result (`runs`, `obstacles`); raises UserError where there is no
    such file.
    """
    config = load_config()
    own = config.own_models.get(os.fspath(model))
    path = Path(own.file if own else model)
    return check_file(path, tuple(known_boards(config.boards).values()), config.optimise)
