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
from tinyrig.variants.data import datasets, user_data

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


@QUICK
@given(table=st.one_of(TABLES, st.binary(max_size=60)))
def test_any_trial_is_read_or_refused(tmp_path: Path, table: str | bytes) -> None:
    data = folder(tmp_path / "d", labels="file,label\na.csv,x\n", a=table)
    try:
        user_data.load(data)
    except UserError as e:
        told(e)


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
    with pytest.raises(UserError, match="regular file"):
        user_data.load(data)


def test_a_trial_too_long_to_parse_is_refused_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_data, "MAX_CSV_BYTES", 10)
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
