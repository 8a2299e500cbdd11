"""What is installed with tinyrig. Nothing is ever written here: it may belong to another user, or to a package manager."""

from __future__ import annotations

from pathlib import Path

import tinyrig.firmware

FIRMWARE = Path(tinyrig.firmware.__file__).resolve().parent
"""The C sources, headers, linker scripts."""
