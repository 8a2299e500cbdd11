"""What a database's driver says, as the rig says it: told by its codes, as its words may hold any path."""

from __future__ import annotations

import sqlite3
from enum import Enum

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from tinyrig.core.errors import InfraError, RigError, UserError
from tinyrig.tables import schema

OURS = {schema.SCHEMA.name, schema.RUNS.name, schema.VARIANT_RUNS.name}
"""Tables that every tinyrig's database has."""
ROOM = "check permissions and free space, or name another results URL"


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
        return corrupt(url, text)
    what, remedy = _WORDS.get(trouble, ("failed", "check the results URL and that the database is reachable"))
    received = text if trouble in (_Trouble.LOCKED, _Trouble.UNWRITABLE) else (text.splitlines() or [type(error).__name__])[0]
    return InfraError(f"results database {url} {what}", received=received, remedy=remedy)


_WORDS: dict[_Trouble | None, tuple[str, str]] = {
    _Trouble.LOCKED: ("is locked", "let the other tinyrig process finish, or end the one that holds it"),
    _Trouble.UNWRITABLE: ("can't be opened or written", ROOM),
    _Trouble.UNREACHABLE: ("can't be reached", "start the server or correct the results URL"),
}


def corrupt(url: str, text: str) -> InfraError:
    return InfraError(
        f"results database {url} is damaged",
        expected="a tinyrig results database",
        received=text,
        remedy="restore a copy, or move the file away (a new one is created), or name another results URL",
    )


def foreign(url: str, present: set[str]) -> UserError:
    shown = ", ".join(sorted(present)[:5])
    return UserError(
        f"{url} is not a tinyrig results database",
        expected=f"an empty one, or one with {', '.join(sorted(OURS))}",
        received=f"tables {shown}",
        remedy="name another results URL; nothing was changed there",
    )


def newer(url: str, expected: str, received: str) -> InfraError:
    return InfraError(
        f"{url} was written by a newer tinyrig",
        expected=expected,
        received=received,
        remedy="update tinyrig, or name another database",
    )
