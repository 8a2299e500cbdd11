"""One finding about this machine, and how it is found without ever waiting for it too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

PATIENCE_S = 20.0
"""For everything together: a loaded machine takes seconds to load a native library."""
T = TypeVar("T")


class CheckStatus(StrEnum):
    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True)
class Check:
    """`found` is what is there; `remedy` empty where nothing is to be done.
    `counts`: a board of this rig can't be used without it."""

    group: str
    name: str
    status: CheckStatus
    found: str = ""
    needed_for: str = ""
    remedy: str = ""
    counts: bool = False

    @property
    def good(self) -> bool:
        return self.status == CheckStatus.OK


def gather(work: Mapping[str, Callable[[], T]], late: Callable[[str, str], T], seconds: float = PATIENCE_S) -> dict[str, T]:
    """What each piece of `work` returns, all at once. `late(name, why)` stands in for one that is not done after `seconds` or
    that raised: a dead file server or a wedged driver must not hold up the rest, so its thread is left behind."""
    results: dict[str, T] = {}
    threads = [threading.Thread(target=_put, args=(results, name, call, late), daemon=True) for name, call in work.items()]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    done = dict(results)
    return {name: done[name] if name in done else late(name, f"no answer within {seconds:g} s") for name in work}


def _put(results: dict[str, T], name: str, call: Callable[[], T], late: Callable[[str, str], T]) -> None:
    try:
        results[name] = call()
    except Exception as error:  # whatever is wrong with one thing says nothing of the others
        results[name] = late(name, f"{type(error).__name__}: {error}")
