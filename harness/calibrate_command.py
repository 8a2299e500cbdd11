"""`tinyrig calibrate`: finds a board's memory system by loops. Heavy imports wait inside the functions."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.core.errors import EXIT_GOOD, HostError, UserError

if TYPE_CHECKING:
    from tinyrig.core.config import Config
    from tinyrig.core.records import Variant


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The `calibrate` command, for cli.py."""
    parser = commands.add_parser("calibrate", help="find a board's cache and flash waits by loops that it runs")
    parser.add_argument("--board", default="virtual", help="board name, serial port or URL, or NAME@PORT (default: virtual)")
    parser.add_argument(
        "--check",
        nargs="+",
        action="extend",
        default=[],
        metavar="VARIANT|FILE.tflite",
        help="also measure these networks with both engines: how far estimates are off there becomes their band",
    )
    parser.add_argument(
        "--store", action="store_true", help="keep what was found in boards/CHIP.json: estimates for the chip use it"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found, and every loop's cycles (schema 1)")
    parser.set_defaults(command=main)


def main(arguments: argparse.Namespace) -> int:
    from tinyrig.calibrate.board import calibrate
    from tinyrig.calibrate.held_out import with_held_out
    from tinyrig.core.boards import parse_own_board
    from tinyrig.core.config import load_config
    from tinyrig.virtual.timing.calibrated import store_place

    config = load_config()
    target = parse_own_board(arguments.board, config.boards, "only our own firmware runs the loops")
    variants = _variants(arguments.check, config)
    found = calibrate(target, config)
    if variants:
        found = with_held_out(found, target, config, variants)
    print(summary(found))
    if arguments.json:
        _write(arguments.json, found)
    if arguments.store:
        place = store_place(found["chip"])
        _write(place, found)
        print(f"stored in {place}")
    return EXIT_GOOD


def _variants(names: list[str], config: Config) -> list[Variant]:
    from tinyrig.measure.variants import built_variants, model_variants

    files = [Path(name) for name in names if name.endswith(".tflite")]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise UserError("no such model", expected="a .tflite file", received=", ".join(missing))
    others = [name for name in names if not name.endswith(".tflite")]
    return [*(built_variants(config, others) if others else []), *(model_variants(files, None, None, None) if files else [])]


def _write(file: Path, found: dict[str, Any]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise HostError(f"{file} can't be written", received=str(error)) from error


def summary(found: dict[str, Any]) -> str:
    """What was found, as text."""
    system = found["system"]
    following = "as any other" if system["miss_next"] == system["miss"] else f"{system['miss_next']} cycles: fetched ahead"
    lines = {
        "instruction cache": f"{system['cache_bytes']:,} B",
        "line": f"{system['line_bytes']} B",
        "ways": system["ways"],
        "miss": f"{system['miss']} cycles",
        "miss of the next line": following,
        "data, another line": f"{system['data_line']} cycles",
        "data, the same line": f"{system['data_again']} cycles",
        "third wide instruction": "1 cycle more" if found["wide_rule"] else "as the others",
        "fused multiply-adds": "don't wait for each other" if found["fused_rule"] else "wait as others do",
        "worst loop": f"{found['worst_error']:.2%} off",
        "worst of core and FPU": f"{found['worst_core_error']:.2%} off",
    }
    for row in found["held_out"]:
        lines[f"{row['model']}, {row['engine']}"] = (
            f"{row['measured']:,.0f} cycles, estimated {row['estimated']:,.0f}: {row['error']:+.2%}"
        )
    head = f"{found['board']}, {found['timing']} cycles"
    return "\n".join([head, *(f"  {name:24}{value}" for name, value in lines.items())])
