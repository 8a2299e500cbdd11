"""`python -m tinyrig.variants.convert`: a network of Keras or a SavedModel -> a .tflite. `tinyrig convert` runs it, then
checks what came out."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "0"  # files of Keras 3; those of Keras 2 are read by tf_keras itself
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tinyrig.core.errors import EXIT_GOOD, HostError, RigError
from tinyrig.host.last_resort import say, unforeseen
from tinyrig.host.own_command import ending
from tinyrig.host.signals import exit_status


def main(argv: list[str] | None = None) -> int:
    """-> exit code."""
    parser = argparse.ArgumentParser(prog="tinyrig convert")
    parser.add_argument("network", type=Path)
    parser.add_argument("--windows", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        with ending():
            _convert(args.network, args.windows, args.output)
    except RigError as error:
        say(f"error: {error}")
        return error.exit_code
    except KeyboardInterrupt as interruption:
        return exit_status(interruption)
    except Exception as error:
        return unforeseen(error, "error")
    return EXIT_GOOD


def _convert(network: Path, windows: Path | None, output: Path) -> None:
    from tinyrig.variants.convert.convert import convert
    from tinyrig.variants.convert.representative import read_windows

    data = convert(network, read_windows(windows) if windows else None)
    try:
        output.write_bytes(data)
    except OSError as error:
        raise HostError(f"{output} can't be written", received=str(error), remedy="name a writable file") from error


if __name__ == "__main__":
    sys.exit(main())
