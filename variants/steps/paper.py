"""The paper's builders: its network, trained; half of each kernel pruned; what is left reshaped into half the filters."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from tinyrig.core.errors import InfraError, UserError
from tinyrig.variants.networks import models
from tinyrig.variants.networks.task import Built, Layers, Task


def build_simple(task: Task) -> Built:
    """Trains the network from random weights."""
    model = task.data.network()
    return task.as_float(model, task.train(model))


def build_deep(task: Task) -> Built:
    """The same network with three convolutions."""
    models.fresh(task.data.seed)
    _windows, steps, channels = task.data.x.shape
    model = models.deep_cnn(steps, channels, task.data.classes)
    return task.as_float(model, task.train(model))


def build_trained(task: Task) -> Built:
    """Continues the training of the parent's network."""
    model = task.net.model(task.data.seed)
    return task.as_float(model, task.train(model))


def build_pruned(task: Task) -> Built:
    """Prunes while training on, then asserts that each kernel really has its zeros."""
    model = task.net.model(task.data.seed)
    with models.quiet():
        import tensorflow_model_optimization as tfmot

    # Its default looks at the weights every 100 steps: a training shorter than that would prune nothing, silently.
    frequency = min(100, models.steps_per_epoch(len(task.data.x)))
    schedule = tfmot.sparsity.keras.ConstantSparsity(task.settings["sparsity"], begin_step=0, frequency=frequency)
    pruning = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
    names = {wrapper.layer.name for wrapper in pruning.layers if getattr(wrapper, "pruning_vars", None)}
    # Its callback counts calls, so a call has to be one step.
    outcome = task.train(pruning, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()], steps_per_execution=1)
    built = task.as_float(tfmot.sparsity.keras.strip_pruning(pruning), {**outcome, "pruning_frequency_steps": frequency})
    check_sparsity(built.net.layers, task.settings["sparsity"], names)
    return built


def check_sparsity(layers: Layers, share: float, names: Collection[str]) -> None:
    """InfraError unless `share` of each named layer's kernel is zero, to the weight; beyond one half, a training that stops
    moving may leave one more or less."""
    for name in sorted(names):
        kernel = layers[name][0]
        expected = kernel.size - round(kernel.size * (1 - share))
        zeros = kernel.size - np.count_nonzero(kernel)
        if abs(zeros - expected) > (share != 0.5):
            raise InfraError(
                f"pruning missed its target in layer {name}",
                expected=f"{expected} of {kernel.size} weights zero",
                received=str(zeros),
                remedy="train longer, or more often than the pruning frequency",
            )


def build_reshaped(task: Task) -> Built:
    """The paper's method: the non-zero weights, refilled into fewer filters, trained on."""
    layers = literal_start(task.net.layers)
    model = task.data.network(len(layers[models.LAYERS[0]][1]))
    for name, weights in layers.items():
        model.get_layer(name).set_weights(weights)
    return task.as_float(model, task.train(model))


def build_reshaped_random(task: Task) -> Built:
    """The control: the small network from new random weights."""
    model = task.data.network(models.FILTERS // 2)
    return task.as_float(model, task.train(model))


def literal_start(layers: Layers) -> Layers:
    """Non-zero kernel weights in row-major order fill the kernels of a network with as many filters as they make.

    Pruning leaves biases alone, so the convolution has too many (16 for 8 filters); the paper doesn't say which stay. Here the
    first ones do.
    """
    conv, _pool, dense = models.LAYERS
    if set(layers) != {conv, dense}:
        raise UserError(
            "reshaping is defined for the paper's network only",
            expected="one convolution and one dense layer (`simple`)",
            received=", ".join(layers),
            remedy="use l1-filters@R on other networks",
        )
    (conv_kernel, conv_bias), (dense_kernel, dense_bias) = layers[conv], layers[dense]
    filters = np.count_nonzero(dense_kernel) // dense_kernel.shape[1]
    return {
        conv: [_refill(conv_kernel, (*conv_kernel.shape[:2], filters)), conv_bias[:filters]],
        dense: [_refill(dense_kernel, (filters, dense_kernel.shape[1])), dense_bias],
    }


def _refill(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    kept = np.asarray(kernel[kernel != 0])
    if kept.size != np.prod(shape):
        raise UserError(
            "the pruned weights don't fill a smaller network",
            expected=f"{np.prod(shape)} non-zero weights for {shape}",
            received=str(kept.size),
            remedy="prune a share that leaves whole filters, such as 0.5 of 16",
        )
    return kept.reshape(shape)
