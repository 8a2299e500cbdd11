"""Serial ports of this machine and of rig.toml: what hangs there, who may open it, who has it. Sends nothing unless asked to."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal

from tinyrig.core.boards import BOARDS, PLACE, Board, parse_own_board, recognise_id, recognise_usb
from tinyrig.core.config import Config
from tinyrig.core.errors import DeviceError, InUseError, LinkError, RigError, UserError
from tinyrig.core.hardware.arduino import arduino_board
from tinyrig.core.hardware.zephyr import zephyr_board
from tinyrig.core.records import Hello
from tinyrig.core.text import printable
from tinyrig.flash.samba import BOOTLOADER_USB_ID
from tinyrig.host.locks import Locks, holder, port_key
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.link.usb import lock_key, place

SKETCHES = ("arduino", "arduino-us")
"""What the firmware of any Arduino board calls itself (firmware/port/sketch)."""

ZEPHYRS = ("zephyr", "zephyr-timer")
"""The same of any board of Zephyr's (firmware/port/zephyr)."""


class PortStatus(StrEnum):
    """IN_USE: another process of tinyrig has it; FOREIGN: firmware that is not ours answers; STRANGER: its chip is not the one
    that rig.toml names."""

    FREE = "free"
    IN_USE = "in use"
    DENIED = "can't be opened"
    ABSENT = "not there"
    SILENT = "no answer"
    NOT_ASKED = "not asked"
    BOOTLOADER = "in its bootloader"
    FOREIGN = "other firmware"
    STRANGER = "another board"


@dataclass(frozen=True)
class Wire:
    """A place in rig.toml that names a port: `nano33ble link`."""

    board: str
    which: Literal["link", "flash"]

    def __str__(self) -> str:
        return f"{self.board} {self.which}"


@dataclass(frozen=True)
class Port:
    """`usb` and `serial` as the port's own USB device reports them, empty without; `board` known by USB id or rig.toml; `wired`
    the places in rig.toml that name it; `detail` says why the status is so; `wanted_id`: the only chip that rig.toml allows
    there."""

    port: str
    usb: str = ""
    serial: str = ""
    board: Board | None = None
    wired: tuple[Wire, ...] = ()
    status: PortStatus = PortStatus.NOT_ASKED
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
        here = tuple(wire for wire, port in wired.items() if port_key(port) == port_key(info.device))
        serial, what = printable(info.serial_number or "", 64), printable(info.description or "", 64)
        found.append(Port(info.device, usb, serial, _board(usb, here, config), here, what=what, wanted_id=_id(config, here)))
    there = {port_key(p.port) for p in found}
    for port in dict.fromkeys(port for port in wired.values() if port_key(port) not in there):
        here = tuple(wire for wire, its_port in wired.items() if its_port == port)
        found.append(Port(port, board=_board("", here, config), wired=here, wanted_id=_id(config, here)))
    return found


def wires(config: Config) -> dict[Wire, str]:
    """All of rig.toml's, each with its port."""
    links = {Wire(name, "link"): ports.link for name, ports in config.boards.items()}
    named = links | {Wire(name, "flash"): ports.flash for name, ports in config.boards.items()}
    order = sorted(named, key=lambda wire: list(config.boards).index(wire.board))
    return {wire: _now(named[wire]) for wire in order if named[wire] and not named[wire].startswith(PLACE)}


def _now(port: str) -> str:
    """The tty that `usb:SERIAL` is now; the same where there is none."""
    try:
        return place(port)
    except LinkError:
        return port


def _id(config: Config, wired: tuple[Wire, ...]) -> str:
    return next((config.boards[wire.board].id.lower() for wire in wired if wire.which == "link"), "")


def _board(usb: str, wired: tuple[Wire, ...], config: Config) -> Board | None:
    """The one of rig.toml comes first: several boards may share a USB id."""
    for wire in wired:
        with contextlib.suppress(UserError):
            return parse_own_board(wire.board, config.boards).board
    return recognise_usb(usb, config.boards) if usb else None


def look(port: Port) -> Port:
    """Whether it is there, free and may be opened, as far as that shows without opening it."""
    if "://" not in port.port:
        if not os.path.exists(port.port):
            return replace(port, status=PortStatus.ABSENT)
        if not os.access(port.port, os.R_OK | os.W_OK):
            return replace(port, status=PortStatus.DENIED, detail=denial(Path(port.port)))
    by = holder(lock_key(port.port))
    if by:
        return replace(port, status=PortStatus.IN_USE, detail=by)
    return replace(port, status=PortStatus.BOOTLOADER if port.usb == BOOTLOADER_USB_ID else PortStatus.NOT_ASKED)


def denial(path: Path) -> str:
    """Who may open a port that this user may not."""
    try:
        owner = path.group()
    except (KeyError, OSError):
        owner = "a group without a name"
    return f"it belongs to the group {owner} (mode {path.stat().st_mode & 0o777:o}), which you are not in"


def ask(port: Port) -> Port:
    """Says hello, which no board but ours understands. A port that is there for flashing only is just opened."""
    return _with_link(port, greet=not port.wired or any(wire.which == "link" for wire in port.wired))


def _with_link(port: Port, greet: bool) -> Port:
    locks = Locks()
    try:
        locks.take(lock_key(port.port), port.port)
        board = port.board or BOARDS["nano33ble-uart"]
        link = open_link(port.port, board.baud)
    except InUseError as error:
        return replace(port, status=PortStatus.IN_USE, detail=error.received)
    except LinkError as error:
        return replace(port, status=PortStatus.DENIED, detail=error.received)
    except RigError as error:
        return replace(port, status=PortStatus.DENIED, detail=error.received or error.what)
    else:
        with contextlib.closing(Session(link)) as session:
            return _greeted(port, session) if greet else replace(port, status=PortStatus.FREE)
    finally:
        locks.close()


def _nameless(hello: Hello) -> Board:
    """What answers where neither its USB id nor its hello names one of the table."""
    if hello.board_name in ZEPHYRS:
        return zephyr_board("unknown", "a Zephyr board")
    sketch = hello.board_name in SKETCHES
    return arduino_board("its:fqbn:unknown", "an Arduino board") if sketch else BOARDS["nano33ble-uart"]


def _greeted(port: Port, session: Session) -> Port:
    try:
        hello = session.hello()
    except DeviceError as error:
        return replace(port, status=PortStatus.FOREIGN, detail=error.received or error.what)
    except LinkError:
        return replace(port, status=PortStatus.SILENT, detail="nobody there speaks tinyrig's protocol")
    board = recognise_id(hello.board_id, port.board or BOARDS.get(hello.board_name) or _nameless(hello))
    if port.wanted_id not in ("", hello.board_id.lower()):
        detail = f"rig.toml asks for id {port.wanted_id}"
        return replace(port, status=PortStatus.STRANGER, detail=detail, hello=hello, board=board)
    return replace(port, status=PortStatus.FREE, hello=hello, board=board)
