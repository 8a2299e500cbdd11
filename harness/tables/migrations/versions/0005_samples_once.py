"""A sample is written once: samples keep their own outputs and belong to a variant run that is open or finished.

Before, outputs of a finished variant run formed one compressed blob, and the samples of one under way lay in a journal.
"""

import json
import logging
import zlib
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

log = logging.getLogger("tinyrig.tables.migrations")  # alembic loads this file under a name of its own

_HEADS = ["variant", "board_id", "board_name", "timing", "comparable", "run_seq"]
_RUNS = sa.table(
    "variant_runs",
    *map(sa.column, ("id", "run_seq", "variant", "tflite_sha256", "build_id", "board_name", "board_id", "clock_hz", "timing")),
    *map(sa.column, ("record", "state", "head", "resumed")),
    sa.column("outputs", sa.LargeBinary),
)
_SAMPLE = ("variant_run_id", "position", "kind", "window_index", "cycles", "stack_bytes")
_OLD = sa.table("samples", *map(sa.column, (*_SAMPLE, "output_bytes")))
_NEW = sa.table("samples_with_outputs", *map(sa.column, _SAMPLE), sa.column("outputs", sa.LargeBinary))
_OP_CYCLES = sa.table("op_cycles", *map(sa.column, ("variant_run_id", "position", "op_index", "cycles")))
_JOURNALS = sa.table("journals", *map(sa.column, ("id", "run_seq", "variant", "head", "resumed")))
_JOURNAL = sa.table(
    "journal_samples", *map(sa.column, ("journal_id", *_SAMPLE[1:], "op_cycles")), sa.column("outputs", sa.LargeBinary)
)


def upgrade() -> None:
    op.add_column("variant_runs", sa.Column("state", sa.String(16), nullable=False, server_default="finished"))
    op.add_column("variant_runs", sa.Column("head", sa.Text))
    op.add_column("variant_runs", sa.Column("resumed", sa.Text))
    op.create_table(  # a table of its own: SQLite before 3.35 can't drop a column
        _NEW.name,
        sa.Column("variant_run_id", sa.Integer, sa.ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("window_index", sa.BigInteger, nullable=False),
        sa.Column("cycles", sa.BigInteger, nullable=False),
        sa.Column("stack_bytes", sa.BigInteger),
        sa.Column("outputs", sa.LargeBinary, nullable=False),
    )
    _fill(op.get_bind())
    for table in ("journal_samples", "journals", "samples"):
        op.drop_table(table)
    op.rename_table(_NEW.name, "samples")
    op.drop_index("ix_variant_runs_heads", "variant_runs")
    op.create_index("ix_variant_runs_heads", "variant_runs", [*_HEADS, "state"])
    op.execute("UPDATE tinyrig_schema SET version = 2")


def _fill(db: sa.Connection) -> None:
    """One variant run at a time: the outputs of a whole history need not fit the memory."""
    for key in list(db.scalars(sa.select(_RUNS.c.id).order_by(_RUNS.c.id))):
        _move_samples(db, key)
    for journal in db.execute(sa.select(_JOURNALS).order_by(_JOURNALS.c.id)).all():
        _move_journal(db, journal)


def _move_samples(db: sa.Connection, key: int) -> None:
    blob = bytes(db.scalar(sa.select(_RUNS.c.outputs).where(_RUNS.c.id == key)) or b"")
    try:
        outputs, at = zlib.decompress(blob), 0
    except zlib.error as error:  # it could not be read before either; metrics and cycles can
        log.warning("the outputs of stored variant run %d can't be read: %s", key, error)
        outputs, at = b"", 0
    lines: list[dict[str, Any]] = []
    for row in db.execute(sa.select(_OLD).where(_OLD.c.variant_run_id == key).order_by(_OLD.c.position)).mappings():
        lines.append({**{name: row[name] for name in _SAMPLE}, "outputs": outputs[at : at + row["output_bytes"]]})
        at += row["output_bytes"]
    if lines:
        db.execute(_NEW.insert(), lines)
    if outputs or not lines:
        db.execute(_RUNS.update().where(_RUNS.c.id == key).values(outputs=b""))


def _move_journal(db: sa.Connection, journal: Any) -> None:
    """An open variant run in its place. What the head does not say is filled in when the measurement is finished."""
    head = json.loads(journal.head)
    row = {
        "run_seq": journal.run_seq,
        "variant": journal.variant,
        "tflite_sha256": str(head.get("model_sha256", "")),
        "build_id": str(head.get("build_id", "")),
        "board_name": str(head.get("board", "")),
        "board_id": str(head.get("board_id", "")),
        "clock_hz": 0,
        "timing": "",
        "record": "{}",
        "outputs": b"",
        "state": "open",
        "head": journal.head,
        "resumed": journal.resumed,
    }
    db.execute(_RUNS.insert().values(**row))
    key = db.scalar(sa.select(sa.func.max(_RUNS.c.id)))
    query = sa.select(_JOURNAL).where(_JOURNAL.c.journal_id == journal.id).order_by(_JOURNAL.c.position)
    for line in db.execute(query).mappings().all():
        sample = {name: line[name] for name in _SAMPLE[1:]}
        db.execute(_NEW.insert(), {**sample, "variant_run_id": key, "outputs": line["outputs"]})
        cycles = [
            {"variant_run_id": key, "position": line["position"], "op_index": i, "cycles": count}
            for i, count in enumerate(json.loads(line["op_cycles"]))
        ]
        if cycles:
            db.execute(_OP_CYCLES.insert(), cycles)
