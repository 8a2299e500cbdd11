"""Quantisation: after training (int8, int16 activations, weights only) and while training (int8)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.variants.networks import models
from tinyrig.variants.networks.task import Built, Net, Task, fresh_model, layer_configs


def build_pqt(task: Task) -> Built:
    """Everything int8, input and output too; activation ranges come from training windows drawn at random."""
    return _calibrated(task, "int8")


def build_int16x8(task: Task) -> Built:
    """int16 activations on int8 weights, input and output int16."""
    return _calibrated(task, "int16x8")


def _calibrated(task: Task, mode: str) -> Built:
    windows = task.data.representative(task.settings["representative_windows"])
    tflite = models.to_tflite(task.net.model(task.data.seed), mode, windows)
    return task.as_converted(tflite, {"representative_windows": len(windows)})


def build_dynamic(task: Task) -> Built:
    """int8 weights (of layers with 1024 or more of them, the converter's own limit), float activations."""
    return task.as_converted(models.to_tflite(task.net.model(task.data.seed), "dynamic"), {})


def build_float16(task: Task) -> Built:
    """Weights stored as float16, widened before use: the arithmetic is that of float32."""
    assert task.parent is not None
    tflite = models.to_tflite(task.net.model(task.data.seed), "float16")
    return task.as_converted(tflite, {}, task.parent.facts.get("flops"))


def build_qat(task: Task) -> Built:
    """Trains on with int8 rounding in the loop (tensorflow-model-optimization), then everything is int8.

    The toolkit has no quantiser for 1-D convolutions, so they are trained as 2-D ones of height 1, which is what the converter
    makes of them anyway.
    """
    with models.quiet():
        import tensorflow_model_optimization as tfmot

    flat = as_2d(task.net)
    model = flat.model(task.data.seed)
    try:
        model = tfmot.quantization.keras.quantize_model(model)
    except (ValueError, RuntimeError) as error:
        raise UserError(
            "this network can't be trained with quantisation",
            expected="layers that the optimisation toolkit has quantisers for",
            received=str(error).split("\n")[0][:300],
            remedy="use pqt instead",
        ) from error
    outcome = task.train(model)
    training = {**outcome, "batch": models.BATCH, "optimizer": "Adam"}
    return task.as_converted(models.to_tflite(model, "trained-int8"), training)


_TWINS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Conv1D": ("Conv2D", ("kernel_size", "strides", "dilation_rate")),
    "MaxPooling1D": ("MaxPooling2D", ("pool_size", "strides")),
    "AveragePooling1D": ("AveragePooling2D", ("pool_size", "strides")),
    "GlobalAveragePooling1D": ("GlobalAveragePooling2D", ()),
    "GlobalMaxPooling1D": ("GlobalMaxPooling2D", ()),
}
"""1-D layers, their 2-D twins, and the settings that get a height of 1."""


def as_2d(net: Net) -> Net:
    """The same network of 2-D layers on windows of height 1: [N,T,C] -> [N,1,T,C] -> ... A network without 1-D layers stays."""
    configs = layer_configs(net.architecture)
    if not any(config["class_name"] in _TWINS for config in configs):
        return net
    shape = next(c["config"]["batch_input_shape"] for c in configs if c["config"].get("batch_input_shape"))
    keras = models.tensorflow().keras
    lift = keras.layers.Reshape((1, *shape[1:]), name="height")
    whole = json.loads(net.architecture)
    body = [_twin(config) for config in configs if config["class_name"] != "InputLayer"]
    source = {"class_name": "InputLayer", "config": keras.layers.InputLayer(shape[1:], name="window").get_config()}
    whole["config"]["layers"] = [source, {"class_name": "Reshape", "config": lift.get_config()}, *body]
    whole["config"].pop("build_input_shape", None)
    model = fresh_model(json.dumps(whole), 0)
    layers = {
        name: [_lifted(w, model.get_layer(name).weights[i].shape) for i, w in enumerate(weights)]
        for name, weights in net.layers.items()
    }
    return Net(model.to_json(), layers)


def _twin(config: dict[str, Any]) -> dict[str, Any]:
    kind, settings = config["class_name"], {k: v for k, v in config["config"].items() if k != "batch_input_shape"}
    if kind not in _TWINS:
        return {"class_name": kind, "config": settings}
    twin, widened = _TWINS[kind]
    if settings.get("padding") == "causal":
        raise UserError("causal convolutions can't be trained with quantisation", remedy="use pqt instead")
    for name in widened:
        value = settings[name]
        settings[name] = [1, *(value if isinstance(value, list | tuple) else [value])]
    return {"class_name": twin, "config": settings}


def _lifted(weight: np.ndarray, shape: Any) -> np.ndarray:
    return weight.reshape(tuple(shape))
