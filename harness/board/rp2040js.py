"""Starts rp2040js, an emulator of the Raspberry Pi Pico's chip, with the image that a Pico gets. The package is the user's own:
`npm install rp2040js`. It shares nothing with the other emulators; rp2040js.mjs says what its counter counts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tinyrig.board.emulator import Emulator
from tinyrig.core.errors import HostError

PACKAGE = "rp2040js"
NODE = "node"
VARIABLE = "TINYRIG_RP2040JS"
"""The environment variable with the folder where the package was installed; otherwise it is the working directory."""
SCRIPT = Path(__file__).with_name("rp2040js.mjs")


def find_package() -> Path:
    """Its folder. Raises HostError."""
    base = Path(os.environ.get(VARIABLE) or ".").absolute()
    folder = base / "node_modules" / PACKAGE
    if not (folder / "package.json").is_file():
        raise HostError(
            f"the npm package {PACKAGE} is missing",
            expected=str(folder),
            received="nothing there",
            remedy=f"run `npm install {PACKAGE}` in {base}, or name the folder where you did by {VARIABLE}",
        )
    return folder


def find_node() -> str:
    """Its path. Raises HostError."""
    if path := shutil.which(NODE):
        return path
    raise HostError(
        "Node.js is missing",
        expected=f"{NODE}, version 18 or newer, on the PATH",
        received="nothing",
        remedy="apt-get install --no-install-recommends nodejs npm",
    )


class Rp2040Board(Emulator):
    """Raises HostError without Node.js or the package."""

    title = PACKAGE

    def __init__(self) -> None:
        self._start = (find_node(), str(SCRIPT), str(find_package()))
        super().__init__()

    def command(self, image: Path, base: int) -> Sequence[str]:
        return (*self._start, str(image))
