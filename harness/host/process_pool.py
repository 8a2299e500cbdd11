"""Several pieces of work at a time, a forked process for each: one that crashes, hangs or is killed costs no other anything.

A process reports here what it does and finds, line by line through a pipe; half a line of one that was killed is dropped. All
of them end when this process does, however it ends. Fork before any thread is started here.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import pickle
import resource
import selectors
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

from tinyrig.host.forked import CRASH_STATUS, Forked, died_of
from tinyrig.host.helper import Lines
from tinyrig.host.signals import Terminated, when_lost

STOP_S = 20.0
"""For closing a board and what else is open, once the end was asked for; then it is killed."""
_LOOK_S = 0.2
"""How often processes are looked after where none of them says anything."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
USAGE = "usage"
"""The last message: (CPU seconds of the process itself, of the processes it started and waited for)."""
CRASH = "crash"
"""A Python error that nobody caught, with its traceback: a mistake in tinyrig."""
PRINTED = "printed"
"""A line that the work printed."""

Tell = Callable[[str, Any], None]
"""(kind, value): anything that can be pickled."""
Hear = Callable[[str, str, Any], None]
"""(name, kind, value) of a message."""


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit status, or the signal's name; `late` when it was killed because its time was up."""

    status: int = 0
    died: str = ""
    late: bool = False


class ProcessPool:
    """`tasks` by name, each in a process that is forked at once. A context manager: whatever still runs when it is left is asked
    to end, then killed."""

    def __init__(self, tasks: Mapping[str, Callable[[Tell], None]]) -> None:
        self.ended: dict[str, Ended] = {}
        self._running: dict[str, Forked] = {}
        self._pipes: dict[str, int] = {}
        self._lines: dict[str, Lines] = {}
        self._late: set[str] = set()
        self._life: tuple[int, ...] = os.pipe()  # its writing end is open as long as this process lives
        try:
            for name, task in tasks.items():
                self._fork(name, task)
        except BaseException:
            self.close()
            raise

    def _fork(self, name: str, task: Callable[[Tell], None]) -> None:
        ours, theirs = os.pipe()
        reads, writes = self._life
        not_its = (writes, ours, *self._pipes.values())
        self._running[name] = Forked(lambda: _live(task, theirs, reads, not_its))
        os.close(theirs)
        os.set_blocking(ours, False)
        self._pipes[name], self._lines[name] = ours, Lines()

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def listen(self, hear: Hear, seconds: float) -> None:
        """Until every process has ended; those that take longer than `seconds` are killed."""
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            for name, pipe in self._pipes.items():
                selector.register(pipe, selectors.EVENT_READ, name)
            while self._running:
                for key, _ in selector.select(_LOOK_S):
                    if not self._read(key.data, hear):
                        selector.unregister(key.fd)
                for name in [n for n in tuple(self._running) if self._reap(n)]:
                    self._read(name, hear)  # what it said last
                if time.monotonic() > until:
                    self._late |= set(self._running)
                    self._signal(signal.SIGKILL)

    def _read(self, name: str, hear: Hear) -> bool:
        """Passes on what has come; whether more can come."""
        while True:
            try:
                data = os.read(self._pipes[name], 1 << 16)
            except BlockingIOError:
                return True
            for line in self._lines[name].feed(data):
                hear(name, *_unpack(line))
            if not data:
                return False

    def _reap(self, name: str) -> bool:
        code = self._running[name].exit_code()
        if code is None:
            return False
        self.ended[name] = Ended(max(code, 0), died_of(code), name in self._late)
        del self._running[name]
        return True

    def _signal(self, number: int) -> None:
        for forked in self._running.values():
            forked.signal(number)

    def close(self) -> None:
        """More than once is fine."""
        try:
            self._signal(signal.SIGTERM)
            self._wait(STOP_S)
        finally:
            self._signal(signal.SIGKILL)
            self._wait(STOP_S)
            for fd in (*self._pipes.values(), *self._life):
                os.close(fd)
            self._pipes, self._life = {}, ()

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._running and time.monotonic() < until:
            self._drain()
            if not [n for n in tuple(self._running) if self._reap(n)]:
                time.sleep(0.01)

    def _drain(self) -> None:
        """One that ends must not wait for a full pipe."""
        for pipe in self._pipes.values():
            with contextlib.suppress(BlockingIOError):
                while os.read(pipe, 1 << 16):
                    pass


# ---- in the new process ----

_inherited: list[Any] = []


def _live(task: Callable[[Tell], None], pipe: int, life: int, not_ours: tuple[int, ...]) -> int:
    """All that it does; its exit status."""
    _obey()
    for fd in not_ours:
        os.close(fd)
    threading.Thread(target=_watch, args=(life,), daemon=True).start()
    teller = _Teller(pipe)
    _inherited.extend((sys.stdout, sys.stderr))  # one that is dropped would write its buffer a second time
    sys.stdout = sys.stderr = _Printed(teller)
    return _work(task, teller)


def _work(task: Callable[[Tell], None], tell: Tell) -> int:
    try:
        task(tell)
        status = 0
    except KeyboardInterrupt as interruption:
        status = 128 + (interruption.number if isinstance(interruption, Terminated) else signal.SIGINT)
    except BaseException:
        tell(CRASH, traceback.format_exc())
        status = CRASH_STATUS
    with contextlib.suppress(OSError, KeyboardInterrupt):
        tell(USAGE, tuple(_cpu_s(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
    return status


def _cpu_s(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _obey() -> None:
    """The first signal that asks for the end raises; later ones must not disturb what is being closed."""

    undisturbed = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if not undisturbed.is_set():
            undisturbed.set()
            raise Terminated(number)

    def again(number: int) -> None:
        undisturbed.clear()
        os.kill(os.getpid(), number)

    taken = [s for s in _SIGNALS if signal.getsignal(s) is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, handle)
    when_lost(again)


def _watch(life: int) -> None:
    """Ends this process when the one that forked it is gone."""
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_S)
    os._exit(128 + signal.SIGTERM)


class _Teller:
    def __init__(self, pipe: int) -> None:
        self._pipe, self._lock = pipe, threading.Lock()

    def __call__(self, kind: str, value: Any) -> None:
        view = memoryview(_pack(kind, value))
        with self._lock:
            try:
                while view:
                    view = view[os.write(self._pipe, view) :]
            except BrokenPipeError:
                raise Terminated(signal.SIGTERM) from None


class _Printed(io.TextIOBase):
    """What is printed becomes messages, a line each."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._rest = tell, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._tell(PRINTED, line)
        return len(text)


def _pack(kind: str, value: Any) -> bytes:
    """Words as they are, everything else pickled."""
    if isinstance(value, str):
        return json.dumps([kind, value]).encode() + b"\n"
    return json.dumps([kind, None, base64.b64encode(pickle.dumps(value)).decode()]).encode() + b"\n"


def _unpack(line: bytes) -> tuple[str, Any]:
    kind, value, *packed = json.loads(line)
    return (kind, pickle.loads(base64.b64decode(packed[0]))) if packed else (kind, value)
