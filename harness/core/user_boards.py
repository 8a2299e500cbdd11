"""[boards.NAME] of rig.toml: facts of a board that is the user's own, beside where it is wired.

A board is described in full, or by `like`, a known board whose facts it takes where it names none of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinyrig.core.boards import BOARDS, Board
from tinyrig.core.errors import UserError
from tinyrig.core.records import INSTRUCTIONS, MEASURED

NEEDED = ("port", "clock_hz", "flash_base", "flash_bytes", "ram_base", "ram_bytes")
NUMBERS = {
    # fact: (least, most, what it must be a multiple of)
    "clock_hz": (1_000_000, 10_000_000_000, 1),
    "baud": (1200, 12_000_000, 1),
    "flash_base": (0, 0xFFFF_FFFF, 512),
    "flash_bytes": (4096, 1 << 30, 4),
    "ram_base": (0, 0xFFFF_FFFF, 8),
    "ram_bytes": (8192, 1 << 30, 8),
}
WHY = {
    "clock_hz": "what port_cycles counts in a second",
    "flash_base": "the vector table stands there",
    "ram_bytes": "firmware and at least 4 KiB of stack must fit",
}
LISTS = ("cpu_flags", "usb_ids", "flash_command")
FACTS = ("like", "title", "timing", "port", *NUMBERS, *LISTS)
TIMINGS = (MEASURED, INSTRUCTIONS)
PLACEHOLDERS = ("bin", "elf", "port", "base")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}")


def own_board(name: str, table: Mapping[str, Any], file: Path | None) -> Board | None:
    """The board that the facts in `table` describe; None where it has none, so that only the wiring of a known board is told.
    A relative `port` is looked for beside `file`. Raises UserError."""
    facts = {key: table[key] for key in FACTS if key in table}
    if not facts:
        return None
    reader = _Reader(name, file)
    reader.check_name()
    base = reader.base(facts)
    if base is None:
        reader.check_complete(facts)
    given = {key: reader.read(key, value) for key, value in facts.items() if key != "like"}
    if "flash_command" in given:
        given["flasher"] = "command"
    own = replace(base, name=name, **given) if base else Board(**{**_defaults(name), **given})
    reader.check_memory(own)
    return own


def _defaults(name: str) -> dict[str, Any]:
    cpu_flags = BOARDS["virtual"].cpu_flags
    return {
        "name": name,
        "title": f"{name} (rig.toml)",
        "flasher": "none",
        "timing": MEASURED,
        "cpu_flags": cpu_flags,
        "baud": 115_200,
    }


class _Reader:
    """Facts of one board -> values of its record."""

    def __init__(self, name: str, file: Path | None) -> None:
        self._name, self._file = name, file

    def fault(self, what: str, expected: str, received: object) -> UserError:
        return UserError(
            f"{self._file or 'rig.toml'}: [boards.{self._name}]: {what}",
            expected=expected,
            received=repr(received)[:200],
            remedy="correct it; docs/porting.md explains every key",
        )

    def check_name(self) -> None:
        if self._name in BOARDS:
            raise self.fault("this board's facts are known", "only link, flash and id", self._name)
        if not NAME.fullmatch(self._name) or self._name.upper().startswith("COM"):
            raise self.fault("not a board's name", "letters, digits, _ . and -, 31 at most, not like a port's", self._name)

    def base(self, facts: Mapping[str, Any]) -> Board | None:
        like = facts.get("like")
        if like is not None and (not isinstance(like, str) or like not in BOARDS):
            raise self.fault("like names no known board", " or ".join(BOARDS), like)
        return BOARDS[like] if like else None

    def check_complete(self, facts: Mapping[str, Any]) -> None:
        missing = [key for key in NEEDED if key not in facts]
        if missing:
            raise self.fault("facts are missing", f"{', '.join(NEEDED)}, or like = a known board", f"no {', '.join(missing)}")

    def read(self, key: str, value: Any) -> Any:
        if key in NUMBERS:
            return self._number(key, value)
        if key in LISTS:
            return self._texts(key, value)
        if not isinstance(value, str) or not value.isprintable() or not value:
            raise self.fault(f"{key} can't be used", "a text", value)
        if key == "timing" and value not in TIMINGS:
            raise self.fault("timing can't be used", " or ".join(TIMINGS), value)
        return self._port(value) if key == "port" else value

    def _number(self, key: str, value: Any) -> int:
        least, most, step = NUMBERS[key]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most or value % step:
            multiple = f", a multiple of {step}" if step > 1 else ""
            why = f" ({WHY[key]})" if key in WHY else ""
            raise self.fault(f"{key} can't be used", f"a whole number from {least} to {most}{multiple}{why}", value)
        return value

    def _texts(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not value or not all(isinstance(v, str) and v.isprintable() for v in value):
            raise self.fault(f"{key} can't be used", "a list of texts", value)
        if key == "usb_ids" and not all(re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", v.lower()) for v in value):
            raise self.fault("usb_ids can't be used", 'ids like "2341:805a"', value)
        if key == "flash_command":
            self._check_command(value)
        return tuple(v.lower() if key == "usb_ids" else v for v in value)

    def _check_command(self, words: list[str]) -> None:
        found = [name for word in words for name in re.findall(r"\{([^{}]*)\}", word)]
        unknown = sorted(set(found) - set(PLACEHOLDERS))
        if unknown or not {"bin", "elf"} & set(found):
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise self.fault("flash_command can't be used", f"{{bin}} or {{elf}} in it, and no others than {known}", words)

    def _port(self, value: str) -> str:
        """Its folder as an absolute path; a name without any slash may also be one of tinyrig's own ports."""
        folder = ((self._file.parent if self._file else Path.cwd()) / value).resolve()
        if not folder.is_dir() and value in {board.port for board in BOARDS.values()}:
            return value
        if not (folder / "port.c").is_file():
            raise self.fault(
                "port is no port's folder", f"port.c in {folder}", "no port.c" if folder.is_dir() else "no such folder"
            )
        return str(folder)

    def check_memory(self, board: Board) -> None:
        flash = range(board.flash_base, board.flash_base + board.flash_bytes)
        ram = range(board.ram_base, board.ram_base + board.ram_bytes)
        if max(flash.stop, ram.stop) > 1 << 32:
            raise self.fault("memory ends beyond 32 bits", "at most 0x100000000", hex(max(flash.stop, ram.stop)))
        if flash.start < ram.stop and ram.start < flash.stop:
            raise self.fault(
                "flash and RAM overlap",
                "two separate ranges",
                f"flash {flash.start:#x} to {flash.stop:#x}, RAM {ram.start:#x} to {ram.stop:#x}",
            )
