"""What the rig says while it works: lines of the logger `tinyrig`, for whoever shows or keeps them.

Modules log with `logging.getLogger(__name__)`: INFO for what is happening, WARNING for what the user must see. What a line is
about (a board, a variant) is set by `about()` around the work and stands before the text. Where nobody shows lines, as in a
user's own tests, they go no further than Python's logging.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tinyrig.core.text import visible

Hear = Callable[[str], None]

LOGGER = logging.getLogger("tinyrig")
LOGGER.setLevel(logging.INFO)
LOGGER.addHandler(logging.NullHandler())  # Python's last resort would print warnings a second time
logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())  # and what is raised as well, with a traceback

_ABOUT: ContextVar[tuple[str, ...]] = ContextVar("about", default=())


@contextmanager
def about(name: str) -> Iterator[None]:
    """Lines that are logged within, in this thread, begin with `name`."""
    token = _ABOUT.set((*_ABOUT.get(), name))
    try:
        yield
    finally:
        _ABOUT.reset(token)


_least = logging.INFO


def to_show(level: int) -> None:
    """From now on lines of at least this level are shown; logs of nights go on as they were."""
    global _least
    _least = level
    LOGGER.setLevel(min(level, logging.INFO))


def quiet() -> bool:
    """Whether only warnings are shown."""
    return _least > logging.INFO


class _Listener(logging.Handler):
    def __init__(self, hear: Hear, keep: Hear | None, source: str, level: int = logging.INFO) -> None:
        super().__init__(level)
        self._hear, self._keep = hear, keep or hear
        self.addFilter(logging.Filter(source))
        self.shown = True

    def emit(self, record: logging.LogRecord) -> None:
        if self.shown:
            hear = self._keep if record.levelno >= logging.WARNING else self._hear
            hear(visible(": ".join((*_ABOUT.get(), record.getMessage()))))


@contextmanager
def heard(hear: Hear, source: str = "tinyrig") -> Iterator[None]:
    """Every line that is logged within, by any thread and by `source` or a module below it, is given to `hear`."""
    listener = _Listener(hear, None, source)
    LOGGER.addHandler(listener)
    try:
        yield
    finally:
        LOGGER.removeHandler(listener)


_showing: list[_Listener] = []


@contextmanager
def shown(hear: Hear, keep: Hear | None = None, source: str = "tinyrig") -> Iterator[None]:
    """As heard(), for a terminal: whoever showed lines before is silent meanwhile. `keep` is given what must stay readable
    (warnings) where `hear` replaces one line by another."""
    listener = _Listener(hear, keep, source, _least)
    for other in _showing:
        other.shown = False
    _showing.append(listener)
    LOGGER.addHandler(listener)
    try:
        yield
    finally:
        LOGGER.removeHandler(listener)
        _showing.remove(listener)
        if _showing:
            _showing[-1].shown = True


def to_stderr(text: str) -> None:
    """A line of a command that shows no progress."""
    print(f"tinyrig: {text}", file=sys.stderr, flush=True)


def heard_only(hear: Hear) -> None:
    """From now on by nobody else: for a forked process, which inherits the listeners of the one that it was forked from."""
    for handler in list(LOGGER.handlers):
        LOGGER.removeHandler(handler)
    _showing.clear()
    LOGGER.addHandler(_Listener(hear, None, "tinyrig"))
