"""What a builder gets and gives: training windows, a float network as plain data, and the variant made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyrig.core.errors import InfraError
from tinyrig.variants.networks import flops, models

Layers = dict[str, list[np.ndarray]]
"""Each layer's weights in Keras's order (kernel, bias), float32, by the layer's name; layers without weights are left out."""


@dataclass(frozen=True)
class Net:
    """A float network as plain data: it can be stored, cut and compared. `architecture` is Keras's own JSON."""

    architecture: str
    layers: Layers

    @classmethod
    def of(cls, model: Any) -> Net:
        return cls(model.to_json(), {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()})

    def model(self, seed: int) -> Any:
        """The Keras model with these weights, newly made."""
        model = fresh_model(self.architecture, seed)
        for name, weights in self.layers.items():
            model.get_layer(name).set_weights(weights)
        return model


def fresh_model(architecture: str, seed: int) -> Any:
    """A Keras model with new weights: the same every time for one seed."""
    return models.fresh(seed).keras.models.model_from_json(architecture)


@dataclass(frozen=True)
class TrainingPart:
    """x float32 [N,T,C] normalised, y int64 [N] in 0..classes-1, and the seed of everything random in the training."""

    x: np.ndarray
    y: np.ndarray
    classes: int
    seed: int

    def network(self, filters: int = models.FILTERS) -> Any:
        """A newly initialised network of the paper's for these windows; the same weights every time."""
        models.fresh(self.seed)
        return models.cnn(self.x.shape[1], self.x.shape[2], self.classes, filters)

    def representative(self, most: int) -> np.ndarray:
        """At most so many training windows, drawn at random: activations' ranges are taken from them."""
        return self.x[np.random.default_rng(self.seed).permutation(len(self.x))[:most]]


@dataclass(frozen=True)
class Built:
    """One variant: `net` the float network behind the .tflite (of integers too), `training` the settings used and what came of
    them, `facts` what else the manifest shall say of it (`flops`: None for integers, the profiler doesn't count them)."""

    name: str
    tflite: bytes
    net: Net
    training: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One call of a builder: what it starts from, and the settings of its line in the table."""

    name: str
    data: TrainingPart
    parent: Built | None
    settings: dict[str, Any]
    on_epoch: models.EpochDone | None = None

    @property
    def net(self) -> Net:
        """The parent's float network."""
        if self.parent is None:
            raise InfraError(f"variant {self.name} was started without its parent")
        return self.parent.net

    def train(self, model: Any, epochs: int | None = None, **options: Any) -> dict[str, float]:
        """Trains `model` for the settings' epochs at the settings' learning rate; options as models.train."""
        return models.train(
            model,
            self.data.x,
            self.data.y,
            epochs=epochs or self.settings["epochs"],
            learning_rate=self.settings["learning_rate"],
            on_epoch=self.on_epoch,
            **options,
        )

    def as_float(self, trained: Any, outcome: dict[str, Any]) -> Built:
        """The result of a training step, converted from a fresh network with the trained weights, so that no file carries traces
        of how it was trained."""
        net = Net.of(trained)
        model = net.model(self.data.seed)
        training = {**self.settings, **outcome, "batch": models.BATCH, "optimizer": "Adam"}
        return Built(self.name, models.to_tflite(model), net, training, {"flops": flops.count_flops(model)})

    def as_converted(self, tflite: bytes, outcome: dict[str, Any], flop_count: int | None = None) -> Built:
        """The result of a step that only converts the parent's network."""
        return Built(self.name, tflite, self.net, {**self.settings, **outcome}, {"flops": flop_count})


Build = Callable[[Task], Built]


def layer_configs(architecture: str) -> list[dict[str, Any]]:
    """Name, class and settings of each layer in order; [] where the network is no plain chain of layers."""
    config = json.loads(architecture)
    return config["config"]["layers"] if config["class_name"] == "Sequential" else []
