"""Whether a board's numbers fit each other and the model: bounds that need more than one reply (link/bounds.py has them all)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tinyrig.compiler.kernels.choose import ENGINES
from tinyrig.compiler.least_work import least_work
from tinyrig.core.boards import Board
from tinyrig.core.errors import LinkError
from tinyrig.core.records import Sample
from tinyrig.link import bounds
from tinyrig.link.clock_check import WRAP, Reading
from tinyrig.link.session import Session

INT_PER_CYCLE, FLOAT_PER_CYCLE = 2, 1
"""Multiply-accumulates of a Cortex-M4, at most: SMLAD, VFMA (Arm Cortex-M4 TRM, 3.3 and 7.2)."""
ANY_PER_CYCLE = 32
"""Of any other core: vector units do 8 to 16."""
SPARED = 2
"""Algorithms with fewer multiplications (Winograd's) spare up to this factor."""


def least_cycles(data: bytes, engine: str, board: Board) -> int:
    """Cycles (or instructions) that one inference takes at least. 0 for an engine of the user's own, which may do as it likes."""
    if engine not in ENGINES:
        return 0
    floats, integers = least_work(data)
    known = "-mcpu=cortex-m4" in board.cpu_flags
    per_float, per_integer = (FLOAT_PER_CYCLE, INT_PER_CYCLE) if known else (ANY_PER_CYCLE, ANY_PER_CYCLE)
    return max(1, int((floats / per_float + integers / per_integer) / SPARED))


def check_among(sample: Sample, earlier: Sequence[Sample], situation: bounds.Situation, op_count: int) -> None:
    """One more sample against those before it. Raises Impossible."""
    said_by = f"the board, of {sample.kind} {sample.index},"
    same = [s.cycles for s in earlier if s.kind == "repeat"] or [s.cycles for s in earlier if s.kind == "window" and not s.index]
    if not same or not situation.counting:
        return
    field = {"window": "cycles of a window", "profile": "cycles of a profile"}.get(sample.kind, "cycles of a repetition")
    bounds.check(field, sample.cycles, replace(situation, seen=float(same[0]), op_count=op_count), said_by)


def counted(session: Session, run: Callable[[], Sample]) -> Sample:
    """`run`, between two readings of the board's own counter: an inference can't have taken more than passed there. Unchecked
    where the firmware does not report it, or the line lost a reading. Raises Impossible, and what `run` raises."""
    before = _reading(session)
    sample = run()
    after = _reading(session) if before is not None else None
    if before is not None and after is not None and session.situation.counting and not _may_have_turned(before, after, session):
        gained = float((after.cycles - before.cycles) % WRAP)
        bounds.check("cycles by its own counter", sample.cycles, replace(session.situation, seen=gained))
    return sample


def _reading(session: Session) -> Reading | None:
    try:
        return session.counter()
    except LinkError:  # asked once only; what is under way finds out why
        return None


def _may_have_turned(before: Reading, after: Reading, session: Session) -> bool:
    """Whether the counter may have gone round between two readings."""
    per_s = min(session.situation.per_s, bounds.EMULATED_PER_S)
    return (after.after_s - before.before_s) * per_s >= WRAP
