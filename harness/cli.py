"""The `tinyrig` command; glue only. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tinyrig.check_command import add_parser as add_check
from tinyrig.core.errors import EXIT_CLAIM, EXIT_GOOD, RigError
from tinyrig.doctor.boards import add_parser as add_boards
from tinyrig.doctor.command import add_parser as add_doctor
from tinyrig.engines_command import add_parser as add_engines
from tinyrig.history_command import add_parsers as add_history
from tinyrig.host.last_resort import say, unforeseen
from tinyrig.host.log import shown, to_stderr
from tinyrig.host.signals import exit_status, terminable
from tinyrig.nightly_command import add_parser as add_nightly
from tinyrig.run_command import add_parser as add_run
from tinyrig.search.command import add_parser as add_search

_PACKAGES = {
    "variants": ("tinyrig.variants", "build model variants"),
    "crossval": ("tinyrig.variants.crossval", "cross-validate model families and their grid"),
    "report": ("tinyrig.reports", "write a report of stored runs"),
}
"""Commands that are packages of their own, and what they are for."""
_EXITS = "exit codes: 0 good; 1 a claim failed; 2 unusable input or model; 3 the rig failed"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; a RigError becomes its message on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in _PACKAGES:
        return _hand_over(_PACKAGES[words[0]][0], words[1:])
    if words[:1] == ["compare"] and (model := next((w for w in words if w.endswith(".tflite")), None)):
        words = ["compare", model]  # as `compare MODEL.tflite` once was; it says what that is called now
    arguments = _parser().parse_args(words)
    try:
        with terminable(), shown(to_stderr):
            status: int = arguments.command(arguments)
            sys.stdout.flush()
            return status
    except RigError as error:
        say(f"tinyrig: {error}")
        return error.exit_code
    except BrokenPipeError:  # `tinyrig history ... | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_GOOD
    except KeyboardInterrupt as interruption:
        say("tinyrig: interrupted")
        return exit_status(interruption)
    except Exception as error:
        return unforeseen(error, "tinyrig")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyrig",
        description="Measures TinyML models on microcontrollers: is it right, what does it cost, did it get worse?",
        epilog=_EXITS,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (_, what) in _PACKAGES.items():
        commands.add_parser(name, help=what)
    add_run(commands, _EXITS)
    add_nightly(commands, _EXITS)
    add_history(commands, _EXITS)
    add_search(commands, _EXITS)
    add_check(commands)
    _add_ops(commands)
    add_engines(commands)
    add_boards(commands)
    add_doctor(commands, _EXITS)
    return parser


def _add_ops(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("ops", help="debug a model: compare every op's output with the oracle's, on the host")
    parser.add_argument("model", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--windows", type=Path, metavar="FILE.npz", help="test windows (default: random)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N windows")
    parser.add_argument("--oracle", choices=["tflm", "litert-ref"], help="whose outputs are right (default: rig.toml's, tflm)")
    parser.add_argument(
        "--engine", choices=["tinyrig", "portable", "cmsis-nn"], default="tinyrig", help="kernels to compile the model with"
    )
    parser.set_defaults(command=_ops)


def _hand_over(package: str, words: Sequence[str]) -> int:
    """Another package's own command line takes over this process: the rig side never imports it."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", package, *words])


def _ops(arguments: argparse.Namespace) -> int:
    from tinyrig.compiler.compile import compile_model
    from tinyrig.core.boards import BOARDS
    from tinyrig.core.config import load_config
    from tinyrig.measure.variant import Request, windows_of
    from tinyrig.measure.variants import model_variant
    from tinyrig.workload.op_diff import compare_ops, table

    config, board = load_config(), BOARDS["virtual"]
    job = Request(model_variant(arguments.model, arguments.windows), limit=arguments.limit)
    data = job.variant.model
    compiled = compile_model(data, flash_bytes=board.flash_bytes, ram_bytes=board.ram_bytes, engine=arguments.engine)
    windows = [list(w) for w in windows_of(job, compiled.inputs, config).inputs]
    rows = compare_ops(data, windows, oracle=arguments.oracle or config.oracle, engine=arguments.engine, optimise=config.optimise)
    print(table(rows, config.float_tolerance))
    return EXIT_CLAIM if any(row.wrong(config.float_tolerance) for row in rows) else EXIT_GOOD


if __name__ == "__main__":
    sys.exit(main())
