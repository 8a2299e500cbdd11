"""Recurrent networks in the forms in which Keras writes them: as a loop (Keras 3), fused or as a loop (Keras 2), unrolled; the
last step or all of them, one layer or two, forwards and backwards. Each runs on the virtual board beside its oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tinyrig
from tinyrig.tests.user_home import url

pytestmark = pytest.mark.slow

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


CASES = [
    pytest.param(cell, form, int8, id=f"{cell} {form} {'int8' if int8 else 'float'}")
    for cell in ("LSTM", "GRU")
    for form in FORMS
    for int8 in (False, True)
    if not int8 or form in INT8 or (cell == "LSTM" and form == "keras 2")
]


@pytest.mark.parametrize(("cell", "form", "int8"), CASES)
def test_it_runs_as_its_oracle_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str, form: str, int8: bool) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    Path("net.tflite").write_bytes(converted(network(cell, **FORMS[form]), int8))
    found = tinyrig.run("net.tflite", limit=8)
    assert found.verified and found.parity is not None and found.parity.mismatched_windows == 0
    assert found.parity.oracle == "tflm" and found.parity.compared_windows == 8
    took = f"{found.ram.arena_bytes} B arena, {found.latency.cycles_median:,.0f} cycles"
    print(f"{cell}, {form}, {'int8' if int8 else 'float'}: {took}")
