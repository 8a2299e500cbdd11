"""How large a piece and how long a deadline, from what the line has shown so far. No I/O."""

from __future__ import annotations

SMALLEST_PIECE = 64
"""Smaller pieces would spend more on frames (52 bytes a request and its reply) than on data."""
GROW_AFTER = 4
"""So many pieces in a row must pass before a piece twice as large is tried."""

FLOOR_S = 0.1
"""No deadline is shorter: hosts are busy and USB converters slow."""
MARGIN = 4.0
"""A deadline allows so many times the slowest answer seen lately."""
FIXED_BYTES = 64
"""A transfer's fixed cost, counted in bytes. Few, so that a deadline for a large frame that follows from small ones is ample."""
FORGET = 0.9
"""How much of the slowest answer is remembered at each newer one."""
DOUBT = 1.25
"""A deadline that passed may have been too short."""


class Pace:
    """Bytes of one piece: halved by a failure, doubled after GROW_AFTER pieces without one, `full` on a clean line.

    At a byte error rate e a frame of n bytes is lost with probability 1 - (1 - e)^n: 8 KB at 4e-4 almost never arrive, and
    the size settles where about every sixth piece fails.
    """

    def __init__(self, full: int) -> None:
        self.full = self.size = max(full, 1)
        self._passed = 0

    @property
    def is_full(self) -> bool:
        return self.size == self.full

    def failed(self) -> None:
        self.size = min(self.full, max(SMALLEST_PIECE, self.size // 2))
        self._passed = 0

    def passed(self, n: int) -> None:
        """A piece of `n` bytes arrived; smaller ones than `size` prove little."""
        self._passed += n
        if self._passed >= GROW_AFTER * self.size:
            self.size = min(self.full, 2 * self.size)
            self._passed = 0


class Deadlines:
    """Seconds to wait for a reply. `full_s` is the caller's safe figure, never exceeded; once answers have been timed the
    deadline comes down to what they took, doubling with each try, so that a lost frame costs little and a slow host nothing."""

    def __init__(self) -> None:
        self._slowest: float | None = None  # seconds a byte, fixed cost included

    def deadline_s(self, n: int, tried: int, full_s: float) -> float:
        """`n`: bytes of request and reply together; `tried`: how often it has been sent already."""
        if self._slowest is None:
            return full_s
        return min(full_s, (FLOOR_S + MARGIN * self._slowest * (n + FIXED_BYTES)) * 2.0**tried)

    def answered(self, n: int, seconds: float) -> None:
        self._slowest = max(seconds / (n + FIXED_BYTES), FORGET * (self._slowest or 0.0))

    def passed_by(self) -> None:
        if self._slowest is not None:
            self._slowest *= DOUBT  # forgotten faster than a bad line can feed it
