"""A recorded dataset on disk: a CSV a trial, labels.csv as `tinyrig variants` reads it, and recording.json with all that is known
of it. A trial counts from the moment that labels.csv names it; every file is replaced whole."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.errors import HostError, UserError

LABELS, META = "labels.csv", "recording.json"
SCHEMA = 1


@dataclass(frozen=True)
class Made:
    """How a dataset was recorded: the same for all its trials."""

    sensor: str
    ranges: str
    rate_hz: float
    period_us: int
    steps: int
    channels: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """One file. `x` float32 [T,C] in the channels' units; `facts` are kept with it."""

    label: str
    group: str
    x: np.ndarray
    facts: dict[str, Any]


@dataclass
class Recorded:
    """What a folder holds. `trials`: entries of recording.json, in order."""

    folder: Path
    made: Made
    trials: list[dict[str, Any]] = field(default_factory=list)

    def count(self, label: str) -> int:
        return sum(t["label"] == label for t in self.trials)

    def add(self, trial: Trial) -> str:
        """Stores it; returns its file's name. Raises HostError."""
        text = csv_text(self.made.channels, trial.x)
        name = self._free_name(trial.label)
        digest = hashlib.sha256(text.encode()).hexdigest()
        entry = {"file": name, "label": trial.label, "group": trial.group, "sha256": digest, **trial.facts}
        try:
            _replace(self.folder / name, text)
            self._write([*self.trials, entry])
        except OSError as error:
            raise HostError(f"{self.folder} can't be written", received=str(error), remedy="choose another -o") from error
        self.trials.append(entry)
        return name

    def _free_name(self, label: str) -> str:
        stem = re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-").lower()[:60] or "trial"
        used = {t["file"] for t in self.trials}
        return next(name for n in range(1, len(used) + 2) if (name := f"{stem}-{n:03}.csv") not in used)

    def _write(self, trials: Sequence[dict[str, Any]]) -> None:
        document = {"schema": SCHEMA, **vars(self.made), "trials": list(trials)}
        _replace(self.folder / META, json.dumps(document, indent=1, allow_nan=False) + "\n")
        grouped = any(t["group"] for t in trials)
        rows = [[t["file"], t["label"], *([t["group"]] if grouped else [])] for t in trials]
        _replace(self.folder / LABELS, _csv([["file", "label", *(["group"] if grouped else [])], *rows]))


def opened(folder: Path, made: Made) -> Recorded:
    """The dataset in `folder`, or a new one. Raises UserError for one that was recorded otherwise, whose files are not what
    they were, or for a folder of somebody else's; HostError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / META).exists():
            if any(folder.iterdir()):
                raise UserError(
                    f"{folder} holds other files", expected=f"an empty folder, or one with {META}", remedy="choose another -o"
                )
            return Recorded(folder, made)
        known = json.loads((folder / META).read_text("utf-8"))
        before: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items() if k in vars(made)}
        trials = [dict(t) for t in known["trials"]]
        [(t["file"], t["label"], t["group"], t["sha256"]) for t in trials]
    except OSError as error:
        raise HostError(f"{folder} can't be used", received=str(error), remedy="choose another -o") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{folder / META} can't be read", received=repr(error)[:300], remedy="choose another -o") from error
    _check_same(folder, before, vars(made))
    check_files(folder, trials)
    return Recorded(folder, made, trials)


def check_files(folder: Path, trials: Sequence[dict[str, Any]]) -> None:
    """Raises UserError for a file that is not what was recorded."""
    for trial in trials:
        path = folder / Path(trial["file"]).name
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            found = str(error)
        if found != trial["sha256"]:
            raise UserError(
                f"{path} is not what was recorded",
                expected=f"SHA-256 {trial['sha256']}",
                received=found,
                remedy="put the file back, or record into another folder",
            )


def _check_same(folder: Path, before: dict[str, Any], made: dict[str, Any]) -> None:
    for name, value in made.items():
        if before.get(name) != value:
            raise UserError(
                f"{folder} was recorded otherwise: {name} differs",
                expected=str(before.get(name))[:200],
                received=str(value)[:200],
                remedy="record with the same words, or into another folder: trials of one dataset are alike",
            )


def csv_text(channels: Sequence[str], x: np.ndarray) -> str:
    """x float32 [T,C]; nine digits give every float32 back."""
    return _csv([list(channels), *([f"{value:.9g}" for value in row] for row in x.tolist())])


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
