"""What to flash, where, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tinyrig.core.boards import Board
from tinyrig.core.deadlines import Deadline

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all), first for writing, then for verifying."""


@dataclass(frozen=True)
class FlashJob:
    """What to flash and where."""

    image: bytes
    board: Board
    port: str
    progress: Progress
    deadline: Deadline
    files: Mapping[str, str] = field(default_factory=dict)
