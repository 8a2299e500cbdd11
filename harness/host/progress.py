"""Progress of long steps: rich bars on a terminal, plain lines where stderr is piped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from tinyrig.host.log import quiet, shown


class progress:
    """`with progress(4) as bar:` shows what is logged within; `bar.step()` for each finished part."""

    def __init__(self, total: int, what: str = "variants") -> None:
        self._total, self._what, self._done = total, what, 0
        self._bar: Any = None

    def __enter__(self) -> progress:
        if sys.stderr.isatty() and not quiet():
            self._bar = _bars()
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=self._total)
        self._shown = shown(self._say, self._keep)
        self._shown.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._shown.__exit__(kind, value, trace)
        if self._bar:
            self._bar.stop()

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
