"""`tinyrig boards`: glue. Known boards, and what hangs on which port."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinyrig.core.errors import EXIT_GOOD

if TYPE_CHECKING:
    from tinyrig.core.boards import Board
    from tinyrig.doctor.ports import Port

SCHEMA = 1
ANSWER_S = 8.0
"""For all ports at once; one that nobody answers on is given up after 2 s, one that can't be opened sooner."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The `boards` command, for cli.py."""
    parser = commands.add_parser("boards", help="list known and attached boards")
    parser.add_argument("--ask", action="store_true", help="also say hello on unknown ports; may disturb other devices")
    parser.add_argument("--no-ask", action="store_true", help="open no port")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    parser.set_defaults(command=_boards)


def _boards(arguments: argparse.Namespace) -> int:
    from tinyrig.core.boards import known_boards
    from tinyrig.core.config import load_config
    from tinyrig.doctor.examine import survey
    from tinyrig.doctor.ports import ask

    config = load_config()
    touch = (lambda port: port) if arguments.no_ask else ask
    ports, boards = survey(config, ANSWER_S, touch, arguments.ask), list(known_boards(config.boards).values())
    print(json.dumps(_json(boards, ports), indent=1, allow_nan=False) if arguments.json else text(boards, ports))
    return EXIT_GOOD


def text(boards: Sequence[Board], ports: Sequence[Port]) -> str:
    from tabulate import tabulate

    from tinyrig.doctor.ports import PortStatus

    titles = ("board", "what", "clock", "flash", "RAM", "cycles", "seen on silicon")
    known = tabulate([_known(b) for b in boards], titles, "simple", disable_numparse=True)
    if not ports:
        return f"{known}\n\nattached: no serial ports"
    attached = tabulate(
        [_attached(p) for p in ports],
        ("port", "board", "USB", "USB serial", "chip id", "firmware", "status"),
        "simple",
        disable_numparse=True,
    )
    unknown = any(not p.known and p.status == PortStatus.NOT_ASKED for p in ports)
    hint = "\n\nnot asked: nothing is sent to ports that neither a USB id nor rig.toml knows; --ask does" if unknown else ""
    return f"{known}\n\nattached\n{attached}{hint}"


def _known(board: Board) -> tuple[str, ...]:
    silicon = "an emulator" if board.starter else board.seen or "not yet"
    memory = (f"{board.flash_bytes // 1024} KB", f"{board.ram_bytes // 1024} KB")
    from tinyrig.core.records import INSTRUCTIONS

    clock = "-" if board.timing == INSTRUCTIONS else f"{board.clock_hz / 1e6:g} MHz"
    return board.name, board.title, clock, *memory, board.timing, silicon


def _attached(port: Port) -> tuple[str, ...]:
    hello = port.hello
    firmware = f"build {hello.build_id[:8]}, model {hello.model_sha256[:8]}" if hello else ""
    name = port.board.name if port.board else port.what[:30].replace("n/a", "") or "unknown"
    wired = f" ({_places(port)})" if port.wired else ""
    status = f"{port.status}: {port.detail}" if port.detail else port.status
    return port.port, name + wired, port.usb, port.serial, hello.board_id if hello else "", firmware, status


def _places(port: Port) -> str:
    return ", ".join(wire.which for wire in port.wired)


def _json(boards: Sequence[Board], ports: Sequence[Port]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "known": [
            {
                "name": b.name,
                "title": b.title,
                "clock_hz": b.clock_hz,
                "timer_hz": b.timer_hz or b.clock_hz,
                "timing": b.timing,
                "flash_bytes": b.flash_bytes,
                "ram_bytes": b.ram_bytes,
                "usb_ids": list(b.usb_ids),
                "emulator": bool(b.starter),
                "seen_on_silicon": b.seen or None,
            }
            for b in boards
        ],
        "ports": [
            {
                "port": p.port,
                "usb": p.usb or None,
                "usb_serial": p.serial or None,
                "board": p.board.name if p.board else None,
                "wired": [str(wire) for wire in p.wired],
                "status": p.status,
                "detail": p.detail or None,
                "chip_id": p.hello.board_id if p.hello else None,
                "build_id": p.hello.build_id if p.hello else None,
                "model_sha256": p.hello.model_sha256 if p.hello else None,
                "engine": p.hello.engine if p.hello else None,
            }
            for p in ports
        ],
    }
