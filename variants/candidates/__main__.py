"""`python -m tinyrig.variants.candidates`: trains what it is asked for, one line of JSON in, one out; TensorFlow stays loaded.

    {"do": "sketch", "name": N} -> {"tflite": PATH}                       untrained: right in size and timing
    {"do": "train", "name": N}  -> {"tflite", "windows", "host_accuracy", "macs"}
    an unusable name            -> {"refused": {"what", "expected", "received", "remedy"}}
    anything else               -> {"failed": TEXT}

The test part of the dataset stays out of it: what is left is split once more, into windows to train on and to validate on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from tinyrig.core.errors import RigError, UserError
from tinyrig.host.helper import requests
from tinyrig.variants.data import datasets, splits
from tinyrig.variants.files import write_npz, write_whole
from tinyrig.variants.lab import build, builders, chains
from tinyrig.variants.networks import families, models, tflite_facts
from tinyrig.variants.networks.task import Net, TrainingPart
from tinyrig.variants.steps import filters

WINDOWS = "validation.npz"
_MODES = {"pqt": "int8", "int16x8": "int16x8"}
SKETCH_WINDOWS = 20
"""For the activations' ranges, which mean nothing in a sketch."""


class Candidates:
    """All of one dataset and seed."""

    def __init__(self, out: Path, dataset: str, seed: int, epochs: int | None) -> None:
        self._out, self._epochs = out, epochs
        self._parts, class_names = validation_parts(dataset, seed)
        source = {**build.source_of(dataset, seed), "part": "training without validation"}
        self._builder = build.VariantBuilder(self._parts.training, source, lambda name, done, total: None)
        windows = {"x": self._parts.x_test, "y": self._parts.y_test, "class_names": np.array(class_names)}
        self._windows = write_npz(out / WINDOWS, windows)

    def sketch(self, name: str) -> dict[str, Any]:
        node = chains.parse(name, builders.BUILT_IN, self._epochs)
        return {"tflite": str(write_whole(self._out / f"{name}.sketch.tflite", sketched(node, self._parts.training)))}

    def train(self, name: str) -> dict[str, Any]:
        built = self._builder.built(chains.parse(name, builders.BUILT_IN, self._epochs))
        outputs = tflite_facts.host_outputs(built.tflite, self._parts.x_test)
        return {
            "tflite": str(write_whole(self._out / f"{name}.tflite", built.tflite)),
            "windows": str(self._windows),
            "host_accuracy": float(np.mean(outputs.argmax(1) == self._parts.y_test)),
            "macs": tflite_facts.weights_and_macs(built.tflite)[1],
        }


def validation_parts(spec: str, seed: int) -> tuple[build.PreparedData, tuple[str, ...]]:
    """The training part of the seed's split, cut once more; by group where there are groups."""
    data = datasets.load(spec, seed)
    rows = splits.split(data.y, data.groups, seed, data.class_names).train
    groups = None if data.groups is None else data.groups[rows]
    rest = dataclasses.replace(data, x=data.x[rows], y=data.y[rows], groups=groups)
    return build.prepared(rest, splits.split(rest.y, groups, seed, data.class_names), seed), data.class_names


def sketched(node: chains.Node, data: TrainingPart) -> bytes:
    """The untrained variant: the base's network newly initialised, filters taken away, converted as it would be."""
    if node.line in _MODES and node.parent is not None:
        model = sketched_net(node.parent, data).model(data.seed)
        return models.to_tflite(model, _MODES[node.line], data.representative(SKETCH_WINDOWS))
    return models.to_tflite(sketched_net(node, data).model(data.seed))


def sketched_net(node: chains.Node, data: TrainingPart) -> Net:
    if node.parent is None and families.is_network(node.line):
        models.fresh(data.seed)
        network = families.parse(node.line)
        return _with_biases(Net.of(families.keras_model(network, data.x.shape[1], data.x.shape[2], data.classes)))
    if node.parent is not None and "ratio" in node.settings:
        return filters.prune(sketched_net(node.parent, data), node.settings["ratio"], 1)
    expected = "a spelled network, filters removed, quantised"
    raise UserError(f"{node.name} can't be a candidate", expected=expected, received=node.line)


def _with_biases(net: Net) -> Net:
    """The converter leaves biases of zeros out, which no trained network has."""
    rng = np.random.default_rng(0)
    layers = {
        name: [w if w.ndim > 1 else rng.uniform(0.01, 0.1, w.shape).astype(np.float32) for w in weights]
        for name, weights in net.layers.items()
    }
    return Net(net.architecture, layers)


def answer(candidates: Candidates, request: dict[str, Any]) -> dict[str, Any]:
    """One request."""
    try:
        return {"sketch": candidates.sketch, "train": candidates.train}[request["do"]](request["name"])
    except UserError as error:
        return {"refused": {"what": error.what, "expected": error.expected, "received": error.received, "remedy": error.remedy}}
    except (RigError, OSError, ValueError, LookupError, TypeError) as error:
        return {"failed": f"{type(error).__name__}: {error}"[:2000]}


def serve(answers: TextIO, args: argparse.Namespace) -> None:
    """Until this process ends with its standard input."""
    candidates: Candidates | None = None
    for request in requests():
        try:
            candidates = candidates or Candidates(Path(args.out), args.dataset, args.seed, args.epochs)
            found = answer(candidates, request)
        except UserError as error:
            found = {"failed": str(error)}
        print(json.dumps(found), file=answers, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tinyrig.variants.candidates", description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what native code prints must not get between the answers
    serve(answers, args)


if __name__ == "__main__":
    main()
