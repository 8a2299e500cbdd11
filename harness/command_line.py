"""What all commands' help and words have in common: examples, exit codes, -v and -q, and answers to wrong words.

Standard library only: completion and --help must not wait for anything.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

EXITS = "exit codes: 0 good; 1 a claim failed; 2 unusable input or model; 3 the rig failed"
EXAMPLES: dict[str, tuple[str, ...]] = {
    "run": (
        "--model gesture.tflite --windows gesture.npz --max-latency 5ms",
        "",
        "--model gesture sound",
        "--variant pqt --board nano33ble --json out.json",
        "--resume",
    ),
    "nightly": ("--model gesture.tflite --windows gesture.npz", "--board virtual nano33ble"),
    "history": ("latency --variant pqt", "accuracy --since 90d"),
    "compare": ("20261129-2 20261130-2",),
    "accept": ('20261130-2 -m "wider first layer, on purpose"',),
    "export": ("--format csv -o results.csv", "--since 30d --format json", "--format prometheus -o tinyrig.prom"),
    "prune": ("--keep-samples 90d --dry-run",),
    "recompute": ("", "20261130-2"),
    "search": ("--dataset own.npz --trials 40", "--resume"),
    "check": ("gesture.tflite", "models/*.tflite --json check.json"),
    "convert": ("gesture.keras --windows train.npz -o gesture.tflite", "saved_model/ --float32 -o gesture.tflite"),
    "ops": ("gesture.tflite --windows gesture.npz",),
    "engines": ("--model gesture.tflite", "--variant pqt --json engines.json"),
    "calibrate": ("--board nano33ble --store", "--check pqt dscnn.tflite", "--json found.json"),
    "record": ("--label cube --trials 20 -o data/", "--board nano33ble-uart --label cube --trials 20 --resume -o data/"),
    "live": ("--seconds 60 --verify", "--board nano33ble-uart --dataset data/ --expect cube --smooth majority:3"),
    "boards": ("", "--no-ask --json"),
    "doctor": ("", "--board nano33ble", "--udev-rules"),
    "init": ("", "--model gesture.tflite --windows gesture.npz"),
    "completion": ("bash > ~/.local/share/bash-completion/completions/tinyrig", "zsh > ~/.zfunc/_tinyrig"),
}
"""Command -> what to write behind it, the commonest first; each parses (tests/test_command_line.py)."""


LEVELS = ("-v", "--verbose", "-q", "--quiet")


class Command(argparse.ArgumentParser):
    """A parser whose command answers for its own words: with its own usage, and with what may have been meant."""

    def __init__(self, *words: Any, **settings: Any) -> None:
        super().__init__(*words, **{"formatter_class": _Help, **settings})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self._refuse(rest)
        return found, rest

    def _refuse(self, words: Sequence[str]) -> NoReturn:
        known = [option for action in self._actions for option in action.option_strings]
        close = difflib.get_close_matches(words[0].partition("=")[0], known, 1)
        self.error(f"unrecognized arguments: {' '.join(words)}{f'; did you mean {close[0]}?' if close else ''}")


class _Help(argparse.HelpFormatter):
    """Text that has lines of its own keeps them."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return textwrap.indent(text, indent)
        return super()._fill_text(text, width, indent)


def add_verbosity(parser: argparse.ArgumentParser, default: Any = argparse.SUPPRESS) -> None:
    """-v and -q. `default`: SUPPRESS below a command, so that what stands before the command counts too."""
    loud = parser.add_mutually_exclusive_group()
    words = {"action": "store_const", "dest": "level", "default": default}
    loud.add_argument(*LEVELS[:2], const=logging.DEBUG, help="say also what is called and read", **words)
    loud.add_argument(*LEVELS[2:], const=logging.WARNING, help="say only warnings, errors and the result", **words)


def add_budgets(parser: argparse.ArgumentParser) -> None:
    """What a model may cost. The words are read by budget/budgets.py, where heavy imports are no matter."""
    group = parser.add_argument_group("budgets", "of each model that is measured, before those of rig.toml")
    group.add_argument("--min-accuracy", metavar="SHARE", help="accuracy to reach: 90%% or 0.9")
    group.add_argument("--max-accuracy-drop", metavar="SHARE", help="how far it may lie below the oracle's: 1%% or 0.01")
    group.add_argument("--max-latency", metavar="TIME", help="longest median latency: 5ms, 800us")
    group.add_argument("--max-ram", metavar="BYTES", help="most RAM that the model costs: 8KiB")
    group.add_argument("--max-flash", metavar="BYTES", help="most flash that the model costs: 32KiB")


def finish(commands: argparse._SubParsersAction[Any]) -> None:
    """Gives every command -v and -q and, where it has none of its own, its examples and the exit codes."""
    for name, parser in commands.choices.items():
        if name in EXAMPLES:
            if not (parser.epilog or "").startswith("example"):
                parser.epilog = f"{examples(name)}\n\n{EXITS}"
            add_verbosity(parser)


def examples(name: str) -> str:
    lines = [f"  tinyrig {name} {words}".rstrip() for words in EXAMPLES[name]]
    return "\n".join([f"example{'s' if len(lines) > 1 else ''}:", *lines])
