"""The log file of nights: what the progress view says and every error in full, with UTC times. It rotates and stops no night."""

from __future__ import annotations

import logging
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

from tinyrig.core.config import Logs
from tinyrig.places.project import made


class NightLog:
    """A context manager; only the process that opened it may write. `path` is None where there is no log."""

    def __init__(self, logs: Logs) -> None:
        self.path = Path(logs.file) if logs.file else None
        self._handler: _Handler | None = None
        self._logger = logging.Logger("tinyrig.nightly")  # of its own: pytest and others have hung theirs on the common one
        if self.path is not None:
            self._open(self.path, logs)

    def _open(self, path: Path, logs: Logs) -> None:
        try:
            made(path.parent)
            self._handler = _Handler(path, maxBytes=logs.size_kib * 1024, backupCount=logs.keep, encoding="utf-8")
        except OSError as error:
            _warn(path, error)
            return
        formatter = logging.Formatter("%(asctime)sZ %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        self._handler.setFormatter(formatter)
        self._logger.addHandler(self._handler)

    def __enter__(self) -> NightLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._handler is not None:
            self._handler.close()

    def say(self, board: str, text: str) -> None:
        """`board` may be empty: the whole night."""
        self._logger.info(_lines(board, text))

    def error(self, board: str, text: str) -> None:
        self._logger.error(_lines(board, text))


def _lines(board: str, text: str) -> str:
    """Further lines are indented, so that each entry begins with its time."""
    return (f"{board}: " if board else "") + text.rstrip().replace("\n", "\n    ")


class _Handler(RotatingFileHandler):
    """A full disk is reported once and costs the night nothing."""

    _warned = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._warned:
            self._warned = True
            _warn(Path(self.baseFilename), sys.exc_info()[1])


def _warn(path: Path, error: BaseException | None) -> None:
    print(f"tinyrig: the log {path} can't be written: {error}; the night continues without it", file=sys.stderr)
