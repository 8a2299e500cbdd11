"""The tables as they were before there were migrations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("tinyrig_schema", sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
    op.execute("INSERT INTO tinyrig_schema (version) VALUES (1)")
    op.create_table(
        "runs",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String(128), nullable=False, unique=True),
        sa.Column("started", sa.String(64), nullable=False, index=True),
        sa.Column("versions", sa.Text, nullable=False),
    )
    op.create_table(
        "variant_runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_seq", sa.Integer, sa.ForeignKey("runs.seq"), nullable=False, index=True),
        sa.Column("variant", sa.String(255), nullable=False, index=True),
        sa.Column("tflite_sha256", sa.String(64), nullable=False),
        sa.Column("build_id", sa.String(64), nullable=False),
        sa.Column("board_name", sa.String(64), nullable=False),
        sa.Column("board_id", sa.String(64), nullable=False),
        sa.Column("clock_hz", sa.BigInteger, nullable=False),
        sa.Column("timing", sa.String(32), nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("outputs", sa.LargeBinary, nullable=False),
    )
    _samples()
    _metrics()


def _samples() -> None:
    op.create_table(
        "samples",
        sa.Column("variant_run_id", sa.Integer, sa.ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("window_index", sa.BigInteger, nullable=False),
        sa.Column("cycles", sa.BigInteger, nullable=False),
        sa.Column("stack_bytes", sa.BigInteger),
        sa.Column("output_bytes", sa.Integer, nullable=False),
    )
    op.create_table(
        "op_cycles",
        sa.Column("variant_run_id", sa.Integer, sa.ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("op_index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("cycles", sa.BigInteger, nullable=False),
    )


def _metrics() -> None:
    op.create_table(
        "metrics",
        sa.Column("variant_run_id", sa.Integer, sa.ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Float, nullable=False),
    )
