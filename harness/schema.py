"""The tables of the results database; store.py says what they hold and how they are filled.

`runs` 1-n `variant_runs` 1-n `samples` 1-n `op_cycles`, and `metrics` of each variant run for those who query with SQL.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Integer, LargeBinary, MetaData, String, Table, Text

STORE_SCHEMA = 1
"""Raised whenever older code could no longer read what newer code writes."""

META = MetaData()
SCHEMA = Table("tinyrig_schema", META, Column("version", Integer, primary_key=True, autoincrement=False))
RUNS = Table(
    "runs", META,
    Column("seq", Integer, primary_key=True),
    Column("run_id", String(128), nullable=False, unique=True),
    Column("started", String(64), nullable=False, index=True),
    Column("versions", Text, nullable=False),
)
VARIANT_RUNS = Table(
    "variant_runs", META,
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
    Column("outputs", LargeBinary, nullable=False),
)
SAMPLES = Table(
    "samples", META,
    Column("variant_run_id", Integer, ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("window_index", BigInteger, nullable=False),
    Column("cycles", BigInteger, nullable=False),
    Column("stack_bytes", BigInteger),
    Column("output_bytes", Integer, nullable=False),
)
OP_CYCLES = Table(
    "op_cycles", META,
    Column("variant_run_id", Integer, ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("op_index", Integer, primary_key=True, autoincrement=False),
    Column("cycles", BigInteger, nullable=False),
)
METRICS = Table(
    "metrics", META,
    Column("variant_run_id", Integer, ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
    Column("name", String(64), primary_key=True),
    Column("value", Float, nullable=False),
)
