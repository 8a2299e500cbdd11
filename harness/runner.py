"""One variant on one board: compile, image, flash, stream, compare, store. Glue between the stages, resumable by variant."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.boards import Board
from harness.compiler.compile import compile_model
from harness.compiler.graph import MAX_FILE_BYTES
from harness.config import ROOT, Config
from harness.errors import DeviceError, UserError
from harness.image import build_image
from harness.oracle import ORACLES
from harness.records import Image, Parity, Sample, TensorSpec, Variant, VariantRun
from harness.rig import Rig
from harness.session import Session
from harness.user_engine import is_folder, user_engine
from harness.windows import Windows, check_labels, load_windows, random_windows

Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
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
    return build_image(model, board, build_dir)


def run_variant(job: Job, rig: Rig, config: Config, say: Say = lambda text: None) -> VariantRun:
    """Everything raw about one variant on one board. Raises RigErrors; what it returns was streamed and compared in full."""
    data = read_model(job.variant.tflite)
    image = compile_for(data, rig.board, config, job.engine)
    windows = windows_of(job, image.inputs, config)
    check_labels(windows, image.outputs)
    session, hello = rig.prepare(image, say)
    say(f"streaming {len(windows)} windows")
    samples = measure(session, windows, config.repeats)
    parity = None if job.oracle == "none" else compare(data, job.oracle, windows, samples, image.outputs, config.float_tolerance)
    settings = {
        "oracle": job.oracle,
        "optimise": config.optimise,
        "random_windows": windows.random,
        "float_tolerance": config.float_tolerance,
        "retries": session.retries,
        "timer_overhead_cycles": hello.timer_overhead_cycles,
    }
    return VariantRun(job.variant, image, rig.info(hello), samples, parity, windows.labels, windows.class_names, settings)


def read_model(path: Path) -> bytes:
    try:
        if not path.is_file() and path.exists():  # a pipe would be waited for
            raise OSError(0, "no regular file")
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)  # a longer file is refused as such by the compiler
    except OSError as error:
        raise UserError(
            f"{path} can't be read: {error.strerror}", expected="a .tflite file", received=str(path), remedy="check the path"
        ) from error


def windows_of(job: Job, inputs: tuple[TensorSpec, ...], config: Config) -> Windows:
    """The job's test windows, or seeded random ones where it has none."""
    if job.limit is not None and job.limit < 1:
        raise UserError(
            "--limit can't be used",
            expected="a positive number of windows",
            received=str(job.limit),
            remedy="leave it out for all",
        )
    if job.variant.windows is None:
        return random_windows(inputs, job.limit, config.seed)
    return load_windows(job.variant.windows, inputs, job.limit)


def measure(session: Session, windows: Windows, repeats: int) -> tuple[Sample, ...]:
    """Every window once, then `repeats` of the first after one warm-up, its stack and its profile.

    Raises DeviceError when a repetition's outputs differ from the first: such a board's timings mean nothing.
    """
    payloads = [tuple(a.tobytes() for a in window) for window in windows.inputs]
    samples = list(session.stream(payloads, "window"))
    first = payloads[0]
    session.run(first)  # warm-up
    samples += session.stream([first] * repeats, "repeat")
    samples.append(session.run(first, stack=True, kind="stack"))
    samples.append(session.run(first, profile=True, kind="profile"))
    for sample in samples[len(payloads) :]:
        if sample.outputs != samples[0].outputs:
            raise DeviceError(
                f"the board does not repeat itself: {sample.kind} {sample.index} of window 0 gave other outputs",
                expected=samples[0].outputs[:32].hex(),
                received=sample.outputs[:32].hex(),
                remedy="check power and clock of the board; an engine that keeps state between inferences can't be measured",
            )
    return tuple(samples)


def compare(
    data: bytes, oracle_name: str, windows: Windows, samples: Iterable[Sample], outputs: tuple[TensorSpec, ...], tolerance: float
) -> Parity:
    """Device outputs against the oracle's. A float window mismatches beyond `tolerance` (absolute, or relative to the window's
    largest value), an integer window when any byte differs; top-1 is the first output's argmax."""
    oracle = ORACLES[oracle_name](data)
    wrong: list[int] = []
    worst, top1, compared = 0.0, 0, 0
    for sample in (s for s in samples if s.kind == "window"):
        expected = oracle.run(list(windows.inputs[sample.index]))
        received = split_outputs(sample.outputs, outputs)
        diffs = [difference(e, r) for e, r in zip(expected, received, strict=True)]
        worst = max(worst, *diffs)
        if any(d > allowed(e, tolerance) for d, e in zip(diffs, expected, strict=True)):
            wrong.append(sample.index)
        top1 += int(np.argmax(expected[0]) != np.argmax(received[0]))
        compared += 1
    return Parity(oracle_name, compared, len(wrong), worst, top1, wrong[0] if wrong else None)


def split_outputs(raw: bytes, outputs: tuple[TensorSpec, ...]) -> list[np.ndarray]:
    """Concatenated output bytes -> one array for each output tensor."""
    arrays, at = [], 0
    for spec in outputs:
        arrays.append(np.frombuffer(raw, spec.dtype, spec.size, at).reshape(spec.shape))
        at += spec.nbytes
    return arrays


def difference(expected: np.ndarray, received: np.ndarray) -> float:
    """Largest absolute difference, in LSB for integers; infinite where either holds a NaN the other does not."""
    a, b = expected.astype(np.float64).ravel(), received.astype(np.float64).ravel()
    with np.errstate(invalid="ignore"):
        gap = np.abs(a - b)
    gap[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0  # equal infinities subtract to NaN
    return float(np.nan_to_num(gap, nan=np.inf).max(initial=0.0))


def allowed(expected: np.ndarray, tolerance: float) -> float:
    """What a window may differ by: nothing for integers, `tolerance` for floats (relative beyond magnitude 1)."""
    if expected.dtype.kind != "f":
        return 0.0
    # An infinite output must not make every difference allowed.
    return tolerance * max(1.0, float(np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0)))
