"""What revision 0007 adds to rows that are stored already: nights in their order, and digests.

The formulas are frozen: they are those of seals.py when the revision was made, on the tables of that time.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from tinyrig.tables.schema import String

_TIMER = "timer_hz timer_overhead_cycles clock_ppm clock_ppm_error clock_seconds"
_COVERED = {
    ("runs", "digest"): "seq* run_id started' versions state' plan",
    ("variant_runs", "head_digest"): "id* run_seq variant' board_name' board_id' timing' comparable' state'",
    ("variant_runs", "digest"): "id* tflite_sha256' build_id' clock_hz record outputs~ head resumed outputs_sha256' hits~ "
    f"pruned' {_TIMER}",
    ("samples", "digest"): "variant_run_id* position* kind' window_index cycles stack_bytes outputs~",
    ("op_cycles", "digest"): "variant_run_id* position* op_index* cycles",
    ("metrics", "digest"): "variant_run_id* name'* value",
    ("not_measured", "digest"): "run_seq* variant'* kind' error",
    ("comparables", "digest"): "comparable'* metadata",
    ("nights", "digest"): "night_id'* started' finished' exit_code boards summary seq cut_off?",
    ("night_runs", "digest"): "run_seq* night_id' rerun",
    ("accepted", "digest"): "id* run_seq variant' accepted_at' who' why wanted?",
    ("verdicts", "digest"): "variant_run_id* metric'* kind'* status' old new change change_percent threshold detectable p_value "
    "reason details",
}
"""In the order of the columns; marked *: of the key, ': a name (read as visible text), ~: bytes, ?: yes or no."""
_TYPES: dict[str, Any] = {"'": String, "~": sa.LargeBinary, "?": sa.Boolean}
_WHOLE = (
    "id run_seq seq position op_index window_index cycles stack_bytes rerun clock_hz timer_hz timer_overhead_cycles exit_code"
)
_REAL = "value change change_percent threshold detectable p_value clock_ppm clock_ppm_error clock_seconds"
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_WHOLE.split(), (int, type(None))),
    **dict.fromkeys(_REAL.split(), (int, float, type(None))),
}
_JSON: dict[str, type] = {"versions": dict, "plan": dict, "metadata": dict, "boards": list, "record": dict, "details": dict}
_WORDS = {("runs", "state"): ("open", "finished", "interrupted", None), ("verdicts", "kind"): ("night", "drift")}
"""What columns may hold. A row that holds something else gets no digest: reading it reports it as damaged."""
_AT_ONCE = 20
"""Variant runs whose rows are in memory at once."""


def fill(db: sa.Connection) -> None:
    _order_nights(db)
    for (table, digest), words in _COVERED.items():
        for which in _parts(db, words):
            _seal(db, table, digest, words.split(), which)


def _column(word: str) -> sa.ColumnClause[Any]:
    kind = next((_TYPES[mark] for mark in word if mark in _TYPES), None)
    return sa.column(word.rstrip("*'~?"), *([] if kind is None else [kind]))


def _parts(db: sa.Connection, words: str) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions that divide a table, which may not fit the memory."""
    first: sa.ColumnClause[Any] = sa.column(words.split("*")[0])
    if first.name not in ("variant_run_id", "id"):
        yield sa.true()
        return
    runs = sa.table("variant_runs", sa.column("id"))
    last = max(db.scalar(sa.select(sa.func.max(runs.c.id))) or 0, db.scalar(sa.text("SELECT max(id) FROM accepted")) or 0)
    for start in range(0, last + 1, _AT_ONCE):
        yield sa.and_(first >= start, first < start + _AT_ONCE)


def _seal(db: sa.Connection, table: str, digest: str, words: Sequence[str], which: sa.ColumnElement[bool]) -> None:
    columns = [_column(word) for word in words]
    there = sa.table(table, *columns, sa.column(digest))
    start = zlib.crc32(f"{table}.{digest}".encode())
    keys = [i for i, word in enumerate(words) if "*" in word]
    raw = [column if i not in keys else sa.column(column.name).label(f"key_{i}") for i, column in enumerate(columns)]
    rows = db.execute(sa.select(*columns, *(raw[i] for i in keys)).select_from(there).where(which)).all()
    names = [column.name for column in columns]
    lines = [
        {"sealed": zlib.crc32(ascii(tuple(row[: len(columns)])).encode(), start) if _is_sound(table, names, row) else None}
        | {f"key_{i}": key for i, key in zip(keys, row[len(columns) :], strict=True)}
        for row in rows
    ]
    if lines:
        these = [sa.column(columns[i].name) == sa.bindparam(f"key_{i}") for i in keys]
        db.execute(sa.update(there).where(*these).values({digest: sa.bindparam("sealed")}), lines)


def _is_sound(table: str, names: Sequence[str], row: sa.Row[Any]) -> bool:
    return all(_fits(table, name, value) for name, value in zip(names, row, strict=False))


def _fits(table: str, name: str, value: Any) -> bool:
    if name in _JSON and value is not None:
        try:
            return isinstance(json.loads(value), _JSON[name])
        except (TypeError, ValueError, RecursionError):
            return False
    if (table, name) in _WORDS:
        return value in _WORDS[table, name]
    return name not in _KINDS or (isinstance(value, _KINDS[name]) and value not in (math.inf, -math.inf))


def _order_nights(db: sa.Connection) -> None:
    """As they were begun: SQLite numbers rows so itself, elsewhere their first runs say it, and dates those of the rest."""
    if db.dialect.name == "sqlite":
        db.execute(sa.text("UPDATE nights SET seq = rowid"))
        return
    query = "SELECT n.night_id, n.started, min(m.run_seq) FROM nights n LEFT JOIN night_runs m ON m.night_id = n.night_id"
    rows = sorted(db.execute(sa.text(f"{query} GROUP BY n.night_id, n.started")).all(), key=lambda row: row[1])
    place, placed = 0, []
    for night_id, started, run in rows:
        place = max(place, run or 0) if run is None else run
        placed.append((place, started, night_id))
    for seq, (_, _, night_id) in enumerate(sorted(placed), 1):
        db.execute(sa.text("UPDATE nights SET seq = :seq WHERE night_id = :night"), {"seq": seq, "night": night_id})
