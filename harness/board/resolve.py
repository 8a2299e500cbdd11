"""Which board is meant, and through which ports it is reached: what --board and rig.toml say, and what is attached."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinyrig.board.probe_line import is_probe_line, through_probe
from tinyrig.core.boards import BOARDS, USB_PORT, Board, BoardTarget, MlperfTarget, Target, known_boards, recognise_usb, sharing
from tinyrig.core.config import BoardPorts, Config
from tinyrig.core.errors import LinkError, UserError
from tinyrig.flash.route import flash_port_beside, no_link, other_board, probe_id, with_flasher
from tinyrig.host.locks import port_key
from tinyrig.link.usb import place, same_device, usb_serial
from tinyrig.workload.zephyr.facts import with_facts


@dataclass(frozen=True)
class Ports:
    """`link` carries the session; `flash` reaches the bootloader (the same tty on the virtual board), "": not known; `probe` is
    the id of the debug probe, "": the only one."""

    link: str
    flash: str
    probe: str = ""


def resolved(target: BoardTarget, config: Config) -> BoardTarget:
    """A bare port that rig.toml wires up is the board that it is wired to."""
    if target.board is not None or not target.port:
        return target
    for name, entry in config.boards.items():
        board = known_boards(config.boards).get(entry.kind.partition("#")[0] or name)
        if board is not None and target.port in (entry.link, entry.flash):
            return replace(target, board=board, entry=name)
    return target


def entry_of(target: BoardTarget, board: Board | None, config: Config) -> BoardPorts:
    """What rig.toml says of this board."""
    return config.boards.get(target.entry or (board.name if board else ""), BoardPorts())


def is_started_here(target: BoardTarget, config: Config) -> bool:
    """Whether it is an emulator that starts and ends with its rig."""
    emulated = target.port is None and target.board is not None and bool(target.board.starter)
    return emulated and not entry_of(target, target.board, config).link


def identity(target: Target, config: Config) -> list[str]:
    """What is known of this one board before it is reached; two boards share none of it."""
    if isinstance(target, MlperfTarget):
        return [f"port {port_key(target.port)}"]
    if is_started_here(target, config) and target.board is not None:
        return [f"{target.board.name} board number {target.number}"]
    wired = entry_of(target, target.board, config)
    if target.port:
        return [f"port {port_key(target.port)}"]
    known = {"usb_serial": wired.usb_serial.lower(), "id": wired.id.lower(), "port": port_key(wired.link or wired.flash or "/")}
    return [f"{name} {value}" for name, value in known.items() if value not in ("", "/")]


def find_ports(target: BoardTarget, config: Config) -> tuple[Board, Ports]:
    """Board and ports of a physical (or already started virtual) board.

    A named port counts for both directions, unless rig.toml wires it up with another one or it is a serial adapter, which reaches
    no bootloader: then the flash port stays open. Raises LinkError when none is found.
    """
    target = resolved(target, config)
    board = target.board or (_recognise(target.port, config) if target.port else None)
    board = board or BOARDS["nano33ble-uart"]  # a serial adapter says nothing of what hangs on it; the hello will
    wired = entry_of(target, board, config)
    _check_port(board, target, config)
    board = with_facts(with_flasher(board, wired), config.limits.build_s)
    line = target.port or wired.link
    if is_probe_line(line):
        board, url = through_probe(board, line, wired)
        return board, Ports(url, place(wired.flash) or (url if board.flasher == "command" else ""), wired.probe)
    link, flash_port = _named(target.port, board, wired) if target.port else _looked_up(board, wired)
    return board, Ports(link, place(flash_port), probe_id(board, wired, link, attached(), usb_serial))


def _check_port(board: Board, target: BoardTarget, config: Config) -> None:
    """Raises UserError where the port that was named belongs to another known board."""
    port = place(target.port or "")
    usb = next((usb for name, usb, _ in attached() if name == port), "") if board.fqbn and port else ""
    if usb and (error := other_board(board, port, usb, recognise_usb(usb, config.boards))):
        raise error


def _named(port: str, board: Board, wired: BoardPorts) -> tuple[str, str]:
    pair = port in (wired.link, wired.flash)
    link = place((pair and wired.link) or port)
    if board.pins and link in ports_of(board):
        raise no_link(board)  # the board's own USB port carries no data of a bare-metal image
    return link, (pair and wired.flash) or flash_port_beside(board, wired, link, attached())


def _looked_up(board: Board, wired: BoardPorts) -> tuple[str, str]:
    own = USB_PORT + wired.usb_serial if wired.usb_serial else ""
    usb = "" if wired.link and wired.flash else own or _attached(board, wired.id)
    link = place(wired.link or ("" if board.pins else usb or wired.flash))
    if not link:
        raise no_link(board)
    return link, wired.flash or usb or flash_port_beside(board, wired, link, attached())


def _recognise(port: str, config: Config) -> Board | None:
    """Raises UserError where the port's USB id is that of several boards: the wrong image could be flashed."""
    usb = next((usb for name, usb, _ in attached() if name == place(port)), "")
    several = sharing(usb, config.boards) if usb else []
    if len(several) > 1:
        raise UserError(
            f"the USB id {usb} of {port} does not tell which board it is: several have it",
            expected="--board=NAME@" + port,
            received=", ".join(b.name for b in several),
            remedy=f"name it, as --board={several[-1].name}@{port}; one that is not listed: --board=arduino:FQBN@{port}",
        )
    return recognise_usb(usb, config.boards) if usb else None


def _attached(board: Board, board_id: str) -> str:
    """Its port, "" where there is none; of several the one whose USB serial number is `board_id`. Raises LinkError where that
    does not decide: the wrong one would be flashed."""
    ports = ports_of(board)
    if len(ports) > 1 and board_id:
        ports = [name for name in ports if same_device(usb_serial(name), board_id)] or ports
    if len(ports) > 1:
        raise LinkError(
            f"several boards could be meant by {board.name}",
            expected=f"one {board.title}",
            received=", ".join(ports),
            remedy="name the port (--board PORT), or set link and flash in rig.toml; an id there guards against a mix-up",
        )
    return ports[0] if ports else ""


def ports_of(board: Board) -> list[str]:
    """Ports with one of this board's USB ids."""
    return [name for name, usb, _ in attached() if usb in board.usb_ids]


def attached() -> list[tuple[str, str, Board | None]]:
    """(port, USB id or "", board or None) of every serial port of this machine."""
    from serial.tools import list_ports

    ports = [(p.device, f"{p.vid:04x}:{p.pid:04x}" if p.vid is not None else "") for p in list_ports.comports()]
    return [(device, usb, recognise_usb(usb) if usb else None) for device, usb in ports]
