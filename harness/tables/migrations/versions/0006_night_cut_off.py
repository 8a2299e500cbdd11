"""Whether a night was cut off, as a field of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_NIGHTS = sa.table("nights", sa.column("finished"), sa.column("summary"), sa.column("cut_off", sa.Boolean))


def upgrade() -> None:
    op.add_column("nights", sa.Column("cut_off", sa.Boolean))
    ended = _NIGHTS.update().where(_NIGHTS.c.finished.is_not(None))
    # Before, nothing else told such a night from others than these first words of its summary.
    op.execute(ended.values(cut_off=_NIGHTS.c.summary.startswith("cut off")))
