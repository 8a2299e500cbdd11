"""A file as it was when it was read: whoever uses it later uses those bytes, whatever lies at its path by then."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tinyrig.core.errors import UserError

HELD_BYTES = 1 << 26
"""Of a file that is kept in memory. A larger one is read again where it is used, and refused where it is another one by then."""
_PART_BYTES = 1 << 20


@dataclass(frozen=True)
class Content:
    """`sha256` as hex; `data` None where the file is larger than HELD_BYTES."""

    path: Path
    sha256: str
    data: bytes | None = field(repr=False)

    def __str__(self) -> str:
        """For messages."""
        return str(self.path)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """What was read, as a file. Raises UserError where a large one has changed since, before its use or during it, and
        OSError."""
        if self.data is not None:
            yield io.BytesIO(self.data)
            return
        with self.path.open("rb") as file:
            self._check(file)
            yield file
            self._check(file)

    def _check(self, file: IO[bytes]) -> None:
        file.seek(0)
        found = _hash(file)
        file.seek(0)
        if found != self.sha256:
            raise UserError(
                f"{self.path} was changed while it was in use",
                expected=f"SHA-256 {self.sha256}, as when it was read first",
                received=found,
                remedy="leave it alone until the command has ended; run again",
            )


def read_content(path: Path, expected: str, remedy: str) -> Content:
    """`expected` says what kind of file. Raises UserError for what is none, or can't be read."""
    if not path.is_file():  # a pipe would be waited for
        received = "something else" if path.exists() else "no such file"
        raise UserError(f"{path}: can't be read", expected=expected, received=received, remedy=remedy)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size <= HELD_BYTES:
                data = file.read()
                return Content(path, hashlib.sha256(data).hexdigest(), data)
            return Content(path, _hash(file), None)
    except OSError as error:
        raise UserError(
            f"{path}: can't be read", expected=expected, received=error.strerror or str(error), remedy=remedy
        ) from error


def _hash(file: IO[bytes]) -> str:
    """From its present position to its end."""
    digest = hashlib.sha256()
    while part := file.read(_PART_BYTES):
        digest.update(part)
    return digest.hexdigest()
