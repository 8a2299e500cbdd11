"""Streaming networks as docs/streaming.md makes them: two recordings of 25 frames on the virtual board beside the oracle."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinyrig
from tinyrig.tests.user_home import finish, numbers, start, url, wait_for_samples
from tinyrig.variants.tests.streaming_models import CHANNELS

pytestmark = pytest.mark.slow

STEPS, RESET_AT = 50, 25


def furnish(folder: Path, net: str, kind: str) -> None:
    words = ["-m", "tinyrig.variants.tests.streaming_models", net, kind, str(folder / "net.tflite")]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    rng = np.random.default_rng(4)
    frames = rng.normal(0, 1, (STEPS, *((1, 1) if net != "counted" else (1,)), CHANNELS))
    x = frames.astype(np.float32) if kind == "float" else (frames * 40).clip(-128, 127).astype(np.int8)
    np.savez(folder / "w.npz", x=x, sequence=[int(i >= RESET_AT) for i in range(STEPS)])


@pytest.mark.parametrize(("net", "kind", "oracle"), [("LSTM", "float", "tflm"), ("counted", "float", "numpy")])
def test_the_board_follows_two_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, net: str, kind: str, oracle: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    furnish(tmp_path, net, kind)
    found = tinyrig.run("net.tflite", windows="w.npz", oracle=oracle)
    assert found.verified and found.parity is not None and found.parity.mismatched_windows == 0
    assert found.parity.oracle == oracle and found.parity.compared_windows == STEPS
    print(f"{net}, {kind}: {found.ram.arena_bytes} B arena, {found.latency.cycles_median:,.0f} cycles")


def test_an_int8_keyword_spotter_survives_a_kill(tmp_path: Path) -> None:
    furnish(tmp_path, "ring", "int8")
    words = ("--model", "net.tflite", "--windows", "w.npz", "--no-report", "--json", "out.json")
    process = start(tmp_path, "run", *words, TINYRIG_LINE_RATE="8000")
    wait_for_samples(tmp_path, process, RESET_AT + 8)
    process.kill()
    process.communicate()
    time.sleep(0.2)
    code, errors = finish(start(tmp_path, "run", "--resume", "--no-report", "--json", "resumed.json"))
    assert code == 0, errors
    run = numbers(tmp_path / "resumed.json")["runs"][0]
    assert run["sequences"] == 2 and (run["parity"]["compared"], run["parity"]["mismatched_windows"]) == (STEPS, 0)
