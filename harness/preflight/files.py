"""Files and folders of the user's -> ModelChecks. A file that is no model at all becomes one with that obstacle."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from tinyrig.compiler.model.obstacle import Obstacle, obstacles_of
from tinyrig.core.boards import Board
from tinyrig.core.errors import ModelError, UserError
from tinyrig.preflight.check import check_model
from tinyrig.preflight.records import ModelCheck
from tinyrig.workload.model_file import read_model

MAX_FILES = 10_000
"""Models below one folder."""


def check_files(paths: Sequence[Path], boards: Iterable[Board], optimise: str) -> tuple[list[ModelCheck], bool]:
    """-> (checks, whether a folder was among the paths). Raises UserError for a path of `paths` that can't be read; a file of a
    folder that can't be is one that can't be compiled."""
    boards, checks = tuple(boards), list[ModelCheck]()
    folders = [p for p in paths if is_collection(p)]
    for path in paths:
        if path in folders:
            checks += [_found(file, boards, optimise) for file in below(path)]
        else:
            checks.append(check_file(path, boards, optimise))
    return checks, bool(folders)


def _found(file: Path, boards: Sequence[Board], optimise: str) -> ModelCheck:
    try:
        return check_file(file, boards, optimise)
    except UserError as error:
        return ModelCheck(str(file), "", 0, (Obstacle("", -1, "", error.what, error.remedy, error.expected, error.received),))


def is_collection(path: Path) -> bool:
    """A folder, but not a SavedModel, which is a model in itself."""
    return path.is_dir() and not is_saved_model(path)


def is_saved_model(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt"))


def below(folder: Path) -> list[Path]:
    """All .tflite files, sorted. Raises UserError where there is none."""
    found = sorted(Path(top) / n for top, _, names in os.walk(folder) for n in names if n.lower().endswith(".tflite"))
    if not found or len(found) > MAX_FILES:
        raise UserError(
            f"{folder} can't be checked as a folder of models",
            expected=f"1 to {MAX_FILES:,} .tflite files below it",
            received=f"{len(found):,}",
            remedy="name a folder that holds models",
        )
    return found


def check_file(path: Path, boards: Sequence[Board], optimise: str) -> ModelCheck:
    """Raises UserError where there is no such file."""
    try:
        data = read_model(path)
    except ModelError as error:
        return ModelCheck(str(path), "", path.stat().st_size, obstacles_of(error))
    return check_model(data, file=str(path), boards=boards, optimise=optimise)
