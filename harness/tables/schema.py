"""The tables of the results database as the newest migration leaves them.

`runs` 1-n `variant_runs` 1-n `samples` 1-n `op_cycles`. A variant run is a measurement: open while its samples arrive, finished
with its `record`; `metrics` of each finished one are for those who query with SQL.
`runs` 1-n `not_measured`: variants that the run could not measure, and why.
`nights` 1-n `night_runs` 1-1 `runs`; `accepted` and `verdicts` (of each measurement) are decisions about them: decisions.py.
`comparables`: metadata that must agree before two variant runs are compared, by its hash.
Runs and nights have a `seq`: the order in which they were begun, which is theirs everywhere. Dates are shown: a clock
may lie.
`digest`: of the row's other columns (seals.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy import String as AnyString
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ColumnElement
from sqlalchemy.types import TypeDecorator

from tinyrig.core.records import RunState
from tinyrig.core.text import visible


class NoText(ValueError):
    """A column of texts holds something else: SQLite gives what the file says."""


class String(TypeDecorator[str]):
    """Names, ids and dates. A database of earlier runs comes from outside too: what a terminal would obey is made visible."""

    impl = AnyString
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        if value is not None and not isinstance(value, str):
            raise NoText(f"{value!r:.80} in a column of texts")
        return value if value is None or value.isprintable() else visible(value)


class Flag(TypeDecorator[bool]):
    """Yes or no: SQLite keeps numbers, and would take 78 for yes here and for no in a condition."""

    impl = Boolean
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], bool | None]:
        return _flag


def _flag(value: Any) -> bool | None:
    if value is not None and value not in (0, 1):
        raise NoText(f"{value!r:.80} in a column of yes and no")
    return None if value is None else bool(value)


STORE_SCHEMA = 2
"""What tinyrigs from before the migrations check. Raised whenever they could no longer read what this one writes."""
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
"""Those of migrations/versions, oldest first; known here so that a database that is up to date needs no alembic."""

HEAD = ("id", "run_seq", "variant", "board_name", "board_id", "timing", "comparable", "state")
"""Of `variant_runs`, what a list of all of them shows; it has a digest of its own."""

_BY_HEAD = ("variant", "board_id", "board_name", "timing", "comparable", "run_seq", "state", "head_digest")

META = MetaData()


def _digest(name: str = "digest") -> Column[int]:
    return Column(name, BigInteger)  # NULL only within the transaction that writes the row


SCHEMA = Table("tinyrig_schema", META, Column("version", Integer, primary_key=True, autoincrement=False))
RUNS = Table(
    "runs",
    META,
    Column("seq", Integer, primary_key=True),
    Column("run_id", AnyString(128), nullable=False, unique=True),  # as it is stored: runs are found by it
    Column("started", String(64), nullable=False, index=True),
    Column("versions", Text, nullable=False),
    Column("state", String(16)),  # NULL: written by a tinyrig that kept none
    Column("plan", Text),
    _digest(),
)
VARIANT_RUNS = Table(
    "variant_runs",
    META,
    Column("id", Integer, primary_key=True),
    Column("run_seq", Integer, ForeignKey("runs.seq"), nullable=False, index=True),
    Column("variant", String(255), nullable=False, index=True),
    Column("tflite_sha256", String(64), nullable=False),
    Column("build_id", String(64), nullable=False),
    Column("board_name", String(64), nullable=False),
    Column("board_id", String(64), nullable=False),
    Column("clock_hz", BigInteger, nullable=False),
    Column("timing", String(32), nullable=False),
    Column("record", Text, nullable=False),
    # Empty: samples have their own since revision 0005. It stays because SQLite before 3.35 can't drop a column.
    Column("outputs", LargeBinary, nullable=False, default=b""),
    Column("state", String(16), nullable=False, server_default=RunState.FINISHED.value),  # or OPEN
    Column("head", Text),  # JSON: what the samples of an open one belong to; NULL once it is finished
    Column("resumed", Text),  # JSON: after how many samples an open one was interrupted
    Column("comparable", String(64)),  # of `comparables`; NULL: its record could not be read when the column was added
    Column("outputs_sha256", String(64)),  # of metrics.outputs_hash, which outlives the samples
    Column("hits", LargeBinary),  # a byte for each window, 1: top-1 is the label; NULL without labels
    Column("pruned", String(64)),  # when the raw samples were deleted, ISO-8601 UTC; NULL: they are there
    Column("timer_hz", BigInteger),  # NULL, as the next: from before it was kept
    Column("timer_overhead_cycles", BigInteger),
    Column("clock_ppm", Float),  # what the board's counter gained on clock_hz by the host's clock; NULL: not checked
    Column("clock_ppm_error", Float),
    Column("clock_seconds", Float),
    _digest("head_digest"),  # of HEAD
    _digest(),  # of all else
    # Wide enough that a list of all variant runs never reads the rows, whose records and outputs take most of the file.
    Index("ix_variant_runs_heads", *_BY_HEAD),
)
SAMPLES = Table(
    "samples",
    META,
    Column("variant_run_id", Integer, ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("window_index", BigInteger, nullable=False),
    Column("cycles", BigInteger, nullable=False),
    Column("stack_bytes", BigInteger),
    Column("outputs", LargeBinary, nullable=False),  # the output tensors' bytes, concatenated; empty once pruned
    _digest(),
)
OP_CYCLES = Table(
    "op_cycles",
    META,
    Column("variant_run_id", Integer, ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("op_index", Integer, primary_key=True, autoincrement=False),
    Column("cycles", BigInteger, nullable=False),
    _digest(),
)
METRICS = Table(
    "metrics",
    META,
    Column("variant_run_id", Integer, ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
    Column("name", String(64), primary_key=True),
    Column("value", Float, nullable=False),
    _digest(),
    Index("ix_metrics_series", "name", "variant_run_id", "value", "digest"),
)
NOT_MEASURED = Table(
    "not_measured",
    META,
    Column("run_seq", Integer, ForeignKey("runs.seq"), primary_key=True, autoincrement=False),
    Column("variant", String(255), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("error", Text, nullable=False),
    _digest(),
)
COMPARABLES = Table(
    "comparables",
    META,
    Column("comparable", String(64), primary_key=True),  # SHA-256 of the metadata
    Column("metadata", Text, nullable=False),
    _digest(),
)
NIGHTS = Table(
    "nights",
    META,
    Column("night_id", String(64), primary_key=True),
    Column("started", String(64), nullable=False, index=True),
    Column("finished", String(64)),  # NULL: under way, or cut off
    Column("exit_code", Integer),
    Column("boards", Text, nullable=False),  # JSON: the boards that were asked for
    Column("summary", Text, nullable=False),
    Column("seq", Integer),
    Column("cut_off", Flag),  # by a signal or an error, before all was measured; NULL: under way, or killed
    _digest(),
)
NIGHT_RUNS = Table(
    "night_runs",
    META,
    Column("run_seq", Integer, ForeignKey("runs.seq"), primary_key=True, autoincrement=False),
    Column("night_id", String(64), ForeignKey("nights.night_id"), nullable=False, index=True),
    Column("rerun", Integer, nullable=False),  # 0: the night's first run of its board
    _digest(),
)
ACCEPTED = Table(
    "accepted",
    META,
    Column("id", Integer, primary_key=True),
    Column("run_seq", Integer, ForeignKey("runs.seq"), nullable=False, index=True),
    Column("variant", String(255)),  # NULL: all of the run
    Column("accepted_at", String(64), nullable=False),
    Column("who", String(255), nullable=False),
    Column("why", Text, nullable=False),
    Column("wanted", Flag, nullable=False),  # somebody took responsibility for a change; else nothing had changed
    _digest(),
)
VERDICTS = Table(
    "verdicts",
    META,
    Column("variant_run_id", Integer, ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
    Column("metric", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),  # "night" or "drift"
    Column("status", String(16), nullable=False, index=True),
    Column("old", Text),  # JSON: numbers, or hashes
    Column("new", Text),
    Column("change", Float),
    Column("change_percent", Float),
    Column("threshold", Float),
    Column("detectable", Float),
    Column("p_value", Float),
    Column("reason", Text, nullable=False),
    Column("details", Text, nullable=False),  # JSON: what else the judgement says
    _digest(),
)


def is_finished() -> ColumnElement[bool]:
    """Of `variant_runs`: all that holds a record and metrics."""
    return VARIANT_RUNS.c.state == RunState.FINISHED
