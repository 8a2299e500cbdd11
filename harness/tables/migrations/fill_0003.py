"""What revision 0003 adds to variant runs, computed of those that are stored already.

The formulas are frozen: they are those of metrics.py when the revision was made, on the tables of that time.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
import sqlalchemy as sa

_RUNS = sa.table("variant_runs", *map(sa.column, ("id", "record", "outputs", "comparable", "outputs_sha256", "hits")))
_SAMPLES = sa.table("samples", *map(sa.column, ("variant_run_id", "position", "kind", "window_index", "output_bytes")))
_COMPARABLES = sa.table("comparables", sa.column("comparable"), sa.column("metadata"))


def fill(db: sa.Connection) -> None:
    """One variant run at a time: the outputs of a whole history need not fit the memory. What can't be read stays NULL."""
    known: set[str] = set()
    for key in list(db.scalars(sa.select(_RUNS.c.id).order_by(_RUNS.c.id))):
        try:
            metadata, values = _values(db, key)
        except (KeyError, TypeError, ValueError, zlib.error):
            continue
        if values["comparable"] not in known:
            db.execute(_COMPARABLES.insert().values(comparable=values["comparable"], metadata=metadata))
            known.add(values["comparable"])
        db.execute(_RUNS.update().where(_RUNS.c.id == key).values(**values))


def _values(db: sa.Connection, key: int) -> tuple[str, dict[str, Any]]:
    row = db.execute(sa.select(_RUNS.c.record, _RUNS.c.outputs).where(_RUNS.c.id == key)).one()
    record, windows = json.loads(row.record), dict(sorted(dict(_windows(db, key, row.outputs)).items()))
    metadata = json.dumps(_metadata(record, len(windows)), sort_keys=True)
    digest = sha256()
    for index, data in windows.items():
        digest.update(f"{index}:{len(data)}:".encode() + data)
    comparable = sha256(metadata.encode()).hexdigest()
    return metadata, {"comparable": comparable, "outputs_sha256": digest.hexdigest(), "hits": _hits(record, windows)}


def _windows(db: sa.Connection, key: int, blob: bytes) -> Iterator[tuple[int, bytes]]:
    """(index, outputs) of the samples of kind "window", in order of measuring: a window that came again counts with its last."""
    outputs, at = zlib.decompress(blob), 0
    c = _SAMPLES.c
    query = sa.select(c.kind, c.window_index, c.output_bytes).where(c.variant_run_id == key).order_by(c.position)
    for row in db.execute(query).all():
        if row.kind == "window":
            yield row.window_index, outputs[at : at + row.output_bytes]
        at += row.output_bytes


def _metadata(record: dict[str, Any], windows: int) -> dict[str, Any]:
    board, image, labels = record["board"], record["image"], record["labels"]
    return {
        "board": board["name"],
        "clock_hz": board["clock_hz"],
        "timing": board["timing"],
        "compiler": image["toolchain"]["cc"],
        "flags": image["toolchain"]["flags"],
        "engine": image["engine"],
        "windows": windows,
        "labels": None if labels is None else sha256(json.dumps(labels).encode()).hexdigest()[:16],
    }


def _hits(record: dict[str, Any], windows: dict[int, bytes]) -> bytes | None:
    labels, outputs = record["labels"], record["image"]["outputs"]
    if not labels or not outputs or not windows or max(windows) >= len(labels):
        return None
    dtype, size = np.dtype(outputs[0]["dtype"]).newbyteorder("<"), int(np.prod(outputs[0]["shape"], dtype=np.int64))
    if size < 2:
        return None
    return bytes(int(np.argmax(np.frombuffer(data, dtype, size))) == labels[i] for i, data in windows.items())
