"""Progress of long steps: a rich bar on a terminal, plain lines where stderr is piped."""

from __future__ import annotations

import sys
from types import TracebackType


class progress:
    """`with progress(4) as bar:` then `bar.say(text)` for what is happening and `bar.step()` for each finished part."""

    def __init__(self, total: int, what: str = "variants") -> None:
        self._total, self._what, self._done = total, what, 0
        self._bar = None

    def __enter__(self) -> progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=self._total)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def say(self, text: str) -> None:
        if self._bar:
            self._bar.update(self._task, description=text)
        else:
            print(f"[{self._done}/{self._total}] {text}", file=sys.stderr, flush=True)

    def step(self) -> None:
        self._done += 1
        if self._bar:
            self._bar.update(self._task, completed=self._done)
