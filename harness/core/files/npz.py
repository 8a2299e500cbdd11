"""Arrays out of an .npz that anyone may have written, read by parts: what it claims to hold is checked before anything of that
size is made, and what is not asked for is never in memory."""

from __future__ import annotations

import hashlib
import io
import math
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from tinyrig.core.errors import RigError, UserError
from tinyrig.core.files.content import Content, read_content

MAX_BYTES = 1 << 30
"""Of all arrays together, unpacked: a bound on time, some seconds."""
MAX_KEPT = 1 << 28
"""Bytes of one file that may be in memory at a time, converted: 32,000 float32 windows of the paper's model."""
MAX_ROWS = 1 << 18
"""Windows of one file: each costs some hundred bytes beside its values."""
MAX_MEMBERS = 256
PART_BYTES = 1 << 22
_MAX_DIRECTORY = 1 << 20
"""Bytes of the archive's table of contents, which zipfile reads whole; numpy writes some 60 for an array."""
_MAX_HEADER = 1 << 16
"""Bytes of an array's header."""
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
EXPECTED = "an .npz file"
_PLAIN = "store plain arrays: numbers, and names as an array of str"
_FEWER = "store fewer or smaller windows, or use --limit"


@dataclass(frozen=True)
class Header:
    """What a member says of itself: `fortran` when its first index runs fastest in the file."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class Npz:
    """An open archive. `headers` by name; an array's values only on demand. Made by open_npz."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive, self._kept = path, archive, 0
        self._members = _members(path, archive)
        self.headers = {name: self._header(info) for name, info in self._members.items()}

    def _header(self, info: zipfile.ZipInfo) -> Header:
        with self._archive.open(info) as file:
            header = _header(file)
            there = info.file_size - file.tell()
        if header.dtype.hasobject:
            raise UserError(
                f"{self._path}: {info.filename!r} can't be read",
                expected="an .npz of plain arrays",
                received="Python objects, which would have to be unpickled",
                remedy=_PLAIN,
            )
        if min(header.shape, default=0) < 0 or header.nbytes != there:
            raise UserError(
                f"{self._path}: {info.filename!r} is not as long as its header says",
                expected=f"{header.nbytes} bytes, shape {header.shape}",
                received=f"{there} bytes",
                remedy="write the file again",
            )
        return header

    def reserve(self, name: str, nbytes: int) -> None:
        """To be called before memory for an array is taken. Raises UserError where all arrays together would need too much."""
        self._kept += nbytes
        if self._kept > MAX_KEPT:
            raise UserError(
                f"{self._path}: {name} needs too much memory",
                expected=f"at most {MAX_KEPT} bytes for the arrays that are used",
                received=f"{nbytes} bytes for {name} of shape {self.headers[name].shape}",
                remedy=_FEWER,
            )

    def values(self, name: str, rows: int | None = None) -> Iterator[np.ndarray]:
        """The values of the first `rows` rows (None: of all) in C order, as read-only parts of one dimension, of PART_BYTES at
        most. The array is read to its end then, where its checksum is compared."""
        header, info = self.headers[name], self._members[name]
        with self._archive.open(info) as file:
            _header(file)
            if header.fortran and len(header.shape) > 1:
                yield from _parts(self._turned(name, file, _rows_of(header, rows)))
            else:
                step = header.dtype.itemsize * (math.prod(header.shape[1:]) if header.shape else 1)
                left = step * _rows_of(header, rows)
                while left:
                    raw = _read(file, min(left, _whole(header.dtype)))
                    left -= len(raw)
                    yield np.frombuffer(raw, header.dtype)
            while file.read(PART_BYTES):
                pass

    def _turned(self, name: str, file: IO[bytes], rows: int) -> np.ndarray:
        """The first `rows` rows of an array in Fortran order, of which each column lies together."""
        header = self.headers[name]
        columns, size, item = math.prod(header.shape[1:]), header.shape[0], header.dtype.itemsize
        self.reserve(name, 2 * rows * columns * item)
        kept = np.empty((columns, rows), header.dtype)
        together = max(1, PART_BYTES // max(1, size * item))
        for at in range(0, columns if rows else 0, together):
            group = kept[at : at + together]
            if together > 1:
                group[:] = np.frombuffer(_read(file, len(group) * size * item), header.dtype).reshape(-1, size)[:, :rows]
                continue
            group[0] = np.frombuffer(_read(file, rows * item), header.dtype)
            left = (size - rows) * item
            while left:
                left -= len(_read(file, min(left, PART_BYTES)))
        self._kept -= 2 * rows * columns * item
        return kept.T.reshape(rows, *header.shape[1:][::-1]).transpose(0, *range(len(header.shape) - 1, 0, -1)).ravel()

    def array(self, name: str, rows: int | None = None) -> np.ndarray:
        """The first `rows` rows (None: all) as one array. Raises UserError where it is too large."""
        header = self.headers[name]
        shape = (_rows_of(header, rows), *header.shape[1:]) if header.shape else ()
        self.reserve(name, math.prod(shape) * header.dtype.itemsize)
        if header.dtype.itemsize == 0:  # numpy makes no such array: it gives an item one character
            return np.zeros(shape if math.prod(shape) <= MAX_ROWS else 0, header.dtype)
        found, at = np.empty(math.prod(shape), header.dtype), 0
        for part in self.values(name, rows):
            found[at : at + len(part)] = part
            at += len(part)
        return found.reshape(shape)

    def digest(self, rows: int | None = None) -> str:
        """SHA-256 as hex of the first `rows` rows (None: of all) of every array of numbers, and of labels that are names; one in
        Fortran order counts whole."""
        digest = hashlib.sha256()
        for name in sorted(n for n, header in self.headers.items() if header.shape and _is_data(n, header.dtype)):
            header, info = self.headers[name], self._members[name]
            digest.update(f"{name} {header.dtype.str} {header.fortran and len(header.shape) > 1}\n".encode())
            row = math.prod(header.shape[1:]) * header.dtype.itemsize
            left = header.nbytes if header.fortran else row * _rows_of(header, rows)
            with self._archive.open(info) as file:
                _header(file)
                while left:
                    left -= len(part := _read(file, min(left, PART_BYTES)))
                    digest.update(part)
        return digest.hexdigest()


def _is_data(name: str, dtype: np.dtype) -> bool:
    return dtype.kind in "biuf" or (dtype.kind in "US" and not name.lower().endswith(("_names", "groups")))


@contextmanager
def open_npz(source: Path | Content, remedy: str) -> Iterator[Npz]:
    """Raises UserError for whatever is wrong with the file, also within the block; `remedy` ends its message where there is none
    of its own."""
    content = source if isinstance(source, Content) else read_content(source, EXPECTED, remedy)
    path, is_array = content.path, False
    try:
        with content.open() as file:
            is_array = _is_npy(file)
            _check_directory(path, file)
            with zipfile.ZipFile(file) as archive:
                yield Npz(path, archive)
    except RigError:
        raise
    except Exception as error:  # zipfile, its decompressors and numpy's header parser raise what they please on torn bytes
        received = "a single array, not an .npz archive" if is_array else f"{type(error).__name__}: {error}"
        raise UserError(
            f"{path}: can't be read", expected="an .npz of plain arrays", received=received[:300], remedy=remedy or "numpy.savez"
        ) from error


def read_npz(source: Path | Content, remedy: str) -> dict[str, np.ndarray]:
    """Name -> array, all of them. Raises UserError as open_npz does."""
    with open_npz(source, remedy) as npz:
        return {name: npz.array(name) for name in npz.headers}


def _rows_of(header: Header, rows: int | None) -> int:
    """A scalar counts as one row."""
    count = header.shape[0] if header.shape else 1
    return count if rows is None else min(rows, count)


def _whole(dtype: np.dtype) -> int:
    """Bytes of a part: as many items as fit, one at least."""
    return max(1, PART_BYTES // max(1, dtype.itemsize)) * dtype.itemsize


def _parts(flat: np.ndarray) -> Iterator[np.ndarray]:
    step = _whole(flat.dtype) // max(1, flat.dtype.itemsize)
    for at in range(0, len(flat), step):
        yield flat[at : at + step]


def _read(file: IO[bytes], count: int) -> bytes:
    raw = file.read(count)
    if len(raw) != count:
        raise ValueError(f"{count - len(raw)} bytes are missing")
    return raw


def _is_npy(file: IO[bytes]) -> bool:
    file.seek(0)
    return file.read(6) == b"\x93NUMPY"


def _check_directory(path: Path, file: IO[bytes]) -> None:
    """Before zipfile makes a record of each entry. The end record says how long the table is; where it says nothing sensible,
    zipfile refuses the file."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 22))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        return
    count, size = struct.unpack_from("<HI", tail, at + 10)
    if size > _MAX_DIRECTORY:
        raise _too_much(path, f"{count if count < 0xFFFF else 'more'} arrays, whose names take {size} bytes")


def _too_much(path: Path, received: str) -> UserError:
    return UserError(
        f"{path}: holds too much",
        expected=f"at most {MAX_MEMBERS} arrays, {MAX_BYTES} bytes unpacked",
        received=received,
        remedy="store fewer windows, as float32 or the model's input dtype",
    )


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    names = [info.filename.removesuffix(".npy") for info in infos]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(names) <= MAX_MEMBERS else []
    if twice:
        received = repr(twice[0])
        raise UserError(f"{path}: an array occurs twice", expected="one of each name", received=received, remedy=_PLAIN)
    total = sum(info.file_size for info in infos)
    if len(infos) > MAX_MEMBERS or total > MAX_BYTES:
        raise _too_much(path, f"{len(infos)} arrays, {total} bytes")
    other = [info for info in infos if info.compress_type not in _KINDS]
    if other:  # others may ask for gigabytes to unpack a byte
        raise ValueError(f"{other[0].filename!r} is packed by method {other[0].compress_type}, numpy stores or deflates")
    return dict(zip(names, infos, strict=True))


class _Front:
    """The beginning of a member: numpy reads a header of any length that the header itself claims."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, count: int = -1, /) -> bytes:
        if not 0 <= count <= _MAX_HEADER:
            raise ValueError(f"an array's header of {count} bytes")
        return self._file.read(count)


def _header(file: IO[bytes]) -> Header:
    front = _Front(file)
    version = np.lib.format.read_magic(front)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"array format {version}")
    shape, fortran, dtype = read(front)
    return Header(shape, dtype, fortran)
