"""ModelChecks as JSON, schema 1: docs/check.md has the keys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinyrig.core.records import TensorSpec
from tinyrig.preflight.records import BoardFit, CheckedOp, FlashEstimate, ModelCheck

if TYPE_CHECKING:
    from tinyrig.preflight.host_run import HostRun


def document(checks: Sequence[ModelCheck], runs: Sequence[HostRun] = ()) -> dict[str, Any]:
    """`runs`: none, or one for each check."""
    entries = [model_entry(c) for c in checks]
    for entry, run in zip(entries, runs, strict=False):
        entry["run"] = {"result": run.result, "reason": run.reason, "oracle": run.oracle, "windows": run.windows}
        worst = None if run.max_abs_diff is None or math.isinf(run.max_abs_diff) else run.max_abs_diff
        entry["run"] |= {"mismatched_windows": run.mismatched_windows, "max_abs_diff": worst}
    return {"schema": 1, "models": entries}


def model_entry(check: ModelCheck) -> dict[str, Any]:
    return {
        "file": check.file,
        "sha256": check.sha256,
        "file_bytes": check.file_bytes,
        "runs": check.runs,
        "obstacles": [
            {"op": o.op, "index": o.index, "name": o.name, "reason": o.reason, "remedy": o.remedy}
            | {"expected": o.expected, "received": o.received}
            for o in check.obstacles
        ],
        "inputs": [_tensor(t) for t in check.inputs],
        "outputs": [_tensor(t) for t in check.outputs],
        "macs": check.macs,
        "weight_bytes": check.weight_bytes,
        "arena_bytes": check.arena_bytes,
        "arena_least_bytes": check.arena_least,
        "arena_timeline": [{"index": op.index, "op": op.op, "bytes": op.alive_bytes} for op in check.ops],
        "arena_map": [vars(piece) for piece in check.arena_map],
        "flash": _flash(check.flash),
        "portable_share": check.portable_share,
        "ops": [_op(op) for op in check.ops],
        "fits": {f.board: f.fits for f in check.fits},
        "boards": {f.board: _fit(f) for f in check.fits},
        "advice": [{"text": a.text, "saves_bytes": a.saves_bytes} for a in check.advice],
    }


def _tensor(t: TensorSpec) -> dict[str, Any]:
    return {"name": t.name, "shape": list(t.shape), "dtype": t.dtype, "scale": t.scale, "zero_point": t.zero_point}


def _flash(flash: FlashEstimate | None) -> dict[str, int] | None:
    if flash is None:
        return None
    return {"weights": flash.weight_bytes, "code_low": flash.code_low, "code_high": flash.code_high} | {
        "low": flash.low,
        "high": flash.high,
    }


def _op(op: CheckedOp) -> dict[str, Any]:
    return {
        "index": op.index,
        "op": op.op,
        "name": op.name,
        "layer": op.layer,
        "macs": op.macs,
        "weight_bytes": op.weight_bytes,
        "kernel": op.kernel,
        "outputs": [_tensor(t) for t in op.outputs],
    }


def _fit(fit: BoardFit) -> dict[str, Any]:
    return {
        "fits": fit.fits,
        "flash_need": fit.flash_need,
        "flash_bytes": fit.flash_bytes or None,
        "ram_need": fit.ram_need,
        "ram_bytes": fit.ram_bytes or None,
        "reason": fit.reason,
    }
