"""`python -m tinyrig.variants.data.recording glove FILE`: trials for the virtual board's sensors to read, as
harness/virtual/sensors takes them: x [N,T,C], y, class_names, channel_names, rate_hz, sensor."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.errors import RigError, UserError
from tinyrig.variants.data import datasets, glove

WATCH_HZ = 25.0
"""The watch's windows (seglearn)."""


def recording(name: str, trials: int, seed: int) -> dict[str, np.ndarray]:
    """The arrays. `trials` of each class, at most. Raises UserError, HostError."""
    if name == "glove":
        x, y = glove.generate(trials, seed=seed)
        return _arrays(x, y, glove.OBJECTS, glove.CHANNELS, glove.RATE_HZ, "glove")
    if name == "watch":
        data = datasets.load_watch()
        keep = np.concatenate([np.flatnonzero(data.y == k)[:trials] for k in range(len(data.class_names))])
        return _arrays(data.x[keep], data.y[keep], data.class_names, data.channel_names, WATCH_HZ, "nano33-rev1")
    raise UserError("no such recording", expected="glove or watch", received=name)


def _arrays(
    x: np.ndarray, y: np.ndarray, classes: tuple[str, ...], channels: tuple[str, ...], rate: float, sensor: str
) -> dict[str, np.ndarray]:
    names = {"class_names": np.array(classes), "channel_names": np.array(channels), "sensor": np.array(sensor)}
    return {"x": x, "y": y, "rate_hz": np.array(rate), **names}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tinyrig.variants.data.recording", description=__doc__)
    parser.add_argument("name", choices=datasets.BUILT_IN)
    parser.add_argument("file", type=Path)
    parser.add_argument("--trials", type=int, default=10, help="of each class (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="of the synthetic glove (default: 1; variants train on 0)")
    args = parser.parse_args(argv)
    try:
        arrays: Any = recording(args.name, args.trials, args.seed)
        np.savez(args.file, **arrays)
    except RigError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
