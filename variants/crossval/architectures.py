"""The two model families of the paper's grid search, how a configuration is spelled, and the grid itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from harness.errors import UserError
from variants import models

CNN, MLP = "cnn", "mlp"
_SPELLING = re.compile(r"(?:cnn-(?P<filters>\d+(?:-\d+)*)x(?P<kernel>\d+)|mlp-(?P<units>\d+(?:-\d+)*))(?:@(?P<rate>\d*\.?\d+))?")
MOST_UNITS, MOST_LAYERS = 1024, 6
"""Beyond it nothing fits a microcontroller, and a slip of the hand would train for hours."""


@dataclass(frozen=True)
class Configuration:
    """One candidate. `sizes`: filters of each Conv1D, or units of each hidden Dense; `kernel` time steps (CNN only, else 0)."""

    family: str
    sizes: tuple[int, ...]
    kernel: int = 0
    learning_rate: float = 0.001

    @property
    def architecture(self) -> str:
        """`cnn-16x3`, `mlp-64-32`: the network without its training."""
        sizes = "-".join(map(str, self.sizes))
        return f"{self.family}-{sizes}x{self.kernel}" if self.family == CNN else f"{self.family}-{sizes}"

    def __str__(self) -> str:
        return f"{self.architecture}@{self.learning_rate:g}"


PAPER = Configuration(CNN, (16,), 3)
"""The model that the paper's grid search chose."""
_RATES = (0.001, 0.01)
GRID: tuple[Configuration, ...] = (
    *(Configuration(CNN, (f,), k, rate) for f in (4, 8, 16, 32) for k in (3, 5, 7) for rate in _RATES),
    *(Configuration(MLP, units, 0, rate) for units in ((8,), (16,), (32,), (64,), (32, 16)) for rate in _RATES),
)
"""Sizes, kernels and learning rates of both families. The paper doesn't give its own grid."""


def parse(text: str) -> Configuration:
    """`cnn-16x3`, `cnn-16-8x5@0.01`, `mlp-32@0.001` -> Configuration. Raises UserError."""
    match = _SPELLING.fullmatch(text)
    if match:
        sizes = tuple(int(n) for n in (match["filters"] or match["units"]).split("-"))
        family, kernel = (CNN, int(match["kernel"])) if match["filters"] else (MLP, 0)
        rate = float(match["rate"] or PAPER.learning_rate)
        good = all(1 <= n <= MOST_UNITS for n in sizes) and len(sizes) <= MOST_LAYERS and 0 < rate <= 1
        if good and (family == MLP or kernel >= 1):
            return Configuration(family, sizes, kernel, rate)
    raise UserError(
        f"{text!r} is no configuration",
        expected=f"cnn-FILTERS[-FILTERS...]xKERNEL[@RATE] or mlp-UNITS[-UNITS...][@RATE], 1 to {MOST_UNITS} units, "
        f"at most {MOST_LAYERS} layers, a rate in (0, 1]",
        received=text[:80], remedy="for example cnn-16x3@0.001 or mlp-32",
    )


def check_fits(configuration: Configuration, steps: int) -> None:
    """UserError if the windows of `steps` time steps are too short for the convolutions."""
    left = steps - len(configuration.sizes) * (configuration.kernel - 1)
    if configuration.family == CNN and left < 1:
        raise UserError(
            f"{configuration.architecture} does not fit the windows",
            expected="at least one time step after the last convolution",
            received=f"{steps} steps in a window", remedy="take a smaller kernel or fewer layers",
        )  # fmt: skip


def network(configuration: Configuration, steps: int, channels: int, classes: int) -> Any:
    """Newly initialised in Keras: [N,steps,channels] float32 -> class probabilities [N,classes]."""
    layers = models.tensorflow().keras.layers
    stack = [layers.Input((steps, channels), name="window")]
    if configuration.family == CNN:
        stack += [layers.Conv1D(n, configuration.kernel, activation="relu") for n in configuration.sizes]
        stack += [layers.GlobalAveragePooling1D()]
    else:
        stack += [layers.Flatten(), *(layers.Dense(n, activation="relu") for n in configuration.sizes)]
    return models.tensorflow().keras.Sequential([*stack, layers.Dense(classes, activation="softmax")])
