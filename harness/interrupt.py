"""Ctrl-C and SIGTERM end a command the same way: what is open is closed, what was measured stays, the exit status says which."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """A signal that asks for the end arrived."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_status(error: KeyboardInterrupt) -> int:
    """130 for Ctrl-C, 143 for SIGTERM: 128 and the signal's number, as a shell tells it."""
    return 128 + (error.number if isinstance(error, Terminated) else signal.SIGINT)


@contextmanager
def terminable() -> Iterator[list[int]]:
    """Within, SIGTERM and SIGHUP raise Terminated, unless somebody else has taken care of them (nohup ignores SIGHUP). Gives the
    list of those that came."""
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise Terminated(number)

    main = threading.current_thread() is threading.main_thread()
    taken = [s for s in _SIGNALS if signal.getsignal(s) is signal.SIG_DFL] if main else []
    for number in taken:
        signal.signal(number, handle)
    try:
        yield received
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
