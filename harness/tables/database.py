"""Opens a results database, brings its tables up to date, and turns the driver's errors into the rig's.

SQLite gets WAL and write locks up front. A committed transaction survives a power cut, as far as the disk keeps what it has
acknowledged: with WAL its log is synced after each commit, else `synchronous = FULL` does it. Any other database promises what
its own settings promise. On PostgreSQL a reader sees one moment of the whole history, and one process at a time migrates.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from tinyrig.core.errors import InfraError, UserError
from tinyrig.places.project import made
from tinyrig.tables import schema, seals
from tinyrig.tables.trouble import ROOM, corrupt, infra_error
from tinyrig.tables.upgrade import MIGRATING, back_up, migrate, revision_of

log = logging.getLogger(__name__)


CHECKED_BYTES = 64 << 20
"""SQLite's own check reads the whole file: up to 0.3 s for one of this size. Larger ones are checked row by row, as all are."""


class LostDatabase(InfraError):
    """The database that was opened is no longer the one at its path, so that nothing can be stored there."""


class Database:
    """One results database. `url` is fit for messages: without its password.

    Raises UserError for an unusable URL, an absent file (with `must_exist`) or somebody else's database, InfraError for one that
    is corrupt, locked beyond `busy_s` seconds, unwritable or of a newer tinyrig.
    """

    def __init__(self, url: str, must_exist: bool, busy_s: float) -> None:
        self._engine = _open_engine(url, must_exist, busy_s)
        self._writer = self._engine.execution_options(tinyrig_write=True)
        postgres = self._engine.dialect.name == "postgresql"
        self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ") if postgres else self._engine
        self.url = self._engine.url.render_as_string(hide_password=True)
        self._wal: Path | None = None
        self._file: tuple[Path, FileId] | None = None
        try:
            with self._errors():
                self._upgrade()
                self._tune()
                self._remember_file()
                self._check()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads. Raises InfraError for whatever the database says."""
        with self._errors(), self._reader.begin() as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that writes, durable once it is left. Raises InfraError for whatever the database says,
        LostDatabase where what was written is not in the file at its path: that was deleted or replaced."""
        self._confirm_file()
        with self._errors(), self._writer.begin() as db:
            yield db
        if self._wal is not None:
            self._sync(self._wal)
        self._confirm_file()

    def _remember_file(self) -> None:
        with self._engine.connect() as db:
            if path := _path_of(db):
                self._file = path, _file_id(path)

    def _confirm_file(self) -> None:
        """SQLite itself goes on writing into a file that nobody will find again."""
        if self._file is None:
            return
        path, opened = self._file
        now = _file_id(path)
        if now != opened:
            raise LostDatabase(
                f"results database {self.url} was {'deleted' if now is None else 'replaced'} while it was in use",
                expected="the file that was opened, until the command ends",
                received="no file there" if now is None else "another file there",
                remedy="measure again; what was stored before is lost with the file, if there is no copy of it",
            )

    def _check(self) -> None:
        """Before anything is read: what SQLite knows of itself, where that is cheap, and the rows of the small tables."""
        with self._reader.begin() as db:
            if self._file is not None and self._file[0].stat().st_size <= CHECKED_BYTES:
                _check_sqlite(db)
            seals.check_small(db)

    def _sync(self, wal: Path) -> None:
        """SQLite itself would sync within the commit, while all other writers wait: 8 boards that each write a sample need more
        than one disk gives. Syncing afterwards serves those who wait at the same time together. The log's file holds no locks
        of SQLite's, so it may be opened and closed here."""
        try:
            fd = os.open(wal, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # the last one to close it has synced its contents into the database
        except OSError as error:
            raise InfraError(f"can't sync {wal}", received=str(error), remedy=ROOM) from error
        try:
            os.fsync(fd)
        except OSError as error:
            raise InfraError(f"can't sync {wal}", received=str(error), remedy=ROOM) from error
        finally:
            os.close(fd)

    def compact(self) -> None:
        """Gives the space of deleted rows back. SQLite needs as much free space as the rest takes, and nobody else writing."""
        with self._errors():
            if self._engine.dialect.name == "sqlite":
                _vacuum_sqlite(self._engine)
            else:
                with self._engine.execution_options(isolation_level="AUTOCOMMIT").connect() as db:
                    db.exec_driver_sql("VACUUM")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise infra_error(self.url, error) from error
        except (zlib.error, json.JSONDecodeError, UnicodeDecodeError, schema.NoText, seals.Unsealed) as error:
            raise corrupt(self.url, f"{type(error).__name__}: {error}") from error

    def _upgrade(self) -> None:
        """Creates or migrates the tables, all steps in one transaction. Raises before it has touched what is not ours."""
        with self._engine.begin() as db:
            if revision_of(db, self.url)[0] == schema.REVISIONS[-1]:
                return
        with self._writer.begin() as db:
            if db.dialect.name == "postgresql":
                db.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATING)))
            revision, stamped = revision_of(db, self.url)  # again: another process may have been faster
            if revision == schema.REVISIONS[-1]:
                return
            if revision:
                copy = back_up(db)
                beside = f"; a copy of the old one: {copy}" if copy else ""
                log.warning("upgrading %s from revision %s to %s%s", self.url, revision, schema.REVISIONS[-1], beside)
            migrate(db, None if stamped else revision)

    def _tune(self) -> None:
        """WAL lets a report read while a run writes, and stays in the file. Where it can't be had (read-only file, odd file
        system, a race with another process that is switching) the rollback journal is as safe."""
        if self._engine.dialect.name == "sqlite":
            with suppress(SQLAlchemyError), self._engine.connect() as db:
                raw = db.connection.dbapi_connection
                assert raw is not None
                with suppress(sqlite3.Error):
                    if raw.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",):
                        self._wal = Path(f"{_path_of(db)}-wal")
                        self._writer = self._writer.execution_options(tinyrig_wal=True)


def look_at(url: str, busy_s: float = 2.0) -> str:
    """How a database is, in words, without changing it or making it. Raises as Database does."""
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite" and (file := _file_of(parsed)) is not None and not file.exists():
        folder = next(p for p in file.absolute().parents if p.exists())
        if not os.access(folder, os.W_OK):
            raise InfraError(
                f"no results database can be made at {file}",
                received=f"{folder} can't be written",
                remedy="name a writable place as results URL",
            )
        return f"{file}: none yet; the first run creates it"
    engine = _open_engine(url, True, busy_s)
    shown = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as db:
            revision = revision_of(db, shown)[0]
    except SQLAlchemyError as error:
        raise infra_error(shown, error) from error
    finally:
        engine.dispose()
    if revision is None:
        return f"{shown}: empty; the first run creates the tables"
    if revision != schema.REVISIONS[-1]:
        return f"{shown}: revision {revision}; the next command upgrades it to {schema.REVISIONS[-1]}"
    if parsed.get_backend_name() == "sqlite" and (file := _file_of(parsed)) is not None and not os.access(file, os.W_OK):
        raise InfraError(f"{file} is read-only", remedy="allow your user to write it, or name another results URL")
    return f"{shown}: revision {revision}, up to date"


def _file_of(parsed: sa.URL) -> Path | None:
    database = parsed.database
    return None if not database or database == ":memory:" or database.startswith("file:") else Path(database)


# ---- opening ----


def _parse(url: str) -> sa.URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise UserError(
            f"not a usable database URL: {error}", expected="e.g. sqlite:///results.sqlite", remedy="correct the results URL"
        ) from error


def _open_engine(url: str, must_exist: bool, busy_s: float) -> sa.Engine:
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(parsed, **_options(parsed, busy_s))
    except (ArgumentError, NoSuchModuleError) as error:
        raise UserError(
            f"not a usable database URL: {error}", expected="e.g. sqlite:///results.sqlite", remedy="correct the results URL"
        ) from error
    except ModuleNotFoundError as error:
        extra = "tinyrig[postgres]" if parsed.get_backend_name() == "postgresql" else "its driver"
        raise UserError(
            f"no driver for the database {parsed.drivername}",
            received=str(error),
            remedy=f"pip install '{extra}', or use sqlite:///FILE",
        ) from error
    if parsed.get_backend_name() == "sqlite":
        _prepare_file(parsed.database, must_exist)
        sa.event.listen(engine, "connect", _on_sqlite_connect)
        sa.event.listen(engine, "begin", _on_sqlite_begin)
    return engine


_CONNECT_S = 10
"""For reaching a server, seconds: a rig must not hang on one that is gone."""


def _options(parsed: sa.URL, busy_s: float) -> dict[str, Any]:
    """What create_engine needs beside the URL; what the URL itself says comes first."""
    if parsed.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": busy_s}}
    if parsed.drivername != "postgresql+psycopg":
        return {}
    ours = {"connect_timeout": _CONNECT_S, "application_name": "tinyrig", "options": f"-c lock_timeout={int(1000 * busy_s)}"}
    # A connection that the server dropped between two boards is found out before it is used.
    return {"connect_args": {k: v for k, v in ours.items() if k not in parsed.query}, "pool_pre_ping": True}


def _prepare_file(database: str | None, must_exist: bool) -> None:
    if not database or database == ":memory:" or database.startswith("file:"):
        return
    path = Path(database)
    if must_exist and not path.is_file():
        raise UserError(f"no results database at {path}", remedy="make results first: `make bench` or `tinyrig run`")
    try:
        made(path.parent)
    except OSError as error:
        raise InfraError(
            f"can't create the folder of the results database: {error}", remedy="name a writable place as results URL"
        ) from error


def _on_sqlite_connect(connection: Any, _record: Any) -> None:
    # The driver must not open transactions by itself: _on_sqlite_begin does, with the lock that the work needs.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cell_size_check = ON")


def _on_sqlite_begin(db: sa.Connection) -> None:
    # A deferred transaction that turns writer fails at once when another writer was faster; an immediate one waits its turn.
    options = db.get_execution_options()
    if options.get("tinyrig_wal"):
        db.exec_driver_sql("PRAGMA synchronous = NORMAL")  # Database._sync follows
    db.exec_driver_sql("BEGIN IMMEDIATE" if options.get("tinyrig_write") else "BEGIN")


FileId = tuple[int, int] | None
"""Device and inode; None where there is no file."""


def _path_of(db: sa.Connection) -> Path | None:
    """The file of a SQLite database; None where it has none."""
    if db.dialect.name != "sqlite":
        return None
    file = next((row[2] for row in db.exec_driver_sql("PRAGMA database_list") if row[1] == "main"), "")
    return Path(file) if file else None


def _file_id(path: Path) -> FileId:
    try:
        known = path.stat()
    except OSError:
        return None
    return known.st_dev, known.st_ino


def _check_sqlite(db: sa.Connection) -> None:
    """Pages, rows beside their indexes, references. Raises Unsealed."""
    found = db.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
    if found != "ok":
        raise seals.Unsealed(f"SQLite's check: {found}")
    if lost := db.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise seals.Unsealed(f"a row of {lost[0]} belongs to none of {lost[2]}")


def _vacuum_sqlite(engine: sa.Engine) -> None:
    """On the driver's own connection: SQLAlchemy would begin a transaction first."""
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.close()
    except sqlite3.Error as error:
        raise DBAPIError(None, None, error) from error
    finally:
        connection.close()
