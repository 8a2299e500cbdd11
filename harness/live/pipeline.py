"""From a sensor's counts to a network's input, as the manifest says and firmware/live/pipeline.c does it: float32, each operation
rounded once."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.core.records import TensorSpec
from tinyrig.live.sensors import Sensor

ARITHMETIC = "float32"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Pipeline:
    """`index` [C]: the sensor's channel of each of the model's; mean and std float32 [C], in the channels' units."""

    length: int
    index: tuple[int, ...]
    mean: np.ndarray
    std: np.ndarray
    class_names: tuple[str, ...]

    def values(self, counts: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """counts int16 [T, sensor's channels], scale float32 for each -> float32 [T,C], normalised."""
        chosen = list(self.index)
        real = counts[:, chosen].astype(np.float32) * scale[chosen].astype(np.float32)
        x: np.ndarray = (real - self.mean) / self.std
        return x

    def input_bytes(self, counts: np.ndarray, scale: np.ndarray, spec: TensorSpec) -> bytes:
        """What stands in the model's input tensor."""
        return spec.quantize(self.values(counts, scale)).tobytes()

    @property
    def channels(self) -> tuple[tuple[int, float, float], ...]:
        """As START takes them."""
        numbers = zip(self.index, self.mean.tolist(), self.std.tolist(), strict=True)
        return tuple(numbers)


def read_pipeline(manifest: Path, sensor: Sensor, spec: TensorSpec) -> Pipeline:
    """Of a manifest that `tinyrig variants` wrote, or of a file with its key `pipeline`. Raises UserError."""
    try:
        document = json.loads(manifest.read_text("utf-8"))
        pipeline = document.get("pipeline") or _older(document, spec)
        names = [str(name) for name in pipeline["channels"]]
        mean, std = (np.array(pipeline[key], np.float32) for key in ("mean", "std"))
        length = int(pipeline["length"])
        classes = tuple(str(c) for c in document.get("dataset", document).get("class_names", ()))
        arithmetic = str(pipeline.get("arithmetic", ARITHMETIC))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{manifest} has no pipeline",
            expected="the key pipeline with length, channels, mean and std, as tinyrig variants writes it",
            received=f"{type(error).__name__}: {error}"[:300],
            remedy="build the variants again, or name the file (--manifest)",
        ) from error
    _check(manifest, sensor, spec, names, length, mean, std, arithmetic)
    return Pipeline(length, tuple(sensor.channels.index(n) for n in names), mean, std, classes)


def _older(document: dict[str, Any], spec: TensorSpec) -> dict[str, Any]:
    """Manifests of before have the same numbers elsewhere."""
    names = document["dataset"]["channel_names"]
    return {"length": spec.size // len(names), "channels": names, **document["normalisation"]}


def _check(
    manifest: Path,
    sensor: Sensor,
    spec: TensorSpec,
    names: list[str],
    length: int,
    mean: np.ndarray,
    std: np.ndarray,
    arithmetic: str,
) -> None:
    if unknown := [n for n in names if n not in sensor.channels]:
        raise UserError(
            f"{manifest}: the model wants a channel that sensor {sensor.name} has not",
            expected=", ".join(sensor.channels)[:300],
            received=unknown[0][:80],
            remedy="name the channels in the dataset as the sensor does",
        )
    good = mean.shape == std.shape == (len(names),) and all(map(math.isfinite, mean.tolist())) and bool((std > 0).all())
    if not good or arithmetic != ARITHMETIC:
        received = f"{mean.shape} and {std.shape} for {len(names)} channels, {arithmetic}"
        raise UserError(f"{manifest}: unusable normalisation", expected="finite mean, positive std, float32", received=received)
    if length * len(names) != spec.size or length < 1:
        raise UserError(
            f"{manifest}: its windows are not the model's input",
            expected=f"{spec.size} values",
            received=f"{length} steps of {len(names)} channels",
        )
