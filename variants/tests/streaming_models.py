"""Builds, in a process of its own, streaming networks as people write them:
`python -m tinyrig.variants.tests.streaming_models ring float NET.tflite`. docs/streaming.md shows the first."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

CHANNELS = 10


def keyword_spotter() -> Any:
    """Convolutions over time that keep the last frames themselves, in non-trainable weights of the layer."""
    import keras
    import tensorflow as tf

    class StreamingConv(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, filters: int, taps: int, dilation: int = 1) -> None:
            super().__init__()
            self.filters, self.taps, self.dilation = filters, taps, dilation
            self.keep = (taps - 1) * dilation

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(self.taps, shape[-1], self.filters), name="kernel")
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
            self.ring = self.add_weight(shape=(1, self.keep, shape[-1]), initializer="zeros", trainable=False, name="ring")

        def call(self, frame: Any) -> Any:
            seen = tf.concat([self.ring, frame], 1)
            self.ring.assign(seen[:, -self.keep :])
            return tf.nn.relu(tf.nn.conv1d(seen, self.kernel, 1, "VALID", dilations=self.dilation) + self.bias)

    frame = keras.Input(batch_shape=(1, 1, CHANNELS))
    x = StreamingConv(16, 3, 2)(StreamingConv(16, 3)(frame))
    return keras.Model(frame, keras.layers.Dense(4, activation="softmax")(x))


def time_filters() -> Any:
    """What SVDF computes, in layers: features of a frame, then a filter over their past."""
    import keras
    import tensorflow as tf

    class TimeFilter(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, units: int, memory: int) -> None:
            super().__init__()
            self.units, self.memory = units, memory

        def build(self, shape: Any) -> None:
            self.features = self.add_weight(shape=(shape[-1], self.units), name="features")
            self.times = self.add_weight(shape=(1, self.memory, self.units), name="times")
            self.past = self.add_weight(shape=(1, self.memory, self.units), initializer="zeros", trainable=False, name="past")

        def call(self, frame: Any) -> Any:
            self.past.assign(tf.concat([self.past[:, 1:], (frame @ self.features)[:, None]], 1))
            return tf.nn.relu(tf.reduce_sum(self.past * self.times, 1))

    frame = keras.Input(batch_shape=(1, CHANNELS))
    return keras.Model(frame, keras.layers.Dense(3, activation="softmax")(TimeFilter(12, 6)(TimeFilter(16, 8)(frame))))


def recurrent(cell: str) -> Any:
    import keras

    frame = keras.Input(batch_shape=(1, 1, CHANNELS))
    x = getattr(keras.layers, cell)(8, stateful=True, unroll=True)(frame)
    return keras.Model(frame, keras.layers.Dense(3, activation="softmax")(x))


def counted_ring() -> Any:
    """A ring buffer with a place that is counted, in plain TensorFlow."""
    import numpy as np
    import tensorflow as tf

    class Ring(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.ring = tf.Variable(tf.zeros((1, 5, CHANNELS)))
            self.place = tf.Variable(0)
            self.weights = tf.constant(np.random.default_rng(0).standard_normal((5 * CHANNELS, 3)).astype(np.float32))

        @tf.function(input_signature=[tf.TensorSpec((1, CHANNELS), tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, frame: Any) -> Any:
            here = tf.one_hot(self.place % 5, 5)[None, :, None]
            self.ring.assign(self.ring * (1 - here) + here * frame[:, None])
            self.place.assign_add(1)
            return tf.reshape(self.ring, (1, 5 * CHANNELS)) @ self.weights

    return Ring()


NETS = {
    "ring": keyword_spotter,
    "filters": time_filters,
    "GRU": lambda: recurrent("GRU"),
    "LSTM": lambda: recurrent("LSTM"),
    "SimpleRNN": lambda: recurrent("SimpleRNN"),
    "counted": counted_ring,
}


def exported(net: Any, folder: str) -> Any:
    """A converter of the saved model: from there alone int8 finds the state's first value."""
    import tensorflow as tf

    if isinstance(net, tf.Module) and not hasattr(net, "layers"):
        tf.saved_model.save(net, folder)
    else:
        net.export(folder, verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.experimental_enable_resource_variables = True
    return converter, [d for d in (net.input_shape if hasattr(net, "layers") else (1, CHANNELS))]


def converted(net: Any, int8: bool) -> bytes:
    import numpy as np
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        converter, shape = exported(net, folder)
        if int8:
            rng = np.random.default_rng(0)
            windows = [[rng.normal(0, 1, shape).astype(np.float32)] for _ in range(40)]
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: iter(windows)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        return bytes(converter.convert())


if __name__ == "__main__":
    name, kind, path = sys.argv[1:]
    import tensorflow as tf

    tf.keras.utils.set_random_seed(3)
    Path(path).write_bytes(converted(NETS[name](), kind == "int8"))
