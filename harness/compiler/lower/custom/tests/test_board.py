"""Audio in, a class out, and a detector's head, in real firmware on the virtual board."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.lower.custom.tests.signal_models import keyword
from tinyrig.compiler.lower.custom.tests.test_detection import head, windows
from tinyrig.compiler.tests.cases import compare
from tinyrig.compiler.tests.on_board import BOARD, run_on_board
from tinyrig.workload.oracle import TflmOracle


def check(data: bytes, given: list[np.ndarray], folder: Path) -> list[np.ndarray]:
    model = compile_model(data, flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    got = run_on_board(model, given, folder)
    compare(got, TflmOracle(data).run(given))
    return got


@pytest.mark.slow
def test_audio_becomes_a_class(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    tone = 8000 * np.sin(np.arange(480) * 2 * np.pi * 1000 / 16000) + rng.normal(0, 300, 480)
    (classes,) = check(keyword(rng), [tone.astype(np.int16).reshape(1, 480)], tmp_path)
    assert len(np.unique(classes)) > 1


@pytest.mark.slow
def test_boxes_become_detections(tmp_path: Path) -> None:
    *_, count = check(head(30, 4, 3, 8), windows(30, 4)[0], tmp_path)
    assert count.ravel()[0] > 1
