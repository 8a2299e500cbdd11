"""rig.toml and where results are kept."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from tinyrig.core.boards import BOARDS, Board, BoardTarget, parse_board
from tinyrig.core.config import Config
from tinyrig.core.errors import RigError, UserError
from tinyrig.doctor.checks import Check, CheckStatus
from tinyrig.doctor.ports import Port, PortStatus
from tinyrig.tables.database import look_at

LEAST_BYTES = 200 * 1024 * 1024
"""Free space: an image needs 1 MB and a night's samples some; below this something else fills the disk."""
_ID = re.compile(r"[0-9a-fA-F]{16}")


def rig_boards(config: Config) -> list[Board]:
    """Those of rig.toml that are known, else the virtual one."""
    named: list[Board] = []
    for text in (*config.boards, *config.nightly.boards):
        try:
            target = parse_board(text, config.boards)
        except UserError:
            continue  # reported by `entries`
        if isinstance(target, BoardTarget) and target.board:
            named.append(target.board)
    return list(dict.fromkeys(named)) or [BOARDS["virtual"]]


def entries(config: Config) -> list[Check]:
    """What rig.toml says of boards, as far as it can be judged without them."""
    found = []
    for name, ports in config.boards.items():
        try:
            parse_board(name, config.boards)
        except UserError as error:
            found.append(_entry(name, "no such board" if not ports.kind else error.what, f"name one of {', '.join(BOARDS)}"))
            continue
        if ports.id and not _ID.fullmatch(ports.id):
            found.append(_entry(name, f"id {ports.id!r} is not a chip id", "16 hex digits, as `tinyrig boards` shows them"))
    for text in config.nightly.boards:
        try:
            parse_board(text, config.boards)
        except UserError as error:
            found.append(
                Check("rig.toml", "[nightly] boards", CheckStatus.BROKEN, error.what, "tinyrig nightly", error.remedy, True)
            )
    return found


def _entry(name: str, what: str, remedy: str) -> Check:
    return Check("rig.toml", f"[boards.{name}]", CheckStatus.BROKEN, what, name, remedy, True)


_PORT_REMEDIES = {
    PortStatus.ABSENT: "plug it in, or correct the port in rig.toml; `tinyrig boards` lists what is attached",
    PortStatus.DENIED: "sudo usermod -aG dialout $USER, then log in again; or install the udev rule",
    PortStatus.IN_USE: "wait for it or end it",
    PortStatus.STRANGER: "name the port of the other board, or correct the id in rig.toml",
}


def wired(ports: Sequence[Port]) -> list[Check]:
    """A line for each place in rig.toml that names a port."""
    found = []
    for port in ports:
        for wire in port.wired:
            bad = port.status in _PORT_REMEDIES
            status = CheckStatus.MISSING if port.status == PortStatus.ABSENT else CheckStatus.BROKEN if bad else CheckStatus.OK
            found_there = f", chip {port.hello.board_id}, build {port.hello.build_id[:8]}" if port.hello else ""
            said = port.port + (found_there if port.status == PortStatus.FREE else f": {port.status}{found_there}")
            text = said + (f": {port.detail}" if port.detail else "")
            found.append(
                Check(
                    "rig.toml",
                    f"{wire.which} of {wire.board}",
                    status,
                    text,
                    wire.board,
                    _PORT_REMEDIES.get(port.status, ""),
                    bad,
                )
            )
    return found


def results(config: Config) -> Check:
    """Whether the database can be opened, and whether the next command will upgrade it. Changes nothing."""
    try:
        state = look_at(config.results)
    except RigError as error:
        said = f"{error.what}{': ' + error.received if error.received else ''}"
        return Check("results", "database", CheckStatus.BROKEN, said, "every run", error.remedy, True)
    return Check("results", "database", CheckStatus.OK, state, "every run")


def space(config: Config) -> list[Check]:
    """Of the disks that runs write to."""
    folders = {"free space": Path(config.folders.build)}
    if config.results.startswith("sqlite:///"):
        folders["free space, results"] = Path(config.results.removeprefix("sqlite:///").split("?")[0]).absolute().parent
    found: dict[int, Check] = {}
    for name, folder in folders.items():
        there = next(p for p in (folder, *folder.parents) if p.exists())
        free = shutil.disk_usage(there).free
        text = f"{free / 1e9:.1f} GB at {there}"
        good = free >= LEAST_BYTES
        remedy = "" if good else f"free at least {LEAST_BYTES // 1_000_000} MB"
        found.setdefault(
            there.stat().st_dev,
            Check("results", name, CheckStatus.OK if good else CheckStatus.BROKEN, text, "builds and results", remedy, not good),
        )
    return list(found.values())
