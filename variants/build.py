"""One build: dataset -> split -> variants -> a finished output folder."""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import HostError
from variants import builders, datasets, flops, manifest, splits, tflite_facts

PACKAGES = ("numpy", "tensorflow", "tf-keras", "tensorflow-model-optimization", "ai-edge-litert", "tflite")
_CODE = ("glove", "userdata", "datasets", "splits", "models", "builders", "flops", "tflite_facts", "build")
"""Modules that decide what a build contains: another text is another recipe."""

Progress = Callable[[str, int, int], None]
"""Called with (variant, epochs done, epochs in all); (variant, 0, 0) when it begins without epochs."""


def recipe_of(spec: str, seed: int, epochs: int | None) -> dict[str, Any]:
    """All that decides what a build gives, known without building or importing TensorFlow. JSON-able."""
    code = hashlib.sha256(b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in _CODE))
    return {
        "dataset": datasets.source_id(spec), "seed": seed, "packages": packages(), "code_sha256": code.hexdigest(),
        "builders": {name: builders.settings_of(name, epochs) for name in builders.BUILDERS},
    }  # fmt: skip


def packages() -> dict[str, str]:
    """Versions of everything that can change a .tflite. HostError: one is missing."""
    try:
        return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}
    except metadata.PackageNotFoundError as error:
        raise HostError(f"package {error.name} is missing", expected="the extra `variants`", remedy="run `make setup`") from error


def build(
    folder: Path, names: list[str], data: datasets.Dataset, recipe: dict[str, Any], epochs: int | None, progress: Progress
) -> dict[str, Any]:
    """Builds the named variants of `data` into `folder` (replaced as a whole) and returns its manifest."""
    seed = recipe["seed"]
    parts = splits.split(data.y, data.groups, seed, data.class_names)
    norm = splits.fit_normalisation(data.x[parts.train])
    x_test, y_test = norm.apply(data.x[parts.test]), data.y[parts.test]
    training = builders.TrainingPart(norm.apply(data.x[parts.train]), data.y[parts.train], len(data.class_names), seed)
    with manifest.staged(folder) as partial:
        entries = _build_variants(partial, names, training, x_test, y_test, epochs, progress)
        manifest.write_manifest(partial, {
            "dataset": _describe(data, parts, seed),
            "normalisation": {"mean": _floats(norm.mean), "std": _floats(norm.std)},
            "windows": manifest.write_windows(partial, x_test, y_test, data.class_names),
            "seed": seed, "packages": recipe["packages"], "variants": entries, "recipe": recipe,
        })  # fmt: skip
    return manifest.read_manifest(folder)


def _build_variants(
    folder: Path, names: list[str], training: builders.TrainingPart, x: np.ndarray, y: np.ndarray, epochs: int | None,
    progress: Progress,
) -> list[dict[str, Any]]:  # fmt: skip
    """Builds the named variants and their parents; writes and describes the named ones."""
    done: dict[str, builders.Built] = {}
    entries = []
    for name in builders.chain(names):
        builder = builders.BUILDERS[name]
        progress(name, 0, 0)
        parent = done[builder.parent] if builder.parent else None
        on_epoch = functools.partial(progress, name)
        done[name] = builder.build(builders.Task(name, training, parent, builders.settings_of(name, epochs), on_epoch))
        if name in names:
            (folder / f"{name}.tflite").write_bytes(done[name].tflite)
            entries.append({**_measure(done[name], training, x, y), "parent": builder.parent})
    return entries


def _measure(built: builders.Built, training: builders.TrainingPart, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """The manifest's entry of one variant. FLOPs are null for integers: the profiler doesn't count them."""
    weights, macs = tflite_facts.weights_and_macs(built.tflite)
    outputs = tflite_facts.host_outputs(built.tflite, x)
    correct = int(np.sum(outputs.argmax(1) == y))
    integer = outputs.dtype.kind == "i"
    return {
        "name": built.name, "file": f"{built.name}.tflite", "sha256": manifest.sha256(built.tflite),
        "tflite_bytes": len(built.tflite), "zip_bytes": tflite_facts.zip_bytes(built.tflite),
        "flops": None if integer else flops.count_flops(builders.network_of(built.layers, training)), "macs": macs,
        "weights": {
            "total": sum(w.total for w in weights), "nonzero": sum(w.nonzero for w in weights),
            "shapes": {f"{w.op} {w.role}": list(w.shape) for w in weights},
        },
        "sparsity": round(tflite_facts.sparsity(weights), 6),
        "host_accuracy": correct / len(y), "host_correct": correct, "host_windows": len(y),
        "host_interpreter": tflite_facts.INTERPRETER, "training": built.training,
    }  # fmt: skip


def _describe(data: datasets.Dataset, parts: splits.Split, seed: int) -> dict[str, Any]:
    return {
        "name": data.name, "synthetic": data.synthetic, "source": data.source, "seed": seed,
        "class_names": list(data.class_names), "channel_names": list(data.channel_names),
        "n_train": len(parts.train), "n_test": len(parts.test), "split": parts.method, "fingerprint": data.fingerprint,
        "class_counts_test": np.bincount(data.y[parts.test], minlength=len(data.class_names)).tolist(),
    }  # fmt: skip


def _floats(values: np.ndarray) -> list[float]:
    return [float(value) for value in values]
