"""Recurrent networks in the forms in which Keras writes them: as a loop (Keras 3), fused or as a loop (Keras 2), unrolled; the
last step or all of them, one layer or two, forwards and backwards. Each runs on the virtual board beside its oracle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tinyrig
from tinyrig.tests.user_home import url
from tinyrig.variants.tests.recurrent_models import FORMS, INT8

pytestmark = pytest.mark.slow

CASES = [
    pytest.param(cell, form, int8, id=f"{cell} {form} {'int8' if int8 else 'float'}")
    for cell in ("LSTM", "GRU")
    for form in FORMS
    for int8 in (False, True)
    if not int8 or form in INT8 or (cell == "LSTM" and form == "keras 2")
]


@pytest.mark.parametrize(("cell", "form", "int8"), CASES)
def test_it_runs_as_its_oracle_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str, form: str, int8: bool) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    words = [cell, form, "int8" if int8 else "float", "net.tflite"]
    subprocess.run([sys.executable, "-m", "tinyrig.variants.tests.recurrent_models", *words], check=True)
    found = tinyrig.run("net.tflite", limit=8)
    assert found.verified and found.parity is not None and found.parity.mismatched_windows == 0
    assert found.parity.oracle == "tflm" and found.parity.compared_windows == 8
    took = f"{found.ram.arena_bytes} B arena, {found.latency.cycles_median:,.0f} cycles"
    print(f"{cell}, {form}, {'int8' if int8 else 'float'}: {took}")
