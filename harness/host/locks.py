"""One process on one board: a lock file for each name of a board, which says who holds it.

The kernel drops a flock when its process is gone, however it ended, so a lock can't be left behind, though its file
may. The files lie in one folder for all users of the machine.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tinyrig.core.errors import HostError, InUseError, RigError

_LOOK_S = 0.1
"""Somebody who only looks whether a lock is held has it for a moment."""


def lock_folder() -> Path:
    """TINYRIG_LOCKS, else below the machine's own temporary folder: a user's own (TMPDIR) would hide locks from other users."""
    own = os.environ.get("TINYRIG_LOCKS")
    shared = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    return Path(own) if own else shared / "tinyrig-locks"


def port_key(port: str) -> str:
    """One key for all names of a port: links such as /dev/serial/by-id/... are followed; a URL stands for its host and port,
    a labgrid place for itself."""
    if port.startswith("labgrid:"):
        return port
    if "://" not in port:
        return os.path.realpath(port)
    with contextlib.suppress(ValueError):
        parts = urlsplit(port)
        if parts.hostname and parts.port:
            return f"tcp://{_address(parts.hostname)}:{parts.port}"
    return port


def _address(host: str) -> str:
    """One for all names of a machine, as far as they can be resolved."""
    try:
        return str(socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0])
    except (OSError, UnicodeError):
        return host


class Locks:
    """The locks that this process holds on one board; `close` drops them all."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    def take(self, key: str, what: str, kind: type[RigError] = InUseError, at: str = "") -> None:
        """Locks `key`; once is enough. `at`: where, for whoever finds it taken (see taken_at). Raises `kind` naming the holder
        where another process has it, HostError where lock files can't be written."""
        if key in self._held:
            return
        until = time.monotonic() + _LOOK_S
        while (fd := _lock(_file(key))) is None:
            if time.monotonic() > until:
                raise kind(
                    f"{what} is in use by another process",
                    expected="nobody else on it",
                    received=_holder(_file(key)),
                    remedy="wait for it or end it; the lock clears when that process is gone",
                )
            time.sleep(_LOOK_S / 4)
        _write(fd, key, at)
        self._held[key] = fd

    def close(self) -> None:
        """More than once is fine."""
        for key, fd in self._held.items():
            with contextlib.suppress(OSError):
                _file(key).unlink()  # while it is locked: _lock() looks whether its file is still there
            os.close(fd)
        self._held.clear()


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Within, no other process is in here with the same `path`, a file that exists only meanwhile; waits for its turn. Several
    boards of a night need one image at the same time: one process builds it, the others find it."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(fd), path.stat()):
                break
        except FileNotFoundError:
            pass  # whoever had it has removed it
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(fd)


@contextlib.contextmanager
def turn(key: str) -> Iterator[None]:
    """Within, no other process has its turn at `key`; waits for it. Raises HostError where lock files can't be written."""
    path = _file(f"turn {key}")
    os.close(_open(path))
    with alone(path):
        yield


def is_held(key: str) -> bool:
    """Whether a process, this one included, has the lock."""
    path = _file(key)
    if not path.exists():
        return False
    fd = _open(path)
    try:
        return not _try(fd)
    finally:
        os.close(fd)


def holder(key: str) -> str | None:
    """Who has the lock, in words; None where nobody has."""
    return _holder(_file(key)) if is_held(key) else None


def taken_at(key: str) -> str:
    """Where whoever has the lock says that it has it; empty where nobody has it or it was not said."""
    try:
        found = json.loads(_file(key).read_bytes()) if is_held(key) else {}
        return str(found.get("at") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def _lock(path: Path) -> int | None:
    """The locked file, None where somebody else has it; never one that its last holder has removed meanwhile."""
    while True:
        fd = _open(path)
        if not _try(fd):
            os.close(fd)
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        os.close(fd)


def _file(key: str) -> Path:
    """Readable, and unique by the hash: a key may hold anything."""
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", key).strip("-.")[-40:]
    return lock_folder() / f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.lock"


def _open(path: Path) -> int:
    try:
        _make_folder(path.parent)
        try:
            # Without O_CREAT first: in a sticky folder Linux refuses it on a file of another user.
            return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_CREAT, 0o666)
            with contextlib.suppress(OSError):
                os.fchmod(fd, 0o666)  # whatever the umask: every user of the machine must be able to lock
            return fd
    except OSError as error:
        raise HostError(
            f"no lock file can be opened at {path}",
            received=str(error),
            remedy="make that folder writable, or name another for all users in TINYRIG_LOCKS",
        ) from error


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            folder.chmod(0o1777)


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(fd: int, key: str, at: str) -> None:
    """For the eyes of whoever finds the lock taken; a full disk must not stop the work."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    text = json.dumps({"pid": os.getpid(), "command": " ".join(sys.argv)[:300], "since": now, "key": key, "at": at})
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, text.encode(), 0)


def _holder(path: Path) -> str:
    try:
        found = json.loads(path.read_bytes())
        return f"process {found['pid']} (`{found['command']}`) since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not said who it is"
