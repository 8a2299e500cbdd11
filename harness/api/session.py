"""What the pytest plugin's fixtures are: the board in use, and the function that measures on it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tinyrig.api.measure import Amount, How, Name, Taken, as_text, take
from tinyrig.api.result import Result, line, notes
from tinyrig.board.resolve import identity, is_started_here, resolved
from tinyrig.budget.budgets import Budgets
from tinyrig.core.boards import parse_own_board
from tinyrig.core.config import Config
from tinyrig.core.errors import ClaimError, RigError
from tinyrig.core.plans import AskedModel
from tinyrig.host.locks import turn
from tinyrig.host.signals import terminable
from tinyrig.measure.variants import Said, asked_models, budgets_of

Note = Callable[[str, object], None]
"""Keeps a property of the test that is being run."""


@dataclass(frozen=True)
class BoardInUse:
    """`asked` is what --board says, `name` the kind of board, empty for a port that says nothing of it; `virtual`: emulated."""

    asked: str
    name: str
    virtual: bool


def board_in_use(asked: str, config: Config) -> BoardInUse:
    """Opens nothing. Raises UserError."""
    target = resolved(parse_own_board(asked, config.boards, "tests need our own firmware on the board"), config)
    board = target.board
    return BoardInUse(asked, board.name if board else "", bool(board and board.starter))


class PytestMeasure:
    """Measures models on one board, each once a session.

    `root`: relative paths that are not there count from it. `session`: names a session whose workers share the board, which then
    take turns; empty: this process is the only one. `note` receives what was measured.
    """

    def __init__(self, board: str, config: Config, root: Path, session: str, note: Note) -> None:
        self._board, self._config, self._root, self._session, self._note = board, config, root, session, note
        self._taken: dict[object, Taken] = {}
        self._failed: dict[object, RigError] = {}

    def __call__(
        self,
        model: Name,
        windows: Name | None = None,
        *,
        limit: int | None = None,
        oracle: str | None = None,
        engine: str = "tinyrig",
        optimise: str | None = None,
        labels: Name | None = None,
        output: str | int | None = None,
        check: bool = True,
        min_accuracy: Amount | None = None,
        max_accuracy_drop: Amount | None = None,
        max_latency: str | None = None,
        max_ram: Amount | None = None,
        max_flash: Amount | None = None,
    ) -> Result:
        """`model` and the other words are those of tinyrig.run(). Raises ClaimError where a claim failed, unless `check` is
        False; UserError for what can't be used; another RigError where the rig failed."""
        budgets = budgets_of(
            {
                "min_accuracy": min_accuracy,
                "max_accuracy_drop": max_accuracy_drop,
                "max_latency": max_latency,
                "max_ram": max_ram,
                "max_flash": max_flash,
            }
        )
        said = Said(self._path(windows), self._path(labels), as_text(output), budgets)
        (asked,) = asked_models([self._found(model)], said, self._config, oracle)
        found = self._take(asked, How(engine, limit, oracle, optimise)).result(asked.budgets, self._config)
        self._note("tinyrig", line(found))
        for note in notes([found]):
            self._note("tinyrig.note", note)
        for name in ("run_id", "verified", "accuracy", "latency_us", "ram_bytes", "flash_bytes"):
            self._note(f"tinyrig.{found.name}.{name}", getattr(found, name))
        if check and found.failed:
            raise ClaimError("; ".join(f"{found.name}: {claim.name}: {claim.reason}" for claim in found.failed))
        return found

    def _found(self, file: Name) -> str:
        beside = self._root / file
        return str(beside) if not Path(file).exists() and beside.exists() else os.fspath(file)

    def _path(self, file: Name | None) -> Path | None:
        return None if file is None else Path(self._found(file))

    def _take(self, asked: AskedModel, how: How) -> Taken:
        """A rig that failed is not tried again for each test."""
        key = (replace(asked, budgets=Budgets()), how, *map(_stamp, (asked.file, asked.windows, asked.labels)))
        if key in self._failed:
            raise self._failed[key]
        if key not in self._taken:
            try:
                with terminable(), self._turn():
                    self._taken[key] = take(asked, self._board, self._config, how)
            except RigError as error:
                self._failed[key] = error
                raise
        return self._taken[key]

    def _turn(self) -> contextlib.AbstractContextManager[None]:
        """Emulated boards are started for each worker; another board is one for all."""
        target = resolved(parse_own_board(self._board, self._config.boards), self._config)
        if not self._session or is_started_here(target, self._config):
            return contextlib.nullcontext()
        return turn(f"{self._session} {(identity(target, self._config) or [self._board])[0]}")


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """Another one for a file that was written again; None where there is none."""
    with contextlib.suppress(OSError):
        if path is not None:
            found = path.stat()
            return found.st_mtime_ns, found.st_size
    return None
