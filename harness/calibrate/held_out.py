"""Whole networks on the calibrated board: what the loops say of its memory, checked with programs outside the fit."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinyrig.core.boards import BOARDS, BoardTarget
from tinyrig.core.config import Config
from tinyrig.core.records import Variant
from tinyrig.measure.engine_comparison import PEER, Comparison

ENGINES = ("tinyrig", PEER)


def with_held_out(found: dict[str, Any], target: BoardTarget, config: Config, variants: Sequence[Variant]) -> dict[str, Any]:
    """The document with each model and engine measured on the board and estimated behind what was found; `spread` is then the
    largest of these errors. Raises RigErrors."""
    measured = _cycles(target, config, variants)
    with tempfile.TemporaryDirectory(prefix="tinyrig-calibrate-") as folder:
        file = Path(folder) / "found.json"
        file.write_text(json.dumps(found))
        own = replace(config, memory=str(file), faults=())
        estimated = _cycles(BoardTarget(BOARDS["virtual"], None), own, variants)
    rows: list[dict[str, Any]] = [
        {"model": model, "engine": engine, "measured": cycles, "estimated": guess, "error": guess / cycles - 1}
        for (model, engine), cycles in measured.items()
        if (guess := estimated.get((model, engine)))
    ]
    spread = max((abs(row["error"]) for row in rows), default=found["worst_error"])
    return found | {"held_out": rows, "spread": spread}


def _cycles(target: BoardTarget, config: Config, variants: Sequence[Variant]) -> dict[tuple[str, str], float]:
    """By model and engine; what an engine can't run, or computes wrongly, is not among them."""
    compared = Comparison(target, config, ENGINES, limit=1, counts=False).run(variants)
    rows = [(model["model"], row) for model in compared["models"] for row in model["engines"]]
    return {(name, row["engine"]): row["cycles"] for name, row in rows if row["cycles"]}
