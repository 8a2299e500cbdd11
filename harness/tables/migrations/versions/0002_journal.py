"""Samples are kept as they arrive; a run has a state and a plan, and remembers what it could not measure."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Databases of some earlier tinyrigs lack the metrics: they were added without a new schema number.
    if "metrics" not in sa.inspect(op.get_bind()).get_table_names():
        _metrics()
    op.add_column("runs", sa.Column("state", sa.String(16)))
    op.add_column("runs", sa.Column("plan", sa.Text))
    op.create_table(
        "journals",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_seq", sa.Integer, sa.ForeignKey("runs.seq"), nullable=False, index=True),
        sa.Column("variant", sa.String(255), nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.Column("resumed", sa.Text, nullable=False),
    )
    _journal_samples()
    op.create_table(
        "not_measured",
        sa.Column("run_seq", sa.Integer, sa.ForeignKey("runs.seq"), primary_key=True, autoincrement=False),
        sa.Column("variant", sa.String(255), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
    )


def _journal_samples() -> None:
    op.create_table(
        "journal_samples",
        sa.Column("journal_id", sa.Integer, sa.ForeignKey("journals.id"), primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("window_index", sa.BigInteger, nullable=False),
        sa.Column("cycles", sa.BigInteger, nullable=False),
        sa.Column("stack_bytes", sa.BigInteger),
        sa.Column("outputs", sa.LargeBinary, nullable=False),
        sa.Column("op_cycles", sa.Text, nullable=False),
    )


def _metrics() -> None:
    op.create_table(
        "metrics",
        sa.Column("variant_run_id", sa.Integer, sa.ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Float, nullable=False),
    )
