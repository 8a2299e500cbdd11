"""A digest beside every row: what is read is what was written, or the database is damaged.

It is CRC-32, as in the frames of the wire: it finds bits that rot, and a value that somebody changed by hand; it is no signature.
Whoever writes a row seals it in the same transaction, and whoever reads one checks it in the transaction that reads. Tables that
are small however long the history are checked when a database is opened (`check_small`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from tinyrig.tables import schema


class Unsealed(ValueError):
    """A row is not what was written."""


@dataclass(frozen=True)
class Seal:
    """The digest in column `name` of `table` covers the columns `covers`."""

    table: sa.Table
    covers: tuple[str, ...]
    name: str = "digest"

    @cached_property
    def start(self) -> int:
        """So that no row of one table is a sound one of another."""
        return zlib.crc32(f"{self.table.name}.{self.name}".encode())

    @property
    def selected(self) -> list[sa.Column[Any]]:
        """The digest and what it covers, for a SELECT whose rows `checked` takes."""
        return [self.table.c[name] for name in (self.name, *self.covers)]

    def of(self, values: Sequence[Any]) -> int:
        """The digest of the columns' values, as they are read: ASCII, so that it is the same with every Python."""
        return zlib.crc32(ascii(tuple(values)).encode(), self.start)

    def checked(self, rows: Iterable[sa.Row[Any]]) -> list[sa.Row[Any]]:
        """Rows of a SELECT that begins with `selected`. Raises Unsealed."""
        found, end, start, crc = list(rows), 1 + len(self.covers), self.start, zlib.crc32
        for row in found:  # as `of`, without calling it: there may be a million
            if crc(ascii(row[1:end]).encode(), start) != row[0]:
                raise Unsealed(f"a row of {self.table.name} is not what was written: {self._where(row)}")
        return found

    def read(self, db: sa.Connection, *where: sa.ColumnElement[bool], order: Sequence[Any] = ()) -> list[sa.Row[Any]]:
        """Those rows, checked. Raises Unsealed."""
        return self.checked(db.execute(sa.select(*self.selected).where(*where).order_by(*order)))

    def _where(self, row: sa.Row[Any]) -> str:
        keys = [column.name for column in self.table.primary_key]
        return ", ".join(f"{key} {row._mapping[key]!r:.80}" for key in keys)


def _all_but_digests(table: sa.Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns if not column.name.endswith("digest"))


_REST = tuple(name for name in _all_but_digests(schema.VARIANT_RUNS) if name == "id" or name not in schema.HEAD)
RUNS = Seal(schema.RUNS, _all_but_digests(schema.RUNS))
HEADS = Seal(schema.VARIANT_RUNS, schema.HEAD, "head_digest")
BODIES = Seal(schema.VARIANT_RUNS, _REST)
SAMPLES = Seal(schema.SAMPLES, _all_but_digests(schema.SAMPLES))
OP_CYCLES = Seal(schema.OP_CYCLES, _all_but_digests(schema.OP_CYCLES))
METRICS = Seal(schema.METRICS, _all_but_digests(schema.METRICS))
NOT_MEASURED = Seal(schema.NOT_MEASURED, _all_but_digests(schema.NOT_MEASURED))
COMPARABLES = Seal(schema.COMPARABLES, _all_but_digests(schema.COMPARABLES))
NIGHTS = Seal(schema.NIGHTS, _all_but_digests(schema.NIGHTS))
NIGHT_RUNS = Seal(schema.NIGHT_RUNS, _all_but_digests(schema.NIGHT_RUNS))
ACCEPTED = Seal(schema.ACCEPTED, _all_but_digests(schema.ACCEPTED))
VERDICTS = Seal(schema.VERDICTS, _all_but_digests(schema.VERDICTS))

ALL = (RUNS, HEADS, BODIES, SAMPLES, OP_CYCLES, METRICS, NOT_MEASURED, COMPARABLES, NIGHTS, NIGHT_RUNS, ACCEPTED, VERDICTS)
SMALL = (RUNS, HEADS, NOT_MEASURED, COMPARABLES, NIGHTS, NIGHT_RUNS, ACCEPTED)
"""At most one row for each variant of each run."""
_AT_ONCE = 500
"""Keys in one question."""


def seal(db: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> None:
    """Writes the digests of these rows as the database gives them back now."""
    for one in ALL:
        if one.table is table:
            _seal(db, one, where)


def _seal(db: sa.Connection, one: Seal, where: Sequence[sa.ColumnElement[bool]]) -> None:
    keys = list(one.table.primary_key)
    # Keys as they stand there: of a text that is made visible when it is read, the row would not be found again.
    stored = [sa.type_coerce(key, sa.String()) if isinstance(key.type, schema.String) else key for key in keys]
    rows = db.execute(sa.select(*stored, *(one.table.c[name] for name in one.covers)).where(*where)).all()
    if not rows:
        return
    lines = [{"sealed": one.of(row[len(keys) :]), **{f"key_{i}": key for i, key in enumerate(row[: len(keys)])}} for row in rows]
    these = [key == sa.bindparam(f"key_{i}") for i, key in enumerate(keys)]
    db.execute(one.table.update().where(*these).values({one.name: sa.bindparam("sealed")}), lines)


def sealed(one: Seal, lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines to insert, with their digests: of int, float, str, bytes and None only, which are read as they are written."""
    return [line | {one.name: one.of([line.get(name) for name in one.covers])} for line in lines]


def bodies(db: sa.Connection, keys: Sequence[int]) -> dict[int, sa.Row[Any]]:
    """What stands in these variant runs beside schema.HEAD, checked, by their keys."""
    found: dict[int, sa.Row[Any]] = {}
    for i in range(0, len(keys), _AT_ONCE):
        rows = BODIES.read(db, schema.VARIANT_RUNS.c.id.in_(keys[i : i + _AT_ONCE]))
        found |= {row.id: row for row in rows}
    return found


def check_small(db: sa.Connection) -> None:
    """Raises Unsealed."""
    for one in SMALL:
        one.read(db)
