"""A user's folder for tests of whole commands: two small models, labelled windows, a results database and locks of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tinyrig.core.config import ROOT
from tinyrig.store.runs import Store
from tinyrig.tests import small_models

WINDOWS = 12
SAMPLES = WINDOWS + 30 + 2
"""Windows, the default repeats, stack and profile."""
MODEL = ("--model", "dense.tflite", "--windows", "windows.npz")


def furnish(folder: Path) -> Path:
    (folder / "dense.tflite").write_bytes(small_models.dense_int8())
    (folder / "other.tflite").write_bytes(small_models.dense_int8(seed=7))
    (folder / "float.tflite").write_bytes(small_models.dense_float())
    rng = np.random.default_rng(1)
    x = rng.normal(0, 2, (WINDOWS, small_models.FEATURES)).astype(np.float32)
    np.savez(folder / "windows.npz", x=x, y=rng.integers(0, 4, WINDOWS), class_names=np.array(list("abcd")))
    return folder


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'results.sqlite'}"


def environment(folder: Path, **more: str) -> dict[str, str]:
    own = {"LOCKS": folder / "locks", "LOGS_FILE": folder / "nightly.log", "RESULTS": url(folder)}
    return {**os.environ, "PYTHONPATH": str(ROOT), **{f"TINYRIG_{k}": str(v) for k, v in own.items()}, **more}


def start(folder: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    """`tinyrig` with these words, as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tinyrig.cli", *words],
        cwd=folder,
        env=environment(folder, **more),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str], seconds: float = 120) -> tuple[int, str]:
    """(exit status, stderr)."""
    _, errors = process.communicate(timeout=seconds)
    return process.returncode, errors


def numbers(path: Path) -> dict:
    """A --json document without what names the one run, what the line cost the last attempt at it, and the ends of its estimate,
    which are of the inferences that the last process saw: all else must be the same for the same work."""
    document = json.loads(path.read_text())
    runs = [{key: value for key, value in run.items() if key != "link"} for run in document["runs"]]
    for run in runs:
        if run["latency"]:
            assert run["latency"].pop("us_low") <= run["latency"].pop("us_high")
            run["latency"].pop("layout_spread")
    return {key: value for key, value in document.items() if key not in ("run_id", "started")} | {"runs": runs}


def wait_for_samples(home: Path, process: subprocess.Popen[str], count: int) -> None:
    """Until so many are kept of a run under way."""
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        if (home / "results.sqlite").exists():
            with Store(url(home)) as store:
                if any(run.open_samples >= count for run in store.runs()):
                    return
        time.sleep(0.02)
    raise AssertionError(f"{count} samples were not kept; exit status {process.poll()}")
