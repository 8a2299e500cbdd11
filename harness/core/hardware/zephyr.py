"""A board by Zephyr's name of it: what is known before west is asked."""

from __future__ import annotations

import re
from hashlib import sha256

from tinyrig.core.hardware.board import Board
from tinyrig.core.hardware.cores import GENERIC
from tinyrig.core.records import MEASURED

ZEPHYR = "zephyr:"
"""Before a board of Zephyr's, where a board's name may stand."""
ZEPHYR_BOARD = re.compile(r"[a-zA-Z0-9_]+(@[\w.]+)?(/[\w.]*)*", re.ASCII)
"""BOARD[@REVISION][/QUALIFIERS], as `west build -b` takes it (Zephyr's documentation, "Board terminology")."""
LONGEST_NAME = 64
"""Of a board in the results database."""
BAUD = 115_200
"""Of nearly every board's console."""


def zephyr_board(zephyr: str, name: str = "") -> Board:
    """Clock, memory and processor are found later: by west (harness/workload/zephyr) and in the firmware's hello."""
    return Board(
        name or _name(zephyr),
        f"{zephyr}, as a Zephyr application",
        port="zephyr",
        flasher="west",
        timing=MEASURED,
        clock_hz=0,
        flash_base=0,
        flash_bytes=0,
        ram_base=0,
        ram_bytes=0,
        cpu_flags=(GENERIC,),
        baud=BAUD,
        hello_s=20.0,
        builder="zephyr",
        zephyr=zephyr,
    )


def _name(zephyr: str) -> str:
    name = ZEPHYR + zephyr
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}-{sha256(name.encode()).hexdigest()[:8]}"
