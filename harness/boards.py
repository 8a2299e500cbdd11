"""BOARDS: a literal table of facts. Behaviour lives elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import UserError
from harness.records import ESTIMATED, MEASURED

NANO33_USB_IDS = ("2341:805a", "2341:005a", "2341:015a", "2341:025a")
"""Application, bootloader and the two further ids of the Arduino Nano 33 BLE family."""

VIRTUAL_ID_PREFIX = "5649525455414c"
"""ASCII "VIRTUAL" in hex: the board id every virtual board reports, so that its cycles can't pass for measured."""

USB_PORT = "usb:"
"""`usb:SERIAL`: the port of the USB device with this serial number, whatever tty it is now."""


@dataclass(frozen=True)
class Board:
    """Memory in bytes, clock in Hz. `flash_base`/`flash_bytes` are what the bootloader leaves to an image.

    flash_s, hello_s, window_s: time limits in seconds where rig.toml's [limits] say nothing.
    """

    name: str
    title: str
    port: str
    flasher: str
    timing: str
    clock_hz: int
    flash_base: int
    flash_bytes: int
    ram_base: int
    ram_bytes: int
    cpu_flags: tuple[str, ...]
    baud: int
    usb_ids: tuple[str, ...] = ()
    flash_s: float = 180.0  # erasing takes at most 22 s; 960 KiB at 115200 baud about 90 s, and are read back
    hello_s: float = 10.0
    window_s: float = 30.0


_CORTEX_M4F = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
# Arduino's bootloader starts images at 0x10000 and accepts 983,040 bytes (1 MiB less 64 KiB).
_NANO33 = dict(
    port="nrf52840", clock_hz=64_000_000, flash_base=0x10000, flash_bytes=983_040,
    ram_base=0x20000000, ram_bytes=262_144, cpu_flags=_CORTEX_M4F, baud=1_000_000,
)

BOARDS: dict[str, Board] = {
    b.name: b
    for b in (
        Board("virtual", "virtual nRF52840 (Arduino Nano 33 BLE memory map)", flasher="nano33", timing=ESTIMATED, **_NANO33),
        Board("nano33ble", "Arduino Nano 33 BLE (Sense)", flasher="nano33", timing=MEASURED, usb_ids=NANO33_USB_IDS, **_NANO33),
    )
}


@dataclass(frozen=True)
class Target:
    """What --board named: a known board, a port, or both. `board` None: recognise it by USB id or hello. `entry` is its name
    under [boards] in rig.toml, empty where it goes by its kind; `number`, the last byte of its id, tells virtual boards apart."""

    board: Board | None
    port: str | None
    entry: str = ""
    number: int = 0


def parse_board(text: str, entries: Mapping[str, Any] | None = None) -> Target:
    """`virtual`, `virtual#3`, `nano33ble`, `/dev/ttyACM0`, `usb:SERIAL`, `socket://host:port` or `name@port` -> Target.
    `entries`: rig.toml's [boards], whose names are known too. Raises UserError."""
    name, at, port = text.partition("@")
    known = _known(name, entries or {})
    if known and bool(at) == bool(port) and not (port and known.number):
        return replace(known, port=port or None)
    if text.startswith(("/", USB_PORT)) or "://" in text or text.upper().startswith("COM"):
        return Target(None, text)
    raise UserError(
        f"unknown board {text!r}",
        expected=f"one of {', '.join({**BOARDS, **(entries or {})})}, virtual#NUMBER, a serial port or URL, or NAME@PORT",
        received=repr(text),
        remedy="run `tinyrig boards` to see known and attached boards",
    )


def _known(name: str, entries: Mapping[str, Any]) -> Target | None:
    """A board of the table or of rig.toml by its name."""
    kind = getattr(entries.get(name), "kind", "")
    if kind:
        known = _known(kind, {})
        if known is None:
            raise UserError(
                f"[boards.{name}] in rig.toml is of no known kind", expected=f"one of {', '.join(BOARDS)}, or virtual#NUMBER",
                received=f"kind = {kind!r}", remedy="correct it; `tinyrig boards` lists what is known",
            )  # fmt: skip
        return replace(known, entry=name)
    base, mark, number = name.partition("#")
    if mark and base == "virtual" and re.fullmatch(r"[0-9]{1,3}", number) and int(number) <= 255:
        return Target(BOARDS[base], None, number=int(number))
    return Target(BOARDS[name], None) if name in BOARDS else None


def recognise_usb(vid_pid: str) -> Board | None:
    """`2341:805a` -> the board that carries this USB id, or None."""
    return next((b for b in BOARDS.values() if vid_pid.lower() in b.usb_ids), None)


def recognise_id(board_id: str, board: Board) -> Board:
    """What its hello says a board is: a virtual one is known by its id, through whatever port it was reached."""
    return BOARDS["virtual"] if board_id.lower().startswith(VIRTUAL_ID_PREFIX) else board
