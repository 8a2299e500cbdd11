"""Whatever arrays or text a file holds: windows that fit, or an error of the user's with a remedy; never one of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tinyrig.core.boards import BOARDS
from tinyrig.core.config import Config
from tinyrig.core.errors import UserError
from tinyrig.measure.variant import Request, prepare
from tinyrig.measure.variants import model_variant
from tinyrig.tests import head_models as heads

MODELS = (
    heads.classes,
    heads.two_heads,
    heads.one_score,
    heads.class_id,
    heads.grid,
    heads.same_again,
    heads.values,
    heads.two_inputs,
)
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DTYPES = st.sampled_from(["f2", "f4", "f8", ">f4", "i1", "u1", "i4", "i8", "u8", "?", "U3", "S2", "c8", "m8[s]", "M8[s]"])
SHAPES = st.sampled_from([(), (0,), (3,), (3, 8), (3, 1), (3, 2, 2), (8,), (1, 8), (3, 3), (3, 2), (3, 8, 1), (3, 0), (4, 8)])
ARRAYS = st.tuples(DTYPES, SHAPES).flatmap(lambda made: arrays.arrays(*made))
NAMES = st.sampled_from(
    ["x", "X", "x_test", "y", "labels", "class_names", "arr_0", "arr_1", "acc", "gyro", "window", "other", ""]
)


def tried(folder: Path, model: bytes, windows: Path, labels: Path | None, output: str | None) -> None:
    (folder / "m.tflite").write_bytes(model)
    try:
        ready = prepare(Request(model_variant(folder / "m.tflite", windows, labels, output)), BOARDS["virtual"], Config())
    except UserError as error:
        assert error.remedy and len(str(error)) < 2000
        return
    assert all(caution.text.isprintable() for caution in ready.cautions) and all(
        map(str.isprintable, ready.windows.class_names or ())
    )
    assert len(ready.windows) and ready.windows.digest()
    assert all(a.dtype == spec.dtype for a, spec in zip(ready.windows.inputs[0], ready.model.inputs, strict=True))


@QUICK
@given(st.sampled_from(MODELS), st.dictionaries(NAMES, ARRAYS, max_size=4), st.none() | st.sampled_from(["0", "1", "cls", "x"]))
def test_any_arrays(tmp_path: Path, model, found: dict[str, np.ndarray], output: str | None) -> None:
    np.savez(tmp_path / "w.npz", **found)
    tried(tmp_path, model(), tmp_path / "w.npz", None, output)


@QUICK
@given(st.sampled_from(MODELS), ARRAYS, ARRAYS)
def test_any_array_with_labels_beside_it(tmp_path: Path, model, x: np.ndarray, y: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "l.npy", y)
    tried(tmp_path, model(), tmp_path / "x.npy", tmp_path / "l.npy", None)


CELLS = st.sampled_from(["1", "0.5", "nan", "inf", "1e99", "", "cat", "label", "c1", '"', "é", "\0", " 1 "])
TABLES = st.lists(st.lists(CELLS, max_size=9).map(",".join), max_size=5).map("\n".join)


@QUICK
@given(TABLES | st.text(max_size=60), TABLES | st.text(max_size=20))
def test_any_text(tmp_path: Path, table: str, labels: str) -> None:
    (tmp_path / "w.csv").write_text(table, "utf-8")
    (tmp_path / "l.csv").write_text(labels, "utf-8")
    tried(tmp_path, heads.classes(), tmp_path / "w.csv", tmp_path / "l.csv", None)
    tried(tmp_path, heads.classes(), tmp_path / "w.csv", None, None)


@QUICK
@given(st.binary(max_size=60), st.sampled_from([b"", b"PK", b"\x93NUMPY", b"\x93NUMPY\x01\x00"]))
def test_any_bytes(tmp_path: Path, content: bytes, begins: bytes) -> None:
    (tmp_path / "w.bin").write_bytes(begins + content)
    tried(tmp_path, heads.classes(), tmp_path / "w.bin", None, None)


@QUICK
@given(st.dictionaries(st.sampled_from(["a", "b", "labels"]), TABLES, max_size=3))
def test_any_trials(tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]) -> None:
    folder = tmp_path_factory.mktemp("trials")
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, "utf-8")
    tried(folder, heads.classes(), folder, None, None)
