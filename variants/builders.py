"""Variant builders, as the paper describes them: each makes one .tflite from the training windows and its parent.

simple   the network, trained
pruned   simple, half of each kernel set to zero by magnitude while training on (tensorflow-model-optimization)
reshaped the non-zero weights of pruned, flattened and reshaped into the same network with half the filters, trained on
pqt      reshaped, quantised after training to int8, input and output too
Two controls for reshaped, built on request: reshaped-random starts from new random weights, reshaped-l1 from the half of
simple's filters with the highest L1 norm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import InfraError, UserError
from variants import models

Layers = dict[str, list[np.ndarray]]
"""Each layer's kernel and bias, float32, by the layer's name."""
SPARSITY = 0.5
HALF_FILTERS = models.FILTERS // 2


@dataclass(frozen=True)
class TrainingPart:
    """x float32 [N,T,C] normalised, y int64 [N] in 0..classes-1, and the seed of everything random in the training."""

    x: np.ndarray
    y: np.ndarray
    classes: int
    seed: int

    def network(self, filters: int = models.FILTERS) -> Any:
        """A newly initialised network for these windows; the same weights every time."""
        models.fresh(self.seed)
        return models.cnn(self.x.shape[1], self.x.shape[2], self.classes, filters)


@dataclass(frozen=True)
class Built:
    """One variant: `layers` holds the weights (of the float network, also for pqt), `training` the settings
    used and what came of them."""

    name: str
    tflite: bytes
    layers: Layers
    training: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One call of a builder: what it starts from, and the settings of its line in the table."""

    name: str
    data: TrainingPart
    parent: Built | None
    settings: dict[str, Any]
    on_epoch: models.EpochDone | None = None

    def train(self, model: Any, **options: Any) -> dict[str, float]:
        """Trains `model` for the settings' epochs at the settings' learning rate; options as models.train."""
        return models.train(
            model, self.data.x, self.data.y, epochs=self.settings["epochs"], learning_rate=self.settings["learning_rate"],
            on_epoch=self.on_epoch, **options,
        )  # fmt: skip

    @property
    def parent_layers(self) -> Layers:
        if self.parent is None:
            raise InfraError(f"variant {self.name} was started without its parent")
        return self.parent.layers


@dataclass(frozen=True)
class Builder:
    """One line of the table: `parent` is the variant it starts from, `settings` all that changes its result."""

    build: Callable[[Task], Built]
    parent: str | None
    settings: dict[str, Any]


def build_simple(task: Task) -> Built:
    """Trains the network from random weights."""
    model = task.data.network()
    return _built(task, model, task.train(model))


def build_pruned(task: Task) -> Built:
    """Prunes while training on, then asserts that each kernel really has its zeros."""
    model = task.data.network()
    _set_layers(model, task.parent_layers)
    with models.quiet():
        import tensorflow_model_optimization as tfmot

    # Its default looks at the weights every 100 steps: a training shorter than that would prune nothing, silently.
    frequency = min(100, models.steps_per_epoch(len(task.data.x)))
    schedule = tfmot.sparsity.keras.ConstantSparsity(task.settings["sparsity"], begin_step=0, frequency=frequency)
    pruning = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
    # Its callback counts calls, so a call has to be one step.
    outcome = task.train(pruning, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()], steps_per_execution=1)
    stripped = tfmot.sparsity.keras.strip_pruning(pruning)
    check_sparsity(_get_layers(stripped))
    return _built(task, stripped, {**outcome, "pruning_frequency_steps": frequency})


def check_sparsity(layers: Layers) -> None:
    """InfraError unless exactly SPARSITY of every kernel is zero."""
    for name, (kernel, _bias) in layers.items():
        expected = kernel.size - round(kernel.size * SPARSITY)
        zeros = kernel.size - np.count_nonzero(kernel)
        if zeros != expected:
            raise InfraError(
                f"pruning missed its target in layer {name}", expected=f"{expected} of {kernel.size} weights zero",
                received=str(zeros), remedy="train longer, or more often than the pruning frequency",
            )  # fmt: skip


def build_reshaped(task: Task) -> Built:
    """Half the filters, started as `settings["start"]` says, trained on."""
    model = task.data.network(HALF_FILTERS)
    start = STARTS[task.settings["start"]]
    if start is not None:
        _set_layers(model, start(task.parent_layers))
    return _built(task, model, task.train(model))


def literal_start(layers: Layers) -> Layers:
    """The paper's method: non-zero kernel weights in row-major order fill the smaller kernels.

    Pruning leaves biases alone, so the convolution's 16 are too many for 8 filters; the paper doesn't say which stay. Here the
    first 8 do.
    """
    conv, _pool, dense = models.LAYERS
    (conv_kernel, conv_bias), (dense_kernel, dense_bias) = layers[conv], layers[dense]
    return {
        conv: [_refill(conv_kernel, (*conv_kernel.shape[:2], HALF_FILTERS)), conv_bias[:HALF_FILTERS]],
        dense: [_refill(dense_kernel, (HALF_FILTERS, dense_kernel.shape[1])), dense_bias],
    }


def _refill(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    kept = kernel[kernel != 0]
    if kept.size != np.prod(shape):
        raise InfraError(
            "the pruned weights don't fill the smaller network", expected=f"{np.prod(shape)} non-zero weights for {shape}",
            received=str(kept.size),
        )  # fmt: skip
    return kept.reshape(shape)


def l1_start(layers: Layers) -> Layers:
    """The half of the filters with the highest L1 norm, in their order, with the dense rows that read them."""
    conv, _pool, dense = models.LAYERS
    (conv_kernel, conv_bias), (dense_kernel, dense_bias) = layers[conv], layers[dense]
    norms = np.abs(conv_kernel).sum((0, 1))
    keep = np.sort(np.argsort(-norms, kind="stable")[:HALF_FILTERS])
    return {conv: [conv_kernel[:, :, keep], conv_bias[keep]], dense: [dense_kernel[keep], dense_bias]}


def build_pqt(task: Task) -> Built:
    """Quantises the parent to int8; activation ranges come from training windows drawn at random."""
    layers = task.parent_layers
    model = network_of(layers, task.data)
    rows = np.random.default_rng(task.data.seed).permutation(len(task.data.x))[: task.settings["representative_windows"]]
    tflite = models.to_tflite(model, representative=task.data.x[rows])
    return Built(task.name, tflite, layers, {**task.settings, "representative_windows": len(rows)})


def _built(task: Task, trained: Any, outcome: dict[str, Any]) -> Built:
    """Converted from a fresh network with the trained weights, so that no file carries traces of how it was trained."""
    layers = _get_layers(trained)
    tflite = models.to_tflite(network_of(layers, task.data))
    training = {**task.settings, **outcome, "batch": models.BATCH, "optimizer": "Adam"}
    return Built(task.name, tflite, layers, training)


def network_of(layers: Layers, data: TrainingPart) -> Any:
    """The float network with these weights."""
    model = data.network(filters=layers[models.LAYERS[0]][0].shape[-1])
    _set_layers(model, layers)
    return model


def _get_layers(model: Any) -> Layers:
    return {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}


def _set_layers(model: Any, layers: Layers) -> None:
    for name, weights in layers.items():
        model.get_layer(name).set_weights(weights)


STARTS: dict[str, Callable[[Layers], Layers] | None] = {"literal": literal_start, "l1": l1_start, "random": None}
"""What reshaped's weights are before its training; None: newly initialised."""
BUILDERS: dict[str, Builder] = {
    "simple": Builder(build_simple, None, {"epochs": 80, "learning_rate": 0.001}),
    "pruned": Builder(build_pruned, "simple", {"epochs": 20, "learning_rate": 0.001, "sparsity": SPARSITY}),
    "reshaped": Builder(build_reshaped, "pruned", {"epochs": 50, "learning_rate": 0.01, "start": "literal"}),
    "reshaped-random": Builder(build_reshaped, None, {"epochs": 50, "learning_rate": 0.01, "start": "random"}),
    "reshaped-l1": Builder(build_reshaped, "simple", {"epochs": 50, "learning_rate": 0.01, "start": "l1"}),
    "pqt": Builder(build_pqt, "reshaped", {"representative_windows": 500, "dtype": "int8"}),
}
DEFAULT = ("simple", "pruned", "reshaped", "pqt")


def settings_of(name: str, epochs: int | None = None) -> dict[str, Any]:
    """A builder's settings; `epochs` replaces the table's where it trains at all."""
    settings = dict(BUILDERS[name].settings)
    if epochs and "epochs" in settings:
        settings["epochs"] = epochs
    return settings


def chain(names: list[str]) -> list[str]:
    """The named variants and all they start from, parents first, in the table's order. UserError: unknown name."""
    wanted: set[str] = set()
    for name in names:
        step: str | None = name
        while step is not None:
            if step not in BUILDERS:
                raise UserError(f"unknown variant {step!r}", expected=", ".join(BUILDERS), received=step)
            wanted.add(step)
            step = BUILDERS[step].parent
    return [name for name in BUILDERS if name in wanted]
