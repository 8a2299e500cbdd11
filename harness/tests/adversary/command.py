"""One tinyrig command as a process forked from this one, which holds all imports already: started in milliseconds, killed at
will, and its memory, its helpers and its words are seen."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tinyrig.cli import main
from tinyrig.host.forked import CRASH_STATUS, Forked
from tinyrig.tests import user_home
from tinyrig.tests.processes import alive, children

LIMIT_S = 90.0
"""A command that takes longer hangs; the slowest takes about ten seconds on a busy machine."""
SETTLE_S = 20.0
"""For a helper to notice that its owner is gone."""
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Outcome:
    """`code` negative: the signal that ended it; None: it had to be killed after LIMIT_S. `memory_kib`: the most that it or a
    process that it waited for had resident. `orphans`: processes that outlived it."""

    code: int | None
    output: str
    errors: str
    memory_kib: int
    orphans: tuple[int, ...]


class Command:
    """A running command. `prepare` is called in it first; leaving out `words`, `prepare` is all that it does."""

    def __init__(self, folder: Path, *words: str, prepare: Callable[[], object] = lambda: None, **environment: str) -> None:
        adopt_orphans()
        self._folder, self._others = folder, set(children(os.getpid()))
        self._started = time.monotonic()
        self._forked = Forked(lambda: _life(folder, words, environment, prepare))
        self.pid = self._forked.pid

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def ended(self) -> bool:
        """Leaves the process to be waited for, so that its resources can still be asked for."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def sleep(self, seconds: float) -> bool:
        """Whether it still runs after so long."""
        until = time.monotonic() + seconds
        while not (ended := self.ended()) and time.monotonic() < until:
            time.sleep(0.002)
        return not ended

    def helpers(self) -> list[int]:
        """Its children and theirs."""
        found = children(self.pid)
        for pid in found:
            found += children(pid)
        return found

    def signal(self, number: int, pid: int | None = None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid if pid is None else pid, number)

    def finish(self, limit_s: float = LIMIT_S) -> Outcome:
        in_time = self.sleep(max(0.0, limit_s - self.seconds)) is False
        if not in_time:
            self.signal(signal.SIGKILL)
        _, status, usage = os.wait4(self.pid, 0)
        code = os.waitstatus_to_exitcode(status) if in_time else None
        output, errors = ((self._folder / name).read_text("utf-8", "replace") for name in (".output", ".errors"))
        return Outcome(code, output, errors, usage.ru_maxrss, self._orphans())

    def _orphans(self) -> tuple[int, ...]:
        """Those that did not end by themselves; they are ended now."""
        until = time.monotonic() + SETTLE_S
        while (left := self._adopted()) and time.monotonic() < until:
            time.sleep(0.01)
        for pid in left:
            self.signal(signal.SIGKILL, pid)
        return tuple(left)

    def _adopted(self) -> list[int]:
        found = [pid for pid in children(os.getpid()) if pid not in self._others]
        for pid in found:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return [pid for pid in found if alive(pid)]


def adopt_orphans() -> None:
    """From now on processes whose parent died become this one's children, so that it can see them."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _life(folder: Path, words: tuple[str, ...], environment: dict[str, str], prepare: Callable[[], object]) -> int:
    os.setpgid(0, 0)  # Ctrl-C goes to a whole group, and this process's own is not meant
    for name, target in ((".output", 1), (".errors", 2)):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), target)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)  # a test runner has its own
    for handler in logging.getLogger().handlers[:]:
        logging.getLogger().removeHandler(handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(folder)
    os.environ.update(user_home.environment(folder, **environment))
    return _called(words, prepare)


def _called(words: tuple[str, ...], prepare: Callable[[], object]) -> int:
    code = CRASH_STATUS
    try:
        prepare()
        code = main(words) if words else 0
    except SystemExit as end:  # argparse
        code = end.code if isinstance(end.code, int) else CRASH_STATUS
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code
