"""`tinyrig boards`: glue. Known boards, and what hangs on which port."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinyrig.core.errors import EXIT_GOOD

if TYPE_CHECKING:
    from tinyrig.core.boards import Board
    from tinyrig.core.config import Config
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
    told = json.dumps(_json(boards, ports, config), indent=1, allow_nan=False) if arguments.json else text(boards, ports, config)
    print(told)
    return EXIT_GOOD


def text(boards: Sequence[Board], ports: Sequence[Port], config: Config) -> str:
    """Known boards by how they are reached, what is attached, and the words for it."""
    from tabulate import tabulate

    from tinyrig.doctor.ports import PortStatus

    known = _table(boards, config)
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
    return f"{known}\n\nattached\n{attached}{hint}{_to_use(ports, config)}"


def _table(boards: Sequence[Board], config: Config) -> str:
    from tabulate import tabulate

    from tinyrig.doctor.routes import HEADINGS, grouped

    rows = grouped(boards, config)
    titles = ("board", "what", "clock", "flash", "RAM", "cycles", "seen on silicon")
    head, rule, *lines = tabulate(
        [_known(name, board) for _, name, board in rows], titles, "simple", disable_numparse=True
    ).splitlines()
    out, group = [head, rule], None
    for (here, _, _), line in zip(rows, lines, strict=True):
        out += ["", HEADINGS[here]] if here != group else []
        group = here
        out.append(line)
    return "\n".join(out)


def _known(name: str, board: Board) -> tuple[str, ...]:
    from tinyrig.core.records import INSTRUCTIONS

    silicon = "an emulator" if board.starter else board.seen or "not yet"
    memory = [f"{size // 1024} KB" if size else "?" for size in (board.flash_bytes, board.ram_bytes)]
    clock = "-" if board.timing == INSTRUCTIONS else f"{board.clock_hz / 1e6:g} MHz" if board.clock_hz else "?"
    return name, board.title, clock, *memory, board.timing, silicon


def _to_use(ports: Sequence[Port], config: Config) -> str:
    from tinyrig.doctor.routes import offers

    found = {port.port: offers(port, config) for port in ports}
    lines = [f"  {name}:\n" + "\n".join(f"    {words}" for words in some) for name, some in found.items() if some]
    return "\n\nto use what is attached\n" + "\n".join(lines) if lines else ""


def _attached(port: Port) -> tuple[str, ...]:
    hello = port.hello
    firmware = f"build {hello.build_id[:8]}, model {hello.model_sha256[:8]}" if hello else ""
    name = port.board.name if port.board else port.what[:30].replace("n/a", "") or "unknown"
    wired = f" ({_places(port)})" if port.wired else ""
    status = f"{port.status}: {port.detail}" if port.detail else port.status
    return port.port, name + wired, port.usb, port.serial, hello.board_id if hello else "", firmware, status


def _places(port: Port) -> str:
    return ", ".join(wire.which for wire in port.wired)


def _facts(b: Board) -> dict[str, Any]:
    from tinyrig.doctor.routes import reached

    return {
        "name": b.name,
        "title": b.title,
        "clock_hz": b.clock_hz or None,
        "timer_hz": b.timer_hz or b.clock_hz or None,
        "timing": b.timing,
        "flash_bytes": b.flash_bytes or None,
        "ram_bytes": b.ram_bytes or None,
        "usb_ids": list(b.usb_ids),
        "emulator": bool(b.starter),
        "seen_on_silicon": b.seen or None,
        "reached": reached(b),
        "fqbn": b.fqbn or None,
        "zephyr_board": b.zephyr or None,
        "unknown": b.unknown,
    }


def _json(boards: Sequence[Board], ports: Sequence[Port], config: Config) -> dict[str, Any]:
    """What is not known is null; `unknown` says why."""
    from tinyrig.doctor.routes import offers

    return {
        "schema": SCHEMA,
        "known": [_facts(b) for b in boards],
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
                "offers": list(offers(p, config)),
            }
            for p in ports
        ],
    }
