"""One candidate: sketched, compared with the budgets, trained, and measured on the board."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinyrig.analysis.evaluation import metric_values
from tinyrig.analysis.metric_table import Ends, banded, ends
from tinyrig.analysis.provenance import timing_note
from tinyrig.analysis.verification import withheld
from tinyrig.board.rig import Rig
from tinyrig.core.boards import Board, BoardTarget
from tinyrig.core.config import Config
from tinyrig.core.errors import ModelError, RigError
from tinyrig.core.files.content import Content
from tinyrig.core.records import Measurement, Variant
from tinyrig.measure.variant import Request, compile_for, measure_variant
from tinyrig.search.plan import Budgets
from tinyrig.search.trainer import Trained, Trainer
from tinyrig.windows.files import read_windows
from tinyrig.workload.model_file import read_model

log = logging.getLogger(__name__)

SKETCH_REPEATS = 3


@dataclass(frozen=True)
class CandidateResult:
    """One candidate, measured on the board: accuracy (0 to 1) on validation windows, median latency in us, bytes of the model.
    `chance`: the accuracy of always naming the most frequent class of those windows; `latency_us_low` and `latency_us_high`: the
    ends of an estimate's band, None where it has none; `timing_note`: what the latency was checked against."""

    accuracy: float
    latency_us: float
    ram_bytes: int
    flash_bytes: int
    cycles: float
    macs: int
    windows: int
    host_accuracy: float
    tflite_sha256: str
    tflite_bytes: int
    board: str
    board_id: str
    timing: str
    chance: float = 0.0
    latency_us_low: float | None = None
    latency_us_high: float | None = None
    timing_note: str = ""


def costs(found: CandidateResult) -> str:
    """`1,158 (1,142-1,280) us estimated, 3,000 B RAM, 6,000 B flash`."""
    low, high = found.latency_us_low, found.latency_us_high
    band: Ends | None = None if low is None or high is None else (low, high)
    latency = banded("{:,.0f}".format, found.latency_us, band)
    return f"{latency} us {found.timing}, {found.ram_bytes:,} B RAM, {found.flash_bytes:,} B flash"


class OverBudget(Exception):
    """A candidate that is given up: `stage` says how far it came."""

    def __init__(self, stage: str, reason: str, excess: float = 1.0) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage, self.reason, self.excess = stage, reason, excess


class CandidateBoard:
    """A board that measures one candidate after another. It is attached at the first, and again after it failed."""

    def __init__(self, target: BoardTarget, config: Config) -> None:
        self._target, self._config = target, config
        self._rig: Rig | None = None

    def measure(self, variant: Variant, limit: int | None = None, repeats: int | None = None) -> Measurement:
        """Raises RigErrors as measure_variant()."""
        config = self._config if repeats is None else replace(self._config, repeats=repeats)
        if self._rig is None:
            self._rig = Rig(self._target, config)
        try:
            return measure_variant(Request(variant, limit=limit, oracle=config.oracle), self._rig, config)
        except RigError:
            self.close()
            raise

    @property
    def record(self) -> Board | None:
        """None where only its hello says which board it is."""
        return self._target.board

    def close(self) -> None:
        if self._rig is not None:
            self._rig.close()
            self._rig = None


def evaluate(name: str, trainer: Trainer, board: CandidateBoard, budgets: Budgets, config: Config) -> CandidateResult:
    """Raises OverBudget (before the training wherever it is known before), UserError or ModelError for a candidate that can't be,
    and what the rig and the training process raise."""
    log.debug("sketch")
    _check_sketch(trainer.sketch(name).tflite, name, board, budgets, config)
    log.debug("training")
    trained = trainer.train(name)
    log.debug("measuring")
    variant = variant_of(name, trained.tflite, read_windows(trained.windows))
    run = board.measure(variant)
    if (reason := withheld(run)) is not None:
        raise ModelError(f"{name} yields no timing", received=reason, remedy="report it, with the model")
    found = result_of(run, trained)
    _check("measured", budgets, ram_bytes=found.ram_bytes, flash_bytes=found.flash_bytes, latency_us=found.latency_us)
    return found


def _check(stage: str, budgets: Budgets, **values: float | None) -> None:
    if reason := budgets.exceeded(**values):
        raise OverBudget(stage, reason, budgets.excess(**values))


def chance(labels: tuple[int, ...] | None) -> float:
    """The share of the most frequent class; 0 without labels."""
    return float(np.bincount(labels).max() / len(labels)) if labels else 0.0


def _check_sketch(tflite: Path, name: str, board: CandidateBoard, budgets: Budgets, config: Config) -> None:
    """Flash, and RAM without its stack, are known from the image alone; the rest is asked of the board where limits need it."""
    record, variant = board.record, variant_of(name, tflite, None)
    footprint = None if record is None else compile_for(variant.model, record, config).footprint
    if footprint is not None:
        ram = footprint.ram_arena + footprint.ram_static
        _check("static analysis", budgets, ram_bytes=ram, flash_bytes=footprint.flash_model)
    if budgets.latency_us is not None or budgets.ram_bytes is not None or footprint is None:
        values = metric_values(board.measure(variant, limit=1, repeats=SKETCH_REPEATS))
        _check(
            "untrained on the board",
            budgets,
            ram_bytes=values["ram_model_total"],
            flash_bytes=values["flash_model_total"],
            latency_us=values["latency_us_median"],
        )


def variant_of(name: str, tflite: Path, test_set: Content | None) -> Variant:
    data = read_model(tflite)
    sha256, windows = hashlib.sha256(data).hexdigest(), test_set.path if test_set else None
    return Variant(name, tflite, sha256, len(data), windows=windows, model=data, test_set=test_set)


def result_of(run: Measurement, trained: Trained) -> CandidateResult:
    values = metric_values(run)
    band = ends("latency_us_median", values) or (None, None)
    return CandidateResult(
        accuracy=values["accuracy"],
        latency_us=values["latency_us_median"],
        ram_bytes=values["ram_model_total"],
        flash_bytes=values["flash_model_total"],
        cycles=values["latency_cycles_median"],
        macs=trained.macs,
        windows=values["windows"],
        host_accuracy=trained.host_accuracy,
        tflite_sha256=run.variant.sha256,
        tflite_bytes=run.variant.tflite_bytes or 0,
        board=run.board.name,
        board_id=run.board.id,
        timing=run.board.timing,
        chance=chance(run.labels),
        latency_us_low=band[0],
        latency_us_high=band[1],
        timing_note=timing_note(run),
    )
