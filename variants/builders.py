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
    """One variant: `layers` holds each layer's weights as numpy arrays (of the float network, also for pqt); `training`
    the settings used and what came of them."""

    name: str
    tflite: bytes
    layers: dict[str, list[np.ndarray]]
    filters: int
    training: dict[str, Any]


Build = Callable[[str, TrainingPart, Built | None, dict[str, Any], models.EpochDone], Built]


@dataclass(frozen=True)
class Builder:
    """One line of the table: `parent` is the variant it starts from, `settings` all that changes its result."""

    build: Build
    parent: str | None
    settings: dict[str, Any]


def build_simple(name: str, data: TrainingPart, parent: Built | None, settings: dict[str, Any], on_epoch: models.EpochDone) -> Built:
    """Trains the network from random weights."""
    model = data.network()
    return _trained(name, data, model, settings, on_epoch)


def build_pruned(name: str, data: TrainingPart, parent: Built | None, settings: dict[str, Any], on_epoch: models.EpochDone) -> Built:
    """Prunes while training on, then asserts that each kernel really has its zeros."""
    model = data.network()
    _set_layers(model, parent.layers)
    import tensorflow_model_optimization as tfmot

    # Its default looks at the weights every 100 steps: a training shorter than that would prune nothing, silently.
    frequency = min(100, models.steps_per_epoch(len(data.x)))
    schedule = tfmot.sparsity.keras.ConstantSparsity(SPARSITY, begin_step=0, frequency=frequency)
    pruning = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
    outcome = models.train(
        pruning, data.x, data.y, epochs=settings["epochs"], learning_rate=settings["learning_rate"],
        callbacks=[tfmot.sparsity.keras.UpdatePruningStep()], steps_per_execution=1, on_epoch=on_epoch,
    )  # fmt: skip
    layers = _get_layers(tfmot.sparsity.keras.strip_pruning(pruning))
    check_sparsity(layers)
    return _built(name, data, layers, {**settings, **outcome, "pruning_frequency_steps": frequency})


def check_sparsity(layers: dict[str, list[np.ndarray]]) -> None:
    """InfraError unless exactly SPARSITY of every kernel is zero."""
    for name, (kernel, _bias) in layers.items():
        expected = kernel.size - round(kernel.size * SPARSITY)
        zeros = kernel.size - np.count_nonzero(kernel)
        if zeros != expected:
            raise InfraError(
                f"pruning missed its target in layer {name}", expected=f"{expected} of {kernel.size} weights zero",
                received=str(zeros), remedy="train longer, or more often than the pruning frequency",
            )  # fmt: skip


def build_reshaped(name: str, data: TrainingPart, parent: Built | None, settings: dict[str, Any], on_epoch: models.EpochDone) -> Built:
    """Half the filters, started as `settings["start"]` says, trained on."""
    model = data.network(HALF_FILTERS)
    starts = {"literal": literal_start, "l1": l1_start}
    if settings["start"] != "random":
        _set_layers(model, starts[settings["start"]](parent.layers))
    return _trained(name, data, model, settings, on_epoch)


def literal_start(layers: dict[str, list[np.ndarray]]) -> dict[str, list[np.ndarray]]:
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


def l1_start(layers: dict[str, list[np.ndarray]]) -> dict[str, list[np.ndarray]]:
    """The half of the filters with the highest L1 norm, in their order, with the dense rows that read them."""
    conv, _pool, dense = models.LAYERS
    (conv_kernel, conv_bias), (dense_kernel, dense_bias) = layers[conv], layers[dense]
    norms = np.abs(conv_kernel).sum((0, 1))
    keep = np.sort(np.argsort(-norms, kind="stable")[:HALF_FILTERS])
    return {conv: [conv_kernel[:, :, keep], conv_bias[keep]], dense: [dense_kernel[keep], dense_bias]}


def build_pqt(name: str, data: TrainingPart, parent: Built | None, settings: dict[str, Any], on_epoch: models.EpochDone) -> Built:
    """Quantises the parent to int8; activation ranges come from training windows, every class among them."""
    model = data.network(parent.filters)
    _set_layers(model, parent.layers)
    rows = np.random.default_rng(data.seed).permutation(len(data.x))[: settings["representative_windows"]]
    tflite = models.to_tflite(model, representative=data.x[rows])
    return Built(name, tflite, parent.layers, parent.filters, {**settings, "representative_windows": len(rows)})


def _trained(name: str, data: TrainingPart, model: Any, settings: dict[str, Any], on_epoch: models.EpochDone) -> Built:
    outcome = models.train(
        model, data.x, data.y, epochs=settings["epochs"], learning_rate=settings["learning_rate"], on_epoch=on_epoch
    )
    return _built(name, data, _get_layers(model), {**settings, **outcome})


def _built(name: str, data: TrainingPart, layers: dict[str, list[np.ndarray]], training: dict[str, Any]) -> Built:
    """Converted from a fresh network with these weights, so that no variant's file carries traces of how it was trained."""
    filters = layers[models.LAYERS[0]][0].shape[-1]
    model = data.network(filters)
    _set_layers(model, layers)
    return Built(name, models.to_tflite(model), layers, filters, {**training, "batch": models.BATCH, "optimizer": "Adam"})


def network_of(built: Built, data: TrainingPart) -> Any:
    """The float network behind a variant, for counting."""
    model = data.network(built.filters)
    _set_layers(model, built.layers)
    return model


def _get_layers(model: Any) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()}


def _set_layers(model: Any, layers: dict[str, list[np.ndarray]]) -> None:
    for name, weights in layers.items():
        model.get_layer(name).set_weights(weights)


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
