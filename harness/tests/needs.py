"""Programs that tests need beyond the compiler."""

from __future__ import annotations

import os
import shutil

import pytest

from tinyrig.board.qemu import PROGRAM, program_of
from tinyrig.core.boards import BOARDS

REQUIRED = os.environ.get("TINYRIG_TEST_QEMU") == "required"
HAS_QEMU = shutil.which(PROGRAM) is not None or REQUIRED
needs_qemu = pytest.mark.skipif(not HAS_QEMU, reason=f"{PROGRAM} is not installed")
"""Skips where QEMU is missing, unless TINYRIG_TEST_QEMU=required: then the test fails there."""


def needs_board(name: str) -> list[pytest.MarkDecorator]:
    """The same for the emulator and the compiler of one of QEMU's boards."""
    board = BOARDS[name]
    missing = [word for word in (program_of(board), board.core.compiler) if shutil.which(word) is None]
    return [pytest.mark.skipif(bool(missing) and not REQUIRED, reason=f"{' and '.join(missing)} not installed")]
