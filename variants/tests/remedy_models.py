"""Builds, in a process of its own, models that are refused and the same after the remedy of the refusal:
`python -m tinyrig.variants.tests.remedy_models FOLDER`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from tinyrig.intake import remedies

L = keras.layers
WEIGHTS = np.random.default_rng(0).normal(0, 0.3, (16, 8)).astype(np.float32)


def windows(shape: tuple[int, ...]) -> Callable[[], Iterator[list[np.ndarray]]]:
    rng = np.random.default_rng(3)
    return lambda: ([rng.uniform(-1, 1, (1, *shape)).astype(np.float32)] for _ in range(30))


def converted(converter: Any, shape: tuple[int, ...] = (), dtype: str = "float32") -> bytes:
    if dtype == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = windows(shape)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def of_keras(model: Any, shape: tuple[int, ...] = (), dtype: str = "float32") -> bytes:
    return converted(tf.lite.TFLiteConverter.from_keras_model(model), shape, dtype)


def function(f: Callable[[Any], Any]) -> Any:
    return tf.function(lambda x: f(x @ tf.constant(WEIGHTS))).get_concrete_function(tf.TensorSpec((1, 16)))


def of_function(f: Callable[[Any], Any], dtype: str = "float32") -> bytes:
    return converted(tf.lite.TFLiteConverter.from_concrete_functions([function(f)]), (16,), dtype)


def dense() -> Any:
    return keras.Sequential([keras.Input((12,)), L.Dense(10, activation="relu"), L.Dense(3, activation="softmax")])


def unfrozen() -> bytes:
    model = dense()
    f = tf.function(lambda x: model(x)).get_concrete_function(tf.TensorSpec((1, 12)))
    return converted(tf.lite.TFLiteConverter.from_concrete_functions([f], model))


def in_float(f: Callable[[Any], Any], op: str) -> bytes:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function(f)])
    converted(converter, (16,), "int8")
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=[op])
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=windows((16,)), debug_options=options)
    return bytes(debugger.get_nondebug_quantized_model())


def image_net() -> Any:
    return keras.Sequential([keras.Input((16, 16, 1)), L.Conv2D(8, 3, activation="relu"), L.Flatten(), L.Dense(64), L.Dense(4)])


def dynamic_range() -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(image_net())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def rescaled(dtype: str) -> bytes:
    x = keras.Input(batch_shape=(1, 8, 8, 1), dtype=dtype)
    return of_keras(keras.Model(x, L.Dense(3)(L.Flatten()(L.Rescaling(1 / 255)(x)))))


def any_length(fixed: bool) -> bytes:
    model = keras.Sequential([keras.Input((None, 3)), L.Conv1D(4, 3), L.GlobalAveragePooling1D(), L.Dense(2)])
    x = keras.Input(batch_shape=(1, 20, 3))
    return of_keras(keras.Model(x, model(x)) if fixed else model)


class Counting(tf.Module):
    """Keeps state."""

    def __init__(self) -> None:
        self.h = tf.Variable(tf.zeros((1, 8)))

    @tf.function(input_signature=[tf.TensorSpec((1, 16), name="x")], autograph=False)
    def __call__(self, x):  # without annotations, which TensorFlow would read as types of tensors
        self.h.assign(tf.tanh(x @ tf.constant(WEIGHTS) + self.h))
        return self.h + 0.0


def kept_state(folder: Path) -> bytes:
    module = Counting()
    tf.saved_model.save(module, str(folder / "state"), signatures=module.__call__.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "state"))
    converter.experimental_enable_resource_variables = True
    return bytes(converter.convert())


def state_outside() -> bytes:
    def step(x: Any, h: Any) -> Any:
        new = tf.tanh(x @ tf.constant(WEIGHTS) + h)
        return new, new + 0.0

    f = tf.function(step, autograph=False).get_concrete_function(tf.TensorSpec((1, 16)), tf.TensorSpec((1, 8)))
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([f]).convert())


def exp(x: Any) -> Any:
    return tf.exp(x)


def log(x: Any) -> Any:
    return tf.math.log(tf.abs(x) + 0.1)


def models(folder: Path) -> Iterator[tuple[str, bytes]]:
    yield "unfrozen.refused", unfrozen()
    yield "unfrozen.mended", of_keras(dense())
    for name, f in (
        ("EXP", exp),
        ("LOG", log),
        ("SQRT", lambda x: tf.sqrt(tf.abs(x) + 0.1)),
        ("DIV", lambda x: x / (1 + tf.abs(x))),
    ):
        yield f"{name}.refused", of_function(f, "int8")
        yield f"{name}.mended", in_float(f, name)
    yield "GELU.refused", of_function(tf.nn.gelu, "int8")
    yield "GELU.mended", of_function(lambda x: x * tf.sigmoid(1.702 * x), "int8")
    yield "WHERE.refused", of_function(lambda x: tf.gather_nd(x, tf.where(x > 0)))
    yield "WHERE.mended", of_function(lambda x: tf.cast(x > 0, tf.float32) * x)
    yield "dynamic", dynamic_range()
    yield "uint8.refused", rescaled("uint8")
    yield "uint8.mended", rescaled("float32")
    yield "length.refused", any_length(False)
    yield "length.mended", any_length(True)
    yield "state.refused", kept_state(folder)
    yield "state.mended", state_outside()


def by_the_lines(folder: Path) -> None:
    """Runs the lines that a refused file is answered with."""
    model = keras.Sequential([keras.Input((8, 3)), L.Conv1D(4, 3, activation="relu"), L.Flatten(), L.Dense(5)])
    np.savez("windows.npz", x=np.random.default_rng(0).normal(size=(40, 8, 3)))
    model.save("lines_keras.keras")
    model.export("lines_saved", verbose=False)
    f = tf.function(
        lambda x: tf.nn.softmax(tf.reshape(x, (1, 24)) @ tf.constant(WEIGHTS[:1].repeat(24, 0)), name="probabilities")
    )
    graph = f.get_concrete_function(tf.TensorSpec((1, 8, 3), name="window")).graph.as_graph_def()
    Path("lines_frozen.pb").write_bytes(graph.SerializeToString())
    from tinyrig.intake.kinds import KINDS

    for path in map(Path, ("lines_keras.keras", "lines_frozen.pb")):
        data = path.read_bytes()
        _run(next(k for k in KINDS if k.is_one(data)).told(data, path)[1])
    _run(remedies.saved_model(Path("lines_saved")))


def _run(remedy: str) -> None:
    code = remedy.partition("in Python\n")[2]
    exec("\n".join(line.removeprefix("    ") for line in code.splitlines()), {})


if __name__ == "__main__":
    where = Path(sys.argv[1])
    os.chdir(where)
    for name, data in models(where):
        (where / f"{name}.tflite").write_bytes(data)
    by_the_lines(where)
