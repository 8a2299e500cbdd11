"""The user's own networks, and builders of a package that is really installed."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from tinyrig.core.config import load_config
from tinyrig.core.errors import UserError
from tinyrig.variants.data import datasets, splits
from tinyrig.variants.lab import build, manifest, user_builders
from tinyrig.variants.lab.builders import Base, Step
from tinyrig.variants.networks import tflite_facts
from tinyrig.variants.tests.test_build import own_data

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "own_builder"


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({"simple": "json:loads"}, "name simple is taken"),
        ({"all": "json:loads"}, "name all is taken"),
        ({"Mine": "json:loads"}, "can't be a base's or step's name"),
        ({"a+b": "json:loads"}, "can't be a base's or step's name"),
        ({"mine": "gone.keras"}, "gone.keras can't be read"),
        ({"mine": "no_such_module:make"}, "can't be imported"),
        ({"mine": "json:no_such"}, "can't be imported"),
        ({"mine": "json:__name__"}, "is not a function"),
        ({"mine": "json"}, "json can't be read"),
    ],
)
def test_what_can_not_be_a_base_is_refused(models, words):
    with pytest.raises(UserError, match=words):
        user_builders.tables(models)


def test_a_functions_key_follows_its_code_and_a_files_its_content(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_a.py").write_text("def make(*shape): pass\n")
    (tmp_path / "mine_b.py").write_text("def make(*shape): return 1\n")
    first, second = user_builders.base_of("mine_a:make").settings, user_builders.base_of("mine_b:make").settings
    assert first["code_sha256"] != second["code_sha256"] and first["epochs"] == 80
    for content in (b"1", b"2"):
        (tmp_path / "net.h5").write_bytes(content)
        first, second = second, user_builders.base_of(str(tmp_path / "net.h5")).settings
    assert first["sha256"] != second["sha256"] and "epochs" not in first


def test_rig_toml_names_networks_beside_itself(tmp_path):
    (tmp_path / "rig.toml").write_text('[models]\ngesture = "gesture.keras"\ntiny = "my_nets:make"\n')
    assert load_config(tmp_path / "rig.toml").models == {"gesture": str(tmp_path / "gesture.keras"), "tiny": "my_nets:make"}
    (tmp_path / "rig.toml").write_text("[models]\ngesture = 3\n")
    with pytest.raises(UserError, match=r"\[models\] can't be used"):
        load_config(tmp_path / "rig.toml")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The example package, installed by pip into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "own_builder"
    subprocess.run(["cp", "-r", EXAMPLE, source], check=True)  # building leaves files beside the source
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", folder, source]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def run(installed, *arguments, code=0, more=()):
    paths = os.pathsep.join(map(str, [installed, *more]))
    done = subprocess.run(
        [sys.executable, "-m", "tinyrig.variants", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        timeout=600,
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done


NETWORK = """
def make(steps, channels, classes):
    from tensorflow import keras
    return keras.Sequential([
        keras.layers.Input((steps, channels)), keras.layers.Flatten(), keras.layers.Dense(6, activation="relu", name="hidden"),
        keras.layers.Dense(classes, activation="softmax", name="out")])

def wrong(steps, channels, classes):
    from tensorflow import keras
    return keras.Sequential([keras.layers.Input((steps, channels)), keras.layers.Dense(classes)])
"""


@pytest.mark.slow
def test_an_installed_packages_builders_and_a_function_build_from_end_to_end(installed, tmp_path):
    """The package's base with the lab's step, the lab's base with the package's step, and a dense network of the user's."""
    (tmp_path / "my_nets.py").write_text(NETWORK)
    listed = run(installed, "--list").stdout
    assert "wide " in listed and "rounded@BITS" in listed
    names = ["simple+rounded@3", "wide+pqt", "mine+l1-filters@0.5"]
    run(
        installed,
        *names,
        "--own",
        "mine=my_nets:make",
        "--dataset",
        own_data(tmp_path / "mine.npz"),
        "--out",
        tmp_path / "out",
        "--epochs",
        2,
        more=[tmp_path],
    )
    by_name = {v["name"]: v for v in manifest.read_manifest(tmp_path / "out")["variants"]}
    assert set(by_name) == set(names)
    assert by_name["wide+pqt"]["weights"]["shapes"]["CONV_2D kernel"] == [12, 1, 5, 3]
    assert by_name["simple+rounded@3"]["training"] == {"bits": 3, "levels": 8, "batch": 32, "optimizer": "Adam"}
    assert by_name["mine+l1-filters@0.5"]["weights"]["shapes"]["FULLY_CONNECTED kernel"] == [3, 36]
    refused = run(
        installed,
        "mine",
        "--own",
        "mine=my_nets:wrong",
        "--dataset",
        tmp_path / "mine.npz",
        "--out",
        tmp_path / "no",
        more=[tmp_path],
        code=2,
    )
    assert "doesn't fit the dataset" in refused.stderr and "2 class probabilities" in refused.stderr


def test_entry_points_are_bases_and_steps(installed):
    code = (
        "from tinyrig.variants.lab import user_builders as u; t = u.tables({})\n"
        "print(*(type(x).__name__ for x in (t.bases['wide'], t.steps['rounded'])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    assert done.stdout.split() == [Base.__name__, Step.__name__]


@pytest.mark.parametrize(
    ("value", "words"),
    [("json:loads", "a Base or a Step of tinyrig.variants.lab.builders"), ("no_such_package:STEP", "can't be loaded")],
)
def test_an_entry_point_that_is_nothing_is_named_with_its_package(tmp_path, value, words):
    info = tmp_path / "bad-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{user_builders.GROUP}]\nodd = {value}\n")
    done = run(tmp_path, "--list", code=2)
    assert words in done.stderr and "odd of bad 1.0" in done.stderr


SAVING = """
import importlib, os, sys, numpy as np
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
keras, x, *files = sys.argv[1:]
k = importlib.import_module(keras)
net = k.Sequential([k.layers.Input((12, 3)), k.layers.Conv1D(4, 3, activation="relu"), k.layers.BatchNormalization(),
                    k.layers.MaxPooling1D(2), k.layers.Flatten(), k.layers.Dense(2, activation="softmax")])
net.layers[1].set_weights([np.random.default_rng(0).uniform(0.5, 2, 4).astype("f4") for _ in range(4)])
for file in files:
    net.save(file)
    np.save(file + ".npy", net.predict(np.load(x), verbose=0))
"""
SAVED = {"two-h5": "two.h5", "two-keras": "two.keras", "three-keras": "three.keras"}
"""Base -> the file of its network, saved by Keras 2 or 3."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The networks as saved, beside what each said to the test windows, and all of them built by one call."""
    folder = tmp_path_factory.mktemp("saved")
    data = datasets.load(str(own_data(folder / "mine.npz")))
    parts = build.prepared(data, splits.split(data.y, data.groups, 0, data.class_names), 0)
    np.save(folder / "x.npy", parts.x_test)
    for keras, kind in (("tf_keras", "two"), ("keras", "three")):
        files = [folder / file for file in SAVED.values() if file.startswith(kind)]
        subprocess.run([sys.executable, "-c", SAVING, keras, folder / "x.npy", *files], check=True, capture_output=True)
    own = [word for name, file in SAVED.items() for word in ("--own", f"{name}={folder / file}")]
    run(sysconfig.get_paths()["purelib"], *SAVED, *own, "--dataset", folder / "mine.npz", "--out", folder / "out", "--epochs", 1)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", SAVED)
def test_a_saved_network_keeps_its_weights(saved, name):
    """Of Keras 2 and of Keras 3: the .tflite says what the saved network said."""
    outputs = tflite_facts.host_outputs((saved / "out" / f"{name}.tflite").read_bytes(), np.load(saved / "x.npy"))
    expected = np.load(saved / f"{SAVED[name]}.npy")
    assert np.ptp(expected, axis=0).max() > 0.01  # windows differ, so that a constant network would be noticed
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
