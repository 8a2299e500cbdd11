"""Commands of ours as child processes: a child ends soon after the process that started it, however that one ended.

The child's side is `follow_parent`, which `ending` calls: a pipe to watch would be inherited by what the child starts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from tinyrig.core.deadlines import awaited
from tinyrig.host.signals import terminable

PARENT = "TINYRIG_PARENT"
"""The environment variable with the process id of the parent."""
LOOK_S = 0.5
STOP_S = 5.0
"""From the request to end until force."""


def run_module(words: Sequence[str], seconds: float, *, capture: bool = False) -> tuple[int, str]:
    """(exit status, standard output if that is captured) of `python -P -m WORDS`. Raises TimeoutExpired when it is not done after
    `seconds`, OSError when it can't be started; it is ended in both cases, and when this process is interrupted."""
    command, said = [sys.executable, "-P", "-m", *words], [""]
    environment = {**os.environ, PARENT: str(os.getpid())}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE if capture else None, text=True) as process:

        def look(timeout: float) -> bool:
            with contextlib.suppress(subprocess.TimeoutExpired):
                said[0] = process.communicate(timeout=timeout)[0] or ""
                return True
            return False

        try:
            if not awaited(look, seconds):
                raise subprocess.TimeoutExpired(command, seconds)
        except BaseException:
            _end(process)
            raise
    return process.returncode, said[0]


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except BaseException:  # it does not listen, or the user has no patience left
        process.kill()


# ---- in the child ----


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """For the main function of a command: SIGTERM and SIGHUP raise Terminated, also when the process that ran it by `run_module`
    is gone."""
    with terminable():
        if parent := os.environ.pop(PARENT, ""):  # not for what this process starts
            follow_parent(int(parent))
        yield


def follow_parent(parent: int) -> None:
    """From now on this process gets SIGTERM once process `parent` is gone, and is ended if it does not obey."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_S)
    os._exit(128 + signal.SIGTERM)
