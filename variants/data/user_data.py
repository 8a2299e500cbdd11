"""The user's own windows from an .npz file or a folder of CSV files (docs/data.md). Whatever is wrong is said with its place."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyrig.core.errors import UserError
from tinyrig.core.files.npz import MAX_KEPT, MAX_ROWS, Header, Npz, open_npz
from tinyrig.variants.data import cautions
from tinyrig.variants.data.csv_rows import MAX_COLUMNS, SEE, read_rows

LABELS = "labels.csv"


@dataclass(frozen=True)
class RawData:
    """x float32 [N,T,C], finite; y int64 [N], an index into class_names; groups [N] or None. `cautions`: what can hardly be
    meant, in words."""

    x: np.ndarray
    y: np.ndarray
    class_names: tuple[str, ...]
    channel_names: tuple[str, ...]
    groups: np.ndarray | None
    cautions: tuple[str, ...] = ()


def source_id(path: Path) -> dict[str, str]:
    """Kind and SHA-256 of the file, or of a folder's labels.csv and exactly the files that it names. UserError: there is no such
    thing, or a file that is named is missing."""
    if path.is_file():
        return {"kind": "npz", "sha256": _digest(path)}
    if path.is_dir():
        files = [path / LABELS, *(_trial_path(path, *row) for row in _read_labels(path / LABELS))]
        digest = hashlib.sha256()
        for file in files:
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
        raise UserError(f"{file}: can't be read", expected="a file", received=str(error), remedy=SEE) from error


def load(path: Path) -> RawData:
    """Reads either format. UserError: names the file, the row where there is one, and what to do."""
    return load_npz(path) if source_id(path)["kind"] == "npz" else load_csv_folder(path)


def load_npz(path: Path) -> RawData:
    """`x` [N,T,C] and `y` [N]; optional `class_names`, `channel_names`, `groups`. Pickled arrays are refused."""
    with open_npz(path, "write it with numpy.savez") as npz:
        for key in ("x", "y"):
            if key not in npz.headers:
                expected, received = "x and y", ", ".join(npz.headers) or "no arrays"
                raise UserError(f"{path}: no array {key!r}", expected=expected, received=received, remedy=SEE)
        _check_sizes(path, npz)
        x = _windows(path, npz)
        rest = {name: npz.array(name) for name in ("y", "class_names", "channel_names", "groups") if name in npz.headers}
    y, class_names = _labels(path, rest["y"], rest.get("class_names"), len(x))
    channels = _names(path, "channel_names", rest.get("channel_names"), x.shape[2], "ch")
    groups = _groups(path, rest.get("groups"), len(x))
    found = [*cautions.clocks(x, channels), *cautions.alike(class_names[i] for i in y.tolist())]
    return RawData(x, y, class_names, channels, groups, tuple(found))


def _check_sizes(path: Path, npz: Npz) -> None:
    """Before anything of these sizes is made."""
    _check_form(path, npz.headers["x"])
    for name in ("y", "class_names", "channel_names", "groups"):
        header = npz.headers.get(name)
        count = math.prod(header.shape) if header else 0
        if count > MAX_ROWS:
            raise UserError(f"{path}: {name} is too long", expected=f"at most {MAX_ROWS}", received=str(count), remedy=SEE)


def _check_form(path: Path, x: Header) -> None:
    if len(x.shape) != 3 or 0 in x.shape:
        raise UserError(
            f"{path}: x has the wrong shape",
            expected="[windows, steps, channels], none of them 0",
            received=str(list(x.shape)),
            remedy="for one channel, x[:, :, None]",
        )
    if x.dtype.kind not in "fiu":
        raise UserError(f"{path}: x isn't numeric", expected="float32", received=str(x.dtype), remedy=SEE)
    if x.shape[0] > MAX_ROWS or x.shape[2] > MAX_COLUMNS:
        expected = f"up to {MAX_ROWS} windows of up to {MAX_COLUMNS} channels"
        raise UserError(f"{path}: x is too large", expected=expected, received=str(list(x.shape)), remedy="use a part of it")


def _windows(path: Path, npz: Npz) -> np.ndarray:
    """x as finite float32, made part by part."""
    shape = npz.headers["x"].shape
    npz.reserve("x", 4 * math.prod(shape))
    x, at = np.empty(math.prod(shape), np.float32), 0
    for part in npz.values("x"):
        with np.errstate(over="ignore"):
            real = part.astype(np.float32)
        if not np.isfinite(real).all():
            first = at + int(np.argmax(~np.isfinite(real)))
            window, step, channel = np.unravel_index(first, shape)
            raise UserError(
                f"{path}: x has a value that is not a finite float32",
                expected="finite numbers",
                received=f"{real[first - at]} in window {window}, step {step}, channel {channel}",
                remedy="drop or repair that window",
            )
        x[at : at + len(part)] = real
        at += len(part)
    return x.reshape(shape)


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
        if wrong := _unprintable(map(str, found.tolist())):
            raise UserError(f"{path}: y has an unusable label", expected=_NAME, received=wrong, remedy=SEE)
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


def _unprintable(names: Iterable[str]) -> str:
    """The first of these that can't be a name, as a message shows it; "" where all can."""
    return next((f"{name!r:.80}" for name in names if not _printable(name)), "")


def _names(path: Path, key: str, names: np.ndarray | None, n: int, prefix: str) -> tuple[str, ...]:
    if names is None:
        return tuple(f"{prefix}{i}" for i in range(n))
    good = names.shape == (n,) and names.dtype.kind == "U" and len(set(names.tolist())) == n
    wrong = _unprintable(names.tolist()) if good else f"{names.dtype} {list(names.shape)}"
    if wrong:
        raise UserError(f"{path}: {key} is unusable", expected=f"{n} different str, {_NAME}", received=wrong, remedy=SEE)
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
    first = rows[0][1]["file"]
    header, trial = _read_trial(_trial_path(folder, *rows[0]))
    if len(rows) * trial.nbytes > MAX_KEPT:
        expected, received = f"at most {MAX_KEPT} bytes as float32", f"{len(rows)} trials of {trial.nbytes} bytes"
        raise UserError(f"{folder}: holds too much", expected=expected, received=received, remedy="use fewer or shorter trials")
    x = np.empty((len(rows), *trial.shape), np.float32)
    x[0] = trial
    for i, (place, row) in enumerate(rows[1:], 1):
        path = _trial_path(folder, place, row)
        channels, trial = _read_trial(path)
        _check_same(path, first, header, channels)
        if len(trial) != x.shape[1]:
            raise UserError(
                f"{path}: another number of time steps than {first}",
                expected=f"{x.shape[1]} rows below the header",
                received=str(len(trial)),
                remedy="cut or resample the trials to one length",
            )
        x[i] = trial
    numbers = {name: i for i, name in enumerate(sorted({row["label"] for _, row in rows}))}
    y = np.array([numbers[row["label"]] for _, row in rows], np.int64)
    groups = np.array([row["group"] for _, row in rows]) if "group" in rows[0][1] else None
    return RawData(x, y, tuple(numbers), tuple(header), groups, tuple(_cautions(folder, x, header, rows)))


def _cautions(folder: Path, x: np.ndarray, channels: list[str], rows: list[tuple[str, dict[str, str]]]) -> list[str]:
    return [
        *cautions.left_out(folder, (row["file"] for _, row in rows), LABELS),
        *cautions.alike(row["label"] for _, row in rows),
        *cautions.clocks(x, channels),
    ]


def _trial_path(folder: Path, place: str, row: dict[str, str]) -> Path:
    path = folder / row["file"]
    if Path(row["file"]).name != row["file"] or not path.is_file():
        raise UserError(f"{place}: no such trial", expected=f"a file inside {folder}", received=row["file"], remedy=SEE)
    return path


def _check_same(path: Path, first: str, header: list[str], channels: list[str]) -> None:
    if channels == header:
        return
    at = next((i for i, (a, b) in enumerate(zip(header, channels, strict=False)) if a != b), None)
    expected, received = (
        (f"{len(n)} channels" if at is None else f"{n[at]!r} as channel {at + 1} of {len(n)}") for n in (header, channels)
    )
    raise UserError(
        f"{path}, row 1: other channels than {first}",
        expected=expected,
        received=received,
        remedy="give every trial the same columns in the same order",
    )


def _read_labels(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Each row with its place in the file, in words."""
    table = read_rows(path)
    columns = next(table)
    if not {"file", "label"} <= set(columns) or len(set(columns)) != len(columns):
        received = ",".join(columns)[:200]
        raise UserError(f"{path}, row 1: wrong columns", expected="file,label[,group]", received=received, remedy=SEE)
    rows: dict[str, tuple[str, dict[str, str]]] = {}
    for number, cells in enumerate(table, 2):
        place = f"{path}, row {number}"
        row = _labelled(place, columns, cells)
        if row["file"] in rows:
            raise UserError(f"{place}: the file is listed twice", received=row["file"], remedy="give each trial one row")
        if len(rows) == MAX_ROWS:
            raise UserError(
                f"{place}: too many trials", expected=f"at most {MAX_ROWS}", received="more", remedy="use a part of them"
            )
        rows[row["file"]] = (place, row)
    if not rows:
        raise UserError(f"{path}: no trials", expected="one row a trial below the header", received="no rows", remedy=SEE)
    return list(rows.values())


def _labelled(place: str, columns: list[str], cells: list[str]) -> dict[str, str]:
    """The cells that count, by column."""
    row = {key: cell for key, cell in zip(columns, cells, strict=False) if key in ("file", "label", "group")}
    if len(cells) != len(columns) or not all(row.values()):
        expected, received = ",".join(columns)[:200], ",".join(cells)[:200]
        raise UserError(f"{place}: incomplete", expected=expected, received=received, remedy="fill every cell")
    if wrong := _unprintable(row.values()):
        raise UserError(f"{place}: an unusable name", expected=_NAME, received=wrong, remedy=SEE)
    return row


def _read_trial(path: Path) -> tuple[list[str], np.ndarray]:
    """Channel names and float32 [T,C]."""
    table = read_rows(path)
    header, values = next(table), array("f")
    usable = not _wrong_channel(header)
    for number, cells in enumerate(table if usable else (), 2):
        if len(cells) != len(header):
            raise UserError(
                f"{path}, row {number}: ragged",
                expected=f"{len(header)} columns as in the header",
                received=str(len(cells)),
                remedy="give every row one number for each channel",
            )
        values.extend(_finite(path, number, name, cell) for name, cell in zip(header, cells, strict=True))
    if not values:
        raise UserError(
            f"{path}, row 1: no usable header",
            expected="different channel names, then rows of numbers",
            received=_wrong_channel(header) or "no rows",
            remedy=SEE,
        )
    return header, np.frombuffer(values, np.float32).reshape(-1, len(header))


def _wrong_channel(header: list[str]) -> str:
    """The first name of a header that can't be a channel's; "" where all can."""
    seen = Counter(header)
    wrong = (name for name in header if seen[name] > 1 or _number(name) is not None or not _printable(name))
    return next((f"{name!r:.80}" for name in wrong), "")


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
