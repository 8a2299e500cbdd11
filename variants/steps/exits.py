"""Depth pruning: the network ends after its N-th convolution, where an auxiliary head (an early exit) takes over.

Source of the idea: J. D. De Leon, R. Atienza, "Depth pruning with auxiliary networks for TinyML", ICASSP 2022. The head here is
the smallest of its kind: the mean over time and one dense layer. It is trained alone first, on the frozen layers before it,
then everything together.
"""

from __future__ import annotations

import json
from typing import Any

from tinyrig.core.errors import UserError
from tinyrig.variants.networks import models
from tinyrig.variants.networks.task import Built, Net, Task, fresh_model, layer_configs

_CONVOLUTIONS = ("Conv1D", "Conv2D")
_FOLLOWS = (
    "Activation",
    "ReLU",
    "LeakyReLU",
    "BatchNormalization",
    "MaxPooling1D",
    "MaxPooling2D",
    "AveragePooling1D",
    "AveragePooling2D",
    "Dropout",
)
"""What belongs to a convolution when it stands right behind it."""


def build_cut(task: Task) -> Built:
    """Cuts, trains the head, then all."""
    model = cut(task.net, task.settings["convolutions"], task.data.classes, task.data.seed)
    for layer in model.layers[:-1]:
        layer.trainable = False
    head = task.train(model, epochs=task.settings["head_epochs"])
    for layer in model.layers:
        layer.trainable = True
    outcome = task.train(model)
    return task.as_float(model, {**outcome, "head_train_accuracy": head["train_accuracy"]})


def checked(convolutions: int, filters: tuple[int, ...]) -> tuple[int, ...]:
    """Filters of each hidden layer before -> after. UserError: nothing would go."""
    if convolutions >= len(filters):
        raise UserError(
            "there is nothing to cut",
            expected=f"fewer convolutions than the network has, {len(filters)}",
            received=str(convolutions),
            remedy="cut a deeper network, such as deep",
        )
    return filters[:convolutions]


def cut(net: Net, convolutions: int, classes: int, seed: int) -> Any:
    """The Keras model up to its N-th convolution with its weights, and a head with new ones."""
    configs = layer_configs(net.architecture)
    at = [i for i, config in enumerate(configs) if config["class_name"] in _CONVOLUTIONS]
    checked(convolutions, tuple(at))
    end = at[convolutions - 1] + 1
    while configs[end]["class_name"] in _FOLLOWS:
        end += 1
    trunk = json.loads(net.architecture)
    trunk["config"]["layers"] = configs[:end]
    trunk["config"].pop("build_input_shape", None)
    model = fresh_model(json.dumps(trunk), seed)
    for layer in model.layers:
        if layer.name in net.layers:
            layer.set_weights(net.layers[layer.name])
    keras = models.tensorflow().keras
    plane = len(model.output_shape) == 4
    model.add(
        keras.layers.GlobalAveragePooling2D(name="exit_pool") if plane else keras.layers.GlobalAveragePooling1D(name="exit_pool")
    )
    model.add(keras.layers.Dense(classes, activation="softmax", name="exit"))
    return model
