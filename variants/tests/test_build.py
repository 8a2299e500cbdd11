"""Whole builds in a process of their own, as users start them."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyrig.core.records import TensorSpec
from tinyrig.variants.lab import manifest
from tinyrig.variants.networks import tflite_facts

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def variants(*arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "tinyrig.variants", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == code, done.stderr
    return done


def own_data(path: Path, groups: bool = True) -> Path:
    """Two easily separated classes, 3 channels, 12 steps, of 5 people."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 40)
    x = rng.normal(size=(80, 12, 3)) + y[:, None, None]
    arrays = {"x": x.astype(np.float32), "y": y, "class_names": np.array(["still", "moving"])}
    np.savez(path, **arrays, **({"groups": np.repeat(np.arange(5), 16)} if groups else {}))
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The paper's variants and some chains, briefly trained on a small dataset of the user's."""
    folder = tmp_path_factory.mktemp("small")
    data = own_data(folder / "mine.npz")
    out = folder / "out"
    done = variants("simple", "reshaped", "pqt", "pruned", "reshaped-l1", *CHAINS, "--dataset", data, "--out", out, "--epochs", 3)
    return data, out, done


CHAINS = ("pruned+cluster@4", "pruned+cluster@4+pqt", "simple+dynamic", "simple+int16x8", "simple+l1-filters@0.5+pqt")
"""In the order of a folder; test_all_builders.py has the bases and steps that aren't among them."""


def test_small_build_is_whole_and_described(small):
    _, out, done = small
    found = manifest.read_manifest(out)
    names = [v["name"] for v in found["variants"]]
    assert names == ["simple", "pruned", "reshaped", "reshaped-l1", "pqt", *CHAINS]
    assert sorted(p.name for p in out.iterdir()) == sorted(["manifest.json", "windows.npz", *(f"{n}.tflite" for n in names)])
    data = found["dataset"]
    assert data["class_names"] == ["still", "moving"] and data["synthetic"] is False
    assert (data["n_train"], data["n_test"]) == (64, 16) and "by group, 1 of 5" in data["split"]
    assert str(out.resolve()) in done.stdout.splitlines()[-1]


def test_small_build_measures_each_variant(small):
    _, out, _ = small
    by_name = {v["name"]: v for v in manifest.read_manifest(out)["variants"]}
    for name, entry in list(by_name.items())[:5]:
        filters = 16 if name in ("simple", "pruned") else 8
        assert entry["macs"] == filters * (10 * 3 * 3 + 2)
        assert entry["weights"]["total"] == filters * (9 + 1 + 2) + 2
        assert entry["weights"]["shapes"]["CONV_2D kernel"] == [filters, 1, 3, 3]
        assert entry["tflite_bytes"] == (out / entry["file"]).stat().st_size > entry["zip_bytes"]
    assert by_name["pruned"]["sparsity"] == 0.5
    assert by_name["pruned"]["weights"]["nonzero"] <= by_name["simple"]["weights"]["nonzero"] - (9 * 16 + 32) // 2
    assert by_name["pqt"]["flops"] is None and by_name["simple"]["flops"] > 2 * by_name["simple"]["macs"] > 0


def test_small_chains_are_what_their_names_say(small):
    _, out, _ = small
    by_name = {v["name"]: v for v in manifest.read_manifest(out)["variants"]}
    assert by_name["simple+l1-filters@0.5+pqt"]["weights"]["shapes"]["CONV_2D kernel"] == [8, 1, 3, 3]
    clustered = by_name["pruned+cluster@4"]
    assert clustered["sparsity"] == 0.5 and clustered["compressed_bytes"] < clustered["weight_bytes"] / 4
    assert len(clustered["notes"]) == 2 and clustered["parent"] == "pruned"
    assert by_name["pruned+cluster@4+pqt"]["compressed_bytes"] < by_name["pruned+cluster@4+pqt"]["weight_bytes"]
    assert "compressed_bytes" not in by_name["reshaped"] and "notes" not in by_name["simple+l1-filters@0.5+pqt"]


def test_small_chains_have_the_arithmetic_of_their_names(small):
    _, out, _ = small
    with np.load(out / "windows.npz") as windows:
        dtypes = [tflite_facts.host_outputs((out / f"{n}.tflite").read_bytes(), windows["x"][:1]).dtype.name for n in CHAINS]
    assert dtypes == ["float32", "int8", "float32", "int16", "int8"]


def test_a_chain_trains_only_what_is_new(small):
    """simple+l1-filters@0.5 was never written, and is there."""
    data, out, _ = small
    done = variants("simple+l1-filters@0.5+int16x8", "--dataset", data, "--out", out, "--epochs", 3)
    assert [line.strip() for line in done.stderr.splitlines()[1:]] == ["simple+l1-filters@0.5+int16x8 ..."]
    assert len(manifest.read_manifest(out)["variants"]) == 11  # and the others are still there


def test_host_accuracy_is_that_of_the_files_on_the_windows(small):
    _, out, _ = small
    with np.load(out / "windows.npz") as windows:
        for entry in manifest.read_manifest(out)["variants"][:8]:
            outputs = tflite_facts.host_outputs((out / entry["file"]).read_bytes(), windows["x"])
            right = int(np.sum(outputs.argmax(1) == windows["y"]))
            assert (entry["host_correct"], entry["host_windows"], entry["host_accuracy"]) == (right, 16, right / 16)


def test_small_build_normalises_by_the_training_part(small):
    data, out, _ = small
    found = manifest.read_manifest(out)
    with np.load(data) as own, np.load(out / "windows.npz", allow_pickle=False) as windows:
        held_out = [g for g in range(5) if f"({g})" in found["dataset"]["split"]]
        test = np.isin(own["groups"], held_out)
        expected = (own["x"][test] - np.float32(own["x"][~test].mean((0, 1)))) / np.float32(own["x"][~test].std((0, 1)))
        np.testing.assert_allclose(windows["x"], expected, atol=1e-4)
        np.testing.assert_array_equal(windows["y"], own["y"][test])


def test_pqt_is_integer_from_end_to_end(small):
    _, out, _ = small
    with np.load(out / "windows.npz") as windows:
        outputs = tflite_facts.host_outputs((out / "pqt.tflite").read_bytes(), windows["x"])
        floats = tflite_facts.host_outputs((out / "reshaped.tflite").read_bytes(), windows["x"])
    assert outputs.dtype == np.int8 and floats.dtype == np.float32
    probabilities = TensorSpec("out", (2,), "int8", 1 / 256, -128).dequantize(outputs)
    np.testing.assert_allclose(probabilities, floats, atol=0.1)


@pytest.mark.slow
def test_same_seed_same_files_and_bars_on_a_terminal(small, tmp_path):
    """The second build runs on a terminal; neither that nor which variants are asked for changes a byte of them."""
    data, out, done = small
    master, slave = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "tinyrig.variants",
        "simple",
        "pqt",
        "--dataset",
        data,
        "--out",
        tmp_path / "again",
        "--epochs",
        "3",
    ]
    command.append("--force")  # else the first build's networks would be taken
    with subprocess.Popen([str(c) for c in command], cwd=ROOT, stderr=slave, stdout=subprocess.DEVNULL):
        os.close(slave)
        shown = _read_all(master)
    for name in ("simple", "pqt"):
        assert (tmp_path / "again" / f"{name}.tflite").read_bytes() == (out / f"{name}.tflite").read_bytes()
    assert sorted(p.name for p in (tmp_path / "again").glob("*.tflite")) == ["pqt.tflite", "simple.tflite"]
    assert b"epoch 3/3" in shown and b"\x1b" in shown and b"cudart" not in shown
    assert "\x1b" not in done.stderr + done.stdout and "pruned" in done.stderr


@pytest.mark.slow
def test_other_seed_other_files(small, tmp_path):
    data, out, _ = small
    variants("simple", "--dataset", data, "--out", tmp_path / "other", "--epochs", 3, "--seed", 1)
    assert (tmp_path / "other" / "simple.tflite").read_bytes() != (out / "simple.tflite").read_bytes()


def test_finished_build_is_found_without_tensorflow(small):
    data, out, _ = small
    before = (out / "manifest.json").stat().st_mtime_ns
    code = "import sys; from tinyrig.variants.__main__ import main; main(sys.argv[1:]); sys.exit('tensorflow' in sys.modules)"
    arguments = ["pqt", "--dataset", data, "--out", out, "--epochs", 3]
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "already built" in done.stdout and (out / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tiny"], "unknown variant 'tiny'"),
        (["simple+pqt+qat"], "qat can't follow simple+pqt"),
        (["--seeds", "1"], "--seeds"),
        (["--own", "mine"], "--own can't be used"),
        (["mine", "--own", "mine=gone.keras"], "gone.keras can't be read"),
        (["--dataset", "nowhere.npz"], "no such dataset"),
        (["--seed", "-1"], "--seed"),
        (["--seed", "one"], "invalid seed value"),
        (["--epochs", "0"], "--epochs"),
    ],
)
def test_wrong_use_exits_2(arguments, words, tmp_path):
    done = variants(*arguments, "--out", tmp_path / "out", code=2)
    assert words in done.stderr and "Traceback" not in done.stderr and not (tmp_path / "out").exists()


def test_a_folder_with_the_users_files_is_left_alone(tmp_path):
    data = own_data(tmp_path / "mine.npz")
    done = variants("--dataset", data, "--out", tmp_path, code=2)
    assert "mine.npz" in done.stderr and data.exists()


def test_interrupted_build_leaves_no_folder(tmp_path):
    data = own_data(tmp_path / "mine.npz", groups=False)
    command = [sys.executable, "-m", "tinyrig.variants", "simple", "--dataset", str(data), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "simple" in line:
                break
        assert not (tmp_path / "out").exists() and (tmp_path / ".out.partial").is_dir()
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert not (tmp_path / "out").exists()


def _read_all(fd: int) -> bytes:
    chunks = []
    while True:
        try:
            chunk = os.read(fd, 4096)
        except OSError:  # Linux reports the closed other side of a pty as an error
            return b"".join(chunks)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


@pytest.mark.slow
def test_glove_has_the_papers_counts_and_useful_accuracy(tmp_path):
    variants("--out", tmp_path / "glove")
    found = json.loads((tmp_path / "glove" / "manifest.json").read_text())
    by_name = {v["name"]: v for v in found["variants"]}
    assert list(by_name) == ["simple", "pruned", "reshaped", "pqt"]
    assert [v["flops"] for v in by_name.values()] == [193648, 193648, 96848, None]
    assert [v["macs"] for v in by_name.values()] == [95888, 95888, 47944, 47944]
    assert found["dataset"]["synthetic"] and found["dataset"]["n_test"] == 240
    assert all(v["host_accuracy"] > 0.85 for v in by_name.values())
