"""The `tinyrig` command; glue only. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import os
import platform
import sys
from collections.abc import Sequence
from typing import Any

from tinyrig.calibrate_command import add_parser as add_calibrate
from tinyrig.check_command import add_parser as add_check
from tinyrig.command_line import EXITS, LEVELS, Command, add_verbosity, examples, finish
from tinyrig.convert_command import add_parser as add_convert
from tinyrig.core.errors import EXIT_GOOD, RigError
from tinyrig.doctor.boards import add_parser as add_boards
from tinyrig.doctor.command import add_parser as add_doctor
from tinyrig.engines_command import add_parser as add_engines
from tinyrig.history_command import add_parsers as add_history
from tinyrig.host.last_resort import say, unforeseen
from tinyrig.host.log import shown, to_show, to_stderr
from tinyrig.host.signals import exit_status, terminable
from tinyrig.live.command import add_parser as add_live
from tinyrig.nightly_command import add_parser as add_nightly
from tinyrig.ops_command import add_parser as add_ops
from tinyrig.record.command import add_parser as add_record
from tinyrig.run_command import add_parser as add_run
from tinyrig.search.command import add_parser as add_search
from tinyrig.start.command import add_parser as add_init

_PACKAGES = {
    "variants": ("tinyrig.variants", "build model variants"),
    "crossval": ("tinyrig.variants.crossval", "cross-validate model families and their grid"),
    "dataset": ("tinyrig.variants.inspect", "show what a dataset holds"),
    "report": ("tinyrig.reports", "write a report of stored runs"),
}
"""Commands that are packages of their own, and what they are for."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; a RigError becomes its message on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    first = next((i for i, word in enumerate(words) if word not in LEVELS), 0)
    if words and words[first] in _PACKAGES:
        return _hand_over(_PACKAGES[words[first]][0], words[first + 1 :])
    if words[:1] == ["compare"] and (model := next((w for w in words if w.endswith(".tflite")), None)):
        words = ["compare", model]  # as `compare MODEL.tflite` once was; it says what that is called now
    arguments = _parser().parse_args(words)
    to_show(arguments.level)
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
    parser = Command(
        prog="tinyrig",
        description="Measures TinyML models on microcontrollers: is it right, what does it cost, did it get worse?",
        epilog=f"{examples('run')}\n\ntinyrig COMMAND --help has more.\n{EXITS}",
    )
    parser.add_argument("--version", action=_Version)
    add_verbosity(parser, logging.INFO)
    command_class: type[argparse.ArgumentParser] = Command
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=command_class)
    for name, (_, what) in _PACKAGES.items():
        commands.add_parser(name, help=what)
    add_run(commands, EXITS)
    add_nightly(commands, EXITS)
    add_history(commands, EXITS)
    add_search(commands, EXITS)
    add_check(commands)
    add_convert(commands)
    add_ops(commands)
    add_engines(commands)
    add_calibrate(commands)
    add_record(commands)
    add_live(commands)
    add_init(commands)
    add_boards(commands)
    add_doctor(commands, EXITS)
    _add_completion(commands)
    finish(commands)
    return parser


class _Version(argparse.Action):
    """tinyrig's version and its interpreter's; looked up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"tinyrig {importlib.metadata.version('tinyrig')} (Python {platform.python_version()})")
        parser.exit()


def _add_completion(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("completion", help="print a script that completes tinyrig's words in a shell")
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh"])
    parser.set_defaults(command=_completion)


def _completion(arguments: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(_parser(), arguments.shell))
    return EXIT_GOOD


def _hand_over(package: str, words: Sequence[str]) -> int:
    """Another package's own command line takes over this process: the rig side never imports it."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", package, *words])


if __name__ == "__main__":
    sys.exit(main())
