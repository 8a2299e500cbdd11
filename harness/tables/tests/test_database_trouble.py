"""What is wrong with a database is read from the driver's codes: its words hold paths, which may say anything."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from tinyrig.core.errors import EXIT_RIG, RigError
from tinyrig.store.runs import Store
from tinyrig.tables.trouble import infra_error


def opened(path: Path, **options: float) -> RigError:
    with pytest.raises(RigError) as e:
        Store(f"sqlite:///{path}", **options)
    assert e.value.exit_code == EXIT_RIG and e.value.remedy
    return e.value


@pytest.mark.parametrize("name", ["locked", "busy", "corrupt", "connection refused", "plain"])
def test_a_folder_in_its_place_is_told_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert "can't be opened or written" in opened(tmp_path / name).what


@pytest.mark.parametrize("name", ["locked", "permission denied", "plain"])
def test_a_file_that_is_no_database_is_damaged_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"this is no database" * 400)
    assert "is damaged" in opened(tmp_path / name).what


def test_one_that_another_process_holds_is_locked(tmp_path: Path) -> None:
    file = tmp_path / "corrupt"
    Store(f"sqlite:///{file}").close()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with Store(f"sqlite:///{file}", busy_s=0.05) as store, pytest.raises(RigError) as e:
            store.begin_run("r", "2026")
    assert "is locked" in e.value.what


class Server(Exception):
    """PostgreSQL's, as psycopg raises them."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("the table locked_corrupt_connection is read-only")
        self.sqlstate = sqlstate


STATES = {
    "55P03": "is locked",
    "25006": "can't be opened or written",
    "53100": "can't be opened or written",
    "57P01": "can't be reached",
    "08006": "can't be reached",
    "XX001": "is damaged",
    "42P01": "failed",
    None: "can't be reached",
}


@pytest.mark.parametrize("state", STATES)
def test_a_servers_states_are_told_apart(state: str | None) -> None:
    kind = OperationalError if state is None else DBAPIError
    assert STATES[state] in infra_error("postgresql://there", kind("SELECT 1", None, Server(state))).what
