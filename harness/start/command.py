"""`tinyrig init`: glue between the command line and what is written."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tinyrig.core.errors import EXIT_GOOD, HostError

if TYPE_CHECKING:
    from tinyrig.start.project import Subject, Written


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The `init` command, for cli.py."""
    parser = commands.add_parser("init", help="write rig.toml, a test and a CI workflow into this folder; never over a file")
    parser.add_argument("--model", type=Path, metavar="FILE.tflite", help="the model to measure (default: the only one here)")
    parser.add_argument("--windows", type=Path, metavar="FILE.npz", help="its test windows (default: the model's name in .npz)")
    parser.set_defaults(command=main)


def main(arguments: argparse.Namespace) -> int:
    """Says what it wrote and what to do next; returns the exit status."""
    from tinyrig.start.project import subject, write

    folder = Path.cwd()
    what = subject(folder, arguments.model, arguments.windows)
    try:
        files = write(folder, what)
    except OSError as error:
        raise HostError("the project can't be begun here", received=str(error), remedy="check permissions and space") from error
    for file in files:
        print(f"{file.path}: there already, left as it is" if file.kept else f"{file.path}: written")
    for line in _next(what, files, folder):
        print(line)
    return EXIT_GOOD


def _next(what: Subject, files: list[Written], folder: Path) -> list[str]:
    lines = []
    if not what.known:
        lines.append(f"no model found: put yours here and name it in rig.toml instead of {what.model}")
    top = next((p for p in folder.parents if (p / ".git").exists()), None)
    if top and not (folder / ".git").exists():
        lines.append(f"GitHub reads workflows only at the top of a repository: move {files[-1].path} below {top}")
    return [*lines, "next: tinyrig run, then pytest tests/test_model_on_board.py"]
