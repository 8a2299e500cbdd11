"""One variant on one board: compile, image, flash, stream, compare, store. Glue between the stages, resumable by sample."""

from __future__ import annotations

import datetime
import logging
import math
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tinyrig.analysis.provenance import clock_warning
from tinyrig.board.rig import Rig
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import Board
from tinyrig.core.config import ROOT, Config
from tinyrig.core.deadlines import Deadline, exceeded
from tinyrig.core.errors import DeviceError, LinkError, UserError
from tinyrig.core.records import BoardInfo, Image, Measurement, Sample, TensorSpec, Variant
from tinyrig.energy.meter import measure_energy, meter_for
from tinyrig.link.clock_check import clock_watch
from tinyrig.link.session import Session
from tinyrig.measure.parity import compare
from tinyrig.workload.image import build_image
from tinyrig.workload.model_file import read_model
from tinyrig.workload.oracle import ORACLES
from tinyrig.workload.user_engine import is_folder, user_engine
from tinyrig.workload.windows import Windows, check_labels, load_windows, random_windows

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What to run and how: `limit` windows at most (None: all), `oracle` a name of ORACLES or "none"."""

    variant: Variant
    engine: str = "tinyrig"
    limit: int | None = None
    oracle: str = "tflm"


def new_run_id() -> str:
    """Sortable by time, unique beside parallel runs: 20260131-174502-9f3c."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)


def compile_for(data: bytes, board: Board, config: Config, engine: str = "tinyrig", build_dir: Path = ROOT / "build") -> Image:
    """A .tflite's bytes -> firmware image for `board`; `engine` is one of the compiler's or a folder with the user's own.

    Raises ModelError, before any C compiler runs, for an unusable model.
    """
    if is_folder(engine):
        model = user_engine(data, Path(engine), flash_bytes=board.flash_bytes, ram_bytes=board.ram_bytes)
    else:
        sizes = {"flash_bytes": board.flash_bytes, "ram_bytes": board.ram_bytes}
        model = compile_model(data, **sizes, engine=engine, optimise=config.optimise)
    return build_image(model, board, build_dir, config.limits.build_s)


class Recorder(Protocol):
    """Keeps samples as they arrive, and gives back those that an earlier attempt kept."""

    def start(self, head: dict[str, Any]) -> tuple[Sample, ...]:
        """`head` says what the samples belong to. Raises when what was kept belongs to something else."""

    def add(self, sample: Sample) -> None:
        """Durable on return."""

    def settings(self) -> dict[str, Any]:
        """What the stored run must say about how its samples were gathered."""


class NoRecorder:
    """Where nothing needs to survive."""

    def start(self, head: dict[str, Any]) -> tuple[Sample, ...]:
        return ()

    def add(self, sample: Sample) -> None:
        pass

    def settings(self) -> dict[str, Any]:
        return {}


def measure_variant(
    request: Request, rig: Rig, config: Config, recorder: Recorder | None = None, deadline: Deadline | None = None
) -> Measurement:
    """Everything raw about one variant on one board; what `recorder` kept of an earlier attempt is not measured again.

    Raises RigErrors; what it returns was streamed and compared in full.
    """
    recorder, deadline = recorder or NoRecorder(), deadline or Deadline("run_s", config.limits.run_s)
    data = read_model(request.variant.tflite)
    image = compile_for(data, rig.board, config, request.engine)
    windows = windows_of(request, image.inputs, config)
    check_labels(windows, image.outputs)
    _check_oracle(data, request.oracle, windows)
    deadline.check("before flashing")
    with meter_for(config, rig.board) as meter:  # before the board is needed: it may be the board's supply
        session, hello = rig.prepare(image)
        info = rig.info(hello)
        done = recorder.start(head_of(request, image, windows, info, config))
        there = f", {len(done)} samples are already stored" if done else ""
        log.info("streaming %d windows%s", len(windows), there)
        window_s, before = config.limits.on(rig.board).window_s, rig.injected()
        watch = clock_watch(session.counter, info)
        try:
            watch.start()
            samples = take_samples(session, windows, config.repeats, done, recorder.add, window_s, deadline, watch.between)
            clock = watch.finish(wait=not rig.clock_known)
        except LinkError as error:
            raise rig.diagnose(error) from error
        rig.clock_known = True
        if warning := clock_warning(clock):
            log.warning("warning: %s", warning)
        marked: tuple[Sample, ...] = ()
        energy: dict[str, Any] = {}
        if meter is not None:
            log.info("measuring the energy of %d inferences", config.repeats)
            payload = tuple(a.tobytes() for a in windows.inputs[0])
            marked, energy = measure_energy(meter, session, payload, samples[0].outputs, config.repeats)
    deadline.check("before comparing with the oracle")
    parity = (
        None
        if request.oracle == "none"
        else compare(data, request.oracle, windows, samples, image.outputs, config.float_tolerance)
    )
    settings = {
        "oracle": request.oracle,
        "optimise": config.optimise,
        "random_windows": windows.random,
        "windows_sha256": windows.digest(),
        "float_tolerance": config.float_tolerance,
        "retries": session.retries,
        "flash_tries": rig.flash_tries,
        "link": session.statistics.summary(),
        "timer_overhead_cycles": hello.timer_overhead_cycles,
        **recorder.settings(),
        **({"energy": energy} if energy else {}),
    }
    if rig.faults:
        settings |= {
            "injected_faults": list(rig.faults),
            "injected": {kind: n - before.get(kind, 0) for kind, n in rig.injected().items()},
        }
    all_samples = (*samples, *marked)
    return Measurement(
        request.variant, image, info, all_samples, parity, windows.labels, windows.class_names, settings, clock=clock
    )


def _check_oracle(data: bytes, name: str, windows: Windows) -> None:
    """One window, before anything is flashed. Raises ModelError where the oracle can't run the model."""
    if name != "none":
        ORACLES[name](data).run(list(windows.inputs[0]))


def asked(engine: str, limit: int | None, oracle: str, config: Config) -> dict[str, Any]:
    """The settings that a run's numbers and claims depend on: one run has one of each."""
    return {
        "engine": engine,
        "limit": limit,
        "oracle": oracle,
        "repeats": config.repeats,
        "seed": config.seed,
        "optimise": config.optimise,
        "float_tolerance": config.float_tolerance,
        "accuracy_drop": config.accuracy_drop,
    }


def head_of(request: Request, image: Image, windows: Windows, board: BoardInfo, config: Config) -> dict[str, Any]:
    """What samples belong to: they are continued only if all of it is the same."""
    made_of = {"model_sha256": image.model_sha256, "build_id": image.build_id, "windows_sha256": windows.digest()}
    return {**made_of, "board": board.name, "board_id": board.id, **asked(request.engine, request.limit, request.oracle, config)}


def windows_of(request: Request, inputs: tuple[TensorSpec, ...], config: Config) -> Windows:
    """The job's test windows, or seeded random ones where it has none."""
    if request.limit is not None and request.limit < 1:
        raise UserError(
            "--limit can't be used",
            expected="a positive number of windows",
            received=str(request.limit),
            remedy="leave it out for all",
        )
    if request.variant.windows is None:
        return random_windows(inputs, request.limit, config.seed)
    return load_windows(request.variant.windows, inputs, request.limit)


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


class Sampling:
    """The samples of one variant, in the order of `steps`. `window_s` is the limit of one inference, for messages."""

    def __init__(self, session: Session, windows: Windows, repeats: int, window_s: float, deadline: Deadline) -> None:
        self._session, self._window_s, self._deadline = session, window_s, deadline
        self._payloads = [tuple(a.tobytes() for a in window) for window in windows.inputs]
        self._steps = steps(len(windows), repeats)

    def run(
        self, done: Sequence[Sample], keep: Callable[[Sample], None], between: Callable[[], None] = lambda: None
    ) -> tuple[Sample, ...]:
        """See take_samples()."""
        samples = list(done)
        for sample in samples:
            _check_repetition(sample, samples[0])
        if samples:
            self._prove(samples)
        for step in self._steps[len(samples) :]:
            self._deadline.check(f"after {len(samples)} of {len(self._steps)} samples")
            if (step.kind, step.index) == ("repeat", 0):
                self._sample(step)  # warm-up
            sample = self._sample(step)
            keep(sample)
            samples.append(sample)
            _check_repetition(sample, samples[0])
            between()
        return tuple(samples)

    def _prove(self, done: Sequence[Sample]) -> None:
        """Goes through the last step again: the board is warm as it was, and must still answer as it did."""
        again = self._sample(self._steps[len(done) - 1])
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
            return self._session.run(self._payloads[step.window], stack=stack, profile=profile, kind=step.kind, index=step.index)
        except LinkError as error:
            if time.monotonic() - started < self._window_s:
                raise
            what = f"no result of {step.kind} {step.index}: {error.what}"
            raise exceeded("window_s", self._window_s, what, LinkError, error.received) from error


def _check_repetition(sample: Sample, first: Sample) -> None:
    if sample.kind != "window" and sample.outputs != first.outputs:
        raise DeviceError(
            f"the board does not repeat itself: {sample.kind} {sample.index} of window 0 gave other outputs",
            expected=first.outputs[:32].hex(),
            received=sample.outputs[:32].hex(),
            remedy="check power and clock of the board, then measure in a new run: these samples stay as they are; an engine "
            "that keeps state between inferences can't be measured",
        )
