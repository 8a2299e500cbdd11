"""The timer behind the cycles and how the board's clock compared with the host's, beside each variant run."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_RUNS = sa.table("variant_runs", *map(sa.column, ("id", "record", "timer_overhead_cycles")))


def upgrade() -> None:
    for column in (
        sa.Column("timer_hz", sa.BigInteger),
        sa.Column("timer_overhead_cycles", sa.BigInteger),
        sa.Column("clock_ppm", sa.Float),
        sa.Column("clock_ppm_error", sa.Float),
        sa.Column("clock_seconds", sa.Float),
    ):
        op.add_column("variant_runs", column)
    _fill(op.get_bind())


def _fill(db: sa.Connection) -> None:
    """The overhead was kept among the settings before; nothing else was. What can't be read stays NULL."""
    for key in list(db.scalars(sa.select(_RUNS.c.id).order_by(_RUNS.c.id))):
        try:
            record = json.loads(db.scalars(sa.select(_RUNS.c.record).where(_RUNS.c.id == key)).one())
            overhead = record["settings"]["timer_overhead_cycles"]
        except (KeyError, TypeError, ValueError):
            continue
        if isinstance(overhead, int):
            db.execute(_RUNS.update().where(_RUNS.c.id == key).values(timer_overhead_cycles=overhead))
