"""Builds, in a process of its own, recurrent networks as Keras writes them:
`python -m tinyrig.variants.tests.recurrent_models LSTM loop float NET.tflite`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

TIME, CHANNELS, UNITS = 10, 6, 8
FORMS: dict[str, dict[str, Any]] = {
    "loop": {},
    "keras 2": {"old": True},
    "unrolled": {"unroll": True},
    "all steps": {"return_sequences": True},
    "backwards": {"go_backwards": True},
    "stacked": {"stacked": True, "return_sequences": True},
    "both ways": {"old": True, "both": True},
}
INT8 = ("unrolled",)
"""Of the others TensorFlow's converter dies of full int8, but for the fused LSTM of Keras 2."""


def network(cell: str, old: bool = False, stacked: bool = False, both: bool = False, **options: Any) -> Any:
    if old:
        import tf_keras as keras
    else:
        import keras

    keras.utils.set_random_seed(3)
    layer = getattr(keras.layers, cell)
    x = inputs = keras.Input((TIME, CHANNELS), batch_size=1)
    first = layer(UNITS, **options)
    x = (keras.layers.Bidirectional(first) if both else first)(x)
    if stacked:
        x = layer(UNITS)(x)
    elif options.get("return_sequences"):
        x = keras.layers.TimeDistributed(keras.layers.Dense(2))(x)
        x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))


def converted(model: Any, int8: bool) -> bytes:
    import numpy as np
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if int8:
        rng = np.random.default_rng(0)
        windows = [[rng.normal(0, 1, (1, TIME, CHANNELS)).astype(np.float32)] for _ in range(20)]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: iter(windows)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


if __name__ == "__main__":
    cell, form, kind, path = sys.argv[1:]
    Path(path).write_bytes(converted(network(cell, **FORMS[form]), kind == "int8"))
