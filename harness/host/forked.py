"""A process forked from this one, for work that needs what this one holds in memory.

multiprocessing.Process would do the same but for its end: a parent that exits joins its children, so one that hangs in a library
would hold up the parent too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
"""Signals whose handlers raise (signals.py)."""
CRASH_STATUS = 70
"""What a process exits with that did not get to say how its work ended."""


def _fork(mask: Iterable[int]) -> int:
    """os.fork(); this process has `mask` again afterwards, the new one not yet."""
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


class Forked:
    """`life` is all that the process does: it returns the exit status. No handler of this process runs at its end."""

    def __init__(self, life: Callable[[], int]) -> None:
        self._code: int | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of others (test runners, BLAS) hold no lock of ours
            before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)  # raised in what others do at a fork, it would be lost
            self.pid = _fork(before)
        if self.pid == 0:
            status = CRASH_STATUS
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                status = life()
            finally:
                os._exit(status)

    def exit_code(self, *, wait: bool = False) -> int | None:
        """Negative: the signal that ended it; None: it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def signal(self, number: int) -> None:
        """Nothing happens to one that has ended."""
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end(self) -> int:
        """Kills it unless it has ended by itself; its exit code."""
        code = self.exit_code()
        if code is None:
            self.signal(signal.SIGKILL)
            code = self.exit_code(wait=True)
        assert code is not None
        return code


def died_of(code: int) -> str:
    """The name of the signal that an exit code stands for; empty for an end of its own."""
    if code >= 0:
        return ""
    try:
        return signal.Signals(-code).name
    except ValueError:  # Python names only the first and last of the real-time signals
        return f"signal {-code}"


def memory_kills() -> int:
    """How many processes this machine has ended for want of memory since it started; 0 where it does not say (Linux does)."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
