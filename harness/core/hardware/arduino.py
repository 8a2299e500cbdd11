"""A board by arduino-cli's name of it: what is known before arduino-cli is asked."""

from __future__ import annotations

import re
from hashlib import sha256

from tinyrig.core.hardware.board import Board
from tinyrig.core.hardware.cores import GENERIC
from tinyrig.core.records import MEASURED

ARDUINO = "arduino:"
"""Before an FQBN, where a board's name may stand."""
FQBN = re.compile(r"[\w.+-]+:[\w.+-]+:[\w.+-]+(:[\w.+-]+=[^@\s:,=]*(,[\w.+-]+=[^@\s:,=]*)*)?", re.ASCII)
"""VENDOR:ARCHITECTURE:BOARD, and perhaps :OPTION=VALUE,... (arduino-cli's documentation, "FQBN")."""
LONGEST_NAME = 64
"""Of a board in the results database."""
BAUD = 115_200
"""Of Serial where it is a UART; USB ports go as fast as they can."""


def platform_of(fqbn: str) -> str:
    """`rp2040:rp2040:rpipico` -> `rp2040:rp2040`, what `arduino-cli core install` takes."""
    return ":".join(fqbn.split(":")[:2])


def board_of(fqbn: str) -> str:
    """Without its options."""
    return ":".join(fqbn.split(":")[:3])


def arduino_board(fqbn: str, name: str = "") -> Board:
    """Clock, memory and processor are found later: by arduino-cli (harness/arduino) and in the firmware's hello."""
    return Board(
        name or _name(fqbn),
        f"{fqbn}, as an Arduino sketch",
        port="sketch",
        flasher="arduino-cli",
        timing=MEASURED,
        clock_hz=0,
        flash_base=0,
        flash_bytes=0,
        ram_base=0,
        ram_bytes=0,
        cpu_flags=(GENERIC,),
        baud=BAUD,
        hello_s=20.0,
        builder="sketch",
        fqbn=fqbn,
    )


def _name(fqbn: str) -> str:
    name = ARDUINO + fqbn
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}-{sha256(name.encode()).hexdigest()[:8]}"
