"""Datasets that anyone may have written: read, or a UserError with its place and remedy. Never a traceback, a wait or a flood."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyrig.core.errors import UserError
from tinyrig.variants.data import csv_rows, datasets, user_data

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def told(e: UserError) -> None:
    assert e.what and (e.expected or e.received) and e.remedy and len(str(e)) < 3000, str(e)


def good_npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros((3, 2, 2), np.float32), y=np.array(["a", "b", "a"]), groups=np.arange(3))
    return buffer.getvalue()


GOOD = good_npz()


@QUICK
@given(
    changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4),
    keep=st.one_of(st.just(len(GOOD)), st.integers(0, len(GOOD))),
)
def test_changed_bytes_are_read_or_refused(tmp_path: Path, changes: list[tuple[int, int]], keep: int) -> None:
    spoilt = bytearray(GOOD)
    for at, value in changes:
        spoilt[at] = value
    (tmp_path / "d.npz").write_bytes(spoilt[:keep])
    try:
        assert user_data.load(tmp_path / "d.npz").x.shape == (3, 2, 2)
    except UserError as e:
        told(e)


CELLS = st.one_of(
    st.sampled_from(["1", "-2.5", "nan", "inf", "1e400", "", "a", "../x", "/etc/passwd", "a\0b", '"', "x" * 300, "\x1b[1m"]),
    st.text(max_size=6),
)
TABLES = st.lists(st.lists(CELLS, max_size=4), max_size=5).map(lambda rows: "\n".join(",".join(r) for r in rows))


def folder(path: Path, **files: str | bytes) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        (path / f"{name}.csv").write_bytes(data)
    return path


@st.composite
def trials(draw: st.DrawFn) -> tuple[list[str], list[list[float]]]:
    """Channel names that are no numbers, and rows of float32 values."""
    names = draw(st.lists(st.from_regex(r"c[a-z_ ]{0,8}[a-z]", fullmatch=True), min_size=1, max_size=4, unique=True))
    row = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=len(names), max_size=len(names))
    return names, draw(st.lists(row, min_size=1, max_size=5))


def csv_text(names: list[str], rows: list[list[str]]) -> str:
    return "\n".join(",".join(cells) for cells in [names, *rows])


def load_trial(path: Path, table: str | bytes) -> user_data.RawData:
    return user_data.load(folder(path / "d", labels="file,label\na.csv,x\n", a=table))


@QUICK
@given(trial=trials())
def test_a_sound_trial_is_read_as_it_was_written(tmp_path: Path, trial: tuple[list[str], list[list[float]]]) -> None:
    names, rows = trial
    data = load_trial(tmp_path, csv_text(names, [[repr(v) for v in row] for row in rows]))
    assert data.channel_names == tuple(names) and data.class_names == ("x",)
    np.testing.assert_array_equal(data.x, np.array([rows], np.float32))


@QUICK
@given(trial=trials(), bad=st.sampled_from(["nan", "inf", "-inf", "1e400", "1e39", "", "a", "1,5", "\x1b[1m"]), where=st.data())
def test_one_bad_cell_is_refused_with_its_place(
    tmp_path: Path, trial: tuple[list[str], list[list[float]]], bad: str, where: st.DataObject
) -> None:
    names, rows = trial
    row, column = where.draw(st.integers(0, len(rows) - 1)), where.draw(st.integers(0, len(names) - 1))
    cells = [[repr(v) for v in values] for values in rows]
    cells[row][column] = bad
    dropped = len(names) == 1 and not bad and row == len(rows) - 1  # an empty line at the end is no row
    with pytest.raises(UserError) as e:
        load_trial(tmp_path, csv_text(names, cells) + ("\n1\n" if dropped else ""))
    told(e.value)
    assert f"a.csv, row {row + 2}" in e.value.what
    assert "," in bad or dropped or not bad or f"column {names[column]}" in e.value.what


@QUICK
@given(table=st.one_of(TABLES, st.binary(max_size=60)))
def test_any_trial_is_read_or_refused(tmp_path: Path, table: str | bytes) -> None:
    """What is read can be trained on: finite float32 under a name for each channel."""
    try:
        data = load_trial(tmp_path, table)
    except UserError as e:
        told(e)
        return
    assert data.x.dtype == np.float32 and np.isfinite(data.x).all()
    assert data.x.shape[0] == 1 and data.x.shape[2] == len(set(data.channel_names)) > 0
    assert all(name.isprintable() and name for name in data.channel_names)


@QUICK
@given(table=st.one_of(TABLES, TABLES.map(lambda t: "file,label\n" + t), st.binary(max_size=60)))
def test_any_labels_are_read_or_refused(tmp_path: Path, table: str | bytes) -> None:
    data = folder(tmp_path / "d", labels=table, a="p,q\n1,2\n")
    with pytest.raises(UserError) as e:
        user_data.load(data)
    told(e.value)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ("file,label,label\na.csv,x,y\n", "wrong columns"),
        ("file,label\n../d/a.csv,x\n", "no such trial"),
        ("file,label\na.csv,x\x1b[31m\n", "unusable name"),
        (f"file,label\na.csv,{'x' * 201}\n", "unusable name"),
    ],
)
def test_labels_that_can_not_be_used(tmp_path: Path, labels: str, match: str) -> None:
    with pytest.raises(UserError, match=match) as e:
        user_data.load(folder(tmp_path / "d", labels=labels, a="p,q\n1,2\n"))
    told(e.value)


def test_a_pipe_in_the_folder_is_not_waited_for(tmp_path: Path) -> None:
    data = folder(tmp_path / "d", labels="file,label\na.csv,x\n")
    os.mkfifo(data / "a.csv")
    with pytest.raises(UserError, match=r"row 2: no such trial[\s\S]*expected: a file inside[\s\S]*received: a.csv"):
        user_data.load(data)


def test_a_trial_too_long_to_parse_is_refused_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MAX_BYTES", 10)
    with pytest.raises(UserError, match="up to 10 bytes"):
        user_data.load(folder(tmp_path / "d", labels="file,label\na.csv,x\n", a="p,q\n1,2\n"))


@pytest.mark.parametrize("names", [["a", "b\n"], ["a", ""], ["a", "x" * 201], ["a", "\x1b[1m"]])
def test_class_names_are_one_printable_line(tmp_path: Path, names: list[str]) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 2, 2), np.float32), y=np.array([0, 1]), class_names=np.array(names))
    with pytest.raises(UserError, match="printable") as e:
        user_data.load(tmp_path / "d.npz")
    told(e.value)


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=40))
def test_folder_names_made_of_dataset_paths_are_plain(path: str) -> None:
    """Whatever the path, its folder in variants/out has one harmless name."""
    name = datasets.name_of(path * 20)
    assert name == os.path.basename(name) and name.isascii() and name not in ("", ".", "..") and len(name) < 200


LONG = "the longest of them, and good"


@pytest.mark.parametrize(
    "arrays",
    [
        {"y": np.array([LONG, "b\x1b", LONG])},
        {"y": np.array([0, 1, 0]), "class_names": np.array([LONG, "b\x1b"])},
        {"y": np.array([0, 1, 0]), "channel_names": np.array([LONG, "b\x1b"])},
    ],
)
def test_the_name_that_is_wrong_is_quoted(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 2, 2), np.float32), **arrays)  # type: ignore[arg-type]
    with pytest.raises(UserError) as caught:
        user_data.load(tmp_path / "d.npz")
    assert caught.value.received == r"'b\x1b'"


@pytest.mark.parametrize(("header", "wrong"), [(f"{LONG},2", "'2'"), (f"{LONG},a,a", "'a'"), (f"{LONG},b\x07", r"'b\x07'")])
def test_the_channel_that_is_wrong_is_quoted(tmp_path: Path, header: str, wrong: str) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\n1,2,3\n")
    with pytest.raises(UserError) as caught:
        user_data._read_trial(tmp_path / "t.csv")
    assert caught.value.received == wrong
