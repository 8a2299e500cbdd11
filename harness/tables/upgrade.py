"""Brings the tables of a database up to date. A copy of a SQLite file comes first, all steps are one transaction."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from tinyrig.core.errors import InfraError
from tinyrig.tables import schema
from tinyrig.tables.trouble import OURS, corrupt, foreign, newer

MIGRATIONS = Path(__file__).parent / "migrations"
_STAMP = "alembic_version"
MIGRATING = 0x74696E79726967
"""PostgreSQL's lock for it: "tinyrig" in ASCII."""


def revision_of(db: sa.Connection, url: str) -> tuple[str | None, bool]:
    """(revision of the tables, whether the database says so itself); (None, False) for an empty database."""
    present = set(sa.inspect(db).get_table_names())
    if not present:
        return None, False
    if not present >= OURS:
        if len(present & OURS) > 1:
            raise corrupt(url, f"without a table {', '.join(sorted(OURS - present))}")
        raise foreign(url, present)
    version = db.scalar(sa.select(sa.func.max(schema.SCHEMA.c.version)))
    if version is not None and version > schema.STORE_SCHEMA:
        raise newer(url, f"schema {schema.STORE_SCHEMA} or older", f"schema {version}")
    stamp = db.scalar(sa.text(f"SELECT version_num FROM {_STAMP}")) if _STAMP in present else None
    if stamp is not None and stamp not in schema.REVISIONS:
        raise newer(url, f"revision {schema.REVISIONS[-1]} or older", f"revision {stamp}")
    return stamp or schema.REVISIONS[0], stamp is not None


def migrate(db: sa.Connection, unstamped: str | None) -> None:
    """All missing steps on this connection; `unstamped` is what the tables are where they don't say so themselves."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = db
    if unstamped:
        command.stamp(config, unstamped)
    command.upgrade(config, "head")


def back_up(db: sa.Connection) -> Path | None:
    """A copy of a SQLite file beside it; None where there is no file. Raises InfraError: without a copy nothing is changed."""
    if db.dialect.name != "sqlite":
        return None
    file = next((row[2] for row in db.exec_driver_sql("PRAGMA database_list") if row[1] == "main"), "")
    if not file:
        return None
    copy = _free_name(Path(file))
    part = copy.with_name(f"{copy.name}.part")
    try:
        with contextlib.closing(sqlite3.connect(file)) as source, contextlib.closing(sqlite3.connect(part)) as target:
            source.backup(target)
        part.replace(copy)
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            part.unlink()
        raise InfraError(
            f"can't copy {file} before its upgrade",
            received=str(error),
            remedy="free space beside it, or make it writable; the database was not changed",
        ) from error
    return copy


def _free_name(file: Path) -> Path:
    """An earlier copy is never replaced: it may be the only one of what it holds."""
    name, number = f"{file.name}.before-{schema.REVISIONS[-1]}", 1
    while (free := file.with_name(name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return free
