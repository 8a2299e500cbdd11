"""Programs that tests need beyond the compiler."""

from __future__ import annotations

import os
import shutil

import pytest

from tinyrig.board.qemu import PROGRAM

HAS_QEMU = shutil.which(PROGRAM) is not None or os.environ.get("TINYRIG_TEST_QEMU") == "required"
needs_qemu = pytest.mark.skipif(not HAS_QEMU, reason=f"{PROGRAM} is not installed")
"""Skips where QEMU is missing, unless TINYRIG_TEST_QEMU=required: then the test fails there."""
