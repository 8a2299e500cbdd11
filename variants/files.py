"""Files that another process may read at any time."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.places.project import made


def write_whole(path: Path, data: bytes) -> Path:
    """Whole or not at all; the folder is made where it is missing."""
    made(path.parent)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    return partial.replace(path)


def write_npz(path: Path, arrays: Mapping[str, Any]) -> Path:
    """Arrays as numpy.savez writes them."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return write_whole(path, buffer.getvalue())
