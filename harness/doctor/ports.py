"""Serial ports of this machine and of rig.toml: what hangs there, who may open it, who has it. Sends nothing unless asked to."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from tinyrig.core.boards import BOARDS, PLACE, Board, parse_own_board, recognise_id, recognise_usb
from tinyrig.core.config import Config
from tinyrig.core.errors import DeviceError, LinkError, RigError, UserError
from tinyrig.core.records import Hello
from tinyrig.core.text import printable
from tinyrig.flash.samba import BOOTLOADER_USB_ID
from tinyrig.host.locks import Locks, holder, port_key
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.link.usb import lock_key, place

FREE, IN_USE, DENIED, ABSENT, SILENT, NOT_ASKED, BOOTLOADER, FOREIGN, STRANGER = (
    "free",
    "in use",
    "can't be opened",
    "not there",
    "no answer",
    "not asked",
    "in its bootloader",
    "other firmware",
    "another board",
)
"""STRANGER: its chip is not the one that rig.toml names."""


@dataclass(frozen=True)
class Port:
    """`usb` and `serial` as the port's own USB device tells them, empty without; `board` known by USB id or rig.toml; `wired` the
    places in rig.toml that name it (`nano33ble link`); `status` is one of the words above, `detail` says why;
    `wanted_id`: the only chip that rig.toml allows there."""

    port: str
    usb: str = ""
    serial: str = ""
    board: Board | None = None
    wired: tuple[str, ...] = ()
    status: str = NOT_ASKED
    detail: str = ""
    hello: Hello | None = None
    what: str = field(default="", compare=False)
    wanted_id: str = ""

    @property
    def known(self) -> bool:
        """Whether bytes of ours may be sent there without asking the user."""
        return self.board is not None or bool(self.wired)


def find(config: Config) -> list[Port]:
    """Every port of this machine, then those that only rig.toml knows. Nothing is opened."""
    from serial.tools import list_ports

    wired = wires(config)
    found = []
    for info in sorted(list_ports.comports(), key=lambda p: p.device):
        usb = f"{info.vid:04x}:{info.pid:04x}" if info.vid is not None else ""
        names = tuple(name for name, port in wired.items() if port_key(port) == port_key(info.device))
        serial, what = printable(info.serial_number or "", 64), printable(info.description or "", 64)
        found.append(Port(info.device, usb, serial, _board(usb, names, config), names, what=what, wanted_id=_id(config, names)))
    there = {port_key(p.port) for p in found}
    for port in dict.fromkeys(port for port in wired.values() if port_key(port) not in there):
        names = tuple(name for name, wire in wired.items() if wire == port)
        found.append(Port(port, board=_board("", names, config), wired=names, wanted_id=_id(config, names)))
    return found


def wires(config: Config) -> dict[str, str]:
    """`nano33ble link` -> its port, of all of rig.toml."""
    named = {f"{name} {which}": getattr(ports, which) for name, ports in config.boards.items() for which in ("link", "flash")}
    return {where: _now(port) for where, port in named.items() if port and not port.startswith(PLACE)}


def _now(port: str) -> str:
    """The tty that `usb:SERIAL` is now; the same where there is none."""
    try:
        return place(port)
    except LinkError:
        return port


def _id(config: Config, wired: tuple[str, ...]) -> str:
    return next((config.boards[name.rsplit(" ", 1)[0]].id.lower() for name in wired if name.endswith(" link")), "")


def _board(usb: str, wired: tuple[str, ...], config: Config) -> Board | None:
    """The one of rig.toml comes first: several boards may share a USB id."""
    for where in wired:
        with contextlib.suppress(UserError):
            return parse_own_board(where.rsplit(" ", 1)[0], config.boards).board
    return recognise_usb(usb, config.boards) if usb else None


def look(port: Port) -> Port:
    """Whether it is there, free and may be opened, as far as that is told without opening it."""
    if "://" not in port.port:
        if not os.path.exists(port.port):
            return replace(port, status=ABSENT)
        if not os.access(port.port, os.R_OK | os.W_OK):
            return replace(port, status=DENIED, detail=denial(Path(port.port)))
    by = holder(lock_key(port.port))
    if by:
        return replace(port, status=IN_USE, detail=by)
    return replace(port, status=BOOTLOADER if port.usb == BOOTLOADER_USB_ID else NOT_ASKED)


def denial(path: Path) -> str:
    """Who may open a port that this user may not."""
    try:
        owner = path.group()
    except (KeyError, OSError):
        owner = "a group without a name"
    return f"it belongs to the group {owner} (mode {path.stat().st_mode & 0o777:o}), which you are not in"


def ask(port: Port) -> Port:
    """Says hello, which no board but ours understands. A port that is there for flashing only is just opened."""
    return _with_link(port, greet=not port.wired or any(name.endswith(" link") for name in port.wired))


def _with_link(port: Port, greet: bool) -> Port:
    locks = Locks()
    try:
        locks.take(lock_key(port.port), port.port)
        board = port.board or BOARDS["nano33ble-uart"]
        link = open_link(port.port, board.baud)
    except LinkError as error:
        return replace(port, status=IN_USE if "in use" in error.what else DENIED, detail=error.received)
    except RigError as error:
        return replace(port, status=DENIED, detail=error.received or error.what)
    else:
        with contextlib.closing(Session(link)) as session:
            return _greeted(port, session) if greet else replace(port, status=FREE)
    finally:
        locks.close()


def _greeted(port: Port, session: Session) -> Port:
    try:
        hello = session.hello()
    except DeviceError as error:
        return replace(port, status=FOREIGN, detail=error.received or error.what)
    except LinkError:
        return replace(port, status=SILENT, detail="nobody there speaks tinyrig's protocol")
    board = recognise_id(hello.board_id, port.board or BOARDS.get(hello.board_name) or BOARDS["nano33ble-uart"])
    if port.wanted_id not in ("", hello.board_id.lower()):
        detail = f"rig.toml asks for id {port.wanted_id}"
        return replace(port, status=STRANGER, detail=detail, hello=hello, board=board)
    return replace(port, status=FREE, hello=hello, board=board)
