"""Labelled windows to train and test on: synthetic glove, recorded watch, or the user's own.

`load(spec, seed)` takes `glove`, `watch`, an .npz file or a folder of CSV files (docs/data.md describes both).
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinyrig.core.errors import HostError, UserError
from tinyrig.core.text import visible
from tinyrig.places.remedies import extra
from tinyrig.variants.data import glove, user_data

log = logging.getLogger(__name__)

BUILT_IN = ("glove", "watch")
_TAKEN = (*BUILT_IN, "zoo")
"""Output folders that no dataset of the user's may share."""
MIN_PER_CLASS = 5
"""Fewest windows of a class: one of five is the test part's share."""
MIN_STEPS = 3
"""The network's first layer looks at three steps at a time."""

WATCH_SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
"""seglearn 1.2.5, data/watch_dataset.npy: a pickle, so it is only opened if it is exactly this file."""
WATCH_STEPS = 59
WATCH_CLASSES = {
    "PEN": "pendulum",
    "ABD": "abduction",
    "FEL": "forward elevation",
    "IR": "internal rotation",
    "ER": "external rotation",
    "TRAP": "trapezius extension",
    "ROW": "upright row",
}


@dataclass(frozen=True)
class Dataset:
    """x float32 [N,T,C] in the sensors' units, y int64 [N] (index into class_names), groups [N] or None.

    Windows of one group (a person, a recording) never go to both the training and the test part. `cautions`: what about the data
    can hardly be meant, in words; `source_id` of the user's own data: what exactly was read.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    class_names: tuple[str, ...]
    channel_names: tuple[str, ...]
    groups: np.ndarray | None
    synthetic: bool
    source: str
    cautions: tuple[str, ...] = ()
    source_id: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything a model could learn from, and of how it is split."""
        digest = hashlib.sha256(repr((self.x.shape, self.class_names, self.channel_names)).encode())
        digest.update(np.ascontiguousarray(self.x).data)
        digest.update(np.ascontiguousarray(self.y).data)
        digest.update(repr(None if self.groups is None else self.groups.tolist()).encode())
        return digest.hexdigest()


def name_of(spec: str) -> str:
    """The dataset's name, which is also its default output folder's: the file's name, kept apart from the built-in ones."""
    if spec in BUILT_IN:
        return spec
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(spec).resolve().name.removesuffix(".npz")).strip("-")[:100] or "data"
    return f"{stem}-own" if stem in _TAKEN else stem


def source_id(spec: str) -> dict[str, str]:
    """What the data come from, found without loading them: equal ids mean equal data (given the seed and this code)."""
    if spec == "glove":
        return {"kind": "glove"}
    if spec == "watch":
        return {"kind": "watch", "sha256": WATCH_SHA256}
    return user_data.source_id(Path(spec))


def load(spec: str, seed: int = 0, say: Callable[[str], None] = log.warning) -> Dataset:
    """`glove`, `watch` or a path -> a checked Dataset. `seed` matters to `glove` only. `say` is given each caution, also those of
    data that are then refused.

    UserError: the path or what is in it is unusable, or it was changed meanwhile. HostError: the package with the recordings is
    missing.
    """
    if spec == "glove":
        return check(load_glove(seed))
    if spec == "watch":
        return check(load_watch())
    source = source_id(spec)
    raw = user_data.load(Path(spec))
    if source_id(spec) != source:
        raise changed(spec)
    for text in raw.cautions:
        say(f"warning: {visible(text)}")
    return check(
        Dataset(
            name=name_of(spec),
            x=raw.x,
            y=raw.y,
            class_names=raw.class_names,
            channel_names=raw.channel_names,
            groups=raw.groups,
            synthetic=False,
            source=f"the user's own data, {Path(spec).name}",
            cautions=raw.cautions,
            source_id=source,
        )
    )


def changed(spec: str) -> UserError:
    return UserError(
        f"dataset {spec} was changed while it was read",
        expected="files that stay as they are until the command has ended",
        received="other ones",
        remedy="run again",
    )


def load_glove(seed: int = 0, trials_per_object: int = glove.TRIALS_PER_OBJECT) -> Dataset:
    """The synthetic glove: 8 objects, 59 steps at 20 Hz, 35 channels."""
    x, y = glove.generate(trials_per_object, seed=seed)
    return Dataset(
        name="glove",
        x=x,
        y=y,
        class_names=glove.OBJECTS,
        channel_names=glove.CHANNELS,
        groups=None,
        synthetic=True,
        source=f"synthetic, generated by variants/data/glove.py (difficulty {glove.DIFFICULTY}); not recordings",
    )


def load_watch() -> Dataset:
    """Wrist-IMU recordings of 7 shoulder exercises by 10 subjects: windows of 59 steps at 25 Hz, 6 channels (g, rad/s).

    Recordings: Burns et al. 2018, as packaged in seglearn. Windows don't overlap, so that each is new evidence; groups are
    the subjects, because windows of one person on both sides flatter a model.
    """
    data = np.load(io.BytesIO(_watch_bytes()), allow_pickle=True).item()
    windows = [_windows_at_half_rate(series, WATCH_STEPS) for series in data["X"]]
    counts = [len(w) for w in windows]
    return Dataset(
        name="watch",
        x=np.concatenate(windows).astype(np.float32),
        y=np.repeat(data["y"], counts).astype(np.int64),
        class_names=tuple(WATCH_CLASSES[label] for label in data["y_labels"]),
        channel_names=tuple(data["X_labels"]),
        groups=np.repeat(data["subject"], counts),
        synthetic=False,
        source="wrist-IMU recordings of 10 subjects (Burns et al. 2018), seglearn 1.2.5; 50 Hz averaged to 25 Hz",
    )


def _watch_bytes() -> bytes:
    """The recordings' file, proven to be the known one before anything unpickles it."""
    spec = importlib.util.find_spec("seglearn")  # finds the folder without importing the package
    path = Path(spec.origin).parent / "data" / "watch_dataset.npy" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise HostError(
            "dataset watch: its recordings are missing",
            expected="the file data/watch_dataset.npy of package seglearn 1.2.5",
            received="no such package or file",
            remedy=extra("variants"),
        )
    raw = path.read_bytes()
    received = hashlib.sha256(raw).hexdigest()
    if received != WATCH_SHA256:
        raise HostError(
            "dataset watch: its file isn't the known one, so it is not unpickled",
            expected=f"SHA-256 {WATCH_SHA256}",
            received=received,
            remedy="reinstall seglearn==1.2.5",
        )
    return raw


def _windows_at_half_rate(series: np.ndarray, steps: int) -> np.ndarray:
    """[L,C] -> [n,steps,C]: neighbouring samples averaged (a plain anti-alias), cut into windows, the rest dropped."""
    half = np.asarray(series[: len(series) // 2 * 2].reshape(-1, 2, series.shape[1]).mean(1))
    n = len(half) // steps
    return half[: n * steps].reshape(n, steps, -1)


def check(data: Dataset) -> Dataset:
    """The same dataset, or UserError with what makes it unusable for training the network."""
    if data.x.shape[1] < MIN_STEPS:
        raise UserError(
            f"dataset {data.name}: windows too short",
            expected=f"at least {MIN_STEPS} time steps",
            received=f"x of shape {list(data.x.shape)}",
            remedy="x is [windows, steps, channels]: check the order of the axes",
        )
    if len(data.class_names) < 2:
        raise UserError(f"dataset {data.name}: nothing to tell apart", expected="2 classes or more", received="1 class")
    counts = np.bincount(data.y, minlength=len(data.class_names))
    for name, count in zip(data.class_names, counts, strict=True):
        if count < MIN_PER_CLASS:
            raise UserError(
                f"dataset {data.name}: too few windows of class {name!r}",
                expected=f"at least {MIN_PER_CLASS}",
                received=str(count),
                remedy="record more, or leave the class out",
            )
    return data
