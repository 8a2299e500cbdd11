"""BOARDS: a literal table of facts. Behaviour lives elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UserError
from harness.records import ESTIMATED, MEASURED

NANO33_USB_IDS = ("2341:805a", "2341:005a", "2341:015a", "2341:025a")
"""Application, bootloader and the two further ids of the Arduino Nano 33 BLE family."""

VIRTUAL_ID_PREFIX = "5649525455414c"
"""ASCII "VIRTUAL" in hex: the board id every virtual board reports, so that its cycles can't pass for measured."""


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

MLPERF = Board(
    "mlperf", "any board with a firmware of MLPerf Tiny", port="", flasher="", timing=MEASURED, clock_hz=0, flash_base=0,
    flash_bytes=0, ram_base=0, ram_bytes=0, cpu_flags=(), baud=115_200,
)  # fmt: skip
"""Runs what somebody else built and flashed, so nothing of its hardware is known: docs/mlperf.md. Always with a port."""


@dataclass(frozen=True)
class Target:
    """What --board named: a known board, a port, or both. `board` None: recognise it by USB id or hello."""

    board: Board | None
    port: str | None


def parse_board(text: str) -> Target:
    """`virtual`, `nano33ble`, `/dev/ttyACM0`, `socket://host:port` or `name@port` -> Target. Raises UserError."""
    if text in BOARDS:
        return Target(BOARDS[text], None)
    name, at, port = text.partition("@")
    if name == MLPERF.name:
        return Target(MLPERF, _named_port(port))
    if at and name in BOARDS and port:
        return Target(BOARDS[name], port)
    if text.startswith("/") or "://" in text or text.upper().startswith("COM"):
        return Target(None, text)
    raise UserError(
        f"unknown board {text!r}",
        expected=f"one of {', '.join(BOARDS)}, a serial port or URL, or NAME@PORT",
        received=repr(text),
        remedy="run `tinyrig boards` to see known and attached boards",
    )


def _named_port(port: str) -> str:
    if port:
        return port
    raise UserError("the board mlperf can't be found by itself", expected="mlperf@PORT", received="no port",
                    remedy="name its serial port, as --board=mlperf@/dev/ttyACM0")


def recognise_usb(vid_pid: str) -> Board | None:
    """`2341:805a` -> the board that carries this USB id, or None."""
    return next((b for b in BOARDS.values() if vid_pid.lower() in b.usb_ids), None)


def recognise_id(board_id: str, board: Board) -> Board:
    """What its hello says a board is: a virtual one is known by its id, through whatever port it was reached."""
    return BOARDS["virtual"] if board_id.lower().startswith(VIRTUAL_ID_PREFIX) else board
