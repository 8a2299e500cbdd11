"""BOARDS: a literal table of facts. Behaviour lives elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tinyrig.core.errors import UserError
from tinyrig.core.hardware.arduino import ARDUINO, FQBN, arduino_board
from tinyrig.core.hardware.board import Board as Board
from tinyrig.core.hardware.emulated import EMULATED
from tinyrig.core.hardware.owned import OWNED, SHARED
from tinyrig.core.hardware.zephyr import ZEPHYR, ZEPHYR_BOARD, zephyr_board
from tinyrig.core.records import ESTIMATED, INSTRUCTIONS, MEASURED

NANO33_USB_IDS = ("2341:805a", "2341:005a", "2341:015a", "2341:025a")
"""Application, bootloader and the two further ids of the Arduino Nano 33 BLE family."""

NUCLEO_USB_IDS = ("0483:374b", "0483:374e", "0483:374f")
"""ST-LINK/V2-1, and V3 in its two variants: their USB serial port. Every Nucleo board has them."""

VIRTUAL_ID_PREFIX = "5649525455414c"
"""ASCII "VIRTUAL" in hex: the board id every virtual board reports, so that its cycles can't pass for measured."""

QEMU_ID_PREFIX = "51454d55"
"""ASCII "QEMU" in hex: what boards inside QEMU report, so that their instructions can't pass for measured cycles."""

USB_PORT = "usb:"
"""`usb:SERIAL`: the port of the USB device with this serial number, whatever tty it is now."""


PLACE = "labgrid:"
"""Before the name of a labgrid place, where a port may stand."""


_CORTEX_M4F = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
# Arduino's bootloader starts images at 0x10000 and accepts 983,040 bytes (1 MiB less 64 KiB).
_NANO33 = Board(
    "",
    "",
    port="nrf52840",
    flasher="nano33",
    timing=MEASURED,
    clock_hz=64_000_000,
    flash_base=0x10000,
    flash_bytes=983_040,
    ram_base=0x20000000,
    ram_bytes=262_144,
    cpu_flags=_CORTEX_M4F,
    baud=1_000_000,
)
_PICO_UART = Board(
    "pico-uart",
    "Raspberry Pi Pico (RP2040), bare metal, data over GP0 and GP1",
    port="rp2040",
    flasher="pyocd",
    timing=MEASURED,
    clock_hz=125_000_000,
    flash_base=0x10000000,
    flash_bytes=2_097_152,
    ram_base=0x20000000,
    ram_bytes=262_144,  # the four banks that are striped; the other 8 KiB are left alone
    cpu_flags=("-mcpu=cortex-m0plus", "-mthumb", "-mfloat-abi=soft"),
    baud=1_000_000,
    swd_target="rp2040",
    pins="TX GP0, RX GP1",
)
# What Mbed OS leaves: a sketch that does nothing has 44,560 bytes of variables, and its threads and USB need some of the heap.
_BESIDE_MBED = 65_536

BOARDS: dict[str, Board] = {
    b.name: b
    for b in (
        replace(
            _NANO33,
            name="virtual",
            title="virtual nRF52840 (Arduino Nano 33 BLE memory map)",
            timing=ESTIMATED,
            starter="virtual",
        ),
        replace(
            _NANO33,
            name="nano33ble",
            title="Arduino Nano 33 BLE (Sense), over its own USB port",
            port="arduino",
            flasher="arduino-cli",
            ram_bytes=_NANO33.ram_bytes - _BESIDE_MBED,
            usb_ids=NANO33_USB_IDS,
            hello_s=20.0,
            builder="arduino",
        ),
        replace(
            _NANO33,
            name="nano33ble-uart",
            title="Arduino Nano 33 BLE (Sense), bare metal, data over its Serial1 pins",
            usb_ids=NANO33_USB_IDS,
            swd_target="nrf52840",
            pins="TX P1.03, RX P1.10",
        ),
        Board(
            "nucleo-f401re",
            "ST NUCLEO-F401RE (STM32F401RE)",
            port="stm32f401",
            flasher="probe",
            timing=MEASURED,
            clock_hz=84_000_000,
            flash_base=0x08000000,
            flash_bytes=524_288,
            ram_base=0x20000000,
            ram_bytes=98_304,
            cpu_flags=_CORTEX_M4F,
            baud=460_800,
            usb_ids=NUCLEO_USB_IDS,
            swd_target="stm32f401retx",
            sector_bytes=16_384,
        ),
        # The DK has no bootloader, and its serial port is on other pins than the Nano's: its debug probe is flasher and line.
        replace(
            _NANO33,
            name="nrf52840dk",
            title="Nordic nRF52840 DK, bare metal, through its debug probe",
            flasher="pyocd",
            flash_base=0,
            flash_bytes=1_048_576,
            swd_target="nrf52840",
        ),
        *(entry.board for entry in OWNED),
        _PICO_UART,
        replace(
            _PICO_UART,
            name="rp2040js",
            title="rp2040js' RP2040 (Cortex-M0+, the Pico's own image)",
            timing=INSTRUCTIONS,
            flasher="none",
            starter="rp2040js",
            swd_target="",
            pins="",
        ),
        *EMULATED,
    )
}

RP2040JS_ID = "5250323034304a53"
"""ASCII "RP2040JS" in hex: what an RP2040 says whose flash has no number, as no chip's does (firmware/port/rp2040)."""

EMULATORS = {VIRTUAL_ID_PREFIX: "virtual", QEMU_ID_PREFIX: "qemu", RP2040JS_ID: "rp2040js"}
"""By what the ids of emulated boards begin with."""

MLPERF = "mlperf"
"""Instead of a board's name: any board that runs a firmware of MLPerf Tiny."""


@dataclass(frozen=True)
class BoardTarget:
    """A board for our own firmware, as --board named it: a known board, a port, or both.

    board: None: recognise it by USB id or hello. entry: its name under [boards] in rig.toml, empty where it goes by its kind.
    number: the last byte of its id, which distinguishes virtual boards.
    """

    board: Board | None
    port: str | None
    entry: str = ""
    number: int = 0


@dataclass(frozen=True)
class MlperfTarget:
    """A port behind which a firmware of MLPerf Tiny runs. Somebody else built and flashed it, so nothing is known of the board's
    hardware: docs/mlperf.md."""

    port: str


Target = BoardTarget | MlperfTarget


def known_boards(entries: Mapping[str, Any] | None = None) -> dict[str, Board]:
    """The user's own boards among rig.toml's [boards] (`entries`), then BOARDS."""
    own = {name: entry.own for name, entry in (entries or {}).items() if getattr(entry, "own", None)}
    return {**own, **BOARDS}


def parse_board(text: str, entries: Mapping[str, Any] | None = None) -> Target:
    """`virtual`, `virtual#3`, `nano33ble`, `arduino:FQBN`, `zephyr:BOARD`, `/dev/ttyACM0`, `usb:SERIAL`, `socket://host:port`,
    `labgrid:PLACE` or `name@port` -> BoardTarget, `mlperf@port` -> MlperfTarget. `entries`: rig.toml's [boards], whose names are
    known too. Raises UserError."""
    name, at, port = text.partition("@")
    if name == MLPERF:
        return MlperfTarget(_named_port(port))
    known = _known(name, entries or {})
    if known and bool(at) == bool(port) and not (port and known.number):
        check_place(port)
        return replace(known, port=port or None)
    check_place(text)
    if text.startswith(("/", USB_PORT, PLACE)) or "://" in text or text.upper().startswith("COM"):
        return BoardTarget(None, text)
    names = ", ".join({**BOARDS, **(entries or {})})
    meant = "name a port behind the @; " if at and not port else ""
    meant = f"write --board={ARDUINO}{text}; " if FQBN.fullmatch(name) else meant
    raise UserError(
        f"unknown board {text!r}",
        expected=f"one of {names}, virtual#NUMBER, arduino:FQBN, zephyr:BOARD, a serial port or URL, or NAME@PORT",
        received=repr(text),
        remedy=f"{meant}run `tinyrig boards` to see known and attached boards",
    )


def names_mlperf(text: str) -> bool:
    """Whether --board, or a stored run's, names an MlperfTarget."""
    return text.partition("@")[0] == MLPERF


def parse_own_board(text: str, entries: Mapping[str, Any] | None = None, what: str = "") -> BoardTarget:
    """parse_board() where only our own firmware will do; `what` begins the error for another. Raises UserError."""
    return own_target(parse_board(text, entries), what)


def own_target(target: Target, what: str = "") -> BoardTarget:
    """Raises UserError for a firmware that somebody else built."""
    if isinstance(target, BoardTarget):
        return target
    raise UserError(
        what or "this needs our own firmware on the board",
        expected="a board of `tinyrig boards`",
        received="mlperf, whose firmware somebody else built",
        remedy="tinyrig run --board=mlperf@PORT --windows FILE.npz [--model FILE.tflite]",
    )


def _named_port(port: str) -> str:
    if port:
        return port
    raise UserError(
        "the board mlperf can't be found automatically",
        expected="mlperf@PORT",
        received="no port",
        remedy="name its serial port, as --board=mlperf@/dev/ttyACM0",
    )


def _known(name: str, entries: Mapping[str, Any]) -> BoardTarget | None:
    """A board of the table or of rig.toml by its name."""
    kind = getattr(entries.get(name), "kind", "")
    boards = known_boards(entries)
    if kind:
        known = _known(kind, {n: entry for n, entry in entries.items() if not getattr(entry, "kind", "")})
        if known is None:
            raise UserError(
                f"[boards.{name}] in rig.toml is of no known kind",
                expected=f"one of {', '.join(boards)}, or virtual#NUMBER",
                received=f"kind = {kind!r}",
                remedy="correct it; `tinyrig boards` lists what is known",
            )
        return replace(known, entry=name)
    if name.startswith(ARDUINO):
        return BoardTarget(by_fqbn(name.removeprefix(ARDUINO)), None)
    if name.startswith(ZEPHYR):
        return BoardTarget(by_zephyr(name.removeprefix(ZEPHYR)), None)
    base, mark, number = name.partition("#")
    if mark and base == "virtual" and re.fullmatch(r"[0-9]{1,3}", number) and int(number) <= 255:
        return BoardTarget(BOARDS[base], None, number=int(number))
    return BoardTarget(boards[name], None) if name in boards else None


def by_fqbn(fqbn: str) -> Board:
    """The board of the table that is built so, else one of which only this is known. Raises UserError for what is no FQBN."""
    if not FQBN.fullmatch(fqbn):
        raise UserError(
            f"{fqbn!r} is no FQBN, arduino-cli's name of a board",
            expected="VENDOR:ARCHITECTURE:BOARD, as in arduino:rp2040:rp2040:rpipico@/dev/ttyACM0",
            received=repr(fqbn)[:200],
            remedy="run `arduino-cli board list`, or `arduino-cli board listall WORD`, to see the FQBN of your board",
        )
    return next((b for b in BOARDS.values() if b.fqbn == fqbn), None) or arduino_board(fqbn)


def by_zephyr(board: str) -> Board:
    """Raises UserError for what can't be a board of Zephyr's."""
    if ZEPHYR_BOARD.fullmatch(board):
        return zephyr_board(board)
    raise UserError(
        f"{board!r} is no name of a board that Zephyr has",
        expected="BOARD or BOARD/QUALIFIERS, as in zephyr:nucleo_f401re@/dev/ttyACM0",
        received=repr(board)[:200],
        remedy="run `west boards` to see them; a board with a revision goes into rig.toml (docs/zephyr.md)",
    )


def check_place(port: str) -> None:
    """Raises UserError for `labgrid:` before what can't be the name of a place. Ports of other kinds pass."""
    name = port.removeprefix(PLACE)
    if port.startswith(PLACE) and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name):
        raise UserError(
            "no labgrid place can have this name",
            expected="labgrid:PLACE, of letters, digits and _.-",
            received=repr(port)[:200],
            remedy="run `labgrid-client places` to see their names",
        )


def recognise_usb(vid_pid: str, entries: Mapping[str, Any] | None = None) -> Board | None:
    """`2341:805a` -> the first board that carries this USB id, the user's own before all others, or None."""
    return next((b for b in known_boards(entries).values() if vid_pid.lower() in b.usb_ids), None)


def sharing(vid_pid: str, entries: Mapping[str, Any] | None = None) -> list[Board]:
    """The boards that could be meant by a USB id which tells the probe or the chip's maker only; empty for an id that tells the
    board, or that the user's rig.toml gives to one."""
    usb = vid_pid.lower()
    own = [b for name, b in known_boards(entries).items() if usb in b.usb_ids and name not in BOARDS]
    return [] if own or usb not in SHARED else [b for b in BOARDS.values() if usb in b.usb_ids]


def recognise_id(board_id: str, board: Board) -> Board:
    """What its hello says a board is: an emulated one is known by its id, through whatever port it was reached. A board whose
    record says the same of its timing keeps its name."""
    found = next((BOARDS[name] for prefix, name in EMULATORS.items() if board_id.lower().startswith(prefix)), board)
    return board if found.timing == board.timing else found
