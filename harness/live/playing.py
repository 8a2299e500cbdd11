"""What the sensors of a virtual board play: trials of a recording, by class where one is asked for."""

from __future__ import annotations

import dataclasses
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyrig.core.errors import HostError, UserError
from tinyrig.core.files.npz import open_npz
from tinyrig.host.own_command import run_module
from tinyrig.live.sensors import Sensor

BUILT_IN = ("glove", "watch")
MAKE_S = 120.0


@dataclass(frozen=True)
class Source:
    """x float32 [N,T,C]; y int64 [N] and class_names where the recording has labels."""

    x: np.ndarray
    rate_hz: float
    sensor: str
    y: np.ndarray | None
    class_names: tuple[str, ...]

    def read_by(self, sensor: Sensor) -> Source:
        """As that sensor reads it. Raises UserError for a recording of one with other channels."""
        if self.sensor != sensor.name and self.sensor not in sensor.also:
            raise UserError("a recording of another sensor", expected=sensor.name, received=self.sensor)
        return dataclasses.replace(self, sensor=sensor.name)

    def of_class(self, label: str) -> Source:
        """Its trials alone. Raises UserError."""
        if self.y is None:
            return self
        if label not in self.class_names:
            raise UserError(
                f"the recording that the virtual sensors play has no class {label!r:.80}",
                expected=", ".join(self.class_names),
                received=label,
                remedy="name one of its classes, or play another recording (--play FILE.npz)",
            )
        keep = np.flatnonzero(self.y == self.class_names.index(label))
        return Source(self.x[keep], self.rate_hz, self.sensor, self.y[keep], self.class_names)

    def trials(self, first: int, count: int) -> Source:
        """`count` of them, from the first on; behind the last comes the first."""
        keep = np.arange(first, first + count) % len(self.x)
        return Source(self.x[keep], self.rate_hz, self.sensor, None if self.y is None else self.y[keep], self.class_names)

    def save(self, file: Path) -> Path:
        """For the virtual board."""
        np.savez(file, x=self.x, rate_hz=np.array(self.rate_hz), sensor=np.array(self.sensor))
        return file

    def label_of(self, frame: int) -> str | None:
        """The class of the trial that frame `frame` is of, where each is sampled once; None: not known."""
        if self.y is None:
            return None
        return self.class_names[int(self.y[frame // self.x.shape[1] % len(self.x)])]


def source(word: str, folder: Path, trials: int, seed: int) -> Source:
    """`glove`, `watch` (`trials` of each class), or an .npz with x, rate_hz, sensor and maybe y and class_names. Raises
    UserError, HostError."""
    path = Path(word)
    if word in BUILT_IN:
        path = folder / "made.npz"
        words = ["tinyrig.variants.data.recording", word, str(path), "--trials", str(trials), "--seed", str(seed)]
        try:
            status, _ = run_module(words, MAKE_S)
        except subprocess.TimeoutExpired as error:
            raise HostError(f"the recording {word} takes too long to make", received=f"over {MAKE_S:g} s") from error
        if status:
            raise HostError(f"the recording {word} could not be made", received=f"exit status {status}, for the reason above")
    return _read(path)


def _read(path: Path) -> Source:
    with open_npz(path, "write it with numpy.savez") as npz:
        names = [n for n in ("x", "y", "class_names", "rate_hz", "sensor") if n in npz.headers]
        found = {name: npz.array(name) for name in names}
    missing = [name for name in ("x", "rate_hz", "sensor") if name not in found]
    if missing or found["x"].ndim != 3 or 0 in found["x"].shape:
        received = f"no {missing[0]}" if missing else f"x {list(found['x'].shape)}"
        raise UserError(f"{path} is no recording", expected="x [trials, steps, channels], rate_hz, sensor", received=received)
    y, classes = found.get("y"), found.get("class_names")
    labelled = y is not None and classes is not None and y.dtype.kind in "iu" and y.shape == found["x"].shape[:1]
    if labelled and y is not None and classes is not None and not (int(y.min()) >= 0 and int(y.max()) < classes.size):
        raise UserError(f"{path}: y has a label outside class_names", expected=f"0..{classes.size - 1}", received=str(y.max()))
    return Source(
        found["x"].astype(np.float32),
        float(found["rate_hz"].reshape(-1)[0]),
        str(found["sensor"].reshape(-1)[0]),
        y if labelled else None,
        tuple(str(c) for c in classes.tolist()) if labelled and classes is not None else (),
    )
