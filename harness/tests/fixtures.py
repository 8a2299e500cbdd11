"""Databases that the tests of the store run on: SQLite, and PostgreSQL where its server is installed; and Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinyrig.tests import postgres


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell's background jobs ignore Ctrl-C, and what they start does too; tests send it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    folder = postgres.programs()
    if folder is None:
        assert os.environ.get("TINYRIG_TEST_POSTGRES") != "required", postgres.REMEDY
        pytest.skip(postgres.REMEDY)
    pytest.importorskip("psycopg", reason="no driver for PostgreSQL here: pip install 'tinyrig[postgres]'")
    with postgres.Server(folder) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: postgres.Server) -> str:
    """An empty database on a real server."""
    return postgres_server.new_url()


@pytest.fixture(params=["sqlite", "postgres"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    return f"sqlite:///{tmp_path}/any.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
