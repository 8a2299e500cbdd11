"""Records <-> rows of the results database.

A measurement's `record` (JSON) is the source of truth for everything but samples; the columns beside it and the metrics, as
computed when it was stored, are copies for those who query with SQL.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass, replace
from math import inf, isfinite
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import sqlalchemy as sa

from tinyrig.budget.budgets import Budgets
from tinyrig.core.errors import InfraError
from tinyrig.core.plans import MeasurementSettings
from tinyrig.core.records import (
    ArenaBuffer,
    BoardInfo,
    Claim,
    ClaimStatus,
    ClockCheck,
    Footprint,
    Image,
    Measurement,
    OpInfo,
    Parity,
    Sample,
    TensorSpec,
    Toolchain,
    Variant,
)


def inserted(db: sa.Connection, table: sa.Table, row: dict[str, Any]) -> int:
    """Inserts a row -> its key."""
    key = db.execute(table.insert(), row).inserted_primary_key
    assert key is not None  # one row of a table with a key
    return int(key[0])


def to_json(value: Any) -> str:
    """Numpy values and paths as plain ones. Raises InfraError for what JSON can't hold, NaN and infinity among it."""
    try:
        return json.dumps(value, default=_json_value, allow_nan=False)
    except ValueError as error:
        raise InfraError(
            "a value can't be stored",
            expected="finite numbers",
            received=str(error),
            remedy="report this with the run's settings",
        ) from error


def _json_value(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise InfraError(f"can't store a {type(value).__name__}", expected="JSON or numpy values, paths", received=repr(value)[:80])


# ---- writing ----


def columns(run: Measurement) -> dict[str, Any]:
    """Of `variant_runs`, all that does not have to be computed."""
    clock = run.clock or ClockCheck(None, None, 0.0)
    return {
        "variant": run.variant.name,
        "tflite_sha256": run.variant.sha256,
        "build_id": run.image.build_id,
        **board_columns(run.board),
        "record": to_json(_record(run)),
        "timer_hz": run.board.timer_hz,
        "timer_overhead_cycles": run.settings.timer_overhead_cycles,
        "clock_ppm": clock.ppm,
        "clock_ppm_error": clock.ppm_error,
        "clock_seconds": None if clock.ppm is None else clock.seconds,
    }


def board_columns(board: BoardInfo) -> dict[str, Any]:
    return {"board_name": board.name, "board_id": board.id, "clock_hz": board.clock_hz, "timing": board.timing}


def sample_row(key: int, position: int, s: Sample) -> dict[str, Any]:
    return {
        "variant_run_id": key,
        "position": position,
        "kind": s.kind,
        "window_index": int(s.index),
        "cycles": int(s.cycles),
        "stack_bytes": None if s.stack_bytes is None else int(s.stack_bytes),
        "outputs": s.outputs,
    }


def op_cycle_rows(key: int, position: int, s: Sample) -> list[dict[str, Any]]:
    return [
        {"variant_run_id": key, "position": position, "op_index": i, "cycles": int(cycles)}
        for i, cycles in enumerate(s.op_cycles)
    ]


def _record(run: Measurement) -> dict[str, Any]:
    # Beside board and image: a tinyrig from before these takes their fields as they are.
    timer = {"timer_hz": (board := asdict(run.board)).pop("timer_hz")}
    clock = {"clock": None if run.clock is None else asdict(run.clock)}
    arena = {"arena": list((image := asdict(run.image)).pop("arena"))}
    return {
        "variant": _variant_record(run.variant),
        "image": image,
        **arena,
        "board": board,
        **timer,
        **clock,
        "parity": None if run.parity is None else _parity_record(run.parity),
        "labels": None if run.labels is None else [int(n) for n in run.labels],
        "class_names": run.class_names,
        "settings": run.settings.to_json(),
        "claims": [{key: value for key, value in asdict(c).items() if value not in (None, "")} for c in run.claims],
    }


def _variant_record(variant: Variant) -> dict[str, Any]:
    """Without what its files held; budgets only where there are any."""
    kept = asdict(replace(variant, model=b"", test_set=None))
    own = {name: value for name, value in kept.items() if name not in ("model", "test_set", "budgets")}
    return own | ({"budgets": variant.budgets.to_json()} if variant.budgets else {})


def _parity_record(parity: Parity) -> dict[str, Any]:
    """JSON has no infinity: a difference without bound is null there."""
    return asdict(parity) | {"max_abs_diff": float(parity.max_abs_diff) if isfinite(parity.max_abs_diff) else None}


# ---- reading ----


def sample(row: Any, op_cycles: tuple[int, ...]) -> Sample:
    return Sample(row.kind, row.window_index, bytes(row.outputs), row.cycles, row.stack_bytes, op_cycles)


def measurement(r: dict[str, Any], samples: tuple[Sample, ...]) -> Measurement:
    """A record and its samples. Raises InfraError for one that lacks a field or has an unknown one."""
    try:
        found = _fields(r, samples)
        _check_types(replace(found, samples=()))
        return found
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InfraError(
            "a stored measurement can't be read",
            received=f"{type(error).__name__}: {error}",
            remedy="read it with the tinyrig that wrote it, or measure again",
        ) from error


_HINTS: dict[str, dict[str, Any]] = {}
"""By name of the record: finding them takes longer than all the rest."""


def _check_types(record: Any) -> None:
    """Of a record and all in it. Raises TypeError: a dataclass takes whatever it is given."""
    kind = type(record)
    hints = _HINTS.get(kind.__qualname__) or _HINTS.setdefault(kind.__qualname__, get_type_hints(kind))
    for name, hint in hints.items():
        if not _fits(value := getattr(record, name), hint):
            raise TypeError(f"{name} is {value!r:.80}")
        for item in value if isinstance(value, tuple) else (value,):
            if is_dataclass(item):
                _check_types(item)


def _fits(value: Any, hint: Any) -> bool:
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return any(_fits_one(value, kind) for kind in kinds)


def _fits_one(value: Any, kind: Any) -> bool:
    """64 bits are what a column holds."""
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        return isinstance(value, tuple) and (len(inner) < 2 or inner[1] is not ... or all(_fits(v, inner[0]) for v in value))
    if isinstance(value, bool) or kind not in (int, float):
        return isinstance(value, kind) if isinstance(kind, type) else True
    return (isinstance(value, int) and abs(value) < 1 << 63) or (kind is float and isinstance(value, float))


def _fields(r: dict[str, Any], samples: tuple[Sample, ...]) -> Measurement:
    return Measurement(
        _variant(r["variant"]),
        _image(r["image"], r.get("arena", ())),
        BoardInfo(**r["board"], timer_hz=r.get("timer_hz")),
        samples,
        None if r["parity"] is None else _parity(r["parity"]),
        None if r["labels"] is None else tuple(r["labels"]),
        None if r["class_names"] is None else tuple(r["class_names"]),
        MeasurementSettings.from_json(r["settings"]),
        tuple(map(_claim, r.get("claims", ()))),
        None if r.get("clock") is None else ClockCheck(**r["clock"]),
    )


def _variant(v: dict[str, Any]) -> Variant:
    paths = {"tflite": Path(v["tflite"]), "windows": None if v["windows"] is None else Path(v["windows"])}
    return Variant(**(v | paths | {"budgets": Budgets.from_json(v.get("budgets") or {})}))


def _claim(c: dict[str, Any]) -> Claim:
    return Claim(**(c | {"status": ClaimStatus(c["status"])}))


def _parity(p: dict[str, Any]) -> Parity:
    return Parity(**(p | {"max_abs_diff": inf if p["max_abs_diff"] is None else p["max_abs_diff"]}))


def _image(i: dict[str, Any], arena: Sequence[dict[str, Any]]) -> Image:
    return Image(
        **(
            i
            | {
                "elf": Path(i["elf"]),
                "bin": Path(i["bin"]),
                "toolchain": Toolchain(**i["toolchain"]),
                "footprint": None if i["footprint"] is None else Footprint(**i["footprint"]),
                "inputs": tuple(map(_tensor, i["inputs"])),
                "outputs": tuple(map(_tensor, i["outputs"])),
                "ops": tuple(OpInfo(**op) for op in i["ops"]),
                "arena": tuple(ArenaBuffer(**b) for b in arena),
            }
        )
    )


def _tensor(t: dict[str, Any]) -> TensorSpec:
    return TensorSpec(**(t | {"shape": tuple(t["shape"])}))
