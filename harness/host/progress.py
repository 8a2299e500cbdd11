"""Progress of long steps: rich bars on a terminal, plain lines where stderr is piped.

Whoever streams windows says so with `streamed()`; a progress view shows their number, rate, remaining time and how many are
right so far: live on a terminal, else a line every LINE_S seconds.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tinyrig.host.log import quiet, shown

log = logging.getLogger(__name__)


LINE_S = 5.0
"""Seconds between two plain lines about windows."""


@dataclass(frozen=True)
class Streamed:
    """One variant's windows: `done` of `total` are measured; `right` of the `judged` ones are, none where nothing says what is
    right."""

    done: int
    total: int
    right: int = 0
    judged: int = 0


See = Callable[[Streamed], None]
_SEES: ContextVar[See | None] = ContextVar("sees", default=None)


def streamed(now: Streamed) -> None:
    """How far the streaming of a variant is, for whoever shows it; first of all where it begins."""
    if (see := _SEES.get()) is not None:
        see(now)


class Pace:
    """Windows as they come -> words. What an earlier attempt had measured is no part of the rate."""

    def __init__(self, first: Streamed, clock: Callable[[], float] = time.monotonic) -> None:
        self._first, self._clock, self._began = first, clock, clock()
        self._said = self._began

    def due(self) -> bool:
        """Whether it is time for a plain line; then the next is due LINE_S later."""
        if self._clock() - self._said < LINE_S:
            return False
        self._said = self._clock()
        return True

    def words(self, now: Streamed) -> str:
        """`35/s, 4 s left, 116 of 120 right so far`."""
        passed, new = self._clock() - self._began, now.done - self._first.done
        parts = []
        if new > 0 and passed > 0:
            rate = new / passed
            parts = [f"{rate:.3g}/s" if rate < 100 else f"{rate:.0f}/s", f"{duration((now.total - now.done) / rate)} left"]
        if now.judged:
            parts.append(f"{now.right} of {now.judged} right so far")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """`4 s`, `2 min 5 s`, `1 h 3 min`."""
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {s} s" if minutes else f"{s} s"


class progress:
    """`with progress(4) as bar:` shows what is logged within; `bar.step()` for each finished part."""

    def __init__(self, total: int, what: str = "variants") -> None:
        self._total, self._what, self._done = total, what, 0
        self._bar: Any = None
        self._windows: Any = None
        self._pace: Pace | None = None
        self._seeing: Token[See | None] | None = None

    def __enter__(self) -> progress:
        if sys.stderr.isatty() and not quiet():
            self._bar = _bars()
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=self._total)
        self._shown = shown(self._say, self._keep)
        self._shown.__enter__()
        self._seeing = _SEES.set(self._see)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._seeing is not None:
            _SEES.reset(self._seeing)
        self._shown.__exit__(kind, value, trace)
        if self._bar:
            self._bar.stop()

    def _see(self, now: Streamed) -> None:
        if self._pace is None:
            self._pace = Pace(now)
            if self._bar:
                self._windows = self._bar.add_task("windows", total=now.total)
        words = self._pace.words(now)
        if self._bar:
            self._bar.update(self._windows, completed=now.done, description=f"windows{': ' if words else ''}{words}")
        elif self._pace.due():
            log.info("%d of %d windows, %s", now.done, now.total, words)
        if now.done == now.total:
            self._forget_windows()

    def _forget_windows(self) -> None:
        """The next that are streamed have a pace of their own."""
        if self._bar and self._windows is not None:
            self._bar.remove_task(self._windows)
        self._pace = self._windows = None

    def _say(self, text: str) -> None:
        if self._bar:
            self._bar.update(self._task, description=text)
        else:
            print(f"[{self._done}/{self._total}] {text}", file=sys.stderr, flush=True)

    def _keep(self, text: str) -> None:
        """A bar's text is soon replaced by the next: what must stay readable goes above it."""
        if self._bar:
            from rich.text import Text

            self._bar.console.print(Text(text), soft_wrap=True)
        else:
            self._say(text)

    def step(self) -> None:
        self._forget_windows()
        self._done += 1
        if self._bar:
            self._bar.update(self._task, completed=self._done)


class boards_progress:
    """One line for each of `names`, each of `total` parts. `tell` is for what must stay readable: it goes above the bars."""

    def __init__(self, names: Sequence[str], total: int) -> None:
        self._names, self._total, self._done = tuple(names), total, dict.fromkeys(names, 0)
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> boards_progress:
        if sys.stderr.isatty() and not quiet():
            from rich.text import Text  # names and texts are no markup

            self._text = Text
            self._bars = _bars("{task.fields[board]}")
            self._tasks = {n: self._bars.add_task("waiting", total=self._total, board=n) for n in self._names}
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars:
            self._bars.stop()

    def say(self, name: str, text: str) -> None:
        """What is happening on this board."""
        if self._bars:
            self._bars.update(self._tasks[name], description=text)
        elif not quiet():
            board = f"{name}: " if len(self._names) > 1 else ""
            print(f"[{self._done[name]}/{self._total}] {board}{text}", file=sys.stderr, flush=True)

    def step(self, name: str) -> None:
        """A part of this board's is finished."""
        self._done[name] += 1
        if self._bars:
            last = {"description": "measured"} if self._done[name] == self._total else {}  # reruns may still come
            self._bars.update(self._tasks[name], completed=self._done[name], **last)

    def tell(self, text: str) -> None:
        if self._bars:
            self._bars.console.print(self._text(text), soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)


def _bars(*first: str) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    heads = [TextColumn(text, markup=False) for text in first]
    columns = (*heads, BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    return Progress(*columns, console=Console(stderr=True), transient=True)
