"""The paper's network in Keras, its training and its conversion, set up so that one seed gives one .tflite.

TensorFlow is imported inside `tensorflow()` only: nothing else of the project needs it, and its settings (legacy Keras,
threads, oneDNN) have to be made before its first import.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinyrig.core.errors import HostError
from tinyrig.places.remedies import extra

FILTERS = 16
KERNEL_STEPS = 3
BATCH = 32
THREADS = 2
"""Threads inside an operation. Fixed, because the order of float sums, and so the .tflite, changes with it."""
STEPS_PER_EXECUTION = 34
"""Training steps run by one call into TensorFlow; halves the time of this small network (measured)."""
LAYERS = ("conv", "pool", "dense")

_ENVIRONMENT = {
    "TF_USE_LEGACY_KERAS": "1",  # tensorflow-model-optimization needs Keras 2
    "TF_ENABLE_ONEDNN_OPTS": "0",  # its kernels sum in another order on other machines
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}

EpochDone = Callable[[int, int], None]
"""Called with (epochs done, epochs in all)."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps back what native code writes to stderr (drivers not found, conversion notes); shows it if the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        except BaseException:
            buffer.seek(0)
            os.write(kept, buffer.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@functools.cache
def tensorflow() -> Any:
    """The tensorflow module, deterministic and with fixed threads. HostError: missing, or already imported by someone else."""
    if "tensorflow" in sys.modules:
        raise HostError("TensorFlow is already imported, with unknown settings", remedy="build variants in their own process")
    os.environ.update(_ENVIRONMENT)
    try:
        with quiet():
            import tensorflow as tf
    except ImportError as error:
        raise HostError("TensorFlow is missing", received=str(error), remedy=extra("variants")) from error
    tf.get_logger().setLevel(logging.ERROR)
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    return tf


def fresh(seed: int) -> Any:
    """The tensorflow module with nothing left from earlier models and all its random generators seeded."""
    tf = tensorflow()
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    return tf


def cnn(steps: int, channels: int, classes: int, filters: int = FILTERS) -> Any:
    """The paper's 1-D CNN, newly initialised: [N,steps,channels] float32 -> class probabilities [N,classes]."""
    keras = tensorflow().keras
    conv, pool, dense = LAYERS
    return keras.Sequential(
        [
            keras.layers.Input((steps, channels), name="window"),
            keras.layers.Conv1D(filters, KERNEL_STEPS, activation="relu", name=conv),
            keras.layers.GlobalAveragePooling1D(name=pool),
            keras.layers.Dense(classes, activation="softmax", name=dense),
        ]
    )


def deep_cnn(steps: int, channels: int, classes: int, convolutions: int = 3) -> Any:
    """The paper's network with more convolutions one behind the other; those after the first keep the number of steps."""
    keras = tensorflow().keras
    conv, pool, dense = LAYERS
    more = [
        keras.layers.Conv1D(FILTERS, KERNEL_STEPS, padding="same", activation="relu", name=f"{conv}{i}")
        for i in range(2, convolutions + 1)
    ]
    return keras.Sequential(
        [
            keras.layers.Input((steps, channels), name="window"),
            keras.layers.Conv1D(FILTERS, KERNEL_STEPS, activation="relu", name=conv),
            *more,
            keras.layers.GlobalAveragePooling1D(name=pool),
            keras.layers.Dense(classes, activation="softmax", name=dense),
        ]
    )


def train(
    model: Any,
    x: np.ndarray,
    y: np.ndarray,
    *,
    epochs: int,
    learning_rate: float,
    callbacks: Sequence[Any] = (),
    steps_per_execution: int = STEPS_PER_EXECUTION,
    on_epoch: EpochDone | None = None,
) -> dict[str, float]:
    """Adam on sparse categorical cross-entropy -> the last epoch's training loss and accuracy.

    x float32 [N,T,C] normalised, y int64 [N].
    """
    keras = tensorflow().keras
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=min(steps_per_execution, steps_per_epoch(len(x))),
    )
    callbacks = list(callbacks)
    if on_epoch:
        callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _logs: on_epoch(epoch + 1, epochs)))
    history = model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=callbacks).history
    return {"train_loss": float(history["loss"][-1]), "train_accuracy": float(history["accuracy"][-1])}


def steps_per_epoch(windows: int) -> int:
    return math.ceil(windows / BATCH)


def concrete_function(model: Any) -> Any:
    """The model as one TensorFlow function of a single window [1,T,C]."""
    tf = tensorflow()
    signature = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="window")
    return tf.function(model, autograph=False).get_concrete_function(signature)


def to_tflite(model: Any, mode: str = "float32", representative: np.ndarray | None = None) -> bytes:
    """The model as a .tflite with a fixed batch of one.

    mode: float32; float16 (weights stored so); dynamic (int8 weights, float activations); int8 or int16x8 (everything integer,
    inputs and outputs too: int16 activations on int8 weights), with the activations' ranges taken from `representative`,
    training windows float32 [N,T,C]; trained-int8 (the model carries the ranges itself).
    """
    tf = tensorflow()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete_function(model)], model)
    if mode != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if mode in _INTEGER:
        operators, dtype = _INTEGER[mode]
        converter.inference_input_type = converter.inference_output_type = getattr(tf, dtype)
        if representative is not None:
            converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, operators)]
            converter.representative_dataset = lambda: ([window[None]] for window in representative)
    with quiet():
        return bytes(converter.convert())


_INTEGER = {
    "int8": ("TFLITE_BUILTINS_INT8", "int8"),
    "trained-int8": ("TFLITE_BUILTINS_INT8", "int8"),
    "int16x8": ("EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8", "int16"),
}
"""Each integer mode's operators and the dtype of its input and output."""
