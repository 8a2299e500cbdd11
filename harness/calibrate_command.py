"""`tinyrig calibrate`: finds a board's memory system by loops. Heavy imports wait inside the functions."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tinyrig.core.errors import EXIT_GOOD, HostError


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The `calibrate` command, for cli.py."""
    parser = commands.add_parser("calibrate", help="find a board's cache and flash waits by loops that it runs")
    parser.add_argument("--board", default="virtual", help="board name, serial port or URL, or NAME@PORT (default: virtual)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found, and every loop's cycles (schema 1)")
    parser.set_defaults(command=main)


def main(arguments: argparse.Namespace) -> int:
    from tinyrig.calibrate.board import calibrate
    from tinyrig.core.boards import parse_own_board
    from tinyrig.core.config import load_config

    config = load_config()
    target = parse_own_board(arguments.board, config.boards, "only our own firmware runs the loops")
    found = calibrate(target, config)
    print(summary(found))
    if arguments.json:
        try:
            arguments.json.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
        except OSError as error:
            raise HostError(f"{arguments.json} can't be written", received=str(error)) from error
    return EXIT_GOOD


def summary(found: dict[str, Any]) -> str:
    """What was found, as text."""
    system = found["system"]
    following = "as any other" if system["miss_next"] == system["miss"] else f"{system['miss_next']} cycles: fetched ahead"
    lines = {
        "instruction cache": f"{system['cache_bytes']:,} B",
        "ways": system["ways"],
        "miss": f"{system['miss']} cycles",
        "miss of the next line": following,
        "data, another line": f"{system['data_line']} cycles",
        "data, the same line": f"{system['data_again']} cycles",
        "third wide instruction": "1 cycle more" if found["wide_rule"] else "as the others",
        "worst loop": f"{found['worst_error']:.2%} off",
    }
    head = f"{found['board']}, {found['timing']} cycles"
    return "\n".join([head, *(f"  {name:24}{value}" for name, value in lines.items())])
