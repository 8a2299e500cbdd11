"""How boards are reached, and which words reach the one at a port."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from tinyrig.core.boards import PLACE, Board, sharing
from tinyrig.core.config import Config
from tinyrig.doctor.ports import Port
from tinyrig.doctor.system import PROBES
from tinyrig.flash.route import BY_PROBE


class Reached(StrEnum):
    """The groups of `tinyrig boards`, in their order."""

    VIRTUAL = "virtual"
    QEMU = "QEMU"
    BOOTLOADER = "bootloader"
    ARDUINO = "Arduino"
    ZEPHYR = "Zephyr"
    PROBE = "debug probe"
    COMMAND = "command"
    ELSEWHERE = "network"


HEADINGS = {
    Reached.VIRTUAL: "virtual: started for the run",
    Reached.QEMU: "QEMU: started for the run",
    Reached.BOOTLOADER: "bootloader: flashed through its own USB port, data over a serial adapter",
    Reached.ARDUINO: "Arduino: arduino-cli builds and uploads, data over the same cable; any other: --board=arduino:FQBN@PORT",
    Reached.ZEPHYR: "Zephyr: west builds and flashes, data over the board's console: --board=zephyr:BOARD@PORT",
    Reached.PROBE: "debug probe: flashed through it; it can be the line, too (NAME@swd)",
    Reached.COMMAND: "command: flashed as rig.toml says",
    Reached.ELSEWHERE: "network: at a labgrid place or URL that rig.toml names",
}


def reached(board: Board, link: str = "") -> Reached:
    """`link`: where rig.toml says that it is."""
    if link.startswith(PLACE) or ("://" in link and not link.startswith("gdb://")):
        return Reached.ELSEWHERE
    if board.starter:
        return Reached.QEMU if board.starter == "qemu" else Reached.VIRTUAL
    if board.builder == "zephyr":
        return Reached.ZEPHYR
    if board.flasher in BY_PROBE:
        return Reached.PROBE
    return {"arduino-cli": Reached.ARDUINO, "nano33": Reached.BOOTLOADER}.get(board.flasher, Reached.COMMAND)


def offers(port: Port, config: Config) -> tuple[str, ...]:
    """Commands that use what is at this port, best first; empty where nothing is known but that a port is there."""
    if port.wired:
        return tuple(f"tinyrig run --board={name} --model MODEL.tflite" for name in dict.fromkeys(w.board for w in port.wired))
    several = sharing(port.usb, config.boards) if port.usb else []
    if len(several) > 1:
        return (*(_run(board.name, port.port) for board in several), *_unknown(port))
    if port.board is not None and port.usb in port.board.usb_ids:
        return (_run(port.board.name, port.port),)
    stranger = port.hello is None or (port.board is not None and bool(port.board.fqbn or port.board.zephyr))
    return _unknown(port) if port.usb and stranger else ()


def _run(name: str, port: str) -> str:
    return f"tinyrig run --board={name}@{port} --model MODEL.tflite"


def _unknown(port: Port) -> tuple[str, ...]:
    """What makes a board of no table work."""
    probe = PROBES.get(port.usb)
    found = ("arduino-cli board list  (its FQBN column)", f"tinyrig run --board=arduino:FQBN@{port.port} --model MODEL.tflite")
    return (*found, f"tinyrig run --board=NAME@swd --model MODEL.tflite  ({probe}: docs/probe_link.md)") if probe else found


def grouped(boards: Sequence[Board], config: Config) -> list[tuple[Reached, str, Board]]:
    """(group, name, board) in the order of the groups; a board that rig.toml has elsewhere stands there as well."""
    known = [(reached(board), board.name, board) for board in boards]
    by_name = {board.name: board for board in boards}
    for name, entry in config.boards.items():
        board = by_name.get(entry.kind.partition("#")[0] or name)
        if board is not None and reached(board, entry.link) is Reached.ELSEWHERE:
            known.append((Reached.ELSEWHERE, name, board))
    order = list(Reached)
    return sorted(known, key=lambda row: order.index(row[0]))
