"""A forked process for native libraries that may abort, hang or corrupt their own memory: none of it reaches this process."""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import math
import os
import resource
import select
import signal
import tempfile
import weakref
from collections.abc import Callable
from enum import StrEnum
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import IO, Any

from tinyrig.core.deadlines import awaited
from tinyrig.host.forked import CRASH_STATUS, Forked, died_of

MEMORY_BYTES = 1 << 30
"""What the child may take beyond the address space that it is forked with."""


class Ending(StrEnum):
    """How a child's process went, as far as it was seen."""

    LIVES = "it lives, and said why it will not"
    CRASHED = "its own code ended it: an abort, a bad access, an exit"
    KILLED = "another process or the system ended it, whatever it was doing"
    SLOW = "it was at work for all of its time"
    STALLED = "its time passed without it getting the processor"
    OVER = "it had ended before"


_OF_CODE = (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP)
"""What a process's own instructions raise. Whoever sends one of them from outside can't be told apart, but nobody does."""
_AT_WORK = 0.5
"""A child that had less of the processor than this share of its time was held up by others."""


class ChildFailed(Exception):
    """`text` is what the library said; `died` the signal's name or the limit that ended the process, empty when it lives."""

    def __init__(self, text: str, died: str = "", ending: Ending = Ending.LIVES) -> None:
        super().__init__(died or text)
        self.text, self.died, self.ending = text, died, ending


class Child:
    """Makes an object in a forked process and calls its methods there. Not for two threads.

    make: builds the object, first thing in the child. timeout_s: for making it, and for each call.
    """

    def __init__(self, make: Callable[[], Any], timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  what the library prints; closed by _end
        self._pipe, theirs = Pipe()
        life, ours = os.pipe()  # nothing is written: that nobody can any more is what its reader learns
        pipe, output = self._pipe, self._output.fileno()
        forked = Forked(lambda: _serve(make, pipe, theirs, output, life))
        theirs.close()
        os.close(life)
        self.pid = forked.pid
        self._cpu_s = 0.0  # what it had of the processor before the call under way
        self._end = weakref.finalize(self, _end, forked, self._pipe, self._output, ours)
        self._answer()

    def call(self, method: str, *args: Any) -> Any:
        """Raises ChildFailed for what the method raised, and when the child is dead or takes longer than timeout_s."""
        self._cpu_s = cpu_s_of(self.pid)
        with contextlib.suppress(OSError):  # a dead child shows in the missing answer
            self._pipe.send((method, args))
        return self._answer()

    def _answer(self) -> Any:
        try:
            if not awaited(self._pipe.poll, self._timeout_s):
                raise self._late()
            good, value = self._pipe.recv()
        except (EOFError, OSError):
            text, (died, ending) = self._printed(), self._cause()
            raise ChildFailed(text, died, ending) from None
        except BaseException:  # the run's time is up, or the user's patience
            self.close()
            raise
        if good:
            return value
        raise ChildFailed(" / ".join(t for t in (self._printed(), value) if t))

    def _printed(self) -> str:
        if self._output.closed:
            return ""
        self._output.seek(0)
        text = self._output.read().decode("utf-8", "replace").strip()
        return text[-2000:]

    def _late(self) -> ChildFailed:
        """Ends it."""
        limit = f"no answer within {self._timeout_s:g} s"
        if not self._end.alive:
            return ChildFailed("", limit, Ending.OVER)
        now = cpu_s_of(self.pid)
        self.close()
        if math.isinf(now) or now - self._cpu_s >= _AT_WORK * self._timeout_s:
            return ChildFailed("", limit, Ending.SLOW)
        return ChildFailed("", f"{limit}; it had the processor for {now - self._cpu_s:.1f} s of them", Ending.STALLED)

    def _cause(self) -> tuple[str, Ending]:
        if not self._end.alive:
            return "the process was ended before", Ending.OVER
        code = self._end()
        assert code is not None  # it was alive
        if code < 0:
            return died_of(code), Ending.CRASHED if -code in _OF_CODE else Ending.KILLED
        return f"exit status {code}", Ending.CRASHED

    def close(self) -> None:
        self._end()


def _end(forked: Forked, pipe: Connection[Any, Any], output: IO[bytes], life: int) -> int:
    """-> the child's exit code. A child that has not ended by itself is killed."""
    pipe.close()
    output.close()
    code = forked.end()
    os.close(life)
    return code


def _serve(make: Callable[[], Any], parents: Connection[Any, Any], pipe: Connection[Any, Any], output: int, life: int) -> int:
    """The child's whole life. An abort is expected here, so no dump is made for it."""
    parents.close()
    _let_go({0, 1, 2, pipe.fileno(), output, life})
    faulthandler.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business, which then closes the pipe
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)  # the parent's handler would raise in here
    _die_with(life)
    for fd in (1, 2):
        os.dup2(output, fd)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(MEMORY_BYTES)
    target = _guarded(pipe, make)
    with contextlib.suppress(EOFError):  # the parent is done with it, or gone
        while target is not None:
            method, args = pipe.recv()
            _guarded(pipe, getattr(target, method), *args, send=True)
    return 0


def _let_go(keep: set[int]) -> None:
    """Gives up what the parent has open: a port or lock that it closes would stay taken here. The numbers stay in use, so that
    nothing that is opened later gets one which an object of the parent's still means."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in {int(name) for name in os.listdir("/dev/fd")} - keep - {nothing}:
        os.dup2(nothing, fd)


def _die_with(life: int) -> None:
    """The kernel ends this process when the last writer of the pipe `life` is gone, also inside a library that does not come back
    to Python."""
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([life], [], [], 0)[0]:  # it was gone before
        os._exit(CRASH_STATUS)


def _guarded(pipe: Connection[Any, Any], action: Callable[..., Any], *args: Any, send: bool = False) -> Any:
    try:
        value = action(*args)
    except Exception as error:
        pipe.send((False, str(error) or type(error).__name__))
        return None
    pipe.send((True, value if send else None))
    return value


def cpu_s_of(pid: int) -> float:
    """Seconds that a running process has had of the processor; infinite where the system does not say (Linux does): then none
    is called held up."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.inf
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, proc(5)


def limit_memory(extra_bytes: int) -> None:
    """Lets this process take `extra_bytes` of address space beyond what it has now, where the system can say (Linux)."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        now = int(statm.read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (now + extra_bytes, hard))
