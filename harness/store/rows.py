"""Records <-> rows of the results database.

A variant run's `record` (JSON) is the source of truth for everything but samples; the columns beside it and the metrics, as
computed when the run was stored, are copies for those who query with SQL. Output bytes of all samples of a variant run form one
compressed blob, in sample order; a sample keeps its length.
"""

from __future__ import annotations

import json
import logging
import zlib
from contextlib import suppress
from dataclasses import asdict
from math import inf, isfinite
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tinyrig.analysis.metrics import metric_values
from tinyrig.analysis.outputs import outputs_hash, top1_hits
from tinyrig.analysis.provenance import comparable_metadata, metadata_hash
from tinyrig.core.errors import InfraError, RigError, UserError
from tinyrig.core.records import (
    BoardInfo,
    Claim,
    ClaimStatus,
    ClockCheck,
    Footprint,
    Image,
    Measurement,
    NotMeasured,
    OpInfo,
    Parity,
    Sample,
    TensorSpec,
    Toolchain,
    Variant,
)
from tinyrig.store import schema

log = logging.getLogger(__name__)


def inserted(db: sa.Connection, table: sa.Table, row: dict[str, Any]) -> int:
    """Inserts a row -> its key."""
    key = db.execute(table.insert(), row).inserted_primary_key
    assert key is not None  # one row of a table with a key
    return int(key[0])


def to_json(value: Any) -> str:
    """Numpy values and paths as plain ones. Raises InfraError for what JSON can't hold, NaN and infinity among it."""
    try:
        return json.dumps(value, default=_plain, allow_nan=False)
    except ValueError as error:
        raise InfraError(
            "a value can't be stored",
            expected="finite numbers",
            received=str(error),
            remedy="report this with the run's settings",
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise InfraError(f"can't store a {type(value).__name__}", expected="JSON or numpy values, paths", received=repr(value)[:80])


# ---- writing ----


def insert_variant(db: sa.Connection, seq: int, run: Measurement) -> None:
    """A finished variant of run `seq`, with its samples and metrics."""
    row = {
        "run_seq": seq,
        "variant": run.variant.name,
        "tflite_sha256": run.variant.sha256,
        "build_id": run.image.build_id,
        "board_name": run.board.name,
        "board_id": run.board.id,
        "clock_hz": run.board.clock_hz,
        "timing": run.board.timing,
        "record": to_json(_record(run)),
        "outputs": zlib.compress(b"".join(s.outputs for s in run.samples)),
        "comparable": _comparable(db, run),
        "outputs_sha256": outputs_hash(run),
        "hits": _hits(run),
        **_timer_columns(run),
    }
    key = inserted(db, schema.VARIANT_RUNS, row)
    samples = [_sample_row(key, i, s) for i, s in enumerate(run.samples)]
    op_cycles = [
        {"variant_run_id": key, "position": i, "op_index": j, "cycles": int(cycles)}
        for i, s in enumerate(run.samples)
        for j, cycles in enumerate(s.op_cycles)
    ]
    for table, rows in ((schema.SAMPLES, samples), (schema.OP_CYCLES, op_cycles)):
        if rows:
            db.execute(table.insert(), rows)
    _insert_metrics(db, key, run)


def recompute(db: sa.Connection, key: int) -> None:
    """The metrics of a variant run again, from its samples, which must be there."""
    v = schema.VARIANT_RUNS.c
    row = db.execute(select(v.record, v.outputs).where(v.id == key)).one()
    run = _variant_run(json.loads(row.record), _load_samples(db, key, row.outputs))
    changed = {"comparable": _comparable(db, run), "outputs_sha256": outputs_hash(run), "hits": _hits(run)}
    db.execute(schema.VARIANT_RUNS.update().where(v.id == key).values(changed))
    db.execute(schema.METRICS.delete().where(schema.METRICS.c.variant_run_id == key))
    _insert_metrics(db, key, run)


def _insert_metrics(db: sa.Connection, key: int, run: Measurement) -> None:
    metrics = [{"variant_run_id": key, "name": name, "value": value} for name, value in _metrics(run).items()]
    if metrics:
        db.execute(schema.METRICS.insert(), metrics)


def _comparable(db: sa.Connection, run: Measurement) -> str:
    """The hash of the run's comparable metadata, which is stored where it is new. Two rigs may find the same new one at once."""
    metadata = comparable_metadata(run)
    key, c = metadata_hash(metadata), schema.COMPARABLES.c
    if db.scalar(select(c.comparable).where(c.comparable == key)) is None:
        with suppress(IntegrityError), db.begin_nested():
            db.execute(schema.COMPARABLES.insert(), {"comparable": key, "metadata": json.dumps(metadata, sort_keys=True)})
    return key


def _hits(run: Measurement) -> bytes | None:
    try:
        hits = top1_hits(run)
    except RigError:  # _metrics says it
        return None
    return None if hits is None else bytes(bool(hit) for hit in hits)


def insert_not_measured(db: sa.Connection, seq: int, what: NotMeasured) -> None:
    """Replaces what was known of this variant before."""
    delete_not_measured(db, seq, what.variant)
    db.execute(schema.NOT_MEASURED.insert(), {"run_seq": seq, **asdict(what)})


def delete_not_measured(db: sa.Connection, seq: int, variant: str) -> None:
    c = schema.NOT_MEASURED.c
    db.execute(schema.NOT_MEASURED.delete().where(c.run_seq == seq, c.variant == variant))


def _metrics(run: Measurement) -> dict[str, float]:
    """Metrics as single numbers; those that were not measured or are withheld are left out. A run that metrics can't be
    computed of is stored without them: its samples are not lost."""
    try:
        values = metric_values(run)
    except RigError as error:
        log.warning("%s is stored without metrics: %s", run.variant.name, error)
        return {}
    low, high = values.pop("accuracy_ci95") or (None, None)
    values |= {"accuracy_ci95_low": low, "accuracy_ci95_high": high}
    return {name: float(value) for name, value in values.items() if value is not None}


def _timer_columns(run: Measurement) -> dict[str, Any]:
    overhead, clock = run.settings.get("timer_overhead_cycles"), run.clock or ClockCheck(None, None, 0.0)
    return {
        "timer_hz": run.board.timer_hz,
        "timer_overhead_cycles": overhead if isinstance(overhead, int) else None,
        "clock_ppm": clock.ppm,
        "clock_ppm_error": clock.ppm_error,
        "clock_seconds": None if clock.ppm is None else clock.seconds,
    }


def _sample_row(key: int, position: int, s: Sample) -> dict[str, Any]:
    return {
        "variant_run_id": key,
        "position": position,
        "kind": s.kind,
        "window_index": int(s.index),
        "cycles": int(s.cycles),
        "stack_bytes": None if s.stack_bytes is None else int(s.stack_bytes),
        "output_bytes": len(s.outputs),
    }


def _record(run: Measurement) -> dict[str, Any]:
    # Beside the board: a tinyrig from before it takes the board's fields as they are.
    timer = {"timer_hz": (board := asdict(run.board)).pop("timer_hz")}
    clock = {"clock": None if run.clock is None else asdict(run.clock)}
    return {
        "variant": asdict(run.variant),
        "image": asdict(run.image),
        "board": board,
        **timer,
        **clock,
        "parity": None if run.parity is None else _parity_record(run.parity),
        "labels": None if run.labels is None else [int(n) for n in run.labels],
        "class_names": run.class_names,
        "settings": run.settings,
        "claims": [asdict(c) for c in run.claims],
    }


def _parity_record(parity: Parity) -> dict[str, Any]:
    """JSON has no infinity: a difference without bound is null there."""
    return asdict(parity) | {"max_abs_diff": float(parity.max_abs_diff) if isfinite(parity.max_abs_diff) else None}


# ---- reading ----


def variant_runs(db: sa.Connection, seq: int) -> tuple[Measurement, ...]:
    """The finished variants of run `seq`, in order of storing. Raises UserError where samples were pruned: what is left would
    look like a run without windows."""
    v = schema.VARIANT_RUNS.c
    rows = db.execute(select(v.id, v.variant, v.record, v.outputs, v.pruned).where(v.run_seq == seq).order_by(v.id)).all()
    pruned = next((r for r in rows if r.pruned), None)
    if pruned:
        raise UserError(
            f"the raw samples of this run were pruned on {pruned.pruned}",
            received=f"variant {pruned.variant}",
            remedy="its metrics are kept: tinyrig history, tinyrig compare, tinyrig export",
        )
    return tuple(_variant_run(json.loads(r.record), _load_samples(db, r.id, r.outputs)) for r in rows)


def not_measured(db: sa.Connection, seq: int) -> tuple[NotMeasured, ...]:
    c = schema.NOT_MEASURED.c
    rows = db.execute(select(c.variant, c.error, c.kind).where(c.run_seq == seq).order_by(c.variant)).all()
    return tuple(NotMeasured(r.variant, r.error, r.kind) for r in rows)


def _load_samples(db: sa.Connection, key: int, blob: bytes) -> tuple[Sample, ...]:
    ops: dict[int, list[int]] = {}
    c = schema.OP_CYCLES.c
    for row in db.execute(select(c.position, c.cycles).where(c.variant_run_id == key).order_by(c.position, c.op_index)):
        ops.setdefault(row.position, []).append(row.cycles)
    outputs, at, samples = zlib.decompress(blob), 0, []
    for s in db.execute(select(schema.SAMPLES).where(schema.SAMPLES.c.variant_run_id == key).order_by(schema.SAMPLES.c.position)):
        taken = outputs[at : at + s.output_bytes]
        at += s.output_bytes
        samples.append(Sample(s.kind, s.window_index, taken, s.cycles, s.stack_bytes, tuple(ops.get(s.position, ()))))
    return tuple(samples)


def _variant_run(r: dict[str, Any], samples: tuple[Sample, ...]) -> Measurement:
    """Raises InfraError for a record that lacks a field or has an unknown one."""
    try:
        return _variant_run_fields(r, samples)
    except (KeyError, TypeError, ValueError) as error:
        raise InfraError(
            "a stored variant run can't be read",
            received=f"{type(error).__name__}: {error}",
            remedy="read it with the tinyrig that wrote it, or make the run again",
        ) from error


def _variant_run_fields(r: dict[str, Any], samples: tuple[Sample, ...]) -> Measurement:
    v = r["variant"]
    variant = Variant(**(v | {"tflite": Path(v["tflite"]), "windows": None if v["windows"] is None else Path(v["windows"])}))
    return Measurement(
        variant,
        _image(r["image"]),
        BoardInfo(**r["board"], timer_hz=r.get("timer_hz")),
        samples,
        None if r["parity"] is None else _parity(r["parity"]),
        None if r["labels"] is None else tuple(r["labels"]),
        None if r["class_names"] is None else tuple(r["class_names"]),
        r["settings"],
        tuple(Claim(**(c | {"status": ClaimStatus(c["status"])})) for c in r.get("claims", ())),
        None if r.get("clock") is None else ClockCheck(**r["clock"]),
    )


def _parity(p: dict[str, Any]) -> Parity:
    return Parity(**(p | {"max_abs_diff": inf if p["max_abs_diff"] is None else p["max_abs_diff"]}))


def _image(i: dict[str, Any]) -> Image:
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
            }
        )
    )


def _tensor(t: dict[str, Any]) -> TensorSpec:
    return TensorSpec(**(t | {"shape": tuple(t["shape"])}))
