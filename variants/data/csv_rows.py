"""Rows of a CSV file that anyone may have written, one at a time: neither a long file nor a long row is ever in memory whole."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tinyrig.core.errors import UserError

MAX_BYTES = 1 << 26
"""Of one file."""
MAX_COLUMNS = 4096
MAX_ROW = 1 << 18
"""Characters."""
SEE = "docs/data.md describes the format"


class _Lines:
    """The file's lines for csv.reader, which joins those within quotes; `row_read` is called behind each row."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._used = file, 0

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(MAX_ROW + 1):
            self._used += len(line)
            if self._used > MAX_ROW:
                raise csv.Error(f"a row of more than {MAX_ROW} characters")
            yield line

    def row_read(self) -> None:
        self._used = 0


def read_rows(path: Path) -> Iterator[list[str]]:
    """Cells, stripped. The first row is the header; empty lines at the end are no rows. Raises UserError."""
    any_row = False
    try:
        for row in _filled(path):
            any_row = True
            yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: can't be read", expected="a CSV file in UTF-8", received=str(error), remedy=SEE) from error
    if not any_row:
        raise UserError(f"{path}: empty", expected="a header and rows", received="nothing", remedy=SEE)


def _filled(path: Path) -> Iterator[list[str]]:
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise OSError(f"no regular file of up to {MAX_BYTES} bytes")
    empty: list[str] | None = None
    """The first of the empty rows since the last filled one: if another one follows, the reader refuses it for all of them."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = _Lines(file)
        for cells in csv.reader(lines):
            lines.row_read()
            if len(cells) > MAX_COLUMNS:
                raise csv.Error(f"{len(cells)} columns, of at most {MAX_COLUMNS}")
            row = [cell.strip() for cell in cells]
            if not any(row):
                empty = row if empty is None else empty
                continue
            if empty is not None:
                yield empty
                empty = None
            yield row
