"""Reports as files: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from tinyrig.places.project import made


def write_text_file(path: Path, text: str) -> None:
    """Whole or not at all: a reader never meets half a report."""
    made(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
