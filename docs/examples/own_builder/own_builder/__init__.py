"""A base and a step from another package. TensorFlow is imported only inside functions: `tinyrig variants --list` needs none."""

from __future__ import annotations

import numpy as np

from tinyrig.variants.lab.builders import Argument, Base, Step
from tinyrig.variants.networks import models
from tinyrig.variants.networks.task import Built, Net, Task


def build_wide(task: Task) -> Built:
    """A network with a wider kernel: five time steps at once."""
    keras = models.fresh(task.data.seed).keras  # seeded: the same weights every time
    model = keras.Sequential(
        [
            keras.layers.Input(task.data.x.shape[1:], name="window"),
            keras.layers.Conv1D(12, 5, activation="relu", name="look"),
            keras.layers.GlobalAveragePooling1D(name="pool"),
            keras.layers.Dense(task.data.classes, activation="softmax", name="decide"),
        ]
    )
    return task.as_float(model, task.train(model))


def build_rounded(task: Task) -> Built:
    """Rounds every kernel to 2**bits levels, without training."""
    steps = 2 ** task.settings["bits"] - 1
    layers = {name: [_rounded(weights[0], steps), *weights[1:]] for name, weights in task.net.layers.items()}
    model = Net(task.net.architecture, layers).model(task.data.seed)
    return task.as_float(model, {"levels": steps + 1})


def _rounded(kernel: np.ndarray, steps: int) -> np.ndarray:
    low, high = kernel.min(), kernel.max()
    return (np.round((kernel - low) / (high - low) * steps) / steps * (high - low) + low).astype(np.float32)


WIDE = Base(build_wide, "a trained network whose kernel spans five time steps", settings={"epochs": 80, "learning_rate": 0.001})
ROUNDED = Step(build_rounded, "rounds every kernel to N bits", argument=Argument("bits", int, 2, 8, "4"))
