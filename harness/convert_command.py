"""`tinyrig convert`: a network of Keras or a SavedModel -> a .tflite, which is checked at once. The conversion is a process
of its own: only that one imports TensorFlow."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from tinyrig.core.errors import EXIT_GOOD, EXIT_USER, HostError, UserError

_EPILOG = """examples:
  tinyrig convert gesture.keras --windows train.npz -o gesture.tflite
  tinyrig convert saved_model/ --float32 -o gesture.tflite

exit codes: 0 converted, and fits the virtual board; 2 network, windows or result can't be used; 3 the host lacks something
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The `convert` command, for cli.py."""
    parser = commands.add_parser(
        "convert",
        help="a Keras network (.keras, .h5) or a SavedModel to an int8 .tflite (needs the extra `convert`)",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("network", type=Path, metavar="NETWORK", help="FILE.keras, FILE.h5, or the folder of a SavedModel")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--windows", type=Path, metavar="FILE.npz", help="representative windows, from which int8 takes its ranges")
    how.add_argument("--float32", action="store_true", help="do not quantise")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.tflite", help="default: named after NETWORK, in this folder")
    parser.set_defaults(command=main)


def main(arguments: argparse.Namespace) -> int:
    """Prints the check of what was made."""
    from tinyrig.core.config import load_config
    from tinyrig.host.own_command import run_module

    network, config = arguments.network, load_config()
    output = arguments.output or Path(f"{network.resolve().stem}.tflite")
    _check_network(network)
    words = ["tinyrig.variants.convert", str(network), "-o", str(output)]
    words += ["--windows", str(arguments.windows)] if arguments.windows else []
    try:
        status, _ = run_module(words, config.limits.run_s)
    except subprocess.TimeoutExpired as error:
        raise HostError("the conversion takes too long", expected=f"{config.limits.run_s} s", received="no end") from error
    return status if status else _checked(output)


def _check_network(path: Path) -> None:
    """Only what can be converted. Raises UserError, ModelError with what it is instead."""
    from tinyrig.intake.kinds import is_keras
    from tinyrig.intake.recognise import is_tflite, model_bytes
    from tinyrig.preflight.files import is_saved_model
    from tinyrig.workload.model_file import read_file

    if path.is_dir():
        if not is_saved_model(path):
            raise UserError(f"{path} is no network", expected="a folder with saved_model.pb", received="another folder")
        return
    data = read_file(path)
    if is_tflite(data):
        raise UserError(
            f"{path} is a .tflite already", expected="a network of Keras, or a SavedModel", remedy=f"tinyrig check {path}"
        )
    if not is_keras(data):
        model_bytes(data, path)
        raise UserError(
            f"{path} is C source with a .tflite inside", expected="a network of Keras", remedy=f"tinyrig check {path}"
        )


def _checked(output: Path) -> int:
    from tinyrig.core.boards import BOARDS
    from tinyrig.preflight.files import check_file
    from tinyrig.preflight.text import page

    check = check_file(output, tuple(BOARDS.values()), "speed")
    print(page(check))
    return EXIT_GOOD if check.runs and check.fits_on("virtual") else EXIT_USER
