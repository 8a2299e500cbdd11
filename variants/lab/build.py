"""One build: dataset -> split -> variants -> a finished output folder."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.errors import HostError
from tinyrig.places.remedies import extra
from tinyrig.variants.data import datasets, splits
from tinyrig.variants.lab import builders, cache, chains, coding, manifest
from tinyrig.variants.networks import task, tflite_facts

PACKAGES = ("numpy", "tensorflow", "tf-keras", "tensorflow-model-optimization", "ai-edge-litert", "tflite")
_COMMON = (
    *("data/glove", "data/user_data", "data/csv_rows", "data/datasets", "data/splits"),
    *("networks/models", "networks/families", "networks/keras3", "networks/flops", "networks/task"),
)
"""Modules that decide what any network becomes; a builder's own module counts for it alone (chains.key)."""
_MEASURED = ("lab/build", "lab/builders", "lab/chains", "lab/coding", "networks/tflite_facts")
"""Modules that decide what a folder says of its networks."""

Progress = Callable[[str, int, int], None]
"""Called with (variant, epochs done, epochs in all); (variant, 0, 0) when it begins without epochs."""


def recipe_of(spec: str, seed: int, epochs: int | None) -> dict[str, Any]:
    """All that decides what a folder says but its variants' own lines, known without importing TensorFlow. JSON-able."""
    return {**source_of(spec, seed), "epochs": epochs, "measured_sha256": _code(_MEASURED)}


def source_of(spec: str, seed: int) -> dict[str, Any]:
    """What every variant's key begins with: data, split, seed, package versions, common code."""
    return {"dataset": datasets.source_id(spec), "seed": seed, "packages": packages(), "code_sha256": _code(_COMMON)}


def _code(modules: tuple[str, ...]) -> str:
    return hashlib.sha256(b"".join((Path(__file__).parents[1] / f"{name}.py").read_bytes() for name in modules)).hexdigest()


def packages() -> dict[str, str]:
    """Versions of everything that can change a .tflite. Raises HostError where one is missing."""
    try:
        return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}
    except metadata.PackageNotFoundError as error:
        raise HostError(f"package {error.name} is missing", expected="the extra `variants`", remedy=extra("variants")) from error


@dataclasses.dataclass(frozen=True)
class PreparedData:
    """A dataset made ready: what is trained on, and the test windows as the models take them."""

    training: task.TrainingPart
    x_test: np.ndarray
    y_test: np.ndarray
    norm: splits.Normalisation
    chosen: splits.Split


def prepared(data: datasets.Dataset, chosen: splits.Split, seed: int) -> PreparedData:
    """Normalised by the training part."""
    norm = splits.fit_normalisation(data.x[chosen.train])
    training = task.TrainingPart(norm.apply(data.x[chosen.train]), data.y[chosen.train], len(data.class_names), seed)
    return PreparedData(training, norm.apply(data.x[chosen.test]), data.y[chosen.test], norm, chosen)


def build(
    folder: Path,
    nodes: list[chains.Node],
    data: datasets.Dataset,
    recipe: dict[str, Any],
    progress: Progress,
    retrain: bool = False,
) -> dict[str, Any]:
    """Builds the variants of `data` into `folder` (replaced as a whole) and returns its manifest.

    `retrain`: takes no network from an earlier build."""
    seed = recipe["seed"]
    parts = prepared(data, splits.split(data.y, data.groups, seed, data.class_names), seed)
    builder = VariantBuilder(parts.training, {k: recipe[k] for k in _SOURCE}, progress, retrain)
    before = None if retrain else manifest.finished(folder, recipe, {})
    known = {(v["name"], v["key"]): v for v in before["variants"]} if before else {}
    with manifest.staged(folder) as partial:
        entries = []
        for node in nodes:
            built = builder.built(node)
            (partial / f"{node.name}.tflite").write_bytes(built.tflite)
            key = builder.key(node)
            entries.append(known.get((node.name, key)) or {**entry_of(node, built, parts), "key": key})
        manifest.write_manifest(
            partial,
            {
                "dataset": _describe(data, parts.chosen, seed),
                "normalisation": {"mean": _floats(parts.norm.mean), "std": _floats(parts.norm.std)},
                "pipeline": _pipeline(data, parts),
                "windows": manifest.write_windows(partial, parts.x_test, parts.y_test, data.class_names),
                "seed": seed,
                "packages": recipe["packages"],
                "variants": entries,
                "recipe": recipe,
            },
        )
    return manifest.read_manifest(folder)


_SOURCE = ("dataset", "seed", "packages", "code_sha256")
"""The recipe's keys that source_of made."""


class VariantBuilder:
    """Builds variants of one training part, each once: from memory, from the cache, or from its parent."""

    def __init__(self, training: task.TrainingPart, source: dict[str, Any], progress: Progress, retrain: bool = False) -> None:
        self._training, self._source, self._progress, self._retrain = training, source, progress, retrain
        self._done: dict[str, task.Built] = {}

    def key(self, node: chains.Node) -> str:
        return chains.key(node, self._source)

    def built(self, node: chains.Node) -> task.Built:
        key = self.key(node)
        if key not in self._done:
            kept = None if self._retrain else cache.load(key, node.name)
            self._done[key] = kept or self._build(node, key)
        return dataclasses.replace(self._done[key], name=node.name)

    def _build(self, node: chains.Node, key: str) -> task.Built:
        parent = self.built(node.parent) if node.parent else None
        self._progress(node.name, 0, 0)
        on_epoch = functools.partial(self._progress, node.name)
        built = node.build(task.Task(node.name, self._training, parent, node.settings, on_epoch))
        cache.save(key, built)
        return built


def entry_of(node: chains.Node, built: task.Built, parts: PreparedData) -> dict[str, Any]:
    """The manifest's entry of one variant. FLOPs are null for integers: the profiler doesn't count them."""
    weights, macs = tflite_facts.weights_and_macs(built.tflite)
    outputs = tflite_facts.host_outputs(built.tflite, parts.x_test)
    correct = int(np.sum(outputs.argmax(1) == parts.y_test))
    return {
        "name": node.name,
        "file": f"{node.name}.tflite",
        "sha256": manifest.sha256(built.tflite),
        "tflite_bytes": len(built.tflite),
        "zip_bytes": tflite_facts.zip_bytes(built.tflite),
        "flops": built.facts.get("flops"),
        "macs": macs,
        "weights": {
            "total": sum(w.total for w in weights),
            "nonzero": sum(w.nonzero for w in weights),
            "shapes": tflite_facts.shapes(weights),
        },
        "sparsity": round(tflite_facts.sparsity(weights), 6),
        "host_accuracy": correct / len(parts.y_test),
        "host_correct": correct,
        "host_windows": len(parts.y_test),
        "host_interpreter": tflite_facts.INTERPRETER,
        "training": built.training,
        "parent": node.parent.name if node.parent else None,
        **_compressed(node, weights),
        **({"notes": list(node.notes)} if node.notes else {}),
    }


def _compressed(node: chains.Node, weights: list[tflite_facts.Weight]) -> dict[str, int]:
    """Bytes of all weights as coding.encode stores them, and as they are, for networks with zeros or shared values."""
    nodes = [node, node.parent] if node.parent and node.gives == builders.CONVERTED else [node]
    if not any(n.gives in (builders.SPARSE, builders.CLUSTERED) for n in nodes):
        return {}
    coded = sum(len(coding.encode(w.values)) for w in weights)
    return {"compressed_bytes": coded, "weight_bytes": sum(w.values.nbytes for w in weights)}


def _describe(data: datasets.Dataset, parts: splits.Split, seed: int) -> dict[str, Any]:
    return {
        "name": data.name,
        "synthetic": data.synthetic,
        "source": data.source,
        "seed": seed,
        "class_names": list(data.class_names),
        "channel_names": list(data.channel_names),
        "n_train": len(parts.train),
        "n_test": len(parts.test),
        "split": parts.method,
        "fingerprint": data.fingerprint,
        **({"cautions": list(data.cautions)} if data.cautions else {}),
        "class_counts_test": np.bincount(data.y[parts.test], minlength=len(data.class_names)).tolist(),
    }


def _pipeline(data: datasets.Dataset, parts: PreparedData) -> dict[str, Any]:
    """What a board does with its samples before the network sees them (firmware/live/pipeline.h)."""
    return {
        "length": data.x.shape[1],
        "padding": "none",
        "channels": list(data.channel_names),
        "mean": _floats(parts.norm.mean),
        "std": _floats(parts.norm.std),
        "arithmetic": "float32",
    }


def _floats(values: np.ndarray) -> list[float]:
    return [float(value) for value in values]
