"""Looks at other processes of this machine, through /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

SETTLE_S = 20.0
"""For a process to notice that its owner is gone: a board looks every 20 ms, but test machines are busy."""


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def stop_and_continue(*pids: int, times: int = 2) -> None:
    """As Ctrl-Z and `fg` do, for longer than any wait that looks again. One that has ended meanwhile, as a compiler that a search
    had started, is left out."""
    for _ in range(times):
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(0.15)


def wait_until_gone(pids: list[int]) -> None:
    until = time.monotonic() + SETTLE_S
    while any(map(alive, pids)):
        assert time.monotonic() < until, f"outlived the process that had started it: {[*filter(None, map(_command, pids))]}"
        time.sleep(0.01)


def _command(pid: int) -> str:
    """What a running process is; empty for one that has ended."""
    if alive(pid):
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    return ""
