"""Runs a compiler, linker or flasher, without a shell and never longer than it may take."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tinyrig.core.deadlines import Deadline, awaited, exceeded
from tinyrig.core.errors import HostError
from tinyrig.host.forked import died_of

Running = set["subprocess.Popen[str]"]
"""Tools under way in other threads, which no exception of the main one reaches."""

log = logging.getLogger(__name__)


class ToolHangs(HostError):
    """A tool was not done in its time and was ended."""


class ToolEnded(HostError):
    """A tool was ended by a signal: it crashed, or somebody or the system ended it."""


def run_tool(
    command: Sequence[str],
    limit_s: float,
    running: Running | None = None,
    *,
    limit: str = "build_s",
    deadline: Deadline | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Its exit status and what it said; it stands in `running` as long as it runs, in `folder` if given. Raises HostError when it
    is not there, ToolHangs when it is not done after `limit_s` seconds, which are the limit called `limit` or what is left of
    `deadline`, ToolEnded when a signal ended it."""
    running = set() if running is None else running
    log.debug("calling %s", shlex.join(map(str, command)))
    try:
        # A group of its own: a compiler driver's children must end with it.
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd=folder,
        )
    except OSError as error:
        raise HostError(f"{command[0]} can't be run", received=str(error), remedy="see tinyrig doctor") from error
    running.add(process)
    with process:
        try:
            told: list[tuple[str, str]] = []
            if not awaited(lambda left: _told(process, left, told), limit_s):
                received = f"not done: {' '.join(command)[-300:]}"
                name, seconds = (deadline.name, deadline.seconds) if deadline else (limit, limit_s)
                cause = subprocess.TimeoutExpired(list(command), limit_s)
                raise exceeded(name, seconds, f"{os.path.basename(command[0])} hangs", ToolHangs, received) from cause
        except BaseException:
            _end(process)
            raise
        finally:
            running.discard(process)
    out, errors = told[0]
    if process.returncode < 0:
        raise ended(command, process.returncode, errors or out)
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def _told(process: subprocess.Popen[str], seconds: float, told: list[tuple[str, str]]) -> bool:
    """Whether it has ended, with its output and errors in `told`."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        told.append(process.communicate(timeout=seconds))
    return bool(told)


def ended(command: Sequence[str], status: int, said: str) -> ToolEnded:
    """For one that ended with the negative of a signal's number, and had `said` that much."""
    return ToolEnded(
        f"{os.path.basename(command[0])} was ended by {died_of(status)} before it was done",
        expected="an end of its own",
        received=said.strip()[-2000:] or "it said nothing",
        remedy="run again; free memory, or find out who ended it",
    )


def end_all(running: Running) -> None:
    """Ends tools whose results nobody waits for any more."""
    for process in list(running):
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
