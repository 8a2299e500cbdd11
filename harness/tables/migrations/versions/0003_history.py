"""Nights, verdicts and acceptances; what is left of a variant run once its raw samples are pruned."""

import sqlalchemy as sa
from alembic import op

from tinyrig.tables.migrations.fill_0003 import fill

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for column in (
        sa.Column("comparable", sa.String(64)),
        sa.Column("outputs_sha256", sa.String(64)),
        sa.Column("hits", sa.LargeBinary),
        sa.Column("pruned", sa.String(64)),
    ):
        op.add_column("variant_runs", column)
    op.create_table(
        "comparables", sa.Column("comparable", sa.String(64), primary_key=True), sa.Column("metadata", sa.Text, nullable=False)
    )
    fill(op.get_bind())
    heads = ["variant", "board_id", "board_name", "timing", "comparable", "run_seq"]
    op.create_index("ix_variant_runs_heads", "variant_runs", heads)
    op.create_index("ix_metrics_series", "metrics", ["name", "variant_run_id", "value"])
    _nights()
    _decisions()


def _nights() -> None:
    op.create_table(
        "nights",
        sa.Column("night_id", sa.String(64), primary_key=True),
        sa.Column("started", sa.String(64), nullable=False, index=True),
        sa.Column("finished", sa.String(64)),
        sa.Column("exit_code", sa.Integer),
        sa.Column("boards", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
    )
    op.create_table(
        "night_runs",
        sa.Column("run_seq", sa.Integer, sa.ForeignKey("runs.seq"), primary_key=True, autoincrement=False),
        sa.Column("night_id", sa.String(64), sa.ForeignKey("nights.night_id"), nullable=False, index=True),
        sa.Column("rerun", sa.Integer, nullable=False),
    )


def _decisions() -> None:
    op.create_table(
        "accepted",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_seq", sa.Integer, sa.ForeignKey("runs.seq"), nullable=False, index=True),
        sa.Column("variant", sa.String(255)),
        sa.Column("accepted_at", sa.String(64), nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("wanted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "verdicts",
        sa.Column("variant_run_id", sa.Integer, sa.ForeignKey("variant_runs.id"), primary_key=True, autoincrement=False),
        sa.Column("metric", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False, index=True),
        sa.Column("old", sa.Text),
        sa.Column("new", sa.Text),
        sa.Column("change", sa.Float),
        sa.Column("change_percent", sa.Float),
        sa.Column("threshold", sa.Float),
        sa.Column("detectable", sa.Float),
        sa.Column("p_value", sa.Float),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
    )
