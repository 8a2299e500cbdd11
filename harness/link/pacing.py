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

FIRST_INVOKE_DEADLINE_S = 30.0
"""For an inference of unknown length. On the board 2 million float MACs take about a second; an emulator that
counts cycles may be much slower."""
INVOKE_MARGIN = 3
"""Later inferences may take so many times the slowest one yet, twice as long at each try."""
FIRST_TRY_S = 2.0
"""The first inference's first deadline; each next one is FIRST_TRY_GROWTH times as long, up to the whole of it."""
FIRST_TRY_GROWTH = 4
MIN_INVOKE_DEADLINE_S = 0.3
"""A deadline that proves too short does no harm: the board answers a repetition without executing it again."""


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


class InvokeDeadlines:
    """Seconds that the board may take for an inference: up to `first_s` while nothing is known of it, then by the slowest one."""

    def __init__(self, first_s: float) -> None:
        self.first_s = first_s
        self._slowest_s: float | None = None

    @property
    def known(self) -> bool:
        """Whether an inference has been timed."""
        return self._slowest_s is not None

    def deadline_s(self, tried: int) -> float:
        """`tried`: how often it has been asked for already."""
        if self._slowest_s is None:
            return min(self.first_s, FIRST_TRY_S * float(FIRST_TRY_GROWTH) ** tried)
        return max(MIN_INVOKE_DEADLINE_S, INVOKE_MARGIN * self._slowest_s) * 2.0**tried

    def took(self, seconds: float) -> None:
        self._slowest_s = max(seconds, self._slowest_s or 0.0)

    def forget(self) -> None:
        """The board was reset and may run another program."""
        self._slowest_s = None
