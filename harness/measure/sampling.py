"""The samples of one variant on a board: which steps there are, and taking those that are not there yet."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tinyrig.core.deadlines import Deadline, exceeded
from tinyrig.core.errors import DeviceError, LinkError
from tinyrig.core.records import Sample
from tinyrig.host.progress import Streamed, streamed
from tinyrig.link import bounds
from tinyrig.link.clock_check import WRAP, Reading
from tinyrig.link.session import Session
from tinyrig.link.window_sender import StateLost
from tinyrig.workload.windows import Windows

log = logging.getLogger(__name__)

REPLAYS = 5
"""How often one window's sequence begins again: on a line that is lost again and again it never gets there."""


@dataclass(frozen=True)
class Step:
    """One sample to be: its kind and index, and the window that it runs."""

    kind: str
    index: int
    window: int


def steps(windows: int, repeats: int) -> list[Step]:
    """Every window once, then `repeats` of the first, its stack and its profile."""
    return [
        *(Step("window", i, i) for i in range(windows)),
        *(Step("repeat", i, 0) for i in range(repeats)),
        Step("stack", 0, 0),
        Step("profile", 0, 0),
    ]


def take_samples(
    session: Session,
    windows: Windows,
    repeats: int,
    done: Sequence[Sample] = (),
    keep: Callable[[Sample], None] = lambda sample: None,
    window_s: float = math.inf,
    deadline: Deadline | None = None,
    between: Callable[[], None] = lambda: None,
) -> tuple[Sample, ...]:
    """The samples of one variant: those that are `done`, and the others, each handed to `keep` before the next is asked for.
    `between` is called after each.

    Raises DeviceError when a repetition's outputs differ from the first: such a board's timings mean nothing.
    """
    sampling = Sampling(session, windows, repeats, window_s, deadline or Deadline("run_s", math.inf))
    return sampling.run(done, keep, between)


Right = Callable[[Sample], bool | None]
"""Whether a window's answer is the right one; None where nothing says what is."""


class Followed:
    """Hands each sample on to `keep`, and says after each of the `total` windows how far the streaming is and how many are right:
    a view of what is under way, no result."""

    def __init__(self, keep: Callable[[Sample], None], total: int, right: Right, done: Sequence[Sample] = ()) -> None:
        self._keep, self._right, self._now = keep, right, Streamed(0, total)
        for sample in done:
            self._count(sample)
        streamed(self._now)

    def __call__(self, sample: Sample) -> None:
        self._keep(sample)
        if sample.kind == "window":
            self._count(sample)
            streamed(self._now)

    def _count(self, sample: Sample) -> None:
        if sample.kind != "window":
            return
        right, now = self._right(sample), self._now
        judged = (now.right, now.judged) if right is None else (now.right + right, now.judged + 1)
        self._now = Streamed(now.done + 1, now.total, *judged)


class Sampling:
    """The samples of one variant, in the order of `steps`. `window_s` is the limit of one inference, for messages."""

    def __init__(self, session: Session, windows: Windows, repeats: int, window_s: float, deadline: Deadline) -> None:
        self._session, self._window_s, self._deadline = session, window_s, deadline
        self._windows = windows
        self._payloads = [tuple(a.tobytes() for a in window) for window in windows.inputs]
        self._answers: dict[int, bytes] = {}
        """Outputs of windows so far, by index."""
        self._steps = steps(len(windows), repeats)

    def run(
        self, done: Sequence[Sample], keep: Callable[[Sample], None], between: Callable[[], None] = lambda: None
    ) -> tuple[Sample, ...]:
        """See take_samples()."""
        samples = list(done)
        for sample in samples:
            _check_repetition(sample, samples[0])
        self._answers = {s.index: s.outputs for s in samples if s.kind == "window"}
        if samples:
            self._prove(samples)
        for step in self._steps[len(samples) :]:
            self._deadline.check(f"after {len(samples)} of {len(self._steps)} samples")
            if (step.kind, step.index) == ("repeat", 0):
                self._sample(step)  # warm-up
            sample = counted(self._session, partial(self._sample, step)) if step.kind == "profile" else self._sample(step)
            check_among(sample, samples, self._session.situation, len(sample.op_cycles))
            keep(sample)
            samples.append(sample)
            if sample.kind == "window":
                self._answers[sample.index] = sample.outputs
            _check_repetition(sample, samples[0])
            between()
        return tuple(samples)

    def _prove(self, done: Sequence[Sample]) -> None:
        """Goes through the last step again: the board is warm as it was, and must still answer as it did. In a sequence from its
        first window on, as its state is that of the board, which has lost it or was used by somebody else."""
        last = self._steps[len(done) - 1]
        self._replay(last.window)
        again = self._sample(last)
        if again.outputs != done[-1].outputs:
            raise DeviceError(
                f"the board no longer answers {again.kind} {again.index} as it did before the interruption",
                expected=done[-1].outputs[:32].hex(),
                received=again.outputs[:32].hex(),
                remedy="measure in a new run; check power and clock of the board if it happens again",
            )

    def _sample(self, step: Step) -> Sample:
        started = time.monotonic()
        stack, profile = step.kind == "stack", step.kind == "profile"
        try:
            if after := self._windows.place(step.window):
                return self._continued(step, after)
            return self._session.run(self._payloads[step.window], stack=stack, profile=profile, kind=step.kind, index=step.index)
        except LinkError as error:
            if time.monotonic() - started < self._window_s:
                raise
            what = f"no result of {step.kind} {step.index}: {error.what}"
            raise exceeded("window_s", self._window_s, what, LinkError, error.received) from error

    def _continued(self, step: Step, after: int) -> Sample:
        """A window that continues a sequence, which begins again where the board's engine is elsewhere."""
        for _ in range(REPLAYS):
            try:
                return self._session.run(self._payloads[step.window], kind=step.kind, index=step.index, after=after)
            except StateLost:
                log.info("the board has lost the engine's state: the %d windows of this sequence run again", after)
            with contextlib.suppress(StateLost):
                self._replay(step.window)
        return self._session.run(self._payloads[step.window], kind=step.kind, index=step.index, after=after)

    def _replay(self, window: int) -> None:
        """The windows of its sequence before `window`. Raises StateLost, DeviceError for other outputs than before."""
        after = self._windows.place(window)
        for place in range(after):
            index = window - after + place
            again = self._session.run(self._payloads[index], index=index, after=place)
            if again.outputs != self._answers.get(index, again.outputs):
                raise DeviceError(
                    f"window {index} of a sequence gave other outputs when the sequence ran again",
                    expected=self._answers[index][:32].hex(),
                    received=again.outputs[:32].hex(),
                    remedy="see that engine_reset puts all of the engine's state back; check the board's power and clock",
                )


def _check_repetition(sample: Sample, first: Sample) -> None:
    if sample.kind != "window" and sample.outputs != first.outputs:
        raise DeviceError(
            f"the board does not repeat itself: {sample.kind} {sample.index} of window 0 gave other outputs",
            expected=first.outputs[:32].hex(),
            received=sample.outputs[:32].hex(),
            remedy="check power and clock of the board, then measure in a new run: these samples stay as they are; an engine "
            "that keeps state between inferences can't be measured",
        )


# ---- numbers that must fit each other: bounds.py has the bounds ----


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
