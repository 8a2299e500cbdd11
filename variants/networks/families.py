"""Two families of networks, each network spelled by its name, so that any of them can be the base of a variant.

    cnn-FxK[sS][pP]-...[-max|-flat][-relu6][-lrN]    Conv1D of F filters over K steps, stride S, then max pooling over P steps
    mlp-U-...[-relu6][-lrN]                          Dense of U units on the flattened window

`max` and `flat` end the convolutions with the maximum over time or with all values instead of the mean over time; `relu6`
replaces relu; `lrN` is Adam's learning rate in thousandths (1). `cnn-16x3` is the paper's network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tinyrig.core.errors import UserError
from tinyrig.variants.networks import models

CNN, MLP = "cnn", "mlp"
MOST_UNITS, MOST_LAYERS, MOST_KERNEL = 1024, 6, 64
"""Beyond it nothing fits a microcontroller, and a slip of the hand would train for hours."""
EPOCHS = 80
GRAMMAR = "cnn-FILTERSxKERNEL[sSTRIDE][pPOOL]-...[-max|-flat][-relu6][-lrN] or mlp-UNITS-...[-relu6][-lrN], like cnn-16x3-8x3s2"
_NETWORK = re.compile(
    r"(?:cnn(?P<convolutions>(?:-\d+x\d+(?:s\d)?(?:p\d)?)+)(?:-(?P<head>max|flat))?|mlp(?P<units>(?:-\d+)+))"
    r"(?P<relu6>-relu6)?(?:-lr(?P<rate>\d+))?"
)
_CONVOLUTION = re.compile(r"(\d+)x(\d+)(?:s(\d))?(?:p(\d))?")


@dataclass(frozen=True)
class Layer:
    """A Conv1D (stride and max pooling behind it in time steps), or of an MLP a Dense: kernel 0."""

    units: int
    kernel: int = 0
    stride: int = 1
    pool: int = 1

    def __str__(self) -> str:
        if not self.kernel:
            return str(self.units)
        stride, pool = f"s{self.stride}" if self.stride > 1 else "", f"p{self.pool}" if self.pool > 1 else ""
        return f"{self.units}x{self.kernel}{stride}{pool}"


@dataclass(frozen=True)
class Network:
    """One network of a family; `head` is "gap", "max" or "flat" ("flat" for an MLP), `rate` the learning rate in thousandths."""

    family: str
    layers: tuple[Layer, ...]
    head: str = "gap"
    activation: str = "relu"
    rate: int = 1

    def __str__(self) -> str:
        words = [self.family, *map(str, self.layers)]
        words += [self.head] if self.family == CNN and self.head != "gap" else []
        words += [self.activation] if self.activation != "relu" else []
        return "-".join([*words, *([f"lr{self.rate}"] if self.rate != 1 else [])])

    @property
    def learning_rate(self) -> float:
        return self.rate / 1000


def is_network(name: str) -> bool:
    """Whether a name means to be one of a family."""
    return name.startswith((f"{CNN}-", f"{MLP}-"))


def parse(name: str) -> Network:
    """Raises UserError for anything but a network's one spelling."""
    match = _NETWORK.fullmatch(name)
    network = _network(match) if match else None
    if network is None or not _sensible(network):
        raise UserError(
            f"{name!r} is not a network",
            expected=f"{GRAMMAR}; at most {MOST_LAYERS} layers of {MOST_UNITS}, kernels up to {MOST_KERNEL}",
            received=name[:100],
            remedy="for example cnn-16x3 or mlp-32",
        )
    if str(network) != name:
        raise UserError(f"{name!r} has another spelling", expected=str(network), received=name, remedy="one network, one name")
    return network


def _network(match: re.Match[str]) -> Network:
    activation, rate = "relu6" if match["relu6"] else "relu", int(match["rate"] or 1)
    if match["units"]:
        return Network(MLP, tuple(Layer(int(n)) for n in match["units"][1:].split("-")), "flat", activation, rate)
    found = [_CONVOLUTION.fullmatch(word) for word in match["convolutions"][1:].split("-")]
    layers = tuple(Layer(int(m[1]), int(m[2]), int(m[3] or 1), int(m[4] or 1)) for m in found if m)
    return Network(CNN, layers, match["head"] or "gap", activation, rate)


def _sensible(network: Network) -> bool:
    fine = all(
        1 <= layer.units <= MOST_UNITS and layer.kernel <= MOST_KERNEL and layer.stride and layer.pool for layer in network.layers
    )
    kernels = network.family == MLP or all(layer.kernel for layer in network.layers)
    return fine and kernels and len(network.layers) <= MOST_LAYERS and 1 <= network.rate <= 1000


def steps_left(network: Network, steps: int) -> int:
    """Time steps behind the last convolution of a window of `steps`; 0 or less: it doesn't fit."""
    for layer in network.layers if network.family == CNN else ():
        steps = ((steps - layer.kernel) // layer.stride + 1) // layer.pool
    return steps


def check_fits(network: Network, steps: int) -> None:
    """UserError if windows of `steps` time steps are too short for the convolutions."""
    if steps_left(network, steps) < 1:
        raise UserError(
            f"{network} does not fit the windows",
            expected="at least one time step after the last convolution",
            received=f"{steps} steps in a window",
            remedy="take smaller kernels, strides or pools, or fewer layers",
        )


def keras_model(network: Network, steps: int, channels: int, classes: int) -> Any:
    """Newly initialised: [N,steps,channels] float32 -> class probabilities [N,classes]. Raises UserError as check_fits()."""
    check_fits(network, steps)
    layers = models.tensorflow().keras.layers
    stack = [layers.Input((steps, channels), name="window")]
    if network.family == CNN:
        for i, layer in enumerate(network.layers, 1):
            stack.append(layers.Conv1D(layer.units, layer.kernel, layer.stride, activation=network.activation, name=f"conv{i}"))
            stack += [layers.MaxPooling1D(layer.pool, name=f"pool{i}")] if layer.pool > 1 else []
        heads = {"gap": layers.GlobalAveragePooling1D, "max": layers.GlobalMaxPooling1D, "flat": layers.Flatten}
        stack.append(heads[network.head](name="head"))
    else:
        stack.append(layers.Flatten(name="head"))
        for i, layer in enumerate(network.layers, 1):
            stack.append(layers.Dense(layer.units, activation=network.activation, name=f"hidden{i}"))
    return models.tensorflow().keras.Sequential([*stack, layers.Dense(classes, activation="softmax", name="classes")])
