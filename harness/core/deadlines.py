"""How long each step may take: `[limits]` of rig.toml, else what the board's record says.

There is no "no limit": zero is refused, so that the total of a night is bounded whatever hangs.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from tinyrig.core.errors import InfraError, RigError, UserError


@dataclass(frozen=True)
class Limits:
    """Seconds. None: the board's own.

    build_s: one call of a compiler or linker. flash_s: writing and verifying an image. hello_s: until a started firmware answers.
    window_s: one inference of which nothing is known yet. run_s: the whole command, building variants included.
    """

    build_s: float = 300.0
    flash_s: float | None = None
    hello_s: float | None = None
    window_s: float | None = None
    run_s: float = 6 * 3600.0

    def on(self, board: Any) -> Limits:
        """With what the board's record (boards.py) says in the place of None."""
        return replace(self, **{name: getattr(board, name) for name in _BOARDS if getattr(self, name) is None})


_BOARDS = ("flash_s", "hello_s", "window_s")
NAMES = tuple(f.name for f in fields(Limits))


def variable(name: str) -> str:
    """The environment variable that overrides a limit."""
    return f"TINYRIG_LIMITS_{name.upper()}"


def read_limits(raw: Any, file: object) -> Limits:
    """The table `[limits]` of `file`, overridden by the environment. Raises UserError."""
    if not isinstance(raw, dict) or set(raw) - set(NAMES):
        raise UserError(
            f"{file}: [limits] can't be used",
            expected=", ".join(f"{n} = SECONDS" for n in NAMES),
            received=repr(raw),
            remedy="see docs/rig.md",
        )
    given = raw | {name: os.environ[variable(name)] for name in NAMES if os.environ.get(variable(name))}
    return Limits(**{name: _seconds(name, value, file) for name, value in given.items()})


def _seconds(name: str, value: Any, file: object) -> float:
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UserError(
            f"the limit {name!r} can't be used",
            expected="seconds, more than 0",
            received=repr(value),
            remedy=f"correct it in {file} or {variable(name)}; for no practical limit give a large number",
        )
    return seconds


def exceeded(name: str, seconds: float, what: str, kind: type[RigError] = InfraError, received: str = "") -> RigError:
    """The error of a limit that was reached: which one, its value and the key to change."""
    return kind(
        what,
        expected=f"at most {name} = {seconds:g} s",
        received=received or "more",
        remedy=f"see what it hangs on, or raise {name} under [limits] in rig.toml or with {variable(name)}",
    )


class Deadline:
    """A limit that is running. `clock` returns seconds, monotonic."""

    def __init__(self, name: str, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.seconds, self._clock = name, seconds, clock
        self._until = clock() + seconds

    def left(self) -> float:
        """Seconds, not below 0."""
        return max(0.0, self._until - self._clock())

    def check(self, doing: str, kind: type[RigError] = InfraError) -> None:
        """Raises `kind` when the time is up."""
        if not self.left():
            raise exceeded(self.name, self.seconds, f"out of time {doing}", kind)

    def within(self, seconds: float, doing: str, kind: type[RigError] = InfraError) -> float:
        """`seconds`, less if the time is up before. Raises `kind` when it is up already."""
        self.check(doing, kind)
        return min(seconds, self.left())
