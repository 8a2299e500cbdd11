"""A child process of ours that speaks in lines over pipes, each awaited until a deadline; it ends with this process.

The child's promise: it ends when its standard input does, which also happens when this process is killed. The child's side is
`requests`, which keeps that promise even in the middle of a long piece of work. It runs in a session of its own: Ctrl-C
reaches this process only, which then ends the child in its own time.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinyrig.core.deadlines import awaited

LAST_WORDS_S = 5.0
"""For a process to end once it has closed its output, and for a thread that reads it to notice that."""
SAID_BYTES = 2000
"""How much of its standard error an error message quotes, from the end."""


class NoAnswer(Exception):
    """Why no line came. `ended`: the process is gone; `said`: the end of its standard error."""

    def __init__(self, text: str, said: str, ended: bool) -> None:
        super().__init__(text)
        self.said, self.ended = said, ended


class Lines:
    """Bytes as they arrive -> whole lines without their ends; half a line waits for the rest of it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines


def module_command(module: str, *options: str) -> list[str]:
    """`module` of tinyrig under this interpreter; files of the working directory are not mistaken for modules (-P)."""
    return [sys.executable, "-P", "-m", module, *options]


class Helper:
    """A context manager. `close` may be called from another thread than the one that waits for a line.

    command: without a shell, in `folder` if given. Raises OSError when it can't be started.
    """

    def __init__(self, command: Sequence[str], folder: Path | None = None) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close(); a pipe would have to be drained
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, cwd=folder, start_new_session=True
            )
        except BaseException:
            self._errors.close()
            raise
        self._lines, self._ready = Lines(), list[bytes]()
        self._reading = threading.Lock()

    def __enter__(self) -> Helper:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """Negative: the signal that ended it; None: it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def said(self) -> str:
        """Its standard error so far, also after its end; empty once it is closed."""
        if self._errors.closed:
            return ""
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode(errors="replace")  # pread: the offset is shared with the child

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Sends one JSON object and waits for one. Raises NoAnswer."""
        with contextlib.suppress(OSError, ValueError):  # a dead or closed process shows in the missing answer
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        return self.answer(seconds)

    def answer(self, seconds: float) -> dict[str, Any]:
        """The next line, a JSON object. Raises NoAnswer, also for any other line."""
        line = self.line(seconds)
        with contextlib.suppress(ValueError):
            if isinstance(found := json.loads(line), dict):
                return found
        raise NoAnswer(f"it answered {line[:200]!r}", self._quoted(), ended=False)

    def line(self, seconds: float) -> str:
        """The next line of its output, without its end. Raises NoAnswer."""
        with self._reading, selectors.DefaultSelector() as selector:
            output = self._process.stdout
            if output is None or output.closed:
                raise NoAnswer("it was closed", "", ended=True)
            selector.register(output, selectors.EVENT_READ)
            if not self._ready and not awaited(lambda left: self._read(selector, left), seconds):
                raise NoAnswer(f"no answer within {seconds:g} s", self._quoted(), ended=False)
            return self._ready.pop(0).decode(errors="replace")

    def _read(self, selector: selectors.BaseSelector, seconds: float) -> bool:
        """Takes what comes within `seconds`; whether there is a whole line."""
        for key, _ in selector.select(seconds):
            data = os.read(key.fd, 1 << 16)
            if not data:
                raise NoAnswer(self._end_in_words(), self._quoted(), ended=True)
            self._ready += self._lines.feed(data)
        return bool(self._ready)

    def _end_in_words(self) -> str:
        try:
            code = self._process.wait(LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            return "its output ended"
        return f"its process ended ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"

    def _quoted(self) -> str:
        return self.said().strip()[-SAID_BYTES:]

    def close(self, grace_s: float = 0.0) -> bool:
        """Ends it: by the end of its input, and after `grace_s` seconds by force. Whether force was not needed. More than once
        is fine."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        obeyed = self._process.returncode is not None
        if not obeyed and grace_s:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
                obeyed = True
        if not obeyed:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        read = self._reading.acquire(timeout=LAST_WORDS_S)  # a thread that waits for a line sees the end of it
        try:
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._errors.close()
        finally:
            if read:
                self._reading.release()
        return obeyed


# ---- in the child ----


def end_with_input() -> None:
    """From now on this process ends, at once and whatever it is doing, when its standard input does; that says nothing else."""

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # without a word of Python's

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def requests() -> Iterator[dict[str, Any]]:
    """The JSON objects on standard input. When that ends, so does this process, at once and whatever it is doing: for work that
    leaves nothing half done."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(lines.get())
