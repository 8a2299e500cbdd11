"""A database that somebody changed and that is sound all the same: what an older tinyrig could have left."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from tinyrig.tables import seals


def reseal(db: sa.Connection) -> None:
    for table in dict.fromkeys(one.table for one in seals.ALL):
        seals.seal(db, table)


def change(path: Path, *statements: str) -> None:
    """SQL on the file, then fresh digests."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as db:
        for statement in statements:
            db.exec_driver_sql(statement)
        reseal(db)
    engine.dispose()
