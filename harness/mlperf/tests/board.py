"""The fake board as a process, and the constants that make its tests short."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import numpy as np

from tinyrig.mlperf.bench import Rule
from tinyrig.mlperf.device import Times

ROOT = Path(__file__).parents[3]
QUICK = Times(reply_s=0.6, hello_s=0.6, quiet_s=0.02, tries=10, inferences_s=2.0)
IMPATIENT = Times(reply_s=0.1, hello_s=0.1, quiet_s=0.02, tries=4, inferences_s=1.0)
SHORT = Rule(seconds=0.02)
FEATURES, CLASSES = 40, 4


class FakeBoard:
    """`python -m tinyrig.mlperf.fake` with `options`; `port` is its pty."""

    def __init__(self, *options: str) -> None:
        words = [sys.executable, "-m", "tinyrig.mlperf.fake", *options]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        line = self._process.stdout.readline()
        assert line.startswith("port "), line
        self.port = line[5:].strip()
        self._held = os.open(self.port, os.O_RDWR | os.O_NOCTTY)  # or another test's pty could get its name

    def __enter__(self) -> FakeBoard:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._process.communicate(timeout=10)
        os.close(self._held)


def save_windows(path: Path, x: np.ndarray, y: np.ndarray | None = None) -> Path:
    np.savez(path, x=x, **({} if y is None else {"y": y}))
    return path


def int8_windows(count: int, features: int = FEATURES) -> np.ndarray:
    return np.random.default_rng(5).integers(-128, 128, (count, features)).astype(np.int8)


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "TINYRIG_LOCKS": str(home / "locks")}
