"""What ends a command from outside: Ctrl-C, SIGTERM, and the clock. What is open is closed, what was measured stays."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from tinyrig.core.deadlines import Deadline, exceeded
from tinyrig.core.errors import RigError

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
GRACE_S = 60.0
"""A step under way may go so far beyond the whole command's deadline; usually the look before the next step is what ends it."""
AGAIN_S = 0.05
"""Until an interruption that was lost is raised again, elsewhere by then."""
_LONGEST_S = 1e8
"""What the system's timer takes."""


class Terminated(KeyboardInterrupt):
    """A signal that asks for the end arrived."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_status(error: KeyboardInterrupt) -> int:
    """130 for Ctrl-C, 143 for SIGTERM: 128 and the signal's number, as a shell reports it."""
    return 128 + (error.number if isinstance(error, Terminated) else signal.SIGINT)


def when_lost(again: Callable[[int], None]) -> Callable[[], None]:
    """From now on `again` is called, a moment later and in a thread, with the number of a signal whose exception Python had to
    ignore, because it was raised in a finalizer, a callback of C or while a process was forked. Gives what ends that."""
    before = sys.unraisablehook

    def hook(ignored: sys.UnraisableHookArgs) -> None:
        if isinstance(ignored.exc_value, KeyboardInterrupt):
            timer = threading.Timer(AGAIN_S, again, (exit_status(ignored.exc_value) - 128,))
            timer.daemon = True
            timer.start()
        else:
            before(ignored)

    def end() -> None:
        sys.unraisablehook = before

    sys.unraisablehook = hook
    return end


@contextmanager
def terminable() -> Iterator[list[int]]:
    """Within, SIGTERM and SIGHUP raise Terminated, unless somebody else has taken care of them (nohup ignores SIGHUP). Gives the
    list of those that came. Native code that calls Python may pass an exception on as one of its own (TensorFlow: a failed
    operation): what comes out after a signal came is the signal's, unless the rig has put it into words."""
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise Terminated(number)

    main = threading.current_thread() is threading.main_thread()
    taken = [s for s in _SIGNALS if signal.getsignal(s) is signal.SIG_DFL] if main else []
    for number in taken:
        signal.signal(number, handle)
    lost_no_more = when_lost(lambda number: os.kill(os.getpid(), number))
    try:
        yield received
    except Exception as error:
        if not received or isinstance(error, RigError):
            raise
        raise Terminated(received[-1]) from error
    finally:
        lost_no_more()
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def interrupt(name: str) -> NoReturn:
    """Raises what signal `name` asks for: KeyboardInterrupt, or Terminated."""
    raise KeyboardInterrupt if name == signal.SIGINT.name else Terminated(signal.Signals[name])


class Held:
    """What came within `held`. `number`: of the first signal, 0: none."""

    def __init__(self) -> None:
        self.number = 0

    @property
    def name(self) -> str | None:
        return signal.Signals(self.number).name if self.number else None

    def end(self) -> None:
        """Raises what the signal that came asks for: KeyboardInterrupt, or Terminated."""
        if self.name:
            interrupt(self.name)


@contextmanager
def held() -> Iterator[Held]:
    """Within, the first signal that asks for the end raises nothing: whoever asked for this looks at what it gives, leaves what
    is under way in good order, and calls `end`. A second signal interrupts at once. Outside the main thread, and of signals that
    nobody handles, nothing is held."""
    found = Held()
    before: dict[int, Callable[[int, FrameType | None], object]] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        if found.number:
            before[number](number, frame)
        found.number = found.number or number

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, *_SIGNALS):
            if callable(known := signal.getsignal(number)) and not isinstance(known, signal.Handlers):
                before[number] = known
                signal.signal(number, handle)
    try:
        yield found
    finally:
        for taken, known in before.items():
            signal.signal(taken, known)


@contextmanager
def alarm(deadline: Deadline) -> Iterator[None]:
    """Within, whatever waits GRACE_S longer than `deadline` is cut off by InfraError, again and again if need be: a step
    that hangs without a deadline of its own can't cost more than that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        raise exceeded(deadline.name, deadline.seconds, "out of time: the step under way was cut off")

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, min(deadline.left() + GRACE_S, _LONGEST_S), GRACE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
