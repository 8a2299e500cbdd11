"""All checks of this machine together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tinyrig.core.boards import Board, known_boards, sharing
from tinyrig.core.config import BoardPorts, Config
from tinyrig.doctor import ports as ports_
from tinyrig.doctor import rigfile, system
from tinyrig.doctor.checks import PATIENCE_S, Check, CheckStatus, gather
from tinyrig.doctor.ports import Port, PortStatus
from tinyrig.doctor.routes import offers
from tinyrig.doctor.system import Host
from tinyrig.doctor.tools import TOOLS, USES, Alternatives, Found, look, needs


@dataclass(frozen=True)
class Examination:
    """`boards`: those of the rig, which `good` is about."""

    boards: tuple[Board, ...]
    checks: tuple[Check, ...]

    @property
    def lacking(self) -> list[Check]:
        return [check for check in self.checks if check.counts and not check.good]

    @property
    def good(self) -> bool:
        return not self.lacking


def examine(config: Config, boards: Sequence[Board] = (), host: Host = Host(), seconds: float = PATIENCE_S) -> Examination:
    """`boards`: instead of rig.toml's."""
    rig = tuple(boards) or tuple(rigfile.rig_boards(config))
    tools, looked = _tools(config, seconds), _rest(config, host, seconds)
    surveyed = survey(config, seconds, ports_.ask)
    checks = [*_tool_checks(config, rig, tools)]
    checks += [check for found in looked.values() for check in found]
    checks += rigfile.wired(surveyed)
    checks += [*_attached(config, rig, surveyed, tools), *rigfile.entries(config)]
    order = {"tools": 0, "permissions": 1, "attached": 2, "rig.toml": 3, "results": 4}
    return Examination(rig, tuple(sorted(checks, key=lambda check: order[check.group])))


# ---- tools ----


def _tools(config: Config, seconds: float) -> dict[str, Found]:
    """Every tool that any known board may need."""
    every = [_needs(board, config) for board in known_boards(config.boards).values()]
    names = dict.fromkeys([*TOOLS, *(name for need in every for alternatives in need for name in alternatives)])
    return gather({name: partial(look, name) for name in names}, _hung, seconds)


def _hung(name: str, why: str) -> Found:
    return Found(CheckStatus.BROKEN, why, f"see why {name} hangs")


def _needs(board: Board, config: Config) -> tuple[Alternatives, ...]:
    flasher = getattr(config.boards.get(board.name, BoardPorts()), "flasher", "")
    return needs(board, config.oracle, flasher)


def _unmet(board: Board, config: Config, tools: dict[str, Found]) -> list[Alternatives]:
    return [one for one in _needs(board, config) if not any(tools[name].status == CheckStatus.OK for name in one)]


def _tool_checks(config: Config, rig: Sequence[Board], tools: dict[str, Found]) -> list[Check]:
    unmet = {name for board in rig for alternatives in _unmet(board, config, tools) for name in alternatives}
    checks, every = [], list(known_boards(config.boards).values())
    for name, found in tools.items():
        users = [b.name for b in every if any(name in alternatives for alternatives in _needs(b, config))]
        what = USES.get(name) or ", ".join(users) or "no board of `tinyrig boards`"
        checks.append(Check("tools", name, found.status, found.found, what, found.remedy, name in unmet))
    return checks


# ---- the rest ----


def _rest(config: Config, host: Host, seconds: float) -> dict[str, list[Check]]:
    work: dict[str, Callable[[], list[Check]]] = {
        "rig": lambda: [Check("rig.toml", "rig.toml", CheckStatus.OK, _named(config), "every command")],
        "results": lambda: [rigfile.results(config)],
        "space": lambda: rigfile.space(config),
        "group": lambda: [system.serial_group(host)],
        "udev": lambda: [system.udev(host)],
        "grabbers": lambda: system.grabbers(host),
    }
    return gather(work, _late, seconds)


def _late(name: str, why: str) -> list[Check]:
    group = {"results": "results", "space": "results", "rig": "rig.toml"}.get(name, "permissions")
    return [Check(group, name, CheckStatus.BROKEN, why, "every run", "see what is wrong with it", name == "results")]


def _named(config: Config) -> str:
    return f"loads; boards: {', '.join(config.boards) or 'none named, so virtual'}"


def survey(config: Config, seconds: float, touch: Callable[[Port], Port], all_ports: bool = False) -> list[Port]:
    """Every port as it is found; those that are free and known (with `all_ports`: all) are then handed to `touch`."""
    found = {str(i): port for i, port in enumerate(ports_.find(config))}
    looked = gather({i: partial(ports_.look, port) for i, port in found.items()}, lambda i, why: _stuck(found[i], why), seconds)
    free = {i: p for i, p in looked.items() if p.status == PortStatus.NOT_ASKED and (p.known or all_ports)}
    touched = gather({i: partial(touch, port) for i, port in free.items()}, lambda i, why: _stuck(free[i], why), seconds)
    return list({**looked, **touched}.values())


def _stuck(port: Port, why: str) -> Port:
    return replace(port, status=PortStatus.DENIED, detail=why)


# ---- attached boards ----


def _attached(config: Config, rig: Sequence[Board], surveyed: Sequence[Port], tools: dict[str, Found]) -> list[Check]:
    """What each attached board lacks, and whether those that the rig needs are attached."""
    checks = []
    for port in surveyed:
        if port.usb and not port.wired and (port.board is None or len(sharing(port.usb, config.boards)) > 1):
            checks.append(_stranger(port, config))
            continue
        if port.board is None or not port.usb or port.usb not in port.board.usb_ids:
            continue
        lacks = [" or ".join(alternatives) for alternatives in _unmet(port.board, config, tools)]
        lacks += [f"permission: {port.detail}"] if port.status == PortStatus.DENIED else []
        said = f"{port.port}, USB serial {port.serial or 'none'}: {port.status}"
        text = f"{said}; lacks {', '.join(lacks)}" if lacks else f"{said}; --board={port.board.name}@{port.port}"
        counts = bool(lacks) and port.board in rig
        checks.append(
            Check(
                "attached",
                port.board.name,
                CheckStatus.BROKEN if lacks else CheckStatus.OK,
                text,
                port.board.name,
                _attached_remedy(lacks),
                counts,
            )
        )
    return checks + [_absent(board, surveyed) for board in rig if _is_absent(board, config, surveyed)]


def _stranger(port: Port, config: Config) -> Check:
    """A port whose USB id tells no board, or none alone: nothing is wrong, but what comes next is worth a line."""
    several = [board.name for board in sharing(port.usb, config.boards)]
    said = f"USB {port.usb}: {port.status}; " + (f"one of {', '.join(several)}" if several else "no board of the table")
    ways = "; ".join(offers(port, config)[:1] if several else offers(port, config)[:2])
    return Check("attached", port.port, CheckStatus.OK, f"{said}; to use it: {ways}")


def _attached_remedy(lacks: Sequence[str]) -> str:
    return "see the lines of these above" if lacks else ""


def _is_absent(board: Board, config: Config, surveyed: Sequence[Port]) -> bool:
    """A physical board that is neither wired up nor seen."""
    if board.starter or config.boards.get(board.name, BoardPorts()).link:
        return False
    return not any(set(port.usb.split()) & set(board.usb_ids) and port.status != PortStatus.ABSENT for port in surveyed)


def _absent(board: Board, surveyed: Sequence[Port]) -> Check:
    seen = ", ".join(f"{p.port} {p.usb}".strip() for p in surveyed if p.status != PortStatus.ABSENT) or "no serial port"
    return Check(
        "attached",
        board.name,
        CheckStatus.MISSING,
        f"not attached; there is {seen}",
        board.name,
        "plug it in, or name its port in rig.toml (docs/rig.md)",
        True,
    )
