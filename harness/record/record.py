"""`tinyrig record`: trials of one class from a board's sensor into a dataset. What people see and answer is guide.py's."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tinyrig.board.attachment import Played
from tinyrig.board.resolve import is_started_here
from tinyrig.board.rig import Rig
from tinyrig.core.boards import BoardTarget
from tinyrig.core.config import Config
from tinyrig.core.errors import LinkError, UserError
from tinyrig.core.records import Hello
from tinyrig.host.signals import held
from tinyrig.live import playing
from tinyrig.live.image import RECORDING, live_image
from tinyrig.live.sampler import Sampler, period_us
from tinyrig.live.sensors import Sensor
from tinyrig.record import files
from tinyrig.record.guide import Answer, Guide
from tinyrig.record.recorder import Taken, take

log = logging.getLogger(__name__)
MOST_REPEATS = 5
"""So often in a row a trial may lose samples."""
SPARE = MOST_REPEATS


@dataclass(frozen=True)
class Plan:
    """What to record. `seconds` of each trial; `resume`: up to `trials` of the label, not so many more. `play`, `speed` and
    `seed` are for a virtual board."""

    sensor: Sensor
    label: str
    trials: int
    seconds: float
    rate_hz: float
    folder: Path
    group: str = ""
    resume: bool = False
    self_test: bool = True
    play: str = ""
    speed: float = 1.0
    seed: int = 1
    faults: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        return round(self.seconds * self.rate_hz)


@dataclass
class Outcome:
    """Trials that were stored, repeated for losses and skipped; samples that were lost."""

    stored: int = 0
    repeated: int = 0
    skipped: int = 0
    dropped: int = 0
    lost: int = 0


def record(plan: Plan, target: BoardTarget, config: Config, guide: Guide) -> Outcome:
    """Raises RigErrors; what was stored before stays, and --resume goes on from there."""
    _check(plan)
    made = files.Made(
        plan.sensor.name,
        plan.sensor.ranges,
        plan.rate_hz,
        period_us(plan.rate_hz),
        plan.steps,
        plan.sensor.channels,
        plan.sensor.units,
    )
    dataset = files.opened(plan.folder, made)
    have = dataset.count(plan.label)
    wanted = max(0, plan.trials - have) if plan.resume else plan.trials
    outcome = Outcome()
    if not wanted:
        return outcome
    with tempfile.TemporaryDirectory(prefix="tinyrig-play-") as folder:
        played = _played(plan, target, config, have, wanted, Path(folder))
        with Rig(target, config, faults=plan.faults, played=played) as rig:
            image = live_image(RECORDING, plan.sensor, rig.board, config)
            session, hello = rig.prepare(image)
            try:
                sampler = Sampler(session, plan.sensor)
                _Recording(plan, sampler, dataset, guide, outcome, hello).run(wanted)
            except LinkError as error:
                raise rig.diagnose(error) from error
            except KeyboardInterrupt:
                log.warning("cut short: %d trials stored in %s; --resume goes on from there", outcome.stored, plan.folder)
                raise
    return outcome


def _check(plan: Plan) -> None:
    if not plan.label.strip() or not plan.label.isprintable() or len(plan.label) > 200:
        raise UserError("no usable label", expected="up to 200 printable characters", received=repr(plan.label)[:80])
    if plan.trials < 1 or not 3 <= plan.steps <= 100_000:
        raise UserError(
            "no such trials",
            expected="one trial or more, of 3 to 100,000 samples",
            received=f"{plan.trials} of {plan.seconds:g} s at {plan.rate_hz:g} Hz",
        )


def _played(plan: Plan, target: BoardTarget, config: Config, have: int, wanted: int, folder: Path) -> Played | None:
    """None for a physical board, whose sensors read what there is. Raises UserError."""
    if not is_started_here(target, config):
        if plan.play:
            raise UserError("only a virtual board plays a recording", expected="--board virtual", received=str(target))
        return None
    source = playing.source(plan.play or plan.sensor.plays, folder, have + wanted + SPARE, plan.seed).read_by(plan.sensor)
    source = source.of_class(plan.label).trials(have, wanted + SPARE)
    return Played(source.save(folder / "played.npz"), plan.speed)


class _Recording:
    def __init__(
        self, plan: Plan, sampler: Sampler, dataset: files.Recorded, guide: Guide, outcome: Outcome, hello: Hello
    ) -> None:
        self._plan, self._sampler, self._dataset, self._guide, self._outcome = plan, sampler, dataset, guide, outcome
        self._hello, self._period = hello, period_us(plan.rate_hz)
        self._test = plan.self_test  # once is enough

    def run(self, wanted: int) -> None:
        done = repeats = 0
        while done < wanted:
            self._guide.before(self._plan.label, done + 1, wanted)
            taken = self._take()
            answer = self._judge(taken)
            repeats = repeats + 1 if answer is Answer.REPEAT and not taken.complete else 0
            if repeats > MOST_REPEATS:
                raise LinkError(
                    "every trial loses samples",
                    expected=f"{self._plan.steps} samples in a row",
                    received=f"{taken.dropped} not sampled and {taken.lost} not fetched in the last trial",
                    remedy="sample more slowly (--rate), or check the wires",
                )
            done += answer is not Answer.REPEAT

    def _take(self) -> Taken:
        scale = self._sampler.described.scale
        taken = take(
            self._sampler,
            self._period,
            self._plan.steps,
            self._test,
            lambda frame: self._guide.sampled(frame.number + 1, self._plan.steps, frame.counts * scale),
            self._plan.speed,
        )
        self._test = False
        self._outcome.dropped += taken.dropped
        self._outcome.lost += taken.lost
        return taken

    def _judge(self, taken: Taken) -> Answer:
        clipped = int(self._plan.sensor.at_end(taken.counts).sum())
        if not taken.complete:
            self._guide.incomplete(taken.dropped, taken.lost)
            self._outcome.repeated += 1
            return Answer.REPEAT
        answer = self._guide.after(clipped)
        if answer is Answer.KEEP:
            trial = files.Trial(self._plan.label, self._plan.group, self._values(taken), self._facts(taken, clipped))
            with held() as signals:
                name = self._dataset.add(trial)
                self._outcome.stored += 1
            signals.end()
            self._guide.stored(name)
        self._outcome.repeated += answer is Answer.REPEAT
        self._outcome.skipped += answer is Answer.SKIP
        return answer

    def _values(self, taken: Taken) -> np.ndarray:
        values: np.ndarray = taken.counts.astype(np.float32) * self._sampler.described.scale
        return values

    def _facts(self, taken: Taken, clipped: int) -> dict[str, object]:
        return {
            "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "board": self._hello.board_name,
            "board_id": self._hello.board_id,
            "firmware": self._hello.build_id,
            "samples": len(taken.counts),
            "clipped": clipped,
            "jitter_us": taken.jitter_us(self._period),
        }
