"""[boards.NAME] of rig.toml: facts of a board that is the user's own, beside where it is wired.

A board is described in full, by `like`, a known board whose facts it takes where it names none of its own, or by the name that
another build system has for it and knows the rest: `fqbn` for arduino-cli, `zephyr_board` for west.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

from tinyrig.core.boards import BOARDS, Board
from tinyrig.core.checked import KEYS, OneOf, Text, Texts, Whole
from tinyrig.core.errors import UserError
from tinyrig.core.hardware.arduino import FQBN, arduino_board
from tinyrig.core.hardware.zephyr import ZEPHYR_BOARD, zephyr_board
from tinyrig.core.records import INSTRUCTIONS, MEASURED

NEEDED = ("port", "clock_hz", "flash_base", "flash_bytes", "ram_base", "ram_bytes")
BESIDE_FQBN = ("fqbn", "title", "usb_ids", "flash_bytes", "ram_bytes")
"""What else is known of a board that arduino-cli builds for; the memory only where arduino-cli does not tell it."""
BESIDE_ZEPHYR = ("builder", "zephyr_board", "zephyr_snippets", "title", "usb_ids", "baud", "flash_bytes", "ram_bytes")
"""The same where west builds."""
TIMINGS = (MEASURED, INSTRUCTIONS)
PLACEHOLDERS = ("bin", "elf", "port", "base")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,30}")


def _usb_ids(ids: tuple[str, ...]) -> tuple[str, ...]:
    if not all(re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", text.lower()) for text in ids):
        raise ValueError(ids)
    return tuple(text.lower() for text in ids)


def _command(words: tuple[str, ...]) -> tuple[str, ...]:
    found = {name for word in words for name in re.findall(r"\{([^{}]*)\}", word)}
    if found - set(PLACEHOLDERS) or not {"bin", "elf"} & found:
        raise ValueError(words)
    return words


def _fqbn(text: str) -> str:
    if not FQBN.fullmatch(text):
        raise ValueError(text)
    return text


def _zephyr(text: str) -> str:
    if not ZEPHYR_BOARD.fullmatch(text):
        raise ValueError(text)
    return text


_COMMAND = "a list of texts, {bin} or {elf} in one of them and no others than " + ", ".join(f"{{{p}}}" for p in PLACEHOLDERS)


@dataclass(frozen=True)
class Wiring:
    """Where one board is wired, and which one may answer there."""

    link: Annotated[str, Text()] = ""
    """Its serial line; `swd` or `gdb://HOST:PORT`: its debug probe is the line (docs/probe_link.md)."""
    flash: Annotated[str, Text()] = ""
    """The bootloader's USB port."""
    id: Annotated[str, Text()] = ""
    """The only board that may answer there, 16 hex digits as `tinyrig run` prints them; empty: any."""
    usb_serial: Annotated[str, Text()] = ""
    """Serial number of the USB device that carries the ports which are not named."""
    kind: Annotated[str, Text()] = ""
    """The known board that this one is (`virtual#3`: the virtual one with this number); empty: its own name."""
    faults: Annotated[tuple[str, ...], Texts(commas=True)] = ()
    """What this virtual board injects, beside what all of them do."""
    flasher: Annotated[str, Text()] = ""
    """Another way to flash it than its record says."""
    probe: Annotated[str, Text()] = ""
    """The id of its debug probe; empty: the only one."""


@dataclass(frozen=True)
class BoardTable(Wiring):
    """[boards.NAME]: how a board is wired, and the facts of one that is the user's own."""

    __pydantic_config__ = KEYS

    like: Annotated[str | None, Text(least=1)] = None
    """A known board whose facts it takes over where it names none of its own."""
    fqbn: Annotated[str | None, Text('a name like "rp2040:rp2040:rpipico"', least=1, accept=_fqbn)] = None
    """arduino-cli's name of a board that has an Arduino core: the firmware is a sketch (docs/your_board.md)."""
    builder: Annotated[str | None, OneOf(("zephyr",))] = None
    """Another build system than tinyrig's own; what it builds for is zephyr_board."""
    zephyr_board: Annotated[str | None, Text('a name like "nucleo_f401re"', least=1, accept=_zephyr)] = None
    """Zephyr's name of a board: the firmware is a Zephyr application that west builds (docs/zephyr.md)."""
    zephyr_snippets: Annotated[tuple[str, ...] | None, Texts('a list of texts, like ["cdc-acm-console"]', least=1)] = None
    """Zephyr's snippets to build with, as `west build -S` takes them."""
    title: Annotated[str | None, Text(least=1)] = None
    """For lists of boards."""
    timing: Annotated[str | None, OneOf(TIMINGS)] = None
    """What its counter counts: cycles of a clock, or instructions."""
    port: Annotated[str | None, Text(least=1)] = None
    """The folder with port.c, beside rig.toml; or the name of one of tinyrig's own."""
    clock_hz: Annotated[int | None, Whole(1_000_000, 10_000_000_000, strict=True)] = None
    """What port_cycles counts in a second."""
    baud: Annotated[int | None, Whole(1200, 12_000_000, strict=True)] = None
    """Of its serial line; 115200 where neither this nor `like` says it."""
    flash_base: Annotated[int | None, Whole(0, 0xFFFF_FFFF, 512, strict=True)] = None
    """Where an image begins, with the vector table."""
    flash_bytes: Annotated[int | None, Whole(4096, 1 << 30, 4, strict=True)] = None
    """What an image may take."""
    ram_base: Annotated[int | None, Whole(0, 0xFFFF_FFFF, 8, strict=True)] = None
    ram_bytes: Annotated[int | None, Whole(8192, 1 << 30, 8, strict=True)] = None
    """The firmware and at least 4 KiB of stack must fit."""
    cpu_flags: Annotated[tuple[str, ...] | None, Texts(least=1)] = None
    """The compiler's options for its processor."""
    usb_ids: Annotated[tuple[str, ...] | None, Texts('a list of ids like "2341:805a"', least=1, accept=_usb_ids)] = None
    """By which it is recognised, like "2341:805a"."""
    flash_command: Annotated[tuple[str, ...] | None, Texts(_COMMAND, least=1, accept=_command)] = None
    """Flashes it, without a shell; {bin} or {elf} is the image, {port} its port, {base} the address."""


FACTS = tuple(f.name for f in fields(BoardTable) if f.name not in {w.name for w in fields(Wiring)})


def own_board(name: str, table: BoardTable, file: Path | None) -> Board | None:
    """The board that the facts in `table` describe; None where it has none, only the wiring of a known board.
    A relative `port` is looked for beside `file`. Raises UserError."""
    facts = {key: value for key in FACTS if (value := getattr(table, key)) is not None}
    if not facts:
        return None
    reader = _Reader(name, file)
    reader.check_name()
    if "fqbn" in facts:
        return reader.arduino(facts)
    if facts.keys() & {"builder", "zephyr_board", "zephyr_snippets"}:
        return reader.zephyr(facts)
    base = reader.base(facts)
    if base is None:
        reader.check_complete(facts)
    given = {key: value for key, value in facts.items() if key != "like"}
    if "port" in given:
        given["port"] = reader.port(given["port"])
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
    """What the facts of one board must be to each other and to what is known."""

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
            raise self.fault("not a board's name", "at most 31 letters, digits, _ . and -, unlike a port's", self._name)

    def arduino(self, facts: Mapping[str, Any]) -> Board:
        if other := [key for key in facts if key not in BESIDE_FQBN]:
            beside = ", ".join(BESIDE_FQBN[1:])
            raise self.fault(f"fqbn and {other[0]} exclude each other", f"beside fqbn only {beside}", ", ".join(other))
        board = arduino_board(facts["fqbn"], self._name)
        return replace(board, **{"title": f"{self._name} ({board.fqbn})", **facts})

    def zephyr(self, facts: Mapping[str, Any]) -> Board:
        if other := [key for key in facts if key not in BESIDE_ZEPHYR]:
            beside = ", ".join(BESIDE_ZEPHYR)
            raise self.fault(f"{other[0]} is no fact of a board that west builds for", f"only {beside}", ", ".join(other))
        if "zephyr_board" not in facts:
            given = next(key for key in ("builder", "zephyr_snippets") if key in facts)
            raise self.fault(
                "zephyr_board is missing", f'zephyr_board = "NAME", as `west boards` lists it, beside {given}', "none"
            )
        board = zephyr_board(facts["zephyr_board"], self._name)
        more = {key: value for key, value in facts.items() if key not in ("builder", "zephyr_board")}
        return replace(board, **{"title": f"{self._name} ({board.zephyr}, Zephyr)", **more})

    def base(self, facts: Mapping[str, Any]) -> Board | None:
        like = facts.get("like")
        if like is not None and like not in BOARDS:
            near = difflib.get_close_matches(like, BOARDS, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise self.fault("like names no known board", f"{' or '.join(BOARDS)}{hint}", like)
        return BOARDS[like] if like else None

    def check_complete(self, facts: Mapping[str, Any]) -> None:
        missing = [key for key in NEEDED if key not in facts]
        if missing:
            raise self.fault("facts are missing", f"{', '.join(NEEDED)}, or like = a known board", f"no {', '.join(missing)}")

    def port(self, value: str) -> str:
        """Its folder as an absolute path; a name without any slash may also be one of tinyrig's own ports."""
        folder = ((self._file.parent if self._file else Path.cwd()) / value).resolve()
        if not folder.is_dir() and value in {board.port for board in BOARDS.values()}:
            return value
        if not (folder / "port.c").is_file():
            raise self.fault(
                "port is not a port's folder", f"port.c in {folder}", "no port.c" if folder.is_dir() else "no such folder"
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
