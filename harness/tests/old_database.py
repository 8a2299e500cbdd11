"""A results database as tinyrig wrote it before it had migrations."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from tinyrig.core.plans import RunPlan
from tinyrig.core.records import Run
from tinyrig.store.measurements import OpenMeasurement
from tinyrig.store.runs import Store
from tinyrig.tables import schema
from tinyrig.tables.upgrade import MIGRATIONS
from tinyrig.tests.postgres import mend_counters

TABLES = """
CREATE TABLE runs (seq INTEGER NOT NULL, run_id VARCHAR(128) NOT NULL, started VARCHAR(64) NOT NULL, versions TEXT NOT NULL,
    PRIMARY KEY (seq), UNIQUE (run_id));
CREATE INDEX ix_runs_started ON runs (started);
CREATE TABLE tinyrig_schema (version INTEGER NOT NULL, PRIMARY KEY (version));
INSERT INTO tinyrig_schema VALUES (1);
CREATE TABLE variant_runs (id INTEGER NOT NULL, run_seq INTEGER NOT NULL, variant VARCHAR(255) NOT NULL,
    tflite_sha256 VARCHAR(64) NOT NULL, build_id VARCHAR(64) NOT NULL, board_name VARCHAR(64) NOT NULL,
    board_id VARCHAR(64) NOT NULL, clock_hz BIGINT NOT NULL, timing VARCHAR(32) NOT NULL, record TEXT NOT NULL,
    outputs BLOB NOT NULL, PRIMARY KEY (id), FOREIGN KEY(run_seq) REFERENCES runs (seq));
CREATE INDEX ix_variant_runs_variant ON variant_runs (variant);
CREATE INDEX ix_variant_runs_run_seq ON variant_runs (run_seq);
CREATE TABLE op_cycles (variant_run_id INTEGER NOT NULL, position INTEGER NOT NULL, op_index INTEGER NOT NULL,
    cycles BIGINT NOT NULL, PRIMARY KEY (variant_run_id, position, op_index),
    FOREIGN KEY(variant_run_id) REFERENCES variant_runs (id));
CREATE TABLE samples (variant_run_id INTEGER NOT NULL, position INTEGER NOT NULL, kind VARCHAR(32) NOT NULL,
    window_index BIGINT NOT NULL, cycles BIGINT NOT NULL, stack_bytes BIGINT, output_bytes INTEGER NOT NULL,
    PRIMARY KEY (variant_run_id, position), FOREIGN KEY(variant_run_id) REFERENCES variant_runs (id));
"""
METRICS = """
CREATE TABLE metrics (variant_run_id INTEGER NOT NULL, name VARCHAR(64) NOT NULL, value FLOAT NOT NULL,
    PRIMARY KEY (variant_run_id, name), FOREIGN KEY(variant_run_id) REFERENCES variant_runs (id));
"""
_COPIED = {
    "runs": "seq, run_id, started, versions",
    "variant_runs": "id, run_seq, variant, tflite_sha256, build_id, board_name, board_id, clock_hz, timing, record, outputs",
    "samples": "variant_run_id, position, kind, window_index, cycles, stack_bytes, length(outputs)",
    "op_cycles": "variant_run_id, position, op_index, cycles",
}
_JOINED = """SELECT group_concat(hex(outputs), '') FROM
    (SELECT outputs FROM new.samples WHERE variant_run_id = variant_runs.id ORDER BY position)"""


def _packed(outputs: str | None) -> bytes:
    """The samples' outputs (hex) as a finished variant run had them before samples kept their own."""
    return zlib.compress(bytes.fromhex(outputs or ""))


def write(path: Path, run: Run, metrics: bool = True) -> None:
    """The old tables at `path`, holding `run`; without the metrics table in the form before that."""
    new = path.with_suffix(".new")
    with Store(f"sqlite:///{new}") as store:
        store.save(run)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(TABLES + (METRICS if metrics else ""))
        db.execute("ATTACH ? AS new", (str(new),))
        db.create_function("packed", 1, _packed)
        for table, columns in (_COPIED | ({"metrics": "variant_run_id, name, value"} if metrics else {})).items():
            db.execute(f"INSERT INTO {table} SELECT {columns} FROM new.{table}")
        db.execute(f"UPDATE variant_runs SET outputs = packed(({_JOINED}))")
        db.commit()


def write_0002(url: str, run: Run) -> None:
    """The tables of revision 0002 in the empty database `url`, holding `run`; of any kind."""
    with at_revision(url, "0002") as db:
        _copy_rows(db, run)
        if db.dialect.name == "postgresql":
            mend_counters(db)


def write_interrupted(url: str, run_id: str, plan: RunPlan, variant: str, found: OpenMeasurement) -> None:
    """The tables of revision 0004 in the empty database `url`, with a run whose samples so far lie in a journal."""
    with at_revision(url, "0004") as db:
        tables = sa.MetaData()
        tables.reflect(db)
        head, text = json.dumps(found.subject.to_json()), json.dumps(plan.to_json())
        run = {"run_id": run_id, "started": "2026-01-01", "versions": "{}", "state": "interrupted", "plan": text}
        db.execute(tables.tables["runs"].insert(), {"seq": 1, **run})
        journal = {"id": 1, "run_seq": 1, "variant": variant, "head": head, "resumed": json.dumps(found.resumed)}
        db.execute(tables.tables["journals"].insert(), journal)
        lines = [
            {
                "journal_id": 1,
                "position": i,
                "kind": s.kind,
                "window_index": s.index,
                "cycles": s.cycles,
                "stack_bytes": s.stack_bytes,
                "outputs": s.outputs,
                "op_cycles": json.dumps(s.op_cycles),
            }
            for i, s in enumerate(found.samples)
        ]
        db.execute(tables.tables["journal_samples"].insert(), lines)


@contextlib.contextmanager
def at_revision(url: str, revision: str) -> Iterator[sa.Connection]:
    """The empty database `url` with the tables of `revision`, in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = sa.create_engine(url)
    with engine.begin() as db:
        config.attributes["connection"] = db
        command.upgrade(config, revision)
        yield db
    engine.dispose()


def _copy_rows(db: sa.Connection, run: Run) -> None:
    old = sa.MetaData()
    old.reflect(db)
    with Store("sqlite://") as new:
        new.save(run)
        with new.reading() as source:
            for name in ("runs", "variant_runs", "samples", "op_cycles", "metrics", "not_measured"):
                table, new_table = old.tables[name], schema.META.tables[name]
                lines = [dict(line) for line in source.execute(sa.select(new_table)).mappings()]
                if name == "variant_runs":
                    lines = [line | {"outputs": _outputs(source, line["id"])} for line in lines]
                elif name == "samples":
                    lines = [line | {"output_bytes": len(line["outputs"])} for line in lines]
                if lines:
                    db.execute(table.insert(), [{c.name: line[c.name] for c in table.columns} for line in lines])


def _outputs(db: sa.Connection, key: int) -> bytes:
    s = schema.SAMPLES.c
    found = db.scalars(sa.select(s.outputs).where(s.variant_run_id == key).order_by(s.position))
    return zlib.compress(b"".join(found))


def contents(path: Path) -> list[str]:
    """All that a database holds, tables and rows."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())
