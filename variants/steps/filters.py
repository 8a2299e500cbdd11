"""Structured pruning: whole filters go, so the network that is left is an ordinary one, smaller and faster on any engine.

Source: H. Li, A. Kadav, I. Durdanovic, H. Samet, H. P. Graf, "Pruning filters for efficient ConvNets", ICLR 2017: in every layer
the filters of the smallest norm are removed with the maps that they make, then the network is trained on. Norms are taken of the
filters as trained, whatever goes from the layer before (their "independent" pruning). Here the units of hidden dense layers are
filters too. The last layer, whose outputs are the classes, keeps all.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.variants.networks.task import Built, Layers, Net, Task, fresh_model, layer_configs

NORMS = {"l1": 1, "l2": 2}
_WEIGHTED = {"Conv1D": "filters", "Conv2D": "filters", "Dense": "units"}
"""Layers whose outputs can be pruned, and the setting that counts them."""
_PASSED = (
    "InputLayer",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "ZeroPadding1D",
    "MaxPooling1D",
    "MaxPooling2D",
    "AveragePooling1D",
    "AveragePooling2D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "Flatten",
    "BatchNormalization",
)
"""Layers that keep channels apart, so that a missing one is missing behind them and nothing else changes."""


def build_filters(task: Task) -> Built:
    """Removes the weakest filters and trains on."""
    net = prune(task.net, task.settings["ratio"], NORMS[task.settings["norm"]])
    model = net.model(task.data.seed)
    return task.as_float(model, {**task.train(model), "filters": counts(net.architecture)})


def build_random(task: Task) -> Built:
    """The control: the network that is left when filters go, from new random weights, trained as long as a base is."""
    net = prune(task.net, task.settings["ratio"], 1)
    model = fresh_model(net.architecture, task.data.seed)
    return task.as_float(model, {**task.train(model), "filters": counts(net.architecture)})


def kept(filters: int, ratio: float) -> int:
    """How many of a layer's filters stay. UserError: none goes, or none stays."""
    gone = round(filters * ratio)
    if not 0 < gone < filters:
        raise UserError(
            "the ratio removes no filter" if not gone else "the ratio removes every filter",
            expected=f"1 to {filters - 1} of the layer's {filters} filters to go",
            received=f"{ratio:g}, which is {gone}",
            remedy="choose another ratio",
        )
    return filters - gone


def checked(ratio: float, filters: tuple[int, ...]) -> tuple[int, ...]:
    """Filters of each prunable layer before -> after; UserError as `kept`."""
    return tuple(kept(n, ratio) for n in filters)


def counts(architecture: str) -> list[int]:
    """Filters of each weighted layer but the last."""
    found = [config["config"][_WEIGHTED[c]] for config in layer_configs(architecture) if (c := config["class_name"]) in _WEIGHTED]
    return found[:-1]


def prune(net: Net, ratio: float, order: int) -> Net:
    """The network without the `ratio` of each layer's filters that have the smallest norm of this order.

    UserError: the network is no plain chain of layers that can be pruned.
    """
    configs = layer_configs(net.architecture)
    weighted = [c["config"]["name"] for c in configs if c["class_name"] in _WEIGHTED]
    if len(weighted) < 2:
        raise UserError(
            "this network has no filters to prune",
            expected="a Sequential network of a hidden layer or more",
            received=f"{len(weighted)} layers with weights in a chain",
            remedy="leave the step out",
        )
    walk = _Walk(ratio, order, weighted[-1])
    layers = {name: weights for config in configs if (pair := walk.pruned(config, net.layers)) for name, weights in [pair]}
    whole = json.loads(net.architecture)
    whole["config"]["layers"] = walk.configs
    whole["config"].pop("build_input_shape", None)
    return Net(json.dumps(whole), layers)


class _Walk:
    """Goes along a chain of layers; `keep` holds the channels that are left of `channels`, None before the first pruned layer."""

    def __init__(self, ratio: float, order: int, last: str) -> None:
        self._ratio, self._order, self._last = ratio, order, last
        self._keep: np.ndarray | None = None
        self._channels = 0
        self.configs: list[dict[str, Any]] = []

    def pruned(self, config: dict[str, Any], layers: Layers) -> tuple[str, list[np.ndarray]] | None:
        """One layer: its name and weights after pruning, None where it has none."""
        kind, name = config["class_name"], config["config"]["name"]
        _check_layer(config, self._keep is None)
        weights = layers.get(name)
        settings = {k: v for k, v in config["config"].items() if k != "batch_input_shape" or not self.configs}
        if kind in _WEIGHTED:
            assert weights is not None
            weights = self._weighted(weights, stays_whole=name == self._last)
            settings[_WEIGHTED[kind]] = weights[0].shape[-1]
        elif kind == "BatchNormalization" and weights is not None and self._keep is not None:
            weights = [w[self._rows(len(w))] for w in weights]
        self.configs.append(
            {
                "module": config.get("module"),
                "class_name": kind,
                "config": settings,
                "registered_name": config.get("registered_name"),
            }
        )
        return (name, weights) if weights is not None else None

    def _weighted(self, weights: list[np.ndarray], stays_whole: bool) -> list[np.ndarray]:
        kernel, bias = weights[0], weights[1:]
        outputs = np.arange(kernel.shape[-1]) if stays_whole else strongest(kernel, self._ratio, self._order)
        if self._keep is not None:
            kernel = np.take(kernel, self._rows(kernel.shape[-2]), axis=-2)
        self._keep, self._channels = outputs, weights[0].shape[-1]
        return [np.take(kernel, outputs, axis=-1), *(b[outputs] for b in bias)]

    def _rows(self, size: int) -> np.ndarray:
        """The inputs that are left of `size`: flattened, every step has all channels in turn."""
        assert self._keep is not None
        return np.ravel(np.arange(size // self._channels)[:, None] * self._channels + self._keep)


def strongest(kernel: np.ndarray, ratio: float, order: int) -> np.ndarray:
    """Numbers, ascending, of the filters [..., outputs] that stay."""
    norms = np.sum(np.abs(kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)) ** order, axis=0)
    return np.sort(np.argsort(-norms, kind="stable")[: kept(kernel.shape[-1], ratio)])


def _check_layer(config: dict[str, Any], nothing_gone: bool) -> None:
    kind, settings = config["class_name"], config["config"]
    grouped = settings.get("groups", 1) != 1 or settings.get("data_format", "channels_last") != "channels_last"
    if grouped or not (kind in _WEIGHTED or kind in _PASSED or (nothing_gone and kind == "Reshape")):
        raise UserError(
            f"filters can't be pruned through layer {settings['name']!r} ({kind})",
            expected=f"only {', '.join([*_WEIGHTED, *_PASSED[1:]])}; no groups, channels last",
            received=kind,
            remedy="leave the step out, or write a step of your own (docs/lab.md)",
        )
