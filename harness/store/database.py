"""Opens a results database, brings its tables up to date, and turns the driver's errors into the rig's.

SQLite gets WAL and write locks up front. A committed transaction survives a power cut, as far as the disk keeps what it has
acknowledged: with WAL its log is synced after each commit, else `synchronous = FULL` does it. Any other database promises what
its own settings promise. On PostgreSQL a reader sees one moment of the whole history, and one process at a time migrates.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError

from tinyrig.core.errors import InfraError, RigError, UserError
from tinyrig.store import schema

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
_OURS = {schema.SCHEMA.name, schema.RUNS.name, schema.VARIANT_RUNS.name}
"""Tables that every tinyrig's database has."""
_STAMP = "alembic_version"
_MIGRATING = 0x74696E79726967
"""PostgreSQL's lock for it: "tinyrig" in ASCII."""


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
        try:
            with self._errors():
                self._upgrade()
                self._tune()
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
        """A transaction that writes, durable once it is left. Raises InfraError for whatever the database says."""
        with self._errors(), self._writer.begin() as db:
            yield db
        if self._wal is not None:
            self._sync(self._wal)

    def _sync(self, wal: Path) -> None:
        """SQLite itself would sync within the commit, while all other writers wait: 8 boards that each write a sample need more
        than one disk gives. Syncing afterwards serves those who wait at the same time together. The log's file holds no locks
        of SQLite's, so it may be opened and closed here."""
        try:
            fd = os.open(wal, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # the last one to close it has synced its contents into the database
        except OSError as error:
            raise InfraError(f"can't sync {wal}", received=str(error), remedy=_ROOM) from error
        try:
            os.fsync(fd)
        except OSError as error:
            raise InfraError(f"can't sync {wal}", received=str(error), remedy=_ROOM) from error
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
        except (zlib.error, json.JSONDecodeError, UnicodeDecodeError, schema.NoText) as error:
            raise _corrupt(self.url, f"{type(error).__name__}: {error}") from error

    def _upgrade(self) -> None:
        """Creates or migrates the tables, all steps in one transaction. Raises before it has touched what is not ours."""
        with self._engine.begin() as db:
            if _revision(db, self.url)[0] == schema.REVISIONS[-1]:
                return
        with self._writer.begin() as db:
            if db.dialect.name == "postgresql":
                db.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATING)))
            revision, stamped = _revision(db, self.url)  # again: another process may have been faster
            if revision == schema.REVISIONS[-1]:
                return
            if revision:
                copy = _back_up(db)
                beside = f"; a copy of the old one: {copy}" if copy else ""
                log.warning("upgrading %s from revision %s to %s%s", self.url, revision, schema.REVISIONS[-1], beside)
            _migrate(db, None if stamped else revision)

    def _tune(self) -> None:
        """WAL lets a report read while a run writes, and stays in the file. Where it can't be had (read-only file, odd file
        system, a race with another process that is switching) the rollback journal is as safe."""
        if self._engine.dialect.name == "sqlite":
            with suppress(SQLAlchemyError), self._engine.connect() as db:
                raw = db.connection.dbapi_connection
                assert raw is not None
                with suppress(sqlite3.Error):
                    if raw.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",):
                        file = next(row[2] for row in raw.execute("PRAGMA database_list") if row[1] == "main")
                        self._wal = Path(f"{file}-wal")
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
            revision = _revision(db, shown)[0]
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
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfraError(
            f"can't create the folder of the results database: {error}", remedy="name a writable place as results URL"
        ) from error


def _on_sqlite_connect(connection: Any, _record: Any) -> None:
    # The driver must not open transactions by itself: _on_sqlite_begin does, with the lock that the work needs.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _on_sqlite_begin(db: sa.Connection) -> None:
    # A deferred transaction that turns writer fails at once when another writer was faster; an immediate one waits its turn.
    options = db.get_execution_options()
    if options.get("tinyrig_wal"):
        db.exec_driver_sql("PRAGMA synchronous = NORMAL")  # Database._sync follows
    db.exec_driver_sql("BEGIN IMMEDIATE" if options.get("tinyrig_write") else "BEGIN")


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


# ---- migrations ----


def _revision(db: sa.Connection, url: str) -> tuple[str | None, bool]:
    """(revision of the tables, whether the database says so itself); (None, False) for an empty database."""
    present = set(sa.inspect(db).get_table_names())
    if not present:
        return None, False
    if not present >= _OURS:
        raise _foreign(url, present)
    version = db.scalar(sa.select(sa.func.max(schema.SCHEMA.c.version)))
    if version is not None and version > schema.STORE_SCHEMA:
        raise _newer(url, f"schema {schema.STORE_SCHEMA} or older", f"schema {version}")
    stamp = db.scalar(sa.text(f"SELECT version_num FROM {_STAMP}")) if _STAMP in present else None
    if stamp is not None and stamp not in schema.REVISIONS:
        raise _newer(url, f"revision {schema.REVISIONS[-1]} or older", f"revision {stamp}")
    return stamp or schema.REVISIONS[0], stamp is not None


def _migrate(db: sa.Connection, unstamped: str | None) -> None:
    """All missing steps on this connection; `unstamped` is what the tables are where they don't say so themselves."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = db
    if unstamped:
        command.stamp(config, unstamped)
    command.upgrade(config, "head")


def _back_up(db: sa.Connection) -> Path | None:
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


# ---- errors ----

_ROOM = "check permissions and free space, or name another results URL"


class _Trouble(Enum):
    LOCKED = "locked"
    UNWRITABLE = "unwritable"
    UNREACHABLE = "unreachable"
    DAMAGED = "damaged"


_SQLITE = {  # primary result codes
    **dict.fromkeys((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED), _Trouble.LOCKED),
    **dict.fromkeys((sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN), _Trouble.UNWRITABLE),
    **dict.fromkeys((sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR), _Trouble.UNWRITABLE),
    **dict.fromkeys((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB), _Trouble.DAMAGED),
}
_SQLSTATE = {  # SQLSTATEs of PostgreSQL, and their classes
    **dict.fromkeys(("55P03", "40P01"), _Trouble.LOCKED),
    **dict.fromkeys(("25006", "42501", "53"), _Trouble.UNWRITABLE),
    **dict.fromkeys(("08", "57"), _Trouble.UNREACHABLE),
    **dict.fromkeys(("XX",), _Trouble.DAMAGED),
}


def _trouble(error: SQLAlchemyError) -> _Trouble | None:
    """By the driver's codes, as its words may hold any path."""
    orig = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(orig, sqlite3.Error):
        return _SQLITE.get(getattr(orig, "sqlite_errorcode", 0) & 0xFF)  # the rest says more precisely where
    state = getattr(orig, "sqlstate", None)
    if state is None:  # an operation failed before the server could say anything
        return _Trouble.UNREACHABLE if isinstance(error, OperationalError) else None
    return _SQLSTATE.get(state) or _SQLSTATE.get(state[:2])


def infra_error(url: str, error: SQLAlchemyError) -> RigError:
    """What the driver said, as the rig says it."""
    text = str(error.orig) if isinstance(error, DBAPIError) and error.orig else str(error)
    trouble = _trouble(error)
    if trouble == _Trouble.DAMAGED:
        return _corrupt(url, text)
    what, remedy = _WORDS.get(trouble, ("failed", "check the results URL and that the database is reachable"))
    received = text if trouble in (_Trouble.LOCKED, _Trouble.UNWRITABLE) else (text.splitlines() or [type(error).__name__])[0]
    return InfraError(f"results database {url} {what}", received=received, remedy=remedy)


_WORDS: dict[_Trouble | None, tuple[str, str]] = {
    _Trouble.LOCKED: ("is locked", "let the other tinyrig process finish, or end the one that holds it"),
    _Trouble.UNWRITABLE: ("can't be opened or written", _ROOM),
    _Trouble.UNREACHABLE: ("can't be reached", "start the server or correct the results URL"),
}


def _corrupt(url: str, text: str) -> InfraError:
    return InfraError(
        f"results database {url} is damaged",
        expected="a tinyrig results database",
        received=text,
        remedy="move the file away (a new one is created) or name another results URL",
    )


def _foreign(url: str, present: set[str]) -> UserError:
    shown = ", ".join(sorted(present)[:5])
    return UserError(
        f"{url} is not a tinyrig results database",
        expected=f"an empty one, or one with {', '.join(sorted(_OURS))}",
        received=f"tables {shown}",
        remedy="name another results URL; nothing was changed there",
    )


def _newer(url: str, expected: str, received: str) -> InfraError:
    return InfraError(
        f"{url} was written by a newer tinyrig",
        expected=expected,
        received=received,
        remedy="update tinyrig, or name another database",
    )
