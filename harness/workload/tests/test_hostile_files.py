"""Windows files, rig.toml and manifests that anyone may have written: a UserError with words, never a traceback, a hang or a
gigantic allocation."""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyrig.core.config import Config, load_config
from tinyrig.core.errors import UserError
from tinyrig.core.files import npz
from tinyrig.core.files.npz import read_npz
from tinyrig.core.records import TensorSpec
from tinyrig.workload.manifest import read_built
from tinyrig.workload.windows import Windows, check_labels, load_windows

SPEC = TensorSpec("in", (1, 6), "int8", scale=0.5)
FLOAT = TensorSpec("in", (1, 6), "float32")
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def told(error: UserError) -> None:
    assert error.what and error.expected and error.received and error.remedy, str(error)
    assert len(str(error)) < 2000


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def archive(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        warnings.simplefilter("ignore")  # a duplicate name is meant
        for name, data in members:
            file.writestr(name, data)
    return path


def saved(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


GOOD = saved(x=np.zeros((3, 6), np.float32), y=np.arange(3), class_names=np.array(["a", "b", "c"]))


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000, 1000000), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n",
        "{'descr': '<U1000000000', 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': '(1000000,1000000)f4', 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,), }\n",
        "{'descr': 7, 'fortran_order': 1, 'shape': 'x'}\n",
        "(" * 5000 + "\n",
        "__import__('os').abort()\n",
        "",
    ],
    ids=range(12),
)
def test_headers_that_lie(tmp_path: Path, text: str) -> None:
    path = archive(tmp_path / "w.npz", [("x.npy", header(text) + b"\0" * 24)])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError) as e:
        load_windows(path, (SPEC,))
    told(e.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # KiB


def test_a_zip_bomb_is_refused_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "MAX_BYTES", 4 << 20)
    member = header(f"{{'descr': '|i1', 'fortran_order': False, 'shape': ({1 << 20},), }}\n") + bytes(1 << 20)
    path = archive(tmp_path / "w.npz", [(f"x{i}.npy", member) for i in range(5)])
    assert path.stat().st_size < 16 << 10
    with pytest.raises(UserError, match="holds too much"):
        read_npz(path, "r")


def test_duplicate_members_and_pickles_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as good:
        x = good.read("x.npy")
    with pytest.raises(UserError, match="twice"):
        load_windows(archive(tmp_path / "a.npz", [("x.npy", x), ("x.npy", x)]), (SPEC,))
    (tmp_path / "b.npz").write_bytes(saved(x=np.array([{}], dtype=object)))
    with pytest.raises(UserError, match="unpickled"):
        load_windows(tmp_path / "b.npz", (SPEC,))


def test_a_pipe_a_folder_and_nothing_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "nothing"):
        with pytest.raises(UserError) as e:
            load_windows(path, (SPEC,))
        told(e.value)


@QUICK
@given(data=st.binary(max_size=300))
def test_any_bytes_are_no_windows(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "w.npz").write_bytes(data)
    with pytest.raises(UserError) as e:
        load_windows(tmp_path / "w.npz", (SPEC,))
    told(e.value)


@QUICK
@given(
    changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 60),
)
def test_changed_bytes_are_read_or_refused(tmp_path: Path, changes: list[tuple[int, int]], cut: int) -> None:
    spoilt = bytearray(GOOD)
    for at, value in changes:
        spoilt[at] = value
    (tmp_path / "w.npz").write_bytes(spoilt[: len(spoilt) - max(0, cut - 50)])
    try:
        assert len(load_windows(tmp_path / "w.npz", (SPEC,))) == 3
    except UserError as e:
        told(e)


X = np.zeros((3, 6), np.float32)


@pytest.mark.parametrize(
    ("arrays", "spec", "match"),
    [
        ({"x": np.where(np.eye(3, 6) > 0, np.nan, X).astype(np.float32)}, FLOAT, "3 others, the first in window 0"),
        ({"x": np.full((3, 6), 1e300)}, FLOAT, "NaN or infinite"),
        ({"x": X}, TensorSpec("in", (1, 6), "int32"), "wrong dtype"),
        ({"x": X, "y": np.array([0, 1, -1]), "class_names": np.array(["a", "b"])}, SPEC, "-1 in row 2"),
        ({"x": X, "y": np.array([0, 1, 2]), "class_names": np.array(["a", "b"])}, SPEC, "2 in row 2"),
        ({"x": X, "class_names": np.array("abc")}, SPEC, "class_names can't be used"),
        ({"x": X, "class_names": np.arange(3)}, SPEC, "class_names can't be used"),
        ({"x": X, "class_names": np.array(["a", "b\nc"])}, SPEC, "class_names can't be used"),
        ({"x": X, "class_names": np.array(["the longest of them", "b\nc"])}, SPEC, r"received: name 1: 'b\\nc'"),
        ({"x": X, "y": np.array(["a", "b"])}, SPEC, "labels"),
        ({"x": np.zeros((2, 3, 0), np.float32)}, SPEC, "does not fit"),
        ({"x": np.zeros((7, 5), np.float32)}, SPEC, "does not fit"),
    ],
)
def test_what_windows_may_not_hold(tmp_path: Path, arrays: dict[str, np.ndarray], spec: TensorSpec, match: str) -> None:
    (tmp_path / "w.npz").write_bytes(saved(**arrays))
    with pytest.raises(UserError, match=match) as e:
        load_windows(tmp_path / "w.npz", (spec,))
    told(e.value)


def test_a_label_the_model_has_no_score_for_is_refused() -> None:
    windows, scores = Windows(((np.zeros(6),),) * 2, (0, 4)), TensorSpec("p", (1, 4), "int8")
    with pytest.raises(UserError, match="4 in row 1"):
        check_labels(windows, (scores,))
    check_labels(windows, (TensorSpec("class", (1,), "int32"),))  # the model names the class itself


def config(tmp_path: Path, text: str | bytes) -> Config:
    path = tmp_path / "rig.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return load_config(path)


@pytest.mark.parametrize(
    "text",
    [
        "accuracy_drop = nan",
        "float_tolerance = inf",
        "repeats = inf",
        "repeats = 1e400",
        "repeats = 2.5",
        "repeats = 10000000000",
        "repeats = 1979-05-27",
        "seed = [1]",
        'oracle = "other"',
        'optimise = "both"',
        'dataset = "a\\u0000b"',
        'results = "a\\nb"',
        "[boards.x]\nlink = 3",
        '[boards.x]\nlink = "a\\u0007"',
        "a = " + "[" * 20_000,
        b"\xff\xfe",
        "dataset = 'x'\ndataset = 'y'",
        "boards = [1]",
        "x" * (2 << 20),
    ],
    ids=range(19),
)
def test_settings_that_can_not_be_used(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(UserError) as e:
        config(tmp_path, text)
    assert e.value.remedy and len(str(e.value)) < 2000


@QUICK
@given(text=st.one_of(st.text(max_size=80), st.binary(max_size=80)))
def test_any_text_is_a_config_or_the_users_error(tmp_path: Path, text: str | bytes) -> None:
    try:
        assert isinstance(config(tmp_path, text), Config)
    except UserError as e:
        assert e.what and e.remedy


VALUES = st.one_of(st.integers(), st.booleans(), st.floats(), st.text("ab\0\n/", max_size=5), st.lists(st.integers(), max_size=2))


@QUICK
@given(
    name=st.sampled_from(sorted({"dataset", "seed", "results", "oracle", "optimise", "repeats", "accuracy_drop"})), value=VALUES
)
def test_any_value_is_taken_or_refused_by_name(tmp_path: Path, name: str, value: object) -> None:
    text = f"{value!r}".lower() if isinstance(value, bool | float) else json.dumps(value)
    try:
        config(tmp_path, f"{name} = {text}")
    except UserError as e:
        assert name in str(e) or "can't be read" in str(e)


ENTRY = {
    "name": "v",
    "file": "v.tflite",
    "sha256": "0",
    "tflite_bytes": 1,
    "zip_bytes": 1,
    "host_accuracy": 0.5,
    "flops": 1,
    "macs": 1,
}
MANIFEST = {
    "schema": 1,
    "variants": [ENTRY],
    "windows": {"file": "w.npz", "sha256": "0"},
    "packages": {},
    "seed": 0,
    "dataset": {"name": "d", "synthetic": True},
}
SPOIL: list[Callable[[dict], object]] = [
    lambda m: m.update(schema=2),
    lambda m: m.update(variants=None),
    lambda m: m.update(dataset=[]),
    lambda m: m.update(windows="w"),
    lambda m: m["variants"][0].update(file="../../etc/passwd"),
    lambda m: m["variants"][0].update(file="/etc/passwd"),
    lambda m: m["variants"][0].update(name="../x"),
    lambda m: m["variants"][0].update(name="a\nb"),
    lambda m: m["variants"].append(3),
    lambda m: m["variants"][0].update(macs="many"),
    lambda m: m["variants"][0].update(name=7),
    lambda m: m["variants"].append(dict(m["variants"][0])),
    lambda m: m["variants"][0].update(macs=-1),
    lambda m: m["variants"][0].update(macs=10**400),
    lambda m: m["variants"][0].update(tflite_bytes=1.5),
    lambda m: m["variants"][0].update(zip_bytes=float("inf")),
    lambda m: m["variants"][0].update(host_accuracy=1.5),
    lambda m: m["variants"][0].update(host_accuracy=-0.1),
    lambda m: m["variants"][0].update(host_accuracy=float("nan")),
    lambda m: m["variants"][0].update(host_accuracy=10**400),
    lambda m: m.clear(),
]


@pytest.mark.parametrize("spoil", SPOIL, ids=range(len(SPOIL)))
def test_manifests_that_can_not_be_used(tmp_path: Path, spoil: Callable[[dict], object]) -> None:
    manifest = json.loads(json.dumps(MANIFEST))
    for name, entry in (("v.tflite", manifest["variants"][0]), ("w.npz", manifest["windows"])):
        (tmp_path / name).write_bytes(b"")
        entry["sha256"] = hashlib.sha256(b"").hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert len(read_built(tmp_path)) == 1
    spoil(manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError) as e:
        read_built(tmp_path)
    told(e.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "nonsense", "[1]", "null", "\x00"])
def test_manifests_that_are_no_json_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError):
        read_built(tmp_path)
