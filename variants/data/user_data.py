"""The user's own windows from an .npz file or a folder of CSV files (docs/data.md). Whatever is wrong is said with its place."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.core.npz import read_npz

LABELS = "labels.csv"
MAX_CSV_BYTES = 1 << 26
"""Of one trial: parsed, its cells take some twenty times as much memory."""
_SEE = "docs/data.md describes the format"


@dataclass(frozen=True)
class RawData:
    """x float32 [N,T,C], finite; y int64 [N], an index into class_names; groups [N] or None."""

    x: np.ndarray
    y: np.ndarray
    class_names: tuple[str, ...]
    channel_names: tuple[str, ...]
    groups: np.ndarray | None


def source_id(path: Path) -> dict[str, str]:
    """Kind and SHA-256 of the file, or of all the folder's CSV files with their names. UserError: there is no such thing."""
    if path.is_file():
        return {"kind": "npz", "sha256": _digest(path)}
    if path.is_dir():
        digest = hashlib.sha256()
        for file in sorted(path.glob("*.csv")):
            digest.update(f"{file.name}\0{_digest(file)}\n".encode("utf-8", "surrogateescape"))
        return {"kind": "csv", "sha256": digest.hexdigest()}
    raise UserError("no such dataset", expected="glove, watch, an .npz file or a folder of CSV files", received=str(path))


def _digest(file: Path) -> str:
    try:
        if not file.is_file():  # a pipe would be waited for
            raise OSError("no regular file")
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{file}: can't be read", expected="a file", received=str(error), remedy=_SEE) from error


def load(path: Path) -> RawData:
    """Reads either format. UserError: names the file, the row where there is one, and what to do."""
    return load_npz(path) if source_id(path)["kind"] == "npz" else load_csv_folder(path)


def load_npz(path: Path) -> RawData:
    """`x` [N,T,C] and `y` [N]; optional `class_names`, `channel_names`, `groups`. Pickled arrays are refused."""
    arrays = read_npz(path, "write it with numpy.savez")
    for key in ("x", "y"):
        if key not in arrays:
            raise UserError(f"{path}: no array {key!r}", expected="x and y", received=_listed(arrays), remedy=_SEE)
    x = _windows(path, arrays["x"])
    y, class_names = _labels(path, arrays["y"], arrays.get("class_names"), len(x))
    channels = _names(path, "channel_names", arrays.get("channel_names"), x.shape[2], "ch")
    return RawData(x, y, class_names, channels, _groups(path, arrays.get("groups"), len(x)))


def _windows(path: Path, x: np.ndarray) -> np.ndarray:
    if x.ndim != 3 or 0 in x.shape:
        raise UserError(
            f"{path}: x has the wrong shape",
            expected="[windows, steps, channels], none of them 0",
            received=str(list(x.shape)),
            remedy="for one channel, x[:, :, None]",
        )
    if x.dtype.kind not in "fiu":
        raise UserError(f"{path}: x isn't numeric", expected="float32", received=str(x.dtype), remedy=_SEE)
    with np.errstate(over="ignore"):
        x = x.astype(np.float32)
    if not np.isfinite(x).all():
        window, step, channel = np.argwhere(~np.isfinite(x))[0]
        raise UserError(
            f"{path}: x has a value that is not a finite float32",
            expected="finite numbers",
            received=f"{x[window, step, channel]} in window {window}, step {step}, channel {channel}",
            remedy="drop or repair that window",
        )
    return x


def _labels(path: Path, y: np.ndarray, names: np.ndarray | None, n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    if y.shape != (n,):
        raise UserError(
            f"{path}: y doesn't fit x",
            expected=f"[{n}], one label a window",
            received=str(list(y.shape)),
            remedy="store one label for each row of x",
        )
    if y.dtype.kind not in "iuU" or (y.dtype.kind == "U" and names is not None):
        expected = "integers" if names is not None else "integers or str"
        raise UserError(f"{path}: y has the wrong type", expected=expected, received=str(y.dtype), remedy="y.astype('int64')")
    if names is None:
        found, index = np.unique(y, return_inverse=True)
        if not all(_printable(str(name)) for name in found):
            raise UserError(f"{path}: y has an unusable label", expected=_NAME, received=repr(str(found[0]))[:80], remedy=_SEE)
        return index.reshape(-1).astype(np.int64), tuple(str(name) for name in found)
    class_names = _names(path, "class_names", names, names.size, "class")
    bad = np.flatnonzero((y < 0) | (y >= len(class_names)))
    if bad.size:
        raise UserError(
            f"{path}: y has a label outside class_names",
            expected=f"0..{len(class_names) - 1}",
            received=f"{y[bad[0]]} in row {bad[0]}",
            remedy="y holds indices into class_names, from 0",
        )
    return y.astype(np.int64), class_names


_NAME = "up to 200 printable characters"


def _printable(name: str) -> bool:
    """Names go into tables, reports and file headers as one line."""
    return 0 < len(name) <= 200 and name.isprintable()


def _names(path: Path, key: str, names: np.ndarray | None, n: int, prefix: str) -> tuple[str, ...]:
    if names is None:
        return tuple(f"{prefix}{i}" for i in range(n))
    good = names.shape == (n,) and names.dtype.kind == "U" and len(set(names.tolist())) == n
    if not good or not all(_printable(name) for name in names.tolist()):
        received = f"{names.dtype} {list(names.shape)}"
        raise UserError(f"{path}: {key} is unusable", expected=f"{n} different str, {_NAME}", received=received, remedy=_SEE)
    return tuple(str(name) for name in names)


def _groups(path: Path, groups: np.ndarray | None, n: int) -> np.ndarray | None:
    if groups is not None and (groups.shape != (n,) or groups.dtype.kind not in "iuU"):
        raise UserError(
            f"{path}: groups is unusable",
            expected=f"[{n}] integers or str",
            received=f"{groups.dtype} {list(groups.shape)}",
            remedy="store one group (person, recording) for each row of x",
        )
    return groups


def load_csv_folder(folder: Path) -> RawData:
    """One CSV a trial (a header of channel names, then one row a time step) and labels.csv (file, label, optional group)."""
    rows = _read_labels(folder / LABELS)
    header: list[str] = []
    trials: list[np.ndarray] = []
    for place, row in rows:
        path = folder / row["file"]
        if Path(row["file"]).name != row["file"] or not path.is_file():
            raise UserError(f"{place}: no such trial", expected=f"a file inside {folder}", received=row["file"], remedy=_SEE)
        channels, trial = _read_trial(path)
        header = header or channels
        if channels != header:
            raise UserError(
                f"{path}, row 1: other channels than {rows[0][1]['file']}",
                expected=", ".join(header),
                received=", ".join(channels),
                remedy="give every trial the same columns in the same order",
            )
        if trials and len(trial) != len(trials[0]):
            raise UserError(
                f"{path}: another number of time steps than {rows[0][1]['file']}",
                expected=f"{len(trials[0])} rows below the header",
                received=str(len(trial)),
                remedy="cut or resample the trials to one length",
            )
        trials.append(trial)
    names = sorted({row["label"] for _, row in rows})
    y = np.array([names.index(row["label"]) for _, row in rows], np.int64)
    groups = np.array([row["group"] for _, row in rows]) if "group" in rows[0][1] else None
    return RawData(np.stack(trials), y, tuple(names), tuple(header), groups)


def _read_labels(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Each row with its place in the file, in words."""
    table = _read_table(path)
    columns = table[0]
    if not {"file", "label"} <= set(columns) or len(set(columns)) != len(columns):
        raise UserError(f"{path}, row 1: wrong columns", expected="file,label[,group]", received=",".join(columns), remedy=_SEE)
    rows, seen = [], set()
    for number, cells in enumerate(table[1:], 2):
        place = f"{path}, row {number}"
        row = dict(zip(columns, cells, strict=False))
        if len(cells) != len(columns) or not all(row.get(key) for key in ("file", "label", "group") if key in columns):
            expected, received = ",".join(columns), ",".join(cells)
            raise UserError(f"{place}: incomplete", expected=expected, received=received, remedy="fill every cell")
        if not all(_printable(cell) for cell in cells):
            raise UserError(f"{place}: an unusable name", expected=_NAME, received=repr(cells)[:200], remedy=_SEE)
        if row["file"] in seen:
            raise UserError(f"{place}: the file is listed twice", received=row["file"], remedy="give each trial one row")
        seen.add(row["file"])
        rows.append((place, row))
    if not rows:
        raise UserError(f"{path}: no trials", expected="one row a trial below the header", received="no rows", remedy=_SEE)
    return rows


def _read_trial(path: Path) -> tuple[list[str], np.ndarray]:
    """Channel names and float32 [T,C]."""
    table = _read_table(path)
    header, body = table[0], table[1:]
    for number, cells in enumerate(body, 2):
        if len(cells) != len(header):
            raise UserError(
                f"{path}, row {number}: ragged",
                expected=f"{len(header)} columns as in the header",
                received=str(len(cells)),
                remedy="give every row one number for each channel",
            )
    if not body or len(set(header)) != len(header) or any(_number(name) is not None or not _printable(name) for name in header):
        raise UserError(
            f"{path}, row 1: no usable header",
            expected="different channel names, then rows of numbers",
            received=",".join(header),
            remedy=_SEE,
        )
    values = [
        [_finite(path, number, name, cell) for name, cell in zip(header, cells, strict=True)]
        for number, cells in enumerate(body, 2)
    ]
    return header, np.array(values, np.float32)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _finite(path: Path, number: int, column: str, cell: str) -> float:
    value = _number(cell)
    if value is None or not abs(value) <= float(np.finfo(np.float32).max):
        raise UserError(
            f"{path}, row {number}, column {column}: not a finite number",
            expected="a finite float32",
            received=repr(cell),
            remedy="drop or repair that trial",
        )
    return value


def _read_table(path: Path) -> list[list[str]]:
    """Cells of a CSV file, stripped; empty lines at its end are dropped."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_CSV_BYTES:
            raise OSError(f"no regular file of up to {MAX_CSV_BYTES} bytes")
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = [[cell.strip() for cell in row] for row in csv.reader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: can't be read", expected="a CSV file in UTF-8", received=str(error), remedy=_SEE) from error
    while table and not any(table[-1]):
        table.pop()
    if not table:
        raise UserError(f"{path}: empty", expected="a header and rows", received="nothing", remedy=_SEE)
    return table


def _listed(arrays: dict[str, np.ndarray]) -> str:
    return ", ".join(arrays) or "no arrays"
