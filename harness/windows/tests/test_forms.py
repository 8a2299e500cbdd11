"""Windows files as people have them: every form gives the same windows and labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyrig.core.records import TensorSpec
from tinyrig.core.scoring import CautionKind
from tinyrig.tests import head_models as heads
from tinyrig.windows.ends import ends
from tinyrig.windows.files import read_windows
from tinyrig.workload.windows import Windows, load_windows

N = 12
Y = np.arange(N) % 3
X = heads.picked(Y)
SPEC = TensorSpec("window", (1, heads.FEATURES), "float32")


def loaded(folder: Path, file: str = "w.npz", beside: str | None = None, **arrays: Any) -> Windows:
    """`arrays` are saved first; `beside`: a file of labels."""
    if arrays:
        np.savez(folder / file, **arrays)
    return load_windows(read_windows(folder / file, folder / beside if beside else None), (SPEC,))


def same(found: Windows) -> None:
    np.testing.assert_array_equal(np.stack([w[0].ravel() for w in found.inputs]), X)
    assert found.labels == tuple(Y)


NAMES = [
    ("x", "y"),
    ("X", "Y"),
    ("x_test", "y_test"),
    ("X_val", "y_val"),
    ("inputs", "targets"),
    ("data", "labels"),
    ("arr_0", "arr_1"),
]


@pytest.mark.parametrize("names", [*NAMES, ("arr_0", "arr_1")], ids="-".join)
def test_usual_names_are_known(tmp_path: Path, names: tuple[str, str]) -> None:
    same(loaded(tmp_path, **dict(zip(names, (X, Y), strict=True))))


def test_training_parts_beside_the_test_set_are_left_alone(tmp_path: Path) -> None:
    """As in mnist.npz."""
    same(loaded(tmp_path, x_train=X[:4], y_train=Y[:4], x_test=X, y_test=Y))


def test_other_arrays_of_a_usual_name_are_not_taken_for_windows(tmp_path: Path) -> None:
    same(loaded(tmp_path, x=X, y=Y, data=np.arange(3)))


SHAPES: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda x: x.reshape(N, 2, 4),
    lambda x: x.reshape(N, 1, 8, 1),
    lambda x: np.asfortranarray(x),
    lambda x: x.astype(np.float64),
]


@pytest.mark.parametrize("shaped", SHAPES, ids=range(len(SHAPES)))
def test_flat_windows_and_axes_of_1_come_and_go(tmp_path: Path, shaped: Callable[[np.ndarray], np.ndarray]) -> None:
    same(loaded(tmp_path, x=shaped(X), y=Y))


LABELS = [Y.astype(np.float64), Y.astype(np.uint8), Y.reshape(N, 1), np.eye(3)[Y], np.eye(3, dtype=bool)[Y], Y.astype(str)]


@pytest.mark.parametrize("y", LABELS, ids=range(len(LABELS)))
def test_forms_of_labels(tmp_path: Path, y: np.ndarray) -> None:
    same(loaded(tmp_path, x=X, y=y))


def test_half_floats_and_whole_numbers_are_real_values(tmp_path: Path) -> None:
    found = loaded(tmp_path, x=np.arange(16).reshape(2, 8).astype(np.int64))
    assert found.inputs[1][0].dtype == np.float32 and found.inputs[1][0].ravel().tolist() == list(range(8, 16))
    np.testing.assert_allclose(loaded(tmp_path, x=X.astype(np.float16)).inputs[0][0].ravel(), X[0], atol=1e-3)


def test_names_become_classes_in_sorted_order_and_it_is_said(tmp_path: Path) -> None:
    found = loaded(tmp_path, x=X, y=np.array(["run", "walk", "lie"])[Y])
    assert (found.class_names, found.labels[:3]) == (("lie", "run", "walk"), (1, 2, 0))
    assert [c.kind for c in found.cautions] == [CautionKind.CLASS_ORDER] and "0 lie, 1 run, 2 walk" in found.cautions[0].text


def test_names_of_the_file_give_the_order(tmp_path: Path) -> None:
    found = loaded(tmp_path, x=X, y=np.array(["run", "walk", "lie"])[Y], class_names=np.array(["run", "walk", "lie"]))
    same(found)
    assert found.cautions == ()


def test_names_are_numbered_by_all_windows_whatever_the_limit(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", x=X, y=np.array(["b"] * 11 + ["a"]))
    assert load_windows(tmp_path / "w.npz", (SPEC,), 3).labels == (1, 1, 1)


def test_an_array_alone_with_its_labels_beside_it(tmp_path: Path) -> None:
    np.save(tmp_path / "X_test.npy", X)
    assert loaded(tmp_path, "X_test.npy").labels is None
    np.save(tmp_path / "y_test.npy", Y)
    same(loaded(tmp_path, "X_test.npy"))


@pytest.mark.parametrize("windows", ["w.npy", "w.npz"])
@pytest.mark.parametrize("labels", ["l.npy", "l.csv"])
def test_labels_in_a_file_of_their_own(tmp_path: Path, windows: str, labels: str) -> None:
    np.save(tmp_path / "w.npy", X)
    np.savez(tmp_path / "w.npz", x=X)
    np.save(tmp_path / "l.npy", Y)
    (tmp_path / "l.csv").write_text("label\n" + "\n".join(map(str, Y)) + "\n")
    same(loaded(tmp_path, windows, labels))


@pytest.mark.parametrize(("comma", "header"), [(",", True), (";", True), ("\t", True), (",", False)])
def test_a_window_in_each_row_of_a_csv(tmp_path: Path, comma: str, header: bool) -> None:
    rows = [[repr(float(v)) for v in row] for row in X]
    if header:
        rows = [[f"c{i}" for i in range(heads.FEATURES)], *rows]
        rows = [[*row, str(y)] for row, y in zip(rows, ["Label", *Y], strict=True)]
    (tmp_path / "w.csv").write_text("﻿" * header + "\n".join(comma.join(row) for row in rows) + "\n\n", "utf-8")
    found = loaded(tmp_path, "w.csv")
    np.testing.assert_array_equal(np.stack([w[0].ravel() for w in found.inputs]), X)
    assert found.labels == (tuple(Y) if header else None)


def test_text_as_numpy_writes_it(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "x.txt", X)
    np.savetxt(tmp_path / "y.txt", Y)
    same(loaded(tmp_path, "x.txt", "y.txt"))


def test_a_folder_of_trials(tmp_path: Path) -> None:
    """Two steps of four channels each."""
    for i, row in enumerate(X):
        lines = [",".join(repr(float(v)) for v in step) for step in row.reshape(2, 4)]
        (tmp_path / f"t{i}.csv").write_text("\n".join(["a,b,c,d", *lines]))
    listed = "\n".join(f"t{i}.csv,{'abc'[y]}" for i, y in enumerate(Y))
    (tmp_path / "labels.csv").write_text(f"file,label\n{listed}\n")
    found = load_windows(read_windows(tmp_path), (SPEC,))
    same(found)
    assert found.class_names == ("a", "b", "c")


def test_several_inputs_by_the_models_own_names(tmp_path: Path) -> None:
    """Not by their order in the file."""
    np.savez(tmp_path / "w.npz", gyro=X, acc=-X)
    called = [end.names for end in ends(heads.two_inputs())[0]]
    found = load_windows(tmp_path / "w.npz", (SPEC, SPEC), called=called)
    np.testing.assert_array_equal(found.inputs[0][0].ravel(), -X[0])
    np.testing.assert_array_equal(found.inputs[0][1].ravel(), X[0])


def test_changed_labels_are_another_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    first = read_windows(tmp_path / "x.npy").sha256
    np.save(tmp_path / "y.npy", Y[::-1])
    assert read_windows(tmp_path / "x.npy").sha256 != first


def test_names_of_ends_are_those_of_the_signature() -> None:
    inputs, outputs = ends(heads.two_heads())
    assert inputs[0].names == ("window", "serving_default_window:0")
    assert [(e.name, e.maker) for e in outputs] == [("pose", "FULLY_CONNECTED"), ("cls", "SOFTMAX")]
