"""What people give by mistake: a table of wrong inputs with the exit code and words that must be said. Add a row to extend it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyrig.cli import main
from tinyrig.core.boards import BOARDS
from tinyrig.core.config import Config
from tinyrig.core.errors import UserError
from tinyrig.measure.variant import Prepared, Request, prepare
from tinyrig.measure.variants import model_variant
from tinyrig.tests import head_models as heads

RNG = np.random.default_rng(2)
N = 12
Y = np.arange(N) % 3
X = heads.picked(Y)
IMAGES = RNG.uniform(0, 1, (N, 8, 8, 3)).astype(np.float32)


@dataclass(frozen=True)
class Wrong:
    """`windows`: arrays of an .npz, else what writes the file and returns its name; `words`: what must be said, `limit` as
    --limit."""

    what: str
    words: tuple[str, ...]
    model: Callable[[], bytes] = heads.classes
    windows: dict[str, Any] | Callable[[Path], str] = field(default_factory=dict)
    labels: Callable[[Path], str] | None = None
    output: str | None = None
    limit: int | None = None
    exit_code: int = 2


def npy(name: str, values: np.ndarray, **others: np.ndarray) -> Callable[[Path], str]:
    """An .npy file, with others beside it."""

    def write(folder: Path) -> str:
        for stem, array in {name: values, **others}.items():
            np.save(folder / f"{stem}.npy", array)
        return f"{name}.npy"

    return write


def text(name: str, *lines: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / name).write_text("\n".join(lines) + "\n")
        return name

    return write


def raw(name: str, data: bytes) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / name).write_bytes(data)
        return name

    return write


def pickled(folder: Path) -> str:
    np.savez(folder / "w.npz", x=np.array([{"a": 1}] * 3, dtype=object))
    return "w.npz"


def trials(**files: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / "trials").mkdir()
        for name, content in files.items():
            (folder / "trials" / f"{name}.csv").write_text(content)
        return "trials"

    return write


ROW = ",".join(["0.5"] * heads.FEATURES)
HEAD = ",".join(f"c{i}" for i in range(heads.FEATURES))
AE = {"x": RNG.normal(0, 1, (N, heads.FEATURES))}
NAN = np.where(np.eye(N, heads.FEATURES) > 0, np.nan, X)

TABLE = [
    # files
    Wrong("no windows in the file", ("lacks x", "signals [12, 8]", "call 'signals' x"), windows={"signals": X}),
    Wrong("nothing in the file", ("lacks x", "nothing")),
    Wrong("two sets of windows", ("several arrays could be the windows", "x_test [12, 8]"), windows={"x": X, "x_test": X}),
    Wrong("two sets of labels", ("several arrays could be the labels", "labels [12]"), windows={"x": X, "y": Y, "labels": Y}),
    Wrong("Python objects", ("unpickled",), windows=pickled),
    Wrong("a pickle", ("a pickle, which is never opened", "numpy.savez"), windows=raw("w.pkl", b"\x80\x04\x95")),
    Wrong("an HDF5 file", ("an HDF5 file",), windows=raw("w.h5", b"\x89HDF\r\n\x1a\n")),
    Wrong("a Git LFS pointer", ("git lfs pull",), windows=raw("w.npz", b"version https://git-lfs.github.com/spec/v1\n")),
    Wrong("a web page", ("a web page",), windows=raw("w.npz", b"<!DOCTYPE html>")),
    Wrong("an empty file", ("an empty file",), windows=raw("w.npz", b"")),
    Wrong("a torn archive", ("can't be read",), windows=raw("w.npz", b"PK\x03\x04 torn")),
    Wrong("no such file", ("no such file",), windows=lambda folder: "missing.npz"),
    Wrong("labels twice", ("has labels of its own",), windows={"x": X, "y": Y}, labels=npy("y", Y)),
    Wrong("more labels than windows", ("can't be used as labels", "12 labels"), windows=npy("x", X, y=np.append(Y, 0))),
    Wrong("labels of several columns in CSV", ("one column",), windows=npy("a", X), labels=text("y.csv", "0,1", "1,0")),
    # CSV
    Wrong("a ragged CSV", ("row 3: ragged", "8 columns"), windows=text("w.csv", HEAD, ROW, "1,2")),
    Wrong(
        "words in a CSV",
        ("row 2, column 'c8'", "call the labels' column `label`"),
        windows=text("w.csv", HEAD + ",c8", ROW + ",cat"),
    ),
    Wrong("a clock in a CSV", ("'time' looks like an index or a clock",), windows=text("w.csv", f"time,{HEAD}", f"0,{ROW}")),
    Wrong("two label columns", ("several columns could be the labels",), windows=text("w.csv", f"{HEAD},label,y", f"{ROW},1,1")),
    Wrong("an unnamed label column", ("does not fit", "(2, 9)", "column `label`"), windows=text("w.csv", f"{ROW},1", f"{ROW},0")),
    Wrong("a missing cell", ("not a finite number",), windows=text("w.csv", HEAD, ROW.replace("0.5,0.5", "0.5,", 1))),
    Wrong("a folder without labels.csv", ("a folder without labels.csv",), windows=trials(a=f"{HEAD}\n{ROW}\n")),
    Wrong(
        "trials of different lengths",
        ("b.csv: another shape", "1 rows of 8 channels"),
        windows=trials(labels="file,label\na.csv,0\nb.csv,1\n", a=f"{HEAD}\n{ROW}\n", b=f"{HEAD}\n{ROW}\n{ROW}\n"),
    ),
    Wrong("a trial outside the folder", ("a file in the folder",), windows=trials(labels="file,label\n../a.csv,0\n")),
    # the windows' shape and dtype
    Wrong("channels first", ("channels first?", "(0, 2, 3, 1)"), heads.image_int8, {"x": np.moveaxis(IMAGES, 3, 1)}),
    Wrong("a permuted grid", ("another order", "(0, 3, 1, 2)"), heads.grid_input, {"x": np.ones((N, 3, 4, 2))}),
    Wrong("rows of another length", ("divided into other axes",), heads.image_int8, {"x": np.ones((N, 16, 12))}),
    Wrong("too few values", ("does not fit", "8 values", "(12, 5)"), windows={"x": X[:, :5]}),
    Wrong("one window alone", ("without the axis of windows", "x[numpy.newaxis]"), windows={"x": X[0]}),
    Wrong("no window", ("no windows",), windows={"x": X[:0]}),
    Wrong("NaN", ("NaN or infinite", "8 others, the first in window 0"), windows={"x": NAN}),
    Wrong("values beyond float32", ("NaN or infinite",), windows={"x": X.astype(np.float64) * 1e300}),
    Wrong("complex values", ("wrong dtype", "complex64"), windows={"x": X * 1j}),
    Wrong(
        "bytes for an int8 model", ("whole numbers could be either",), heads.image_int8, {"x": (IMAGES * 255).astype(np.uint8)}
    ),
    Wrong("fewer of the second input", ("not the same number",), heads.two_inputs, {"acc": X, "gyro": X[:5]}),
    Wrong("one of two inputs", ("lacks", "acc, gyro"), heads.two_inputs, {"acc": X}),
    # numbers that can't be meant
    Wrong("not divided by 255", ("saturates", "divide them by 255"), heads.image_int8, {"x": IMAGES * 255}),
    Wrong("a factor 1,000 too large", ("saturates", "units"), heads.image_int8, {"x": IMAGES * 1000}),
    Wrong("a factor 1,000 too small", ("within one quantised step",), heads.image_int8, {"x": IMAGES / 1000}),
    Wrong("one window, many labels", ("all windows are the same",), windows={"x": np.repeat(X[:1], N, 0), "y": Y}),
    # labels
    Wrong("labels from 1", ("begin at 1", "store y - 1"), windows={"x": X, "y": Y + 1}),
    Wrong("labels from 1 with names", ("begin at 1",), windows={"x": X, "y": Y + 1, "class_names": np.array(list("abc"))}),
    Wrong("a label beyond the outputs", ("out of range", "7, the first in row 2"), windows={"x": X, "y": np.where(Y == 2, 7, Y)}),
    Wrong("a negative label", ("out of range", "-1"), windows={"x": X, "y": np.where(Y == 2, -1, Y)}),
    Wrong("one-hot for more classes", ("does not match", "5 columns"), windows={"x": X, "y": np.eye(5)[Y]}),
    Wrong("NaN labels", ("can't be used as labels", "finite"), windows={"x": X, "y": np.where(Y == 2, np.nan, Y)}),
    Wrong("labels that move the cursor", ("printable names", "x1b"), windows={"x": X, "y": np.array(["a", "\x1b[2J", "c"] * 4)}),
    Wrong("labels that differ by case", ("'Walk' and 'walk'",), windows={"x": X, "y": np.array(["walk", "Walk", "run"] * 4)}),
    Wrong(
        "a name that class_names lacks",
        ("class_names do not hold", "'d' in row 2"),
        windows={"x": X, "y": np.array(["a", "b", "d"] * 4), "class_names": np.array(list("abc"))},
    ),
    Wrong(
        "more names than outputs",
        ("expected: 3 names", "5: a, b, c, d, e"),
        windows={"x": X, "class_names": np.array(list("abcde"))},
    ),
    Wrong("more labels than outputs, as names", ("expected: 3 names",), windows={"x": X, "y": np.array(list("abcdefghijkl"))}),
    Wrong("fractions for classes", ("does not fit the model's output", "float32"), windows={"x": X, "y": Y + 0.5}),
    Wrong("five labels for a sigmoid", ("labels 0 and 1",), heads.one_score, {"x": X, "y": np.arange(N) % 5}),
    Wrong("two targets for three values", ("does not fit the model's output",), lambda: heads.values(3), {"x": X, "y": X[:, :2]}),
    # the output
    Wrong("two heads of one size", ("can't be told", "0 'pose'", "1 'cls'"), lambda: heads.two_heads(3), {"x": X, "y": Y}),
    Wrong("two heads, labels from 1", ("can't be told",), heads.two_heads, {"x": X, "y": Y + 1}),
    Wrong("an output that is not there", ("names no output", "'cls'"), heads.two_heads, {"x": X, "y": Y}, output="probs"),
    Wrong("an output's number too high", ("names no output",), heads.two_heads, {"x": X, "y": Y}, output="2"),
    Wrong("no window at all", ("--limit",), windows={"x": X}, limit=0),
]


def asked(row: Wrong, folder: Path) -> Prepared:
    """What `tinyrig run` does before any C compiler runs."""
    (folder / "model.tflite").write_bytes(row.model())
    if isinstance(row.windows, dict):
        np.savez(folder / "w.npz", **row.windows)
    windows = folder / ("w.npz" if isinstance(row.windows, dict) else row.windows(folder))
    labels = folder / row.labels(folder) if row.labels else None
    variant = model_variant(folder / "model.tflite", windows, labels, row.output)
    return prepare(Request(variant, limit=row.limit), BOARDS["virtual"], Config())


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.what.replace(" ", "-"))
def test_it_is_refused_in_words(row: Wrong, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        asked(row, tmp_path)
    said = str(caught.value)
    assert caught.value.exit_code == row.exit_code and caught.value.remedy
    assert [word for word in row.words if word not in said] == [], said
    assert len(said) < 1500 and "Traceback" not in said


def test_the_command_ends_with_2_and_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before anything is compiled, flashed or stored as measured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", f"sqlite:///{tmp_path / 'r.sqlite'}")
    Path("model.tflite").write_bytes(heads.image_int8())
    np.savez("w.npz", x=np.moveaxis(IMAGES, 3, 1))
    assert main(["run", "--model", "model.tflite", "--windows", "w.npz", "--no-report", "--json", "o.json"]) == 2
    said = capfd.readouterr().err
    assert "channels first?" in said and "flashing" not in said and "Traceback" not in said
    assert not Path("o.json").exists()


def test_what_is_scored_is_in_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two heads, of which the second is meant: once found by size, once named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", f"sqlite:///{tmp_path / 'r.sqlite'}")
    Path("model.tflite").write_bytes(heads.two_heads())
    np.savez("w.npz", x=heads.picked(Y, wrong=3), y=Y)
    words = ["run", "--model", "model.tflite", "--windows", "w.npz", "--no-report", "--json", "o.json"]
    assert main(words) == 0
    (run,) = json.loads(Path("o.json").read_text())["runs"]
    assert (run["accuracy"], run["output"]["name"], run["output"]["index"]) == (0.75, "cls", 1)
    assert [w["kind"] for w in run["warnings"]] == ["output"]
    assert main([*words, "--output", "cls"]) == 0
    (run,) = json.loads(Path("o.json").read_text())["runs"]
    assert (run["accuracy"], run["warnings"], run["accuracy_reason"]) == (0.75, [], None)
