"""Waiting whose time stands still while this process does: after Ctrl-Z and `fg` nothing has come too late that was in time."""

from __future__ import annotations

import time
from collections.abc import Callable

SLICE_S = 1.0
"""One look; a longer one was interrupted by a stop, and no more than this of it counts."""


def awaited(look: Callable[[float], object], seconds: float, clock: Callable[[], float] = time.monotonic) -> bool:
    """Whether `look`, which waits up to the seconds that it is given, found something true within `seconds`."""
    left = seconds
    while left > 0:
        slice_s, before = min(left, SLICE_S), clock()
        if look(slice_s):
            return True
        left -= min(slice_s, max(clock() - before, slice_s / 100))  # a look that comes back early is no endless loop
    return bool(look(0.0))
