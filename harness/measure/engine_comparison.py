"""The same models on the same board with the engines side by side, and the figures against the peer's."""

from __future__ import annotations

import dataclasses
import logging
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.core.errors import DeviceError, ModelError

if TYPE_CHECKING:
    from tinyrig.board.rig import Rig
    from tinyrig.core.boards import BoardTarget
    from tinyrig.core.config import Config
    from tinyrig.core.records import Measurement, Variant

log = logging.getLogger(__name__)

SCHEMA = 1
PEER = "cmsis-nn"
ENGINES = ("tinyrig", "portable", PEER)
INSTRUCTION_WINDOWS = 5
"""Windows of the instruction-counting pass at most: counts vary little between windows."""
VIRTUAL_REPEATS = 3
"""Repeats of one window on the virtual board, whose counts repeat to the digit."""


def wrong_engines(document: dict[str, Any]) -> list[str]:
    """One line for each engine whose outputs the oracle refutes."""
    rows = ((model["model"], row) for model in document["models"] for row in model["engines"])
    return [f"{name}: {row['engine']}: {row['latency_reason']}" for name, row in rows if row["latency_reason"]]


@dataclasses.dataclass
class Row:
    """One engine on one model. `reason`: why the engine does not apply, `run` is then None; `fallbacks`: the steps that it
    leaves to the portable kernels; `notes`: the steps that it does in another way than the usual."""

    engine: str
    run: Measurement | None = None
    reason: str | None = None
    instructions: float | None = None
    fallbacks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    notes: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def name(self) -> str:
        """What the image calls itself; a user's engine is given as a folder."""
        return self.run.image.engine if self.run else Path(self.engine).name


@dataclasses.dataclass
class Comparison:
    """What to compare and how. `engines` are names of the compiler's engines, or folders of a user's own (docs/engine.md)."""

    target: BoardTarget
    config: Config
    engines: tuple[str, ...] = ENGINES
    limit: int | None = None
    oracle: str | None = None
    step: Callable[[], None] = lambda: None
    counts: bool = True
    """Whether a second pass counts instructions where one can."""

    @property
    def counts_instructions(self) -> bool:
        """Only a virtual board that we start ourselves lets us choose what it counts."""
        return self.target.port is None and self.target.board is not None and self.target.board.starter == "virtual"

    def run(self, variants: Sequence[Variant]) -> dict[str, Any]:
        """The JSON document, schema 1: per model a list of engines. Raises ModelError for a model that no engine can run."""
        from tinyrig.board.rig import Rig

        with Rig(self.target, self.config) as rig:
            found = [(v, self._measure(v, rig)) for v in variants]
        if self.counts and self.counts_instructions:
            with Rig(self.target, self.config, clock="instructions") as rig:
                for variant, rows in found:
                    self._count(variant, rows, rig)
        models = [_model_json(v, rows) for v, rows in found]
        return {"schema": SCHEMA, **_board_of(found), "versions": _versions(), "models": models}

    def _measure(self, variant: Variant, rig: Rig) -> list[Row]:
        """A row for each engine. An engine that can't take the model has a reason instead of a run; that of the first is
        raised where none can. A user's own engine says so, or fails, only on the board."""
        from tinyrig.workload.user_engine import is_folder

        rows, failures = [Row(engine) for engine in self.engines], []
        for row in rows:
            try:
                self._run(variant, row, rig)
            except (ModelError, DeviceError) as error:
                if isinstance(error, DeviceError) and not is_folder(row.engine):
                    raise
                row.reason = f"{error.what}: {error.received}" if error.received else error.what
                failures.append(error)
            self.step()
        if failures and not any(row.run for row in rows):
            raise failures[0]
        return rows

    def _run(self, variant: Variant, row: Row, rig: Rig) -> None:
        from tinyrig.measure.variant import Request, measure_variant

        if row.engine == PEER:
            row.fallbacks, row.notes, row.reason = peer_coverage(variant)
        if not row.reason:
            repeats = VIRTUAL_REPEATS if self.counts_instructions else self.config.repeats
            request = Request(variant, row.engine, self.limit, self.oracle or self.config.oracle)
            log.info("%s: %s", variant.name, row.name)
            row.run = measure_variant(request, rig, dataclasses.replace(self.config, repeats=repeats))

    def _count(self, variant: Variant, rows: list[Row], rig: Rig) -> None:
        """Fills in the instructions of one inference: the median over a few windows."""
        from tinyrig.analysis.metrics import timed_cycles
        from tinyrig.analysis.verification import withheld
        from tinyrig.measure.variant import Request, measure_variant

        config = dataclasses.replace(self.config, repeats=1)
        for row in (r for r in rows if r.run is not None and not withheld(r.run)):
            log.info("%s: %s: instructions", variant.name, row.name)
            request = Request(variant, row.engine, min(self.limit or INSTRUCTION_WINDOWS, INSTRUCTION_WINDOWS), "none")
            row.instructions = statistics.median(timed_cycles(measure_variant(request, rig, config)).tolist())


Steps = list[dict[str, Any]]


def peer_coverage(variant: Variant) -> tuple[Steps, Steps, str | None]:
    """The steps that the peer leaves to the portable kernels, those it does in its own way, and why it does not apply at all
    (None: it does)."""
    from tinyrig.compiler.kernels.cmsis import coverage

    steps = coverage(variant.model)
    missing = [_step_json(s) | {"reason": why} for s, why, _ in steps if why]
    notes = [_step_json(s) | {"note": note} for s, _, note in steps if note]
    none = len(missing) == len(steps)
    return missing, notes, "CMSIS-NN as packaged (int8) has a function for none of this model's steps" if none else None


def _step_json(step: Any) -> dict[str, Any]:
    return {"index": step.index, "op": step.op, "name": step.name}


def _board_of(found: list[tuple[Variant, list[Row]]]) -> dict[str, Any]:
    from tinyrig.analysis.provenance import checked_metadata, oracle_note, timing_note

    run = next((row.run for _, rows in found for row in rows if row.run), None)
    if run is None:
        return {"board": None, "toolchain": None, "timing_note": None, "oracle_note": None}
    facts = checked_metadata(run)
    return {
        "board": {"name": run.board.name, "id": run.board.id, "clock_hz": run.board.clock_hz, "timing": run.board.timing},
        "toolchain": {"cc": facts["compiler"], "flags": facts["flags"]},
        "timing_note": timing_note(run),
        "oracle_note": oracle_note(run),
    }


def _versions() -> dict[str, str]:
    from tinyrig.compiler.kernels.cmsis import PACKAGE, VERSION
    from tinyrig.measure.keeper import versions

    return {**versions(), "cmsis-nn": f"4.0.0, from {PACKAGE} {VERSION}"}


def _model_json(variant: Variant, rows: list[Row]) -> dict[str, Any]:
    from tinyrig.analysis.metrics import total_macs

    counted = (total_macs(row.run) for row in rows if row.run)
    macs = next((n for n in counted if n), None)
    entries = [_engine_json(row, macs) for row in rows]
    peer = next((e for e in entries if e["engine"] == PEER), None)
    for entry in entries:
        entry["ratio_to_peer"] = _ratios(entry, peer)
    return {"model": variant.name, "tflite_sha256": variant.sha256, "macs": macs, "engines": entries}


_NOT_MEASURED = (
    "cycles",
    "cycles_low",
    "cycles_high",
    "timing",
    "cycles_per_mac",
    "ram",
    "flash",
    "parity",
    "windows",
    "latency_reason",
)


def _engine_json(row: Row, macs: int | None) -> dict[str, Any]:
    """`macs` as whichever engine counts them: a user's engine does not. None where a value was not measured, is withheld, or
    the engine does not apply (`reason` then says why)."""
    from tinyrig.analysis.evaluation import evaluate

    run = row.run
    entry: dict[str, Any] = {"engine": row.name, "reason": row.reason, "instructions": row.instructions}
    entry |= {"fallbacks": row.fallbacks, "notes": row.notes}
    if run is None:
        return entry | dict.fromkeys(_NOT_MEASURED)
    found = evaluate(run).checked()
    cycles = found.values["latency_cycles_median"]
    band = run.settings.band or {}
    return entry | {
        "cycles": cycles,
        "cycles_low": band.get("low") if cycles else None,
        "cycles_high": band.get("high") if cycles else None,
        "timing": run.board.timing,
        "cycles_per_mac": cycles / macs if cycles and macs else None,
        "ram": found.ram,
        "flash": found.flash,
        "parity": found.parity,
        "windows": found.values["windows"],
        "latency_reason": found.withheld,
        "fallbacks": _with_cycles(row.fallbacks, found.ops),
    }


def _with_cycles(fallbacks: list[dict[str, Any]], ops: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the steps left to the portable kernels cost, from the profile: without it the ratio can't be judged."""
    cycles = {op["index"]: op["cycles"] for op in ops}
    total = sum(c for c in cycles.values() if c)
    costs = [(f, cycles.get(f["index"])) for f in fallbacks]
    return [f | {"cycles": c, "share": c / total if c is not None and total else None} for f, c in costs]


def _figures(entry: dict[str, Any]) -> dict[str, float | None]:
    ram, flash = entry["ram"] or {}, entry["flash"] or {}
    return {
        "cycles": entry["cycles"],
        "cycles_low": entry["cycles_low"],
        "cycles_high": entry["cycles_high"],
        "instructions": entry["instructions"],
        "ram": ram.get("model_total"),
        "flash": flash.get("model_total"),
    }


def _ratios(entry: dict[str, Any], peer: dict[str, Any] | None) -> dict[str, float | None] | None:
    """This engine's figures over the peer's: below 1 is less than the peer needs. None without a peer to compare with."""
    if peer is None or peer["reason"]:
        return None
    mine, theirs = _figures(entry), _figures(peer)
    return {key: mine[key] / theirs[key] if mine[key] is not None and theirs[key] else None for key in mine}  # type: ignore[operator]
