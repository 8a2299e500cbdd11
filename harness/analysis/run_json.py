"""The `--json` document: a run as numbers and texts. Keys are added, never renamed or given another unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tinyrig.analysis import mlperf_metrics, provenance
from tinyrig.analysis.evaluation import Evaluation, evaluate
from tinyrig.analysis.metric_table import NO_TIME
from tinyrig.core.records import INSTRUCTIONS, Claim, Measurement, Run
from tinyrig.core.scoring import ScoreKind, Scoring

SCHEMA = 1


def run_to_json(run: Run, known: Mapping[str, Evaluation] | None = None) -> dict[str, Any]:
    """The `--json` document, schema 1. `board` and `toolchain` are the first variant's (each entry carries its own too),
    None for a run without variants. `known`: by variant, what was computed already. Raises InfraError where outputs or labels
    are missing."""
    found = known or {}
    entries = [variant_to_json(r, found.get(r.variant.name)) for r in run.runs]
    first = entries[0] if entries else {"board": None, "toolchain": None}
    return {
        "schema": SCHEMA,
        "run_id": run.run_id,
        "started": run.started,
        "board": first["board"],
        "toolchain": first["toolchain"],
        "timing_note": provenance.timing_note(run.runs[0]) if run.runs else None,
        "versions": dict(run.versions),
        "runs": entries,
        "not_measured": [{"variant": n.variant, "error": n.error, "kind": n.kind} for n in run.not_measured],
    }


def variant_to_json(run: Measurement, known: Evaluation | None = None) -> dict[str, Any]:
    """One entry of `runs`; numbers only, no NaN. Units: design contract, schema 1."""
    v, found = run.variant, (known or evaluate(run)).checked()
    value = found.values
    interval = value["accuracy_ci95"]
    return {
        "variant": v.name,
        "tflite_sha256": v.sha256,
        "windows": value["windows"],
        "accuracy": value["accuracy"],
        "accuracy_ci95": None if interval is None else list(interval),
        "accuracy_reason": found.accuracy_reason,
        "output": _output_json(found.scoring),
        "warnings": [c.to_json() for c in found.cautions],
        "parity": found.parity,
        "latency": found.latency,
        "latency_reason": found.withheld,
        "latency_us_reason": NO_TIME if run.board.timing == INSTRUCTIONS else None,
        "ram": found.ram,
        "flash": found.flash,
        "tflite_bytes": v.tflite_bytes,
        "zip_bytes": v.zip_bytes,
        "flops": v.flops,
        "macs": value["macs"],
        "ops": list(found.ops),
        "host_accuracy": v.host_accuracy,
        "dataset": v.dataset,
        "synthetic": v.synthetic,
        "engine": run.image.engine,
        "build_id": run.image.build_id,
        **_clocked(run),
        "toolchain": {"cc": run.image.toolchain.cc, "flags": run.image.toolchain.flags},
        "oracle_note": provenance.oracle_note(run),
        "link": provenance.link(run),
        "claims": [claim_to_json(c) for c in run.claims],
        **_only_measured({"sequences": run.settings.sequences}),
        **_only_measured({"energy": found.energy, "throughput": found.throughput}),
        **_only_measured({name: value[name] for name in SCORES}),
        **_only_measured({"mlperf": mlperf_metrics.facts(run) or None}),
    }


def _clocked(run: Measurement) -> dict[str, Any]:
    """What its cycles were counted with, and what they are worth."""
    return {
        "timing": run.board.timing,
        "timing_note": provenance.timing_note(run),
        "board": provenance.board_json(run),
        "clock": provenance.clock_json(run.clock),
    }


def claim_to_json(claim: Claim) -> dict[str, Any]:
    """One entry of `claims`."""
    return {**asdict(claim), "status": str(claim.status)}


SCORES = ("auc", "f1", "cell_accuracy", "mae", "rmse", "r2", "reconstruction_error")
"""Metrics of outputs that are no list of classes."""


def _output_json(scoring: Scoring | None) -> dict[str, Any] | None:
    """The output that is scored and how; None where none is."""
    if scoring is None or scoring.kind == ScoreKind.NONE:
        return None
    return {
        "name": scoring.name,
        "index": scoring.output,
        "scored_as": str(scoring.kind),
        "chosen": scoring.how or None,
        "threshold": scoring.threshold,
    }


def _only_measured(groups: dict[str, Any]) -> dict[str, Any]:
    """Keys of what few runs have: absent where not measured."""
    return {name: value for name, value in groups.items() if value is not None}
