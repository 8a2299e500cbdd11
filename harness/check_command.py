"""`tinyrig check`: what is known of models before a board is touched. Heavy imports wait inside the functions."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrig.core.errors import EXIT_CLAIM, EXIT_GOOD, EXIT_USER, HostError, UserError

if TYPE_CHECKING:
    from tinyrig.core.boards import Board
    from tinyrig.core.config import Config
    from tinyrig.preflight.host_run import HostRun
    from tinyrig.preflight.records import ModelCheck

_EXITS = (
    "exit codes: 0 every model can be compiled and fits the boards of --board; 2 one does not, or is no model at all; with --run "
    "also 1 an output differs from the oracle's; 3 the rig failed"
)
_EXAMPLES = """examples:
  tinyrig check gesture.tflite
  tinyrig check gesture.tflite --board nucleo-f401re --json check.json --svg arena.svg
  tinyrig check models/                 a table of all .tflite files below a folder
  tinyrig check --run models/           each also runs on this machine beside the oracle
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The `check` command, for cli.py."""
    parser = commands.add_parser(
        "check",
        help="what a model costs and whether it fits, before a board is touched",
        description="Obstacles, layers, memory and fit of models. Needs no board, no C compiler (but for --run), no TensorFlow.",
        epilog=f"{_EXAMPLES}\n{_EXITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="files, folders, or names of [models] in rig.toml")
    parser.add_argument("--board", nargs="+", action="extend", metavar="NAME", help="boards that must fit (default: virtual)")
    parser.add_argument("--run", action="store_true", help="also run each model on this machine beside the oracle")
    parser.add_argument(
        "--oracle", choices=["tflm", "litert-ref", "numpy"], help="for --run: whose outputs are right (default: rig.toml's)"
    )
    parser.add_argument("--optimise", choices=["speed", "size", "ram"], help="what counts first (default: rig.toml's)")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write schema 1 to FILE, or to stdout without FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE.svg", help="of one model: draw the arena over time (or FILE.png)")
    parser.set_defaults(command=main)


def main(arguments: argparse.Namespace) -> int:
    from tinyrig.core.config import load_config
    from tinyrig.preflight.files import check_files

    config = load_config()
    config = dataclasses.replace(config, optimise=arguments.optimise or config.optimise)
    boards, names = _boards(arguments.board or ["virtual"], config)
    checks, listed = check_files([_file(p, config) for p in arguments.models], boards.values(), config.optimise)
    if arguments.svg and len(checks) != 1:
        raise UserError("--svg draws one model", expected="one MODEL", received=f"{len(checks)}")
    runs = _runs(arguments, checks, names, config) if arguments.run else []
    _tell(arguments, checks, runs, names, listed)
    return _status(checks, runs, names)


def _boards(asked: Sequence[str], config: Config) -> tuple[dict[str, Board], list[str]]:
    """All known boards and those that are asked for, by the names that they go by; of an `arduino:FQBN` or
    `zephyr:BOARD`, and of one of rig.toml, its build system says what it has. Raises UserError, HostError."""
    from tinyrig.core.boards import by_fqbn, by_zephyr, known_boards
    from tinyrig.core.hardware.arduino import ARDUINO
    from tinyrig.core.hardware.zephyr import ZEPHYR
    from tinyrig.workload.zephyr.facts import with_facts

    boards, names = known_boards(config.boards), []
    for name in asked:
        board = by_fqbn(name.removeprefix(ARDUINO)) if name.startswith(ARDUINO) else boards.get(name)
        board = by_zephyr(name.removeprefix(ZEPHYR)) if name.startswith(ZEPHYR) else board
        if board is None:
            expected = f"{', '.join(boards)}, arduino:FQBN, or zephyr:BOARD"
            raise UserError(f"--board {name} is not known", expected=expected, received=name)
        boards[board.name] = board if board.flash_bytes else with_facts(board, config.limits.build_s)
        names.append(board.name)
    return boards, names


def _file(given: Path, config: Config) -> Path:
    """A name under [models] in rig.toml stands for its file."""
    own = config.own_models.get(str(given))
    return Path(own.file) if own else given


def _runs(arguments: argparse.Namespace, checks: list[ModelCheck], names: list[str], config: Config) -> list[HostRun]:
    from tinyrig.host.progress import progress
    from tinyrig.preflight.host_run import run_on_host

    oracle = arguments.oracle or (config.oracle if config.oracle != "none" else "tflm")
    runs = []
    with progress(len(checks), "models") as bar:
        for check in checks:
            runs.append(run_on_host(check, Path(check.file), oracle, names, config.seed, config.float_tolerance))
            bar.step()
    return runs


def _tell(arguments: argparse.Namespace, checks: list[ModelCheck], runs: list[HostRun], names: list[str], listed: bool) -> None:
    from tinyrig.preflight.arena_picture import save_picture
    from tinyrig.preflight.document import document
    from tinyrig.preflight.host_run import told
    from tinyrig.preflight.text import folder_table, outcome, page

    document_text = json.dumps(document(checks, runs), indent=1, allow_nan=False)
    if arguments.json == "-":
        print(document_text)
    elif listed or runs:
        words = [told(run) for run in runs] or [outcome(c, names) for c in checks]
        print(folder_table(list(zip(checks, words, strict=True))))
    else:
        print("\n\n\n".join(map(page, checks)))
    if arguments.json not in (None, "-"):
        _save(Path(arguments.json), document_text)
    if arguments.svg:
        save_picture(checks[0], arguments.svg)


def _status(checks: Sequence[ModelCheck], runs: Sequence[HostRun], boards: Sequence[str]) -> int:
    """Says on stderr what does not fit."""
    bad = [c for c in checks if not (c.runs and all(c.fits_on(b) for b in boards))]
    for check in (c for c in bad if c.runs):
        lacking = next(f for f in check.fits if f.board in boards and not f.fits)
        print(f"tinyrig: {check.file} does not fit {lacking.board}: {lacking.reason}", file=sys.stderr)
    if any(run.mismatched_windows for run in runs):
        return EXIT_CLAIM
    return EXIT_USER if bad else EXIT_GOOD


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n")
    except OSError as error:
        raise HostError(f"--json can't be written to {path}", received=str(error), remedy="name a writable file") from error
