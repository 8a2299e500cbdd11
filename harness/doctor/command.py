"""`tinyrig doctor`: glue. Heavy imports wait inside the functions, because the command line needs `add_parser` for --help."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinyrig.core.errors import EXIT_GOOD, EXIT_RIG, RigError, UserError

if TYPE_CHECKING:
    from tinyrig.core.boards import Board
    from tinyrig.doctor.checks import Check
    from tinyrig.doctor.examine import Examination

SCHEMA = 1
_WIDTH = 130


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser], exits: str) -> None:
    """The `doctor` command, for cli.py."""
    parser = commands.add_parser(
        "doctor",
        help="show what this machine lacks for its boards",
        epilog="exit codes: 0 everything the rig's boards need is there; 2 no such board; 3 something is missing or broken",
    )
    parser.add_argument("--board", nargs="+", action="extend", metavar="NAME", help="default: rig.toml's boards, else virtual")
    parser.add_argument("--udev-rules", action="store_true", help="only print the udev rules of the known boards and probes")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(command=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from tinyrig.doctor.system import udev_rules

    if arguments.udev_rules:
        print(udev_rules(), end="")
        return EXIT_GOOD
    from tinyrig.core.config import load_config
    from tinyrig.doctor.examine import examine

    names = arguments.board or ()
    try:
        config = load_config()
    except UserError as error:
        found = _without_config(_boards(names, {}), error)
    else:
        found = examine(config, _boards(names, config.boards))
    print(json.dumps(_json(found), indent=1, allow_nan=False) if arguments.json else text(found))
    return EXIT_GOOD if found.good else EXIT_RIG


def _boards(names: Sequence[str], entries: Mapping[str, Any]) -> list[Board]:
    from tinyrig.core.boards import BOARDS, parse_own_board

    found = [parse_own_board(name, entries).board for name in names]
    if None in found:
        raise UserError(
            "a port does not say which board is meant",
            expected=f"one of {', '.join(BOARDS)}",
            received=" ".join(names),
            remedy="name the board: --board NAME",
        )
    return [board for board in found if board is not None]


def _without_config(boards: list[Board], error: RigError) -> Examination:
    """rig.toml can't be used: the rest is examined all the same."""
    from dataclasses import replace

    from tinyrig.core.config import Config
    from tinyrig.doctor.checks import Check, CheckStatus
    from tinyrig.doctor.examine import examine

    found = examine(Config(), boards)
    said = f"{error.what}{': ' + error.received if error.received else ''}"
    broken = Check("rig.toml", "rig.toml", CheckStatus.BROKEN, said, "every command", error.remedy, True)
    return replace(found, checks=tuple(broken if check.name == "rig.toml" else check for check in found.checks))


# ---- for people and programs ----


def text(found: Examination) -> str:
    """Every finding on a line, its remedy below."""
    names = ", ".join(board.name for board in found.boards)
    lines, group = [f"tinyrig doctor, for {names}"], ""
    for check in found.checks:
        lines += ["", check.group] if check.group != group else []
        group = check.group
        lines += _lines(check)
    lacking = ", ".join(dict.fromkeys(check.name for check in found.lacking))
    end = f"missing or broken for {names} (marked !): {lacking}" if lacking else f"everything the rig needs is there: {names}"
    return "\n".join([*lines, "", end])


def _lines(check: Check) -> list[str]:
    mark = "!" if check.counts and not check.good else " "
    head = f"{mark} {check.status:<8}{check.name:<23} "
    said = check.found if check.good else " ".join(filter(None, (check.found, f"(for {check.needed_for})")))
    lines = textwrap.wrap(
        f"{head}{said}", _WIDTH, subsequent_indent=" " * len(head), break_long_words=False, break_on_hyphens=False
    )
    # Not wrapped: a command is there to be copied.
    return [*lines, f"{' ' * 10}-> {check.remedy}"] if check.remedy and not check.good else lines


def _json(found: Examination) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "schema": SCHEMA,
        "good": found.good,
        "boards": [board.name for board in found.boards],
        "checks": [asdict(check) for check in found.checks],
    }
