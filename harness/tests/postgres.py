"""A real PostgreSQL server for tests: Debian's program on a socket in a temporary folder, no network, gone with the tests."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

REMEDY = "no PostgreSQL server here: apt-get install --no-install-recommends postgresql"
START_S = 60.0


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    beside = shutil.which("postgres")
    path = found[-1] if found else Path(beside).resolve() if beside else None
    return path.parent if path and (path.parent / "initdb").exists() else None


class Server:
    """Runs while the context is open. It refuses to run as root, so that root starts it as somebody else."""

    def __init__(self, folder: Path) -> None:
        self._programs, self._count = folder, itertools.count()

    def __enter__(self) -> Server:
        self._home = Path(tempfile.mkdtemp(prefix="tinyrig-pg-", dir="/tmp"))  # a socket's path may have 107 characters
        self._who: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = _somebody()
            os.chown(self._home, user.pw_uid, user.pw_gid)
            self._who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._home.chmod(0o755)
        initdb = ["initdb", "-D", "data", "-A", "trust", "-U", "tinyrig", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8"]
        self._run(*initdb)
        self.start()
        return self

    def start(self) -> None:
        settings = ["listen_addresses=", "fsync=off", "unix_socket_permissions=0777", "max_connections=60"]
        options = [word for setting in settings for word in ("-c", setting)]
        command = [str(self._programs / "postgres"), "-D", "data", "-k", str(self._home), *options]
        with open(self._home / "log", "ab") as log:
            self._process = subprocess.Popen(command, cwd=self._home, stdout=log, stderr=log, **self._who)
        self._wait()

    def stop(self) -> None:
        """At once, connections and all, as when its host goes down; what was committed is there after the next `start`."""
        self._process.send_signal(3)
        self._process.wait(30)

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def new_url(self) -> str:
        """Of a database of its own, empty."""
        name = f"t{next(self._count)}"
        self._execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://tinyrig@/{name}?host={self._home}"

    def _execute(self, sql: str) -> None:
        import psycopg

        with psycopg.connect(f"dbname=postgres user=tinyrig host={self._home}", autocommit=True) as db:
            db.execute(sql.encode())

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._programs / program), *words]
        done = subprocess.run(command, cwd=self._home, capture_output=True, text=True, check=False, **self._who)
        assert done.returncode == 0, done.stderr

    def _wait(self) -> None:
        import psycopg

        until = time.monotonic() + START_S
        while True:
            try:
                return self._execute("SELECT 1")
            except psycopg.OperationalError as error:
                log = (self._home / "log").read_text()
                assert time.monotonic() < until and self._process.poll() is None, f"{error}\n{log}"
                time.sleep(0.05)


def mend_counters(db: sa.Connection) -> None:
    """Where rows brought their own keys, the server's counters must continue behind them."""
    for table, column in (("runs", "seq"), ("variant_runs", "id")):
        counter = f"pg_get_serial_sequence('{table}', '{column}')"
        db.exec_driver_sql(f"SELECT setval({counter}, (SELECT max({column}) FROM {table}))")


def _somebody() -> pwd.struct_passwd:
    """Not root: the package's own user where it is there."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("neither a user postgres nor nobody")
