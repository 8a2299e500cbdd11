"""A debug probe as the line: what `link = "swd"` and `link = "gdb://HOST:PORT"` mean for a board."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from tinyrig.core.boards import Board
from tinyrig.core.config import BoardPorts
from tinyrig.core.errors import UserError
from tinyrig.core.hardware.board import MAILBOX_FLAG

SWD, GDB = "swd", "gdb://"


def is_probe_line(link: str) -> bool:
    return link == SWD or link.startswith(GDB)


def through_probe(board: Board, link: str, wired: BoardPorts) -> tuple[Board, str]:
    """The board as its image must be made for such a line, and the line's name (mailbox/port.py). Raises UserError for a board
    that can't have one."""
    if not board.core.arm or board.builder != "gcc":
        raise _unfit(board, link, "a bare-metal image for an Arm core", "this board's image is not one")
    if link == SWD and not board.swd_target:
        raise _unfit(board, link, "a chip that pyOCD knows: swd_target", 'it has none; link = "gdb://HOST:PORT" needs none')
    table = f"/{board.flash_base:#x}"
    url = f"swd://{board.swd_target}{table}?probe={quote(wired.probe, safe='')}" if link == SWD else f"{link.rstrip('/')}{table}"
    return replace(board, cpu_flags=(*board.cpu_flags, MAILBOX_FLAG), pins=""), url


def _unfit(board: Board, link: str, expected: str, received: str) -> UserError:
    return UserError(
        f"{board.title} can't be reached by link = {link!r}",
        expected=expected,
        received=received,
        remedy="name its serial port (docs/probe_link.md says which boards can do without)",
    )
