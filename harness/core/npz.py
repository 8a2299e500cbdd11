"""Arrays out of an .npz that anyone may have written. What it claims to hold is checked before anything of that size is made."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.errors import UserError

MAX_BYTES = 1 << 30
"""Of all arrays together, unpacked: 130,000 windows of the paper's model."""
MAX_MEMBERS = 256
_PLAIN = "store plain arrays: numbers, and names as an array of str"


def read_npz(path: Path, remedy: str) -> dict[str, np.ndarray]:
    """Name -> array, read-only. Raises UserError; `remedy` ends its message where there is none of its own."""
    if not path.is_file():
        received = "something else" if path.exists() else "no such file"
        raise UserError(f"{path}: can't be read", expected="an .npz file", received=received, remedy=remedy)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive)
            return {name: _array(path, archive, info) for name, info in members.items()}
    except UserError:
        raise
    except Exception as error:  # zipfile, its decompressors and numpy's header parser raise what they please on torn bytes
        received = "a single array, not an .npz archive" if _is_npy(path) else f"{type(error).__name__}: {error}"
        raise UserError(
            f"{path}: can't be read", expected="an .npz of plain arrays", received=received[:300], remedy=remedy or "numpy.savez"
        ) from error


def _is_npy(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"\x93NUMPY"


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    names = [info.filename.removesuffix(".npy") for info in infos]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(names) <= MAX_MEMBERS else []
    if twice:
        received = repr(twice[0])
        raise UserError(f"{path}: an array occurs twice", expected="one of each name", received=received, remedy=_PLAIN)
    total = sum(info.file_size for info in infos)
    if len(infos) > MAX_MEMBERS or total > MAX_BYTES:
        raise UserError(
            f"{path}: holds too much",
            expected=f"at most {MAX_MEMBERS} arrays, {MAX_BYTES} bytes unpacked",
            received=f"{len(infos)} arrays, {total} bytes",
            remedy="store fewer windows, as float32 or the model's input dtype",
        )
    return dict(zip(names, infos, strict=True))


def _array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as file:
        shape, fortran, dtype = _header(file)
        if dtype.hasobject:
            raise UserError(
                f"{path}: {info.filename!r} can't be read",
                expected="an .npz of plain arrays",
                received="Python objects, which would have to be unpickled",
                remedy=_PLAIN,
            )
        claimed, there = math.prod(shape) * dtype.itemsize, info.file_size - file.tell()
        if min(shape, default=0) < 0 or claimed != there:
            raise UserError(
                f"{path}: {info.filename!r} is not as long as its header says",
                expected=f"{claimed} bytes, shape {shape}",
                received=f"{there} bytes",
                remedy="write the file again",
            )
        raw = file.read(claimed)
        file.read(1)  # at its end the checksum is compared
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C") if claimed else np.zeros(shape, dtype)


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"array format {version}")
    return read(file)
