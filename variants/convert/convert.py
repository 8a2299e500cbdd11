"""convert: a network of Keras (2 or 3) or a SavedModel -> the bytes of a .tflite with a batch of 1."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.errors import HostError, ModelError
from tinyrig.places.remedies import extra
from tinyrig.variants.convert.representative import for_inputs
from tinyrig.variants.networks.models import quiet


def convert(network: Path, windows: dict[str, np.ndarray] | None) -> bytes:
    """Full int8 with the ranges that `windows` (representative.py) show; float32 without. Raises ModelError for a network that
    can't be loaded or converted, UserError for windows that do not fit it, HostError without TensorFlow."""
    tf = _tensorflow()
    converter, inputs = _saved_model(tf, network) if network.is_dir() else _keras(tf, network)
    if windows is not None:
        rows = for_inputs(windows, inputs)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: iter(rows)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    try:
        with _quiet():
            return bytes(converter.convert())
    except Exception as error:  # the converter raises whatever its C++ side leads to
        raise ModelError(
            f"TensorFlow can't convert {network}",
            expected="a network of built-in operations",
            received=_first_lines(error),
            remedy="replace the layer that it names" + ("" if windows is None else "; or try --float32"),
        ) from error


def _tensorflow() -> Any:
    try:
        with _quiet():
            import tensorflow as tf
    except ImportError as error:
        raise HostError(
            "TensorFlow is not installed", expected="the extra `convert`", received=str(error), remedy=extra("convert")
        ) from error
    return tf


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keras prints what it exports, the converter what it thinks."""
    with contextlib.redirect_stdout(io.StringIO()), quiet():
        yield


Inputs = list[tuple[str, tuple[int, ...]]]
"""(name, shape without the batch) of each."""


def _keras(tf: Any, path: Path) -> tuple[Any, Inputs]:
    """-> (converter, inputs). Around the network stand inputs with a batch of 1."""
    library, model = _loaded(path)
    inputs = [(str(t.name).split(":")[0], tuple(t.shape[1:])) for t in model.inputs]
    _check_fixed(path, [shape for _, shape in inputs])
    fixed = [library.Input(batch_shape=(1, *t.shape[1:]), dtype=t.dtype) for t in model.inputs]
    whole = library.Model(fixed, model(fixed[0] if len(fixed) == 1 else fixed))
    if library.__name__ == "keras":
        return tf.lite.TFLiteConverter.from_keras_model(whole), inputs
    specs = [tf.TensorSpec((1, *shape), t.dtype, name=name) for t, (name, shape) in zip(model.inputs, inputs, strict=True)]
    called = tf.function(lambda *x: whole(x[0] if len(x) == 1 else list(x)), autograph=False)
    return tf.lite.TFLiteConverter.from_concrete_functions([called.get_concrete_function(*specs)], whole), inputs


def _loaded(path: Path) -> tuple[Any, Any]:
    """-> (Keras 3, or Keras 2 for its files, the network)."""
    failed: list[str] = []
    for name in ("keras", "tf_keras"):
        try:
            library = __import__(name)
            with _quiet():
                return library, library.models.load_model(str(path), compile=False)
        except ImportError as error:
            failed.append(f"{name}: {error}")
        except Exception as error:  # Keras raises whatever a layer that it does not know leads to
            failed.append(f"{name}: {_first_lines(error)}")
    raise ModelError(
        f"Keras can't load {path}",
        expected="a network of Keras' own layers",
        received="; ".join(failed),
        remedy="layers of your own: load the model in Python, model.export('folder'), then tinyrig convert folder",
    )


def _saved_model(tf: Any, folder: Path) -> tuple[Any, Inputs]:
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises whatever the files lead to
        raise ModelError(
            f"TensorFlow can't load {folder}", received=_first_lines(error), remedy="save the model again"
        ) from error
    name = next((n for n in ("serving_default", "serve", *loaded.signatures) if n in loaded.signatures), None)
    if name is None:
        raise ModelError(
            f"{folder} has no signature", expected="serving_default", received="none", remedy="save it with model.export(folder)"
        )
    signature = loaded.signatures[name]
    _, keywords = signature.structured_input_signature
    _check_fixed(folder, [tuple(spec.shape[1:]) for spec in keywords.values()])
    specs = {key: tf.TensorSpec((1, *spec.shape[1:]), spec.dtype, name=key) for key, spec in keywords.items()}
    function = tf.function(lambda **windows: signature(**windows), autograph=False).get_concrete_function(**specs)
    inputs = [(key, tuple(spec.shape[1:])) for key, spec in specs.items()]
    return tf.lite.TFLiteConverter.from_concrete_functions([function], loaded), inputs


def _check_fixed(path: Path, shapes: list[tuple[int | None, ...]]) -> None:
    for shape in shapes:
        if None in shape:
            raise ModelError(
                f"{path} has an input of open size",
                expected="every dimension behind the batch fixed",
                received=str([None, *shape]),
                remedy="build the network with keras.Input(batch_shape=(1, ...))",
            )


def _first_lines(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip()}"[:500]
