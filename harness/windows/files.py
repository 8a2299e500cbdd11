"""Windows files of every form -> the bytes of one .npz, read once: an .npz as it is, arrays alone, CSV, a folder of trials."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.core.files.content import Content, read_content
from tinyrig.core.files.npz import MAX_KEPT, MAX_ROWS
from tinyrig.windows.layout import SEE
from tinyrig.windows.naming import LABELS
from tinyrig.windows.sequences import NAMES as SEQUENCES

EXPECTED = "an .npz, an .npy, a CSV file or a folder of trials"
_LINE = 1 << 20
_COLUMNS = 1 << 16
"""Of a CSV file, one value of a window each."""
_ARRAYS = {"labels": "y", "sequences": "sequence"}
_LABEL_COLUMNS = (*LABELS, "class", "activity")
_INDEX_COLUMNS = ("", "index", "id", "time", "timestamp", "t", "ms", "unnamed: 0")
_NPY, _ZIP = b"\x93NUMPY", b"PK"
_OTHERS = (
    (b"\x89HDF", "an HDF5 file: store its arrays with numpy.savez"),
    (b"PAR1", "a Parquet file: store its columns as CSV"),
    (b"\x80", "a pickle, which is never opened: store its arrays with numpy.savez"),
    (b"version https://git-lfs", "a Git LFS pointer: get the file itself with `git lfs pull`"),
    (b"MATLAB", "a MATLAB file: store its arrays with numpy.savez"),
    (b"<", "a web page or XML: download the file itself"),
    (b"{", "JSON: store its arrays with numpy.savez"),
)
"""How a file begins -> what it is."""


def read_windows(path: Path, labels: Path | None = None) -> Content:
    """What the file holds, as an .npz. `labels`: the user's --labels, a file of its own. Raises UserError."""
    if path.is_dir():
        content = _trials(path)
    else:
        content = read_content(path, EXPECTED, SEE)
        begins = _beginning(content)
        if begins.startswith(_NPY):
            labels = labels or _beside(path)
            content = _joined(content, {"x": content})
        elif not begins.startswith(_ZIP):
            content = _table(content, begins)
    return content if labels is None else _with_labels(content, labels)


def _beginning(content: Content) -> bytes:
    with content.open() as file:
        return file.read(32)


def _beside(path: Path) -> Path | None:
    """y.npy beside x.npy, y_test.npy beside x_test.npy."""
    for one, other in (("x", "y"), ("X", "Y"), ("X", "y")):
        if path.name.startswith(one) and (found := path.with_name(other + path.name[1:])).is_file():
            return found
    return None


def _with_labels(content: Content, path: Path) -> Content:
    found = read_content(path, "an .npy file of labels, or a CSV file with one column", SEE)
    begins = _beginning(found)
    if begins.startswith(_ZIP):
        raise _no_windows(path, "an archive: give the .npz as --windows, with its labels inside")
    y = _held(found) if begins.startswith(_NPY) else _array_bytes(_column(found, begins))
    with zipfile.ZipFile(io.BytesIO(_held(content))) as archive:
        present = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    twice = [name for name in present if name.lower() in LABELS and name != "arr_0"]
    if twice:
        raise UserError(
            f"{content.path} has labels of its own",
            expected="--labels only beside windows without labels",
            received=f"{twice[0]} in {content.path}, and --labels {path}",
            remedy="leave out --labels, or take the labels out of the windows file",
        )
    return _archived(content, present | {"y": y}, hashlib.sha256(y).hexdigest())


# ---- archives ----


def _held(content: Content) -> bytes:
    with content.open() as file:
        data = file.read(MAX_KEPT + 1)
    if len(data) > MAX_KEPT:
        raise UserError(
            f"{content.path} is too large",
            expected=f"at most {MAX_KEPT} bytes",
            received="more",
            remedy="store fewer windows, or use an .npz, of which --limit reads a part",
        )
    return data


def _joined(content: Content, members: dict[str, Content]) -> Content:
    return _archived(content, {name: _held(member) for name, member in members.items()}, "")


def _archived(content: Content, members: dict[str, bytes], more: str) -> Content:
    """`more` is hashed with the file that gave the windows."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data)
    sha256 = hashlib.sha256(f"{content.sha256}{more}".encode()).hexdigest() if more else content.sha256
    return Content(content.path, sha256, packed.getvalue())


def _of_values(path: Path, members: dict[str, bytes]) -> Content:
    """Of text, what it says is hashed: it is parsed while it is read."""
    return Content(path, hashlib.sha256(b"".join(members.values())).hexdigest(), b"")


def _array_bytes(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, values, allow_pickle=False)
    return out.getvalue()


# ---- tables ----


def _no_windows(path: Path, received: str) -> UserError:
    what, _, remedy = received.partition(": ")
    return UserError(f"{path}: can't be read", expected=EXPECTED, received=what, remedy=remedy or SEE)


def _check_text(path: Path, begins: bytes) -> None:
    for start, what in _OTHERS:
        if begins.startswith(start):
            raise _no_windows(path, what)
    if b"\0" in begins or not begins:
        raise _no_windows(path, "bytes of no known form" if begins else "an empty file")


def _rows(content: Content, spaces: bool = False) -> Iterator[list[str]]:
    """Filled rows, their cells stripped, divided by what stands most often in the first line: a comma, semicolon or tab, or with
    `spaces` by these where there are none of them, as numpy.savetxt does. Raises UserError."""
    try:
        text = io.StringIO(_held(content).decode("utf-8-sig"), newline="")
        first = text.readline(_LINE)
        text.seek(0)
        by_spaces = spaces and not any(mark in first for mark in ",;\t")
        reader = (line.removeprefix("#").split() for line in text) if by_spaces else None
        for cells in reader or csv.reader(text, delimiter=max(",;\t", key=first.count)):
            if len(cells) > _COLUMNS:
                raise csv.Error(f"{len(cells)} columns, of at most {_COLUMNS}")
            if row := [cell.strip() for cell in cells] if any(map(str.strip, cells)) else []:
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        what = f"{content.path}: can't be read"
        raise UserError(what, expected="CSV in UTF-8", received=str(error)[:200], remedy=SEE) from error


def _table(content: Content, begins: bytes) -> Content:
    """A CSV file with a window in each row, the labels in a column with one of the usual names, sequences in another."""
    path = content.path
    _check_text(path, begins)
    rows = _rows(content, spaces=True)
    first = next(rows, [])
    header = first if any(_number(cell) is None for cell in first) else None
    at = {**_column_at(path, header, "labels"), **_column_at(path, header, "sequences")} if header else {}
    if len(first) <= len(at):
        raise _no_windows(path, "no columns of values")
    values, kept = array("f"), {name: list[str]() for name in at}
    for number, cells in enumerate(rows if header else (first, *rows), 2 if header else 1):
        if len(cells) != len(first):
            raise _bad_row(path, number, f"{len(first)} columns, as in the first row", str(len(cells)))
        for name, index in at.items():
            kept[name].append(cells[index])
        values.extend(_finite(path, number, i, cell, header) for i, cell in enumerate(cells) if i not in at.values())
        if len(values) * 4 > MAX_KEPT or number > MAX_ROWS:
            raise _no_windows(path, "too many rows: store fewer windows")
    x = np.frombuffer(values, np.float32).reshape(-1, len(first) - len(at))
    members = {"x": _array_bytes(x)} | {_ARRAYS[name]: _array_bytes(_labels_of(cells)) for name, cells in kept.items()}
    return _archived(_of_values(path, members), members, "")


def _column_at(path: Path, header: list[str], what: str) -> dict[str, int]:
    """Where the column of "labels" or "sequences" is; empty where there is none."""
    usual = _LABEL_COLUMNS if what == "labels" else SEQUENCES
    found = [i for i, name in enumerate(header) if name.lower() in usual]
    if len(found) > 1:
        names = ", ".join(header[i] for i in found)
        raise UserError(f"{path}: several columns could be the {what}", expected="one", received=names, remedy="keep one of them")
    if clock := [name for name in header if name.lower() in _INDEX_COLUMNS]:
        raise UserError(
            f"{path}: the column {clock[0]!r} looks like an index or a clock",
            expected="values of the window, and a column `label`",
            received=", ".join(header)[:200],
            remedy="leave that column out",
        )
    return {what: found[0]} if found else {}


def _labels_of(cells: list[str]) -> np.ndarray:
    """As numbers where all are, else names."""
    numbers = [_number(cell) for cell in cells]
    if all(n is not None for n in numbers):
        found = np.asarray(numbers, np.float64)
        return found.astype(np.int64) if np.isfinite(found).all() and (found == np.trunc(found)).all() else found
    return np.asarray(cells, dtype=np.str_)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _finite(path: Path, number: int, column: int, cell: str, header: list[str] | None) -> float:
    value = _number(cell)
    if value is not None and abs(value) <= float(np.finfo(np.float32).max):
        return value
    name = f"column {header[column]!r:.80}" if header else f"column {column + 1}"
    labels = header is not None and value is None and number == 2
    hint = "call the labels' column `label`, and leave others out" if labels else "clean the windows"
    raise UserError(
        f"{path}, row {number}, {name}: not a finite number", expected="a float32", received=f"{cell!r:.80}", remedy=hint
    )


def _bad_row(path: Path, number: int, expected: str, received: str) -> UserError:
    return UserError(f"{path}, row {number}: ragged", expected=expected, received=received, remedy=SEE)


def _column(content: Content, begins: bytes) -> np.ndarray:
    """A CSV file of labels: one column, with a header or without."""
    path = content.path
    _check_text(path, begins)
    rows = list(_rows(content))
    if wide := next((i for i, cells in enumerate(rows, 1) if len(cells) != 1), None):
        raise _bad_row(path, wide, "one column", str(len(rows[wide - 1])))
    if not rows:
        raise _no_windows(path, "no labels")
    cells = [row[0] for row in rows]
    if cells[0].lower() in _LABEL_COLUMNS:
        cells = cells[1:]
    return _labels_of(cells)


# ---- folders ----


def _trials(folder: Path) -> Content:
    """A folder with labels.csv (columns file and label) and a CSV file a trial: a header of channels, a row a time step. One
    trial is one window."""
    listed = folder / "labels.csv"
    if not listed.is_file():
        raise UserError(f"{folder}: can't be read", expected=EXPECTED, received="a folder without labels.csv", remedy=SEE)
    windows: list[np.ndarray] = []
    labels: list[str] = []
    named, sequences = _named_trials(read_content(listed, "a CSV file", SEE))
    for name, label in named:
        windows.append(_trial(read_content(folder / name, "a CSV file", SEE), windows[0].shape if windows else None))
        labels.append(label)
        if len(windows) * windows[0].nbytes > MAX_KEPT:
            raise _no_windows(folder, "too many trials: use a part of them")
    members = {"x": _array_bytes(np.stack(windows)), "y": _array_bytes(np.asarray(labels, dtype=np.str_))}
    if sequences is not None:
        members["sequence"] = _array_bytes(_labels_of(sequences))
    return _archived(_of_values(folder, members), members, "")


def _named_trials(content: Content) -> tuple[list[tuple[str, str]], list[str] | None]:
    """(file, label) of each row, and the sequence that it belongs to, where a column says that."""
    path, rows = content.path, list(_rows(content)) or [[]]
    header = [name.lower() for name in rows[0]]
    if "file" not in header or "label" not in header:
        raise UserError(f"{path}: no usable header", expected="file,label", received=",".join(rows[0])[:200], remedy=SEE)
    at, of = header.index("file"), header.index("label")
    for number, cells in enumerate(rows[1:], 2):
        if len(cells) != len(header) or not cells[at] or not cells[of]:
            raise _bad_row(path, number, ",".join(header), ",".join(cells)[:200])
        if Path(cells[at]).name != cells[at]:
            raise _bad_row(path, number, "the name of a file in the folder", cells[at][:200])
    if len(rows) < 2:
        raise _no_windows(path, "no trials")
    if twice := [name for name, n in Counter(cells[at] for cells in rows[1:]).items() if n > 1]:
        raise UserError(f"{path}: a trial is named twice", expected="one row each", received=twice[0][:200], remedy=SEE)
    (belongs,) = _column_at(path, header, "sequences").values() or (None,)
    sequences = None if belongs is None else [cells[belongs] for cells in rows[1:]]
    return [(cells[at], cells[of]) for cells in rows[1:]], sequences


def _trial(content: Content, shape: tuple[int, ...] | None) -> np.ndarray:
    """float32 [T,C]; `shape` is that of the trials before it."""
    path, rows = content.path, _rows(content)
    header = next(rows, [])
    if all(_number(cell) is not None for cell in header):
        raise UserError(f"{path}: no header", expected="names of channels", received=",".join(header)[:200], remedy=SEE)
    values = array("f")
    for number, cells in enumerate(rows, 2):
        if len(cells) != len(header):
            raise _bad_row(path, number, f"{len(header)} columns, as in the header", str(len(cells)))
        values.extend(_finite(path, number, i, cell, header) for i, cell in enumerate(cells))
    found = np.frombuffer(values, np.float32).reshape(-1, len(header))
    if not len(found) or (shape is not None and found.shape != shape):
        expected = "rows" if shape is None else f"{shape[0]} rows of {shape[1]} channels, as in the first trial"
        raise UserError(f"{path}: another shape", expected=expected, received=f"shape {found.shape}", remedy=SEE)
    return found
