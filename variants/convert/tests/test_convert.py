"""Networks of Keras to .tflite: each form of file, in one process that imports TensorFlow once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyrig.core.errors import UserError
from tinyrig.preflight.check import check_model
from tinyrig.variants.convert.representative import MOST, for_inputs, read_windows

MAKE = """
import json, os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "0"
import numpy as np, keras, tf_keras, tensorflow as tf
from pathlib import Path
from tinyrig.core.errors import RigError
from tinyrig.variants.convert.convert import convert
from tinyrig.variants.convert.representative import read_windows

def network(library):
    layers = [library.layers.Conv1D(4, 3, activation="relu"), library.layers.GlobalAveragePooling1D(), library.layers.Dense(5)]
    return library.Sequential([library.Input((8, 3)), *layers])

network(keras).save("k3.keras"), network(keras).save("k3.h5"), network(keras).export("exported", verbose=False)
network(tf_keras).save("k2.keras"), network(tf_keras).save("k2.h5")
a, b = keras.Input((8, 3), name="left"), keras.Input((4,), name="right")
keras.Model([a, b], keras.layers.Dense(2)(keras.layers.Concatenate()([keras.layers.Flatten()(a), b]))).save("two.keras")
keras.Sequential([keras.Input((None, 3)), keras.layers.Conv1D(4, 3)]).save("open.keras")
Path("broken.keras").write_bytes(Path("k3.keras").read_bytes()[:900])
said = {}
for name in sorted(p.name for p in Path(".").iterdir() if p.suffix in (".keras", ".h5") or p.is_dir()):
    for windows in (None, "two.npz" if name == "two.keras" else "x.npz"):
        try:
            made = convert(Path(name), windows and read_windows(Path(windows)))
            Path(f"{name}.{'int8' if windows else 'float32'}.tflite").write_bytes(made)
        except RigError as error:
            said[name] = str(error)
Path("said.json").write_text(json.dumps(said))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("convert")
    rng = np.random.default_rng(0)
    np.savez(folder / "x.npz", x=rng.normal(size=(40, 8, 3)))
    np.savez(folder / "two.npz", left=rng.normal(size=(30, 8, 3)), right=rng.normal(size=(30, 4)))
    done = subprocess.run([sys.executable, "-c", MAKE], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["k3.keras", "k3.h5", "exported", "k2.keras", "k2.h5", "two.keras"])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_every_form_of_network_becomes_a_model_with_a_batch_of_one(made: Path, name: str, dtype: str) -> None:
    check = check_model((made / f"{name}.{dtype}.tflite").read_bytes())
    assert check.runs, check.obstacles
    assert {t.dtype for t in check.inputs + check.outputs} == {dtype} and {t.shape[0] for t in check.inputs} == {1}
    assert len(check.inputs) == (2 if name == "two.keras" else 1)


@pytest.mark.slow
def test_what_can_not_be_converted_says_why(made: Path) -> None:
    said = json.loads((made / "said.json").read_text())
    assert set(said) == {"open.keras", "broken.keras"}
    assert "keras.Input(batch_shape=(1, ...))" in said["open.keras"] and "Keras can't load broken.keras" in said["broken.keras"]


def test_windows_go_to_their_inputs() -> None:
    left, right = np.zeros((5, 24), np.float32), np.ones((5, 4), np.float32)
    rows = for_inputs({"right": right, "left": left}, [("left", (8, 3)), ("right", (4,))])
    assert [a.shape for a in rows[0]] == [(1, 8, 3), (1, 4)] and len(rows) == 5
    assert for_inputs({"x_train": left}, [("input_1", (24,))])[0][0].shape == (1, 24)
    with pytest.raises(UserError, match=r"no windows for the input 'input_1'\n.*8 x 4\n.*x \[5, 24\]"):
        for_inputs({"x": left}, [("input_1", (8, 4))])


def test_many_windows_are_thinned_out_and_what_is_no_windows_file_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(1000)[:, None])
    x = read_windows(tmp_path / "x.npy")["x"]
    assert x.shape == (MOST, 1) and x.dtype == np.float32 and x.max() > 900
    (tmp_path / "y.npz").write_bytes(b"nothing")
    np.save(tmp_path / "z.npy", np.array([None]))
    for name in ("y.npz", "z.npy", "missing.npz"):
        with pytest.raises(UserError, match="can't be read as windows"):
            read_windows(tmp_path / name)
