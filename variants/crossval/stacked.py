"""Trains the networks of all folds at once: their weights lie stacked along a first axis, so that one step of the optimiser is
one step of every fold. The networks are small enough that calls into TensorFlow, not arithmetic, take the time of training one
after another; each fold still sees its own windows in its own order and comes out as Keras trains it alone (tested).

Axes: F folds, B windows of a batch, T time steps, C channels, N windows in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyrig.variants.networks import families, models
from tinyrig.variants.networks.families import CNN, Network

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
"""Adam as in Keras: Kingma and Ba 2015, algorithm 1 in the form of its section 2, with Keras' epsilon."""
PREDICT_BATCH = 64


@dataclass(frozen=True)
class FoldData:
    """x float32 [N,T,C] in the sensors' units, y int64 [N]; mean and std float32 [F,C]: each fold's own normalisation."""

    x: np.ndarray
    y: np.ndarray
    mean: np.ndarray
    std: np.ndarray


Weights = list[Any]
"""Kernel and bias of each layer in order, float32 [F,...]."""


def initial(network: Network, data: FoldData, classes: int, seeds: list[int]) -> Weights:
    """Keras' own initial weights of one network for each seed, stacked."""
    found = []
    for seed in seeds:
        models.fresh(seed)
        found.append(families.keras_model(network, data.x.shape[1], data.x.shape[2], classes).get_weights())
    return [np.stack(arrays) for arrays in zip(*found, strict=True)]


def orders(rows: list[np.ndarray], epochs: int, batch: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(indices int32, shares float32), both [epochs, steps, F, batch]: which windows each step takes, and their share in the
    batch's mean: 0 where a fold has no window left in this epoch."""
    steps = -(-max(map(len, rows)) // batch)
    indices = np.zeros((epochs, len(rows), steps * batch), np.int32)
    valid = np.zeros((len(rows), steps * batch), np.float32)
    for fold, own in enumerate(rows):
        valid[fold, : len(own)] = 1
        for epoch in range(epochs):
            indices[epoch, fold, : len(own)] = rng.permutation(own)
    taken = indices.reshape(epochs, len(rows), steps, batch).swapaxes(1, 2)
    in_batch = valid.reshape(len(rows), steps, batch).swapaxes(0, 1)
    shares = in_batch / np.maximum(in_batch.sum(-1, keepdims=True), 1)
    return taken, np.broadcast_to(shares, taken.shape)


def train(
    network: Network,
    weights: Weights,
    data: FoldData,
    order: tuple[np.ndarray, np.ndarray],
    on_epoch: Callable[[int, int], None] = lambda done, total: None,
) -> Weights:
    """Adam on sparse categorical cross-entropy through all batches of `order` -> the trained weights as numpy arrays."""
    tf = models.tensorflow()
    stacked = [tf.Variable(w) for w in weights]
    epoch = _epoch_function(network, stacked, data)
    indices, shares = order
    for number, (index, share) in enumerate(zip(indices, shares, strict=True)):
        epoch(tf.constant(index), tf.constant(share))
        on_epoch(number + 1, len(indices))
    return [w.numpy() for w in stacked]


def _epoch_function(network: Network, weights: Weights, data: FoldData) -> Callable[[Any, Any], None]:
    """One epoch as a TensorFlow function that changes `weights` in place."""
    tf = models.tensorflow()
    take, labels, adam = _Windows(data), tf.constant(data.y, tf.int32), _Adam(weights, network.learning_rate)

    def epoch(index: Any, share: Any) -> None:
        for step in tf.range(tf.shape(index)[0]):
            rows, weight = index[step], share[step]
            with tf.GradientTape() as tape:
                logits = forward(network, weights, take(rows))
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, rows), logits)
                loss = tf.reduce_sum(losses * weight)  # of all folds: the gradient of each depends only on its own part
            adam.apply(tape.gradient(loss, weights), tf.reduce_max(weight, 1))

    compiled: Callable[[Any, Any], None] = tf.function(epoch, autograph=True)
    return compiled


class _Windows:
    """Row numbers [F,B] -> normalised windows [F,B,T,C]."""

    def __init__(self, data: FoldData) -> None:
        folds = zip(data.mean, data.std, strict=True)
        self._x = models.tensorflow().constant(np.stack([(data.x - mean) / std for mean, std in folds]))

    def __call__(self, rows: Any) -> Any:
        return models.tensorflow().gather(self._x, rows, batch_dims=1)


class _Adam:
    """The optimiser, one for each fold: a fold without windows in a step stands still."""

    def __init__(self, weights: Weights, learning_rate: float) -> None:
        tf = models.tensorflow()
        self._weights, self._rate = weights, learning_rate
        self._first, self._second = ([tf.Variable(tf.zeros_like(w)) for w in weights] for _ in range(2))
        self._steps = tf.Variable(tf.zeros(weights[0].shape[0]))

    def apply(self, gradients: list[Any], shares: Any) -> None:
        """`shares` [F]: 0 where the fold has no window."""
        tf = models.tensorflow()
        active = tf.cast(shares > 0, tf.float32)
        self._steps.assign_add(active)
        steps = tf.maximum(self._steps, 1.0)
        rate = self._rate * tf.sqrt(1 - BETA_2**steps) / (1 - BETA_1**steps) * active
        for w, g, m, v in zip(self._weights, gradients, self._first, self._second, strict=True):
            on = tf.reshape(active, (-1,) + (1,) * (len(w.shape) - 1))
            m.assign_add(on * (1 - BETA_1) * (g - m))
            v.assign_add(on * (1 - BETA_2) * (g * g - v))
            w.assign_sub(tf.reshape(rate, on.shape) * m / (tf.sqrt(v) + EPSILON))


def forward(network: Network, weights: Weights, x: Any) -> Any:
    """[F,B,T,C] -> logits [F,B,classes]."""
    tf = models.tensorflow()
    *hidden, (kernel, bias) = zip(weights[::2], weights[1::2], strict=True)
    activate = {"relu": tf.nn.relu, "relu6": tf.nn.relu6}[network.activation]
    if network.family == CNN:
        for layer, (w, b) in zip(network.layers, hidden, strict=True):
            x = _pool(activate(_convolve(x, w, b, layer.stride)), layer.pool)
        x = {"gap": lambda: tf.reduce_mean(x, 2), "max": lambda: tf.reduce_max(x, 2), "flat": lambda: _flat(x)}[network.head]()
    else:
        x = _flat(x)
        for w, b in hidden:
            x = activate(x @ w + b[:, None])
    return x @ kernel + bias[:, None]


def _flat(x: Any) -> Any:
    return models.tensorflow().reshape(x, (x.shape[0], -1, x.shape[2] * x.shape[3]))


def _convolve(x: Any, kernel: Any, bias: Any, stride: int) -> Any:
    """Conv1D without padding as one matrix product a fold: x [F,B,T,C], kernel [F,K,C,N] -> [F,B,(T-K)//stride+1,N]."""
    tf = models.tensorflow()
    folds, width, channels, filters = kernel.shape
    steps = (x.shape[2] - width) // stride + 1
    patches = tf.concat([x[:, :, i : i + (steps - 1) * stride + 1 : stride] for i in range(width)], -1)
    flat = tf.reshape(patches, (folds, -1, width * channels)) @ tf.reshape(kernel, (folds, width * channels, filters))
    return tf.reshape(flat, (folds, -1, steps, filters)) + bias[:, None, None]


def _pool(x: Any, size: int) -> Any:
    """MaxPooling1D over `size` steps: what is left over at the end falls away."""
    if size == 1:
        return x
    tf = models.tensorflow()
    steps = x.shape[2] // size
    return tf.reduce_max(tf.reshape(x[:, :, : steps * size], (x.shape[0], -1, steps, size, x.shape[3])), 3)


def predict(network: Network, weights: Weights, data: FoldData, rows: list[np.ndarray]) -> list[np.ndarray]:
    """Each fold's classes int64 of its own `rows`."""
    tf = models.tensorflow()
    take, constants = _Windows(data), [tf.constant(w) for w in weights]
    longest = max(map(len, rows))
    padded = np.stack([np.resize(own, longest) for own in rows]).astype(np.int32)
    ask = tf.function(lambda index: tf.argmax(forward(network, constants, take(index)), -1), reduce_retracing=True)
    parts = [ask(padded[:, at : at + PREDICT_BATCH]).numpy() for at in range(0, longest, PREDICT_BATCH)]
    found = np.concatenate(parts, 1)
    return [found[fold, : len(own)] for fold, own in enumerate(rows)]
