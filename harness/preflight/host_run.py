"""Runs a model on this machine beside the oracle: `tinyrig check --run`. Needs a C compiler of the host."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from tinyrig.compiler.compile import compile_model
from tinyrig.core.errors import HostError, ModelError
from tinyrig.core.text import oracle_label, printable
from tinyrig.measure.parity import allowed, difference
from tinyrig.preflight.records import ModelCheck
from tinyrig.windows.indices import index_rows
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.model_file import read_model
from tinyrig.workload.oracle import ORACLES, Oracle
from tinyrig.workload.windows import random_windows

WINDOWS = 3
"""Seeded random windows that each model is run on."""
_NO_LIMIT = 1 << 30


class Result(StrEnum):
    """NO_ORACLE: it runs here, but no oracle can say whether rightly."""

    RUNS = "runs"
    REFUSED = "refused"
    DIFFERS = "differs"
    TOO_BIG = "too big"
    NO_ORACLE = "no oracle"


@dataclass(frozen=True)
class HostRun:
    """`max_abs_diff` in LSB for integers, real units for floats; None where nothing was compared."""

    result: Result
    reason: str = ""
    oracle: str = ""
    windows: int = 0
    mismatched_windows: int = 0
    max_abs_diff: float | None = None


def run_on_host(check: ModelCheck, path: Path, oracle: str, boards: list[str], seed: int, tolerance: float) -> HostRun:
    """`check` is of the model at `path`. An oracle that can't run the model gives way to the next. Raises HostError."""
    if not check.runs:
        return HostRun(Result.REFUSED, check.refusal)
    lacking = next((f for f in check.fits if f.board in boards and not f.fits), None)
    if lacking is not None:
        return HostRun(Result.TOO_BIG, f"{lacking.board} {lacking.reason}")
    data = read_model(path)
    compiled = compile_model(data, flash_bytes=_NO_LIMIT, ram_bytes=_NO_LIMIT)
    host, why = HostModel(compiled), []
    windows = [list(w) for w in random_windows(compiled.inputs, WINDOWS, seed, index_rows(data)).inputs]
    for name in (oracle, *(n for n in ORACLES if n != oracle)):
        try:
            with ORACLES[name](data) as judge:
                return _compared(host, judge, windows, tolerance)
        except ModelError as error:
            why.append(error.what)
        except HostError as error:
            if name == oracle:
                raise
            why.append(error.what)  # one that nobody asked for need not be installed
    return HostRun(Result.NO_ORACLE, "; ".join(why))


def _compared(host: HostModel, oracle: Oracle, windows: list[list[np.ndarray]], tolerance: float) -> HostRun:
    wrong, worst = 0, 0.0
    for window in windows:
        wanted = oracle.run(window)
        gaps = [(difference(w, got), allowed(w, tolerance)) for w, got in zip(wanted, host.invoke(window), strict=True)]
        worst = max(worst, *(gap for gap, _ in gaps))
        wrong += any(gap > most for gap, most in gaps)
    return HostRun(Result.DIFFERS if wrong else Result.RUNS, "", oracle.name, len(windows), wrong, worst)


def told(run: HostRun) -> str:
    """For the table."""
    if run.result is Result.RUNS:
        return f"runs: as {oracle_label(run.oracle)} on {run.windows} windows"
    if run.result is Result.DIFFERS:
        where = f"{run.mismatched_windows} of {run.windows} windows"
        return f"differs from {oracle_label(run.oracle)} on {where}, by up to {run.max_abs_diff:.3g}"
    return printable(f"{run.result}: {run.reason}", 160)
