"""A warm training process: `python -m tinyrig.variants.candidates`, which keeps TensorFlow loaded from one candidate to the next.

The rig side speaks to it in lines of JSON and never imports it. It is replaced after some candidates, because TensorFlow's
converter keeps a few megabytes of each.
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyrig.core.config import ROOT
from tinyrig.core.errors import HostError, UserError

CANDIDATES_A_PROCESS = 50
"""Two or three conversions of about 5 MB each."""
ANSWER_S = 1800.0
"""One training; the first answer includes TensorFlow's start."""
STOP_S = 5.0


@dataclass(frozen=True)
class Sketch:
    """A candidate before it is trained: its weights mean nothing, its sizes and its timing do."""

    tflite: Path


@dataclass(frozen=True)
class Trained:
    """`windows` are the validation windows (.npz) that training has not seen; `host_accuracy` is the host's on them (0 to 1)."""

    tflite: Path
    windows: Path
    host_accuracy: float
    macs: int


class Trainer:
    """One training process at a time, started when it is first asked. Not for two threads."""

    def __init__(self, folder: Path, dataset: str, seed: int, epochs: int | None) -> None:
        self._command = [
            sys.executable,
            "-m",
            "tinyrig.variants.candidates",
            "--dataset",
            dataset,
            "--seed",
            str(seed),
            "--out",
            str(folder),
            *(["--epochs", str(epochs)] if epochs else []),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._left = 0

    def sketch(self, name: str) -> Sketch:
        """Raises UserError for a candidate that makes no sense, HostError when the process fails."""
        return Sketch(Path(self._ask("sketch", name)["tflite"]))

    def train(self, name: str) -> Trained:
        """Raises as sketch()."""
        found = self._ask("train", name)
        return Trained(Path(found["tflite"]), Path(found["windows"]), found["host_accuracy"], found["macs"])

    def close(self) -> None:
        """Ends the process, also in the middle of a training; twice is fine."""
        self._stop()
        self._errors.close()

    def _ask(self, what: str, name: str) -> dict[str, Any]:
        if self._process is None or self._left <= 0:
            self._start()
        self._left -= what == "train"
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, "name": name}).encode() + b"\n")
            self._process.stdin.flush()
            answer = json.loads(self._line(time.monotonic() + ANSWER_S))
        except (OSError, ValueError) as error:
            raise self._broken(name, error) from error
        if "refused" in answer:
            raise UserError(**answer["refused"])
        if "failed" in answer:
            raise HostError(f"training {name} failed", received=answer["failed"], remedy="see the error; free memory and disk")
        return answer

    def _line(self, deadline: float) -> bytes:
        """The next line of its answers; raises OSError for silence and for its end."""
        assert self._process is not None and self._process.stdout is not None
        stream, line = self._process.stdout, b""
        while not line.endswith(b"\n"):
            if not select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise OSError(f"no answer within {ANSWER_S:g} s")
            part = stream.read1(65536)  # type: ignore[attr-defined]
            if not part:
                raise OSError("the process ended")
            line += part
        return line

    def _broken(self, name: str, error: Exception) -> HostError:
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()[-2000:]
        self._stop()
        return HostError(
            f"the training process failed at {name}",
            expected="an answer",
            received=f"{error}: {said or 'it said nothing'}",
            remedy="free memory, or take fewer --workers",
        )

    def _start(self) -> None:
        self._stop()
        self._errors.truncate(0)
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, cwd=ROOT
        )
        self._left = CANDIDATES_A_PROCESS

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.kill()  # it writes nothing that could be left half done
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()
        self._process = None
