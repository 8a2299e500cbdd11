"""Stored results for other programs: CSV, JSON or Parquet, one line for each variant run, or for each raw sample.

Lines are written as they are read: a history of any length needs no memory.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import sqlalchemy as sa
from sqlalchemy import select

from tinyrig.analysis.metric_table import METRICS
from tinyrig.core.errors import HostError
from tinyrig.places.remedies import extra
from tinyrig.store import metric_values
from tinyrig.store.runs import Store
from tinyrig.tables import schema, seals

METRIC_COLUMNS = [*(name for name in METRICS if name != "accuracy_ci95"), "accuracy_ci95_low", "accuracy_ci95_high"]
_HEAD = ("run_id", "started", "night", "rerun", "variant", "board", "board_id", "timing")
_TIMER = ("timer_hz", "timer_overhead_cycles", "clock_ppm", "clock_ppm_error", "clock_seconds")
_TOOLS = ("compiler", "flags")
_BODY = ("clock_hz", "tflite_sha256", "build_id", "outputs_sha256", "pruned", *_TIMER)
RUN_COLUMNS = (
    *_HEAD,
    "clock_hz",
    "tflite_sha256",
    "build_id",
    "comparable",
    "outputs_sha256",
    "pruned",
    "accepted",
    *_TIMER,
    *_TOOLS,
    *METRIC_COLUMNS,
)
"""`clock_ppm`: what the board's counter gained on `clock_hz` by the host's clock over `clock_seconds`; `accepted`: why somebody
accepted a change here. What was not measured is empty."""
_OF_SAMPLE = ("position", "kind", "window", "cycles", "stack_bytes")
SAMPLE_COLUMNS = (*_HEAD, *_OF_SAMPLE)
_CHUNK = 1000
"""Variant runs read at once."""

Line = dict[str, Any]


# ---- reading ----


def run_lines(db: sa.Connection, **which: str | None) -> Iterator[Line]:
    """One for each variant run, oldest first; `which`: variant, board (kind or id), since (ISO-8601 UTC)."""
    more = (schema.VARIANT_RUNS.c.comparable, _accepted().label("accepted"))
    tools = {c.comparable: json.loads(c.metadata) for c in db.execute(select(schema.COMPARABLES))}
    heads = db.execute(_select(more, **which)).mappings()
    while chunk := heads.fetchmany(_CHUNK):
        lines = {head["id"]: {name: head[name] for name in RUN_COLUMNS if name in head} for head in chunk}
        metrics, bodies = metric_values.of_runs(db, list(lines)), seals.bodies(db, list(lines))
        for key, line in lines.items():
            known, body = tools.get(line["comparable"], {}), bodies[key]._mapping
            line |= {name: known.get(name) for name in _TOOLS} | {name: body[name] for name in _BODY} | metrics[key]
        yield from lines.values()


def sample_lines(db: sa.Connection, **which: str | None) -> Iterator[Line]:
    """One for each raw sample that was not pruned, by run and in order of measuring."""
    s = schema.SAMPLES.c
    for head in db.execute(_select((), **which)).mappings().all():
        run = {name: head[name] for name in _HEAD}
        for row in seals.SAMPLES.read(db, s.variant_run_id == head["id"], order=(s.position,)):
            yield run | {name: row._mapping["window_index" if name == "window" else name] for name in _OF_SAMPLE}


def _select(
    more: Iterable[Any], variant: str | None = None, board: str | None = None, since: str | None = None
) -> sa.Select[Any]:
    v, r, n = schema.VARIANT_RUNS.c, schema.RUNS.c, schema.NIGHT_RUNS.c
    query = (
        select(
            v.id,
            r.run_id,
            r.started,
            n.night_id.label("night"),
            n.rerun,
            v.variant,
            v.board_name.label("board"),
            v.board_id,
            v.timing,
            *more,
        )
        .join_from(schema.VARIANT_RUNS, schema.RUNS, r.seq == v.run_seq)
        .join(schema.NIGHT_RUNS, n.run_seq == v.run_seq, isouter=True)
        .order_by(r.seq, v.id)
    )
    conditions = [] if variant is None else [v.variant == variant]
    conditions += [] if board is None else [sa.or_(v.board_name == board, v.board_id.startswith(board, autoescape=True))]
    return query.where(schema.is_finished(), *conditions, *([] if since is None else [r.started >= since]))


def _accepted() -> sa.ScalarSelect[Any]:
    """The newest word on a change of this variant run."""
    a, v = schema.ACCEPTED.c, schema.VARIANT_RUNS.c
    of_it = select(a.why).where(a.run_seq == v.run_seq, a.wanted, sa.or_(a.variant.is_(None), a.variant == v.variant))
    return of_it.order_by(a.id.desc()).limit(1).correlate(schema.VARIANT_RUNS).scalar_subquery()


# ---- writing ----


def export(store: Store, out: TextIO | Path, form: str, samples: bool = False, **which: str | None) -> int:
    """Writes "csv", "json" or "parquet" (a path only) and returns the number of lines. Raises HostError where it can't."""
    columns, lines = (SAMPLE_COLUMNS, sample_lines) if samples else (RUN_COLUMNS, run_lines)
    counted = _Counted()
    with store.reading() as db:
        try:
            if form == "parquet":
                _parquet(out, columns, counted.over(lines(db, **which)))
            elif isinstance(out, Path):
                with out.open("w", encoding="utf-8", newline="") as file:
                    _WRITERS[form](file, columns, counted.over(lines(db, **which)))
            else:
                _WRITERS[form](out, columns, counted.over(lines(db, **which)))
        except BrokenPipeError:
            raise
        except OSError as error:
            raise HostError(f"can't write the export: {error}", remedy="choose a writable place with -o") from error
    return counted.count


def write(form: str, file: TextIO, columns: tuple[str, ...], lines: Iterable[Line]) -> None:
    """`form`: "csv" or "json"."""
    _WRITERS[form](file, columns, lines)


class _Counted:
    count = 0

    def over(self, lines: Iterable[Line]) -> Iterator[Line]:
        for line in lines:
            self.count += 1
            yield line


def _csv(file: TextIO, columns: tuple[str, ...], lines: Iterable[Line]) -> None:
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)


def _json(file: TextIO, columns: tuple[str, ...], lines: Iterable[Line]) -> None:
    """An array of objects, one a line, each with all columns."""
    file.write("[")
    for i, line in enumerate(lines):
        file.write((",\n" if i else "\n") + json.dumps({name: line.get(name) for name in columns}, allow_nan=False))
    file.write("\n]\n")


_WRITERS: dict[str, Callable[[TextIO, tuple[str, ...], Iterable[Line]], None]] = {"csv": _csv, "json": _json}
FORMATS = (*_WRITERS, "parquet")


_INTEGERS = {"rerun", "clock_hz", "timer_hz", "timer_overhead_cycles", "position", "window", "cycles", "stack_bytes"}


def _parquet(out: TextIO | Path, columns: tuple[str, ...], lines: Iterator[Line]) -> None:
    """Every column has its type whatever the lines hold, so that files of several rigs can be read as one."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise HostError(
            "Parquet needs pyarrow", received=str(error), remedy=f"{extra('parquet')}, or export --format csv"
        ) from error
    floats = (*METRIC_COLUMNS, "clock_ppm", "clock_ppm_error", "clock_seconds")
    kinds = {**dict.fromkeys(_INTEGERS, pyarrow.int64()), **dict.fromkeys(floats, pyarrow.float64())}
    types = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in columns])
    assert isinstance(out, Path)
    with pyarrow.parquet.ParquetWriter(out, types) as file:
        while chunk := list(islice(lines, _CHUNK)):
            file.write_table(pyarrow.Table.from_pylist(chunk, types))
