"""A digest beside every row, and the order of nights. What is stored already is taken for sound: nothing tells."""

import sqlalchemy as sa
from alembic import op

from tinyrig.tables.migrations.fill_0007 import fill

revision = "0007"
down_revision = "0006"

_TABLES = (
    *("runs", "variant_runs", "samples", "op_cycles", "metrics", "not_measured", "comparables"),
    *("nights", "night_runs", "accepted", "verdicts"),
)
_HEADS = ["variant", "board_id", "board_name", "timing", "comparable", "run_seq", "state", "head_digest"]


def upgrade() -> None:
    op.drop_index("ix_variant_runs_heads", "variant_runs")
    op.drop_index("ix_metrics_series", "metrics")
    op.add_column("nights", sa.Column("seq", sa.Integer))
    for table in _TABLES:
        op.add_column(table, sa.Column("digest", sa.BigInteger))
    op.add_column("variant_runs", sa.Column("head_digest", sa.BigInteger))
    fill(op.get_bind())
    op.create_index("ix_variant_runs_heads", "variant_runs", _HEADS)
    op.create_index("ix_metrics_series", "metrics", ["name", "variant_run_id", "value", "digest"])
