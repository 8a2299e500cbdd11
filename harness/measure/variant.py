"""One variant on one board: compile, image, flash, stream, compare. Glue between the stages, resumable by sample."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.analysis.metrics import band_of, spread_band, with_layouts
from tinyrig.analysis.provenance import clock_warning, layout_note, line_warning
from tinyrig.board.rig import Rig
from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.least_work import least_cycles
from tinyrig.core.boards import Board
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import LinkError, UserError
from tinyrig.core.files.test_set import name_of_windows
from tinyrig.core.plans import MeasurementSettings, RunSettings, Subject
from tinyrig.core.records import BoardInfo, ClockCheck, CompiledModel, Hello, Image, Measurement, Sample, TensorSpec, Variant
from tinyrig.core.scoring import Caution, Scoring
from tinyrig.energy.meter import AnyMeter, measure_energy, meter_for
from tinyrig.link.clock_check import clock_watch
from tinyrig.link.session import Session
from tinyrig.measure.parity import compare, rightness, split_outputs
from tinyrig.measure.recorder import NoRecorder, Recorder
from tinyrig.measure.sampling import Followed, Right, take_samples
from tinyrig.tflm.engine import tflm_engine
from tinyrig.tflm.tree import ENGINES as TFLM_ENGINES
from tinyrig.windows.ends import ends
from tinyrig.windows.indices import index_rows
from tinyrig.windows.scored import labels_for, output_caution, scoring_for, targets_for, window_errors
from tinyrig.workload.image import build_image
from tinyrig.workload.oracle import ORACLES
from tinyrig.workload.user_engine import is_folder, user_engine
from tinyrig.workload.windows import Windows, load_windows, random_windows

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What to run and how: `limit` windows at most (None: all), `oracle` a name of ORACLES or "none"."""

    variant: Variant
    engine: str = "tinyrig"
    limit: int | None = None
    oracle: str = "tflm"


def compile_for(data: bytes, board: Board, config: Config, engine: str = "tinyrig", build_dir: Path | None = None) -> Image:
    """A .tflite's bytes -> firmware image for `board`; `engine` is one of the compiler's or a folder with the user's own;
    `build_dir` where images are kept, None: rig.toml's.

    Raises ModelError, before any C compiler runs, for an unusable model.
    """
    return _image(compiled_for(data, board, config, engine), board, config, build_dir)


def compiled_for(data: bytes, board: Board, config: Config, engine: str = "tinyrig") -> CompiledModel:
    """A .tflite's bytes -> C text. Raises ModelError."""
    rooms = {"flash_bytes": board.flash_room, "ram_bytes": board.ram_room}
    if engine in TFLM_ENGINES:
        return tflm_engine(data, engine, board, config)
    if is_folder(engine):
        return user_engine(data, Path(engine), **rooms)
    return compile_model(data, **rooms, engine=engine, optimise=config.optimise, core=board.core)


def _image(model: CompiledModel, board: Board, config: Config, build_dir: Path | None = None) -> Image:
    return build_image(model, board, build_dir or Path(config.folders.build), config.limits.build_s)


@dataclass(frozen=True)
class Prepared:
    """What a variant is measured with, before any C compiler runs. `cautions`: what of it can hardly be meant."""

    model: CompiledModel
    windows: Windows
    scoring: Scoring
    cautions: tuple[Caution, ...]


def prepare(request: Request, board: Board, config: Config) -> Prepared:
    """Raises ModelError for the model, UserError for windows and labels that can't be used with it."""
    data = request.variant.model
    model = compiled_for(data, board, config, request.engine)
    windows = windows_of(request, model.inputs, config)
    scoring = scoring_for(data, model.inputs, model.outputs, windows.answers, request.variant.output, windows.random)
    return Prepared(model, windows, scoring, (*windows.cautions, *output_caution(scoring, model.outputs)))


def windows_of(request: Request, inputs: tuple[TensorSpec, ...], config: Config) -> Windows:
    """The variant's test windows, or seeded random ones where it has none."""
    if request.limit is not None and request.limit < 1:
        raise UserError(
            "--limit can't be used",
            expected="a positive number of windows",
            received=str(request.limit),
            remedy="leave it out for all",
        )
    if request.variant.test_set is None:
        return random_windows(inputs, request.limit, config.seed, index_rows(request.variant.model))
    called = [end.names for end in ends(request.variant.model)[0]]
    return load_windows(request.variant.test_set, inputs, request.limit, called)


def run_settings(config: Config, engine: str = "tinyrig", limit: int | None = None, oracle: str | None = None) -> RunSettings:
    """rig.toml's settings with those that a command names."""
    return RunSettings(
        engine,
        limit,
        oracle or config.oracle,
        config.repeats,
        config.seed,
        config.optimise,
        config.float_tolerance,
        config.accuracy_drop,
        config.memory,
    )


def measure_variant(
    request: Request, rig: Rig, config: Config, recorder: Recorder | None = None, deadline: Deadline | None = None
) -> Measurement:
    """Everything raw about one variant on one board; what `recorder` kept of an earlier attempt is not measured again.

    Raises RigErrors; what it returns was streamed and compared in full.
    """
    recorder, deadline = recorder or NoRecorder(), deadline or Deadline("run_s", config.limits.run_s)
    data = request.variant.model
    ready = prepare(request, rig.board, config)
    for caution in ready.cautions:
        log.warning("warning: %s", caution.text)
    windows, scoring, image = ready.windows, ready.scoring, _image(ready.model, rig.board, config)
    with ORACLES[request.oracle](data) if request.oracle != "none" else nullcontext() as oracle:
        if oracle is not None:  # before anything is flashed: it may refuse the model
            oracle.run(list(windows.inputs[0]))
        deadline.check("before flashing")
        least = least_cycles(data, request.engine, rig.board)
        taken = _Stream(request, rig, config, recorder, deadline).take(
            image, windows, least, rightness(scoring, image.outputs, labels_for(scoring, windows.answers))
        )
        deadline.check("before comparing with the oracle")
        tolerance = config.float_tolerance
        parity = None if oracle is None else compare(oracle, windows, taken.samples, image.outputs, tolerance, scoring)
    return Measurement(
        request.variant,
        image,
        taken.board,
        (*taken.samples, *taken.marked),
        parity,
        labels_for(scoring, windows.answers),
        windows.class_names,
        replace(_settings(request, config, windows, taken, recorder), **_scored(ready, image.outputs, taken)),
        clock=taken.clock,
    )


def _scored(ready: Prepared, outputs: tuple[TensorSpec, ...], taken: _Taken) -> dict[str, Any]:
    """What a later report needs to score the outputs, as fields of MeasurementSettings."""
    scoring, windows = ready.scoring, ready.windows
    answers = {s.index: s.outputs for s in taken.samples if s.kind == "window"}
    answered = [split_outputs(answers[i], outputs)[scoring.output] for i in range(len(windows))]
    given = [window[0] for window in windows.inputs]
    return {
        "scoring": scoring,
        "cautions": ready.cautions or None,
        "targets": targets_for(scoring, windows.answers),
        "window_errors": window_errors(scoring, ready.model.inputs[0], given, outputs[scoring.output], answered),
    }


@dataclass(frozen=True)
class _Taken:
    """What the board gave. `marked` samples were taken for the power meter, which found `energy`; `line` is what the link cost,
    `injected` the faults put on it on purpose."""

    board: BoardInfo
    hello: Hello
    samples: tuple[Sample, ...]
    clock: ClockCheck
    marked: tuple[Sample, ...]
    energy: Mapping[str, Any] | None
    line: Mapping[str, Any]
    retries: int
    flash_tries: int
    faults: tuple[str, ...]
    injected: Mapping[str, int]
    timing_model: str | None
    band: Mapping[str, float] | None


class _Stream:
    """The part of a measurement that needs the board: from flashing to the last sample."""

    def __init__(self, request: Request, rig: Rig, config: Config, recorder: Recorder, deadline: Deadline) -> None:
        self._request, self._rig, self._config = request, rig, config
        self._recorder, self._deadline = recorder, deadline

    def take(self, image: Image, windows: Windows, least: int, right: Right) -> _Taken:
        """`least`: cycles of one inference, by the model's arithmetic."""
        rig = self._rig
        with meter_for(self._config, rig.board) as meter:  # before the board is needed: it may be the board's supply
            session, hello = rig.prepare(image, least)
            board = rig.info(hello)
            subject = _subject(self._request, image, windows, board, self._config)
            done = self._recorder.start(subject, board)
            log.info("streaming %d windows%s", len(windows), f", {len(done)} samples are already stored" if done else "")
            before = rig.injected()
            follow = Followed(self._recorder.add, len(windows), right, done)
            samples, clock = self._samples(session, windows, follow, done, board)
            marked, energy = self._energy(meter, session, windows, samples[0].outputs)
        injected = {kind: n - before.get(kind, 0) for kind, n in rig.injected().items()}
        line, retries = self._line(session), session.retries
        tries, model = rig.flash_tries, rig.attachment.timing_model
        band = self._band(session, image, windows, samples, hello.timer_overhead_cycles)
        faults = tuple(rig.faults)
        return _Taken(board, hello, samples, clock, marked, energy, line, retries, tries, faults, injected, model, band)

    def _samples(
        self, session: Session, windows: Windows, keep: Callable[[Sample], None], done: tuple[Sample, ...], board: BoardInfo
    ) -> tuple[tuple[Sample, ...], ClockCheck]:
        rig, config = self._rig, self._config
        watch = clock_watch(session.counter, board)
        window_s = config.limits.on(rig.board).window_s or math.inf
        try:
            watch.start()
            samples = take_samples(session, windows, config.repeats, done, keep, window_s, self._deadline, watch.between)
            clock = watch.finish(wait=not rig.clock_known)
        except LinkError as error:
            raise rig.diagnose(error) from error
        rig.clock_known = True
        if warning := clock_warning(clock):
            log.warning("warning: %s", warning)
        return samples, clock

    def _band(
        self, session: Session, image: Image, windows: Windows, samples: tuple[Sample, ...], overhead: int
    ) -> Mapping[str, float] | None:
        """Of the inferences that this process has seen, and of the first window behind other layouts of the code: it runs again,
        twice, because the cache is warm only then. A measurement that was resumed at its end has seen no others."""
        if spread := self._rig.attachment.spread:
            return spread_band(samples, spread)
        spans = self._rig.attachment.spans
        if not (before := spans()):
            return None
        found: dict[str, float] | None = band_of(samples, before, overhead)
        try:
            layouts = self._rig.attachment.lay_out(image.elf)
            for _ in range(2):
                last = session.run(tuple(a.tobytes() for a in windows.inputs[0]))
        except LinkError as error:  # all samples are there
            log.warning("warning: how much the layout of the code matters was not found out: %s", error)
            return found
        after = spans()
        found = found or band_of(samples, after, overhead)
        seen = [span for span in after if span[0] - overhead == last.cycles and len(span) == 3 + 2 * layouts]
        if found is None or not layouts or not seen:
            return found
        middle = float(np.median([s.cycles for s in samples if s.kind in ("window", "repeat")]))
        found = with_layouts(found, middle, seen[-1], overhead)
        if note := layout_note((found["layout_worst"] - found["layout_best"]) / middle):
            log.warning("warning: %s", note)
        return found

    def _line(self, session: Session) -> Mapping[str, Any]:
        """What the link cost; said where it is too much."""
        line = {**session.statistics.summary(), "repeats_limit": self._config.line_repeats}
        if warning := line_warning(line):
            log.warning("warning: %s", warning)
        return line

    def _energy(
        self, meter: AnyMeter | None, session: Session, windows: Windows, outputs: bytes
    ) -> tuple[tuple[Sample, ...], Mapping[str, Any] | None]:
        if meter is None:
            return (), None
        log.info("measuring the energy of %d inferences", self._config.repeats)
        payload = tuple(a.tobytes() for a in windows.inputs[0])
        return measure_energy(meter, session, payload, outputs, self._config.repeats)


def _settings(request: Request, config: Config, windows: Windows, taken: _Taken, recorder: Recorder) -> MeasurementSettings:
    return MeasurementSettings(
        oracle=request.oracle,
        optimise=config.optimise,
        random_windows=windows.random,
        sequences=windows.sequences,
        windows_sha256=windows.digest(),
        float_tolerance=config.float_tolerance,
        retries=taken.retries,
        flash_tries=taken.flash_tries,
        link=taken.line,
        timer_overhead_cycles=taken.hello.timer_overhead_cycles,
        timing_model=taken.timing_model,
        band=taken.band,
        resumed_at=recorder.resumed_at,
        energy=taken.energy or None,
        injected_faults=taken.faults or None,
        injected=taken.injected if taken.faults else None,
        test_set=name_of_windows(request.variant.test_set, request.limit, config.seed),
    )


def _subject(request: Request, image: Image, windows: Windows, board: BoardInfo, config: Config) -> Subject:
    """What the samples belong to."""
    settings = run_settings(config, request.engine, request.limit, request.oracle)
    return Subject(image.model_sha256, image.build_id, windows.digest(), board.name, board.id, settings)
