"""Which way a board is flashed: through the port that is named, another one beside it, or a debug probe. Pure functions of what
is attached: (port, USB id or "", board or None), as rig.attached() lists it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from tinyrig.core.boards import Board
from tinyrig.core.config import BoardPorts
from tinyrig.core.errors import LinkError, UserError
from tinyrig.core.hardware.owned import SHARED
from tinyrig.flash import probe
from tinyrig.flash.flash import FLASHERS

Attached = Sequence[tuple[str, str, Board | None]]
BY_BOOTLOADER = "nano33"
"""The flasher that speaks to a bootloader on a serial port."""
BY_PROBE = (*probe.FLASHERS, "west")
"""Those that take a debug probe's id, not a port."""


def with_flasher(board: Board, wired: BoardPorts) -> Board:
    """The board, flashed the way that rig.toml says. Raises UserError for one that does not exist or does not fit."""
    if wired.flasher in ("", board.flasher):
        return board
    fit = [name for name in FLASHERS if name == board.flasher or (name in probe.FLASHERS and board.swd_target)]
    if wired.flasher not in fit:
        raise UserError(
            f"rig.toml: {board.name} can't be flashed by {wired.flasher!r}",
            expected=" or ".join(fit),
            received=wired.flasher,
            remedy=f"correct flasher under [boards.{board.name}]",
        )
    return replace(board, flasher=wired.flasher)


def flash_port_beside(board: Board, wired: BoardPorts, link: str, attached: Attached) -> str:
    """Where the bootloader of a board is whose link is named: the same port, unless that is a serial adapter. Then what rig.toml
    says, or "": it shows itself when the board is sent into its bootloader, and is not needed where the right image runs."""
    usb = _usb_id(link, attached)
    if usb is None or usb in board.usb_ids or board.flasher != BY_BOOTLOADER:
        return link  # a pty, a URL, or the board's own port
    return wired.flash


def probe_id(board: Board, wired: BoardPorts, link: str, attached: Attached, serial_of: Callable[[str], str]) -> str:
    """rig.toml's, or that of a probe that is also the board's serial port, as an ST-LINK: the port's USB serial number."""
    own = board.flasher in BY_PROBE and _usb_id(link, attached) in board.usb_ids
    return wired.probe or (serial_of(link) if own else "")


def first_flash(board: Board, link: str) -> LinkError | None:
    """Why a board of the Arduino route may have no port at `link`: one with BOOTSEL has none before its first program. None for
    others, and where the port is there."""
    if board.fqbn.split(":")[1:2] != ["rp2040"] or "://" in link or os.path.exists(link):
        return None
    return LinkError(
        f"there is no port {link}" if link else f"no {board.title} is attached",
        expected=" or ".join([f"a port with USB id {usb}" for usb in board.usb_ids] or ["the board's serial port"]),
        received="none",
        remedy="check the name and the cable (`tinyrig boards` lists what is attached). A new board has no serial port yet: hold "
        'BOOTSEL while you plug it in, and name flash = "UF2_Board" beside link in rig.toml once (docs/your_board.md)',
    )


def other_board(board: Board, port: str, usb: str, other: Board | None) -> UserError | None:
    """What to do when a port's USB id is that of another known board than the one that was named there."""
    if not board.fqbn or not board.usb_ids or other is None or usb in (*board.usb_ids, *SHARED):
        return None
    return UserError(
        f"{port} is another board than {board.name}",
        expected=" or ".join(board.usb_ids),
        received=f"{usb}: {other.title}",
        remedy=f"name that board (--board={other.name}@{port}) or the port of the other one (`tinyrig boards` lists them)",
    )


def no_link(board: Board) -> LinkError:
    """What to do when nothing says through which port a board speaks."""
    if new := first_flash(board, "") if board.usb_ids else None:
        return new
    if board.zephyr and not board.usb_ids:
        return LinkError(
            f"nothing says at which port {board.name} is",
            expected=f'--board={board.name}@PORT, or link = "PORT" under [boards.NAME] in rig.toml',
            received="neither",
            remedy="`tinyrig boards` lists the ports of this machine; the line is the board's console (docs/zephyr.md)",
        )
    if not board.usb_ids and not board.pins:
        way = f"arduino:{board.fqbn}" if board.name == f"arduino:{board.fqbn}" else board.name
        line = "PORT" if board.fqbn else "swd"
        return LinkError(
            f"nothing says at which port {board.name} is",
            expected=f'--board={way}@{line}, or link = "{line}" under [boards.{board.name}] in rig.toml',
            received="neither",
            remedy="`tinyrig boards` lists the ports of this machine"
            if board.fqbn
            else f"its debug probe is its line: --board={way}@swd (docs/probe_link.md)",
        )
    if board.pins:
        return LinkError(
            f"no serial adapter is named for {board.name}: its data comes over pins ({board.pins})",
            expected=f'--board {board.name}@PORT, or link = "PORT" under [boards.{board.name}] in rig.toml',
            received="neither",
            remedy=f"`tinyrig boards` lists the ports of this machine; docs/{board.name}.md shows the wires",
        )
    return LinkError(
        f"no {board.title} is attached",
        expected="a port with USB id " + " or ".join(board.usb_ids),
        received="none",
        remedy="plug it in, name the port (--board PORT) or name its port in rig.toml (docs/rig.md), or use --board virtual",
    )


def no_flash_port(board: Board, link: str, found: Sequence[str]) -> LinkError:
    """What to do when a board has to be flashed and only its link is known. `found`: ports with its USB ids."""
    wanted = " or ".join(board.usb_ids)
    return LinkError(
        f"the image must be flashed, but {link} carries only the data: the board's own USB port is "
        + ("one of several" if found else "not attached"),
        expected=f'one port with USB id {wanted}, or flash = "PORT" under [boards.{board.name}] in rig.toml',
        received=", ".join(found) or "none",
        remedy="connect the board's USB port too, and press its button twice if it does not appear (a bare-metal image has no "
        f'USB); or flash through a debug probe: flasher = "pyocd" (docs/{board.name}.md)',
    )


def _usb_id(port: str, attached: Attached) -> str | None:
    """ "" for a serial port that is not on the USB, None for what is no serial port of this machine, as a pty or URL."""
    return {os.path.realpath(name): usb for name, usb, _ in attached}.get(os.path.realpath(port))
