"""A warm training process: `python -m tinyrig.variants.candidates`, which keeps TensorFlow loaded from one candidate to the next.

The rig side speaks to it in lines of JSON and never imports it. It is replaced after some candidates, because TensorFlow's
converter keeps a few megabytes of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyrig.core.errors import HostError, UserError
from tinyrig.host.helper import Helper, NoAnswer, module_command

CANDIDATES_A_PROCESS = 50
"""Two or three conversions of about 5 MB each."""
ANSWER_S = 1800.0
"""One training; the first answer includes TensorFlow's start."""


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
        words = ["--dataset", dataset, "--seed", str(seed), "--out", str(folder), *(["--epochs", str(epochs)] if epochs else [])]
        self._command = module_command("tinyrig.variants.candidates", *words)
        self._helper: Helper | None = None
        self._left = 0
        self._closed = False

    def sketch(self, name: str) -> Sketch:
        """Raises UserError for a candidate that makes no sense, HostError when the process fails."""
        return Sketch(Path(self._ask("sketch", name)["tflite"]))

    def train(self, name: str) -> Trained:
        """Raises as sketch()."""
        found = self._ask("train", name)
        return Trained(Path(found["tflite"]), Path(found["windows"]), found["host_accuracy"], found["macs"])

    def close(self) -> None:
        """Ends the process, also in the middle of a training, and from another thread, and no other one begins; twice is fine."""
        self._closed = True
        self._end()

    def _end(self) -> None:
        helper = self._helper  # a thread that asks it may drop it at any time
        if helper is not None:
            helper.close()  # at once: it writes nothing that could be left half done

    def _ask(self, what: str, name: str) -> dict[str, Any]:
        helper = self._ready()
        self._left -= what == "train"
        try:
            answer = helper.ask({"do": what, "name": name}, ANSWER_S)
        except NoAnswer as error:
            self._end()
            self._helper = None
            raise HostError(
                f"the training process failed at {name}",
                expected="an answer",
                received=f"{error}: {error.said or 'it said nothing'}",
                remedy="free memory, or take fewer --workers",
            ) from error
        if "refused" in answer:
            raise UserError(**answer["refused"])
        if "failed" in answer:
            raise HostError(f"training {name} failed", received=answer["failed"], remedy="see the error; free memory and disk")
        return answer

    def _ready(self) -> Helper:
        """The process, a new one where the old one has done its share."""
        helper = self._helper
        if helper is None or self._left <= 0:
            self._end()
            self._helper = helper = Helper(self._command)
            self._left = CANDIDATES_A_PROCESS
            if self._closed:
                helper.close()
        return helper
