"""Networks saved by Keras 3, rebuilt in Keras 2, which the optimisation toolkit needs."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

from tinyrig.core.errors import UserError
from tinyrig.variants.networks import models


def load(path: str) -> Any:
    """A chain of ordinary layers with its weights. Raises whatever Keras raises; UserError for a network that branches."""
    models.tensorflow()
    import keras  # Keras 3, beside TensorFlow's Keras 2

    saved = keras.models.load_model(path, compile=False)
    old = models.tensorflow().keras
    layers = [layer for layer in saved.layers if type(layer).__name__ != "InputLayer"]
    if not isinstance(saved, keras.Sequential) and not _is_chain(layers):
        raise UserError("a Keras 3 network that branches can't be converted", remedy="name a module:function instead")
    twins = [old.layers.Input(tuple(saved.input_shape[1:]), name="window"), *(_twin(layer, old) for layer in layers)]
    model = old.Sequential(twins)
    for layer in layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    return model


def _is_chain(layers: list[Any]) -> bool:
    single = not any(isinstance(layer.input, list) for layer in layers)
    return single and all(a.output.name == b.input.name for a, b in itertools.pairwise(layers))


_ONLY_FOR_TRAINING = ("initializer", "regularizer", "constraint")


def _twin(layer: Any, old: Any) -> Any:
    """The layer of the same name in Keras 2, with those of its settings that both know. Initialisers don't matter any more."""
    kind = getattr(old.layers, type(layer).__name__)
    settings = {k: v for k, v in layer.get_config().items() if k != "dtype" and not k.endswith(_ONLY_FOR_TRAINING)}
    known = kind(**_needed(settings, kind)).get_config()
    return kind.from_config({k: v for k, v in settings.items() if k in known})


def _needed(settings: dict[str, Any], kind: Any) -> dict[str, Any]:
    """Settings without which a layer can't be made at all."""
    return {
        name: settings[name]
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
        if parameter.default is parameter.empty and name in settings
    }
