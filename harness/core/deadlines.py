"""How long each step may take: `[limits]` of rig.toml, else what the board's record says.

There is no "no limit": zero is refused, so that the total of a night is bounded whatever hangs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any

from tinyrig.core.checked import KEYS, Number
from tinyrig.core.errors import InfraError, RigError

SLICE_S = 1.0
"""One look of `awaited`; a longer one was interrupted by a stop, and no more than this of it counts."""
_SECONDS = Number("seconds, more than 0; for no practical limit give a large number", positive=True, most=None)


@dataclass(frozen=True)
class Limits:
    """Seconds. None: the board's own."""

    __pydantic_config__ = KEYS

    build_s: Annotated[float, _SECONDS] = 300.0
    """One call of a compiler or linker."""
    flash_s: Annotated[float | None, _SECONDS] = None
    """Writing and verifying an image; default: the board's."""
    hello_s: Annotated[float | None, _SECONDS] = None
    """Until a started firmware answers; default: the board's."""
    window_s: Annotated[float | None, _SECONDS] = None
    """One inference of which nothing is known yet; default: the board's."""
    run_s: Annotated[float, _SECONDS] = 6 * 3600.0
    """The whole command, building variants included."""

    def on(self, board: Any) -> BoardLimits:
        """With what the board's record (boards.py) says where rig.toml says nothing."""
        given = (getattr(self, name) or getattr(board, name) for name in ("flash_s", "hello_s", "window_s"))
        return BoardLimits(*given)


@dataclass(frozen=True)
class BoardLimits:
    """Seconds that the steps on one board may take."""

    flash_s: float
    hello_s: float
    window_s: float


NAMES = tuple(f.name for f in fields(Limits))


def variable(name: str) -> str:
    """The environment variable that overrides a limit."""
    return f"TINYRIG_LIMITS_{name.upper()}"


def exceeded(name: str, seconds: float, what: str, kind: type[RigError] = InfraError, received: str = "") -> RigError:
    """The error of a limit that was reached: which one, its value and the key to change."""
    return kind(
        what,
        expected=f"at most {name} = {seconds:g} s",
        received=received or "more",
        remedy=f"find out why it hangs, or raise {name} under [limits] in rig.toml or with {variable(name)}",
    )


def awaited(look: Callable[[float], object], seconds: float, clock: Callable[[], float] = time.monotonic) -> bool:
    """Whether `look`, which waits up to the seconds that it is given, found something true within `seconds`. Those in which this
    process was stopped do not count: after Ctrl-Z and `fg` nothing has come too late that was in time."""
    left = seconds
    while left > 0:
        slice_s, before = min(left, SLICE_S), clock()
        if look(slice_s):
            return True
        left -= min(slice_s, max(clock() - before, slice_s / 100))  # a look that comes back early is no endless loop
    return bool(look(0.0))


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
