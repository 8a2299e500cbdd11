"""The results database: raw samples and what they were made with, so that every metric can be recomputed.

The tables stand in schema.py. A variant run's `record` (JSON) is the source of truth for everything but samples; the columns
beside it and the metrics, as computed when the run was stored, are copies for those who query with SQL. Output bytes of all
samples of a variant run form one compressed blob, in sample order; a sample keeps its length. Any SQLAlchemy URL works; SQLite
gets WAL and write locks up front.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from harness import schema
from harness.errors import InfraError, RigError, UserError
from harness.metrics import measure
from harness.records import (
    BoardInfo,
    Footprint,
    Image,
    OpInfo,
    Parity,
    Run,
    Sample,
    TensorSpec,
    Toolchain,
    Variant,
    VariantRun,
)


@dataclass(frozen=True)
class StoredRun:
    """A line of the list of runs; `boards` and `timings` hold distinct values."""

    run_id: str
    started: str
    variants: tuple[str, ...]
    boards: tuple[str, ...]
    timings: tuple[str, ...]


class Store:
    """Results behind one database URL.

    Raises UserError for an unusable URL, an unknown run or (with `must_exist`) an absent file, InfraError for a database that is
    corrupt, locked beyond `busy_s` seconds, unwritable or of a newer schema.
    """

    def __init__(self, url: str, *, must_exist: bool = False, busy_s: float = 30.0) -> None:
        self._engine = _open_engine(url, must_exist, busy_s)
        self._writer = self._engine.execution_options(tinyrig_write=True)
        self.url = self._engine.url.render_as_string(hide_password=True)
        try:
            with self._errors():
                self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- writing ----

    def begin_run(self, run_id: str, started: str, versions: dict[str, str] | None = None) -> None:
        """Open a run without variants; `started` is ISO-8601 UTC. Raises InfraError when the id is taken."""
        with self._errors(), self._writer.begin() as db:
            self._insert_run(db, run_id, started, versions or {})

    def add_variant(self, run_id: str, run: VariantRun) -> None:
        """Append a finished variant to an open run, all or nothing, durable on return."""
        with self._errors(), self._writer.begin() as db:
            seq = db.scalar(select(schema.RUNS.c.seq).where(schema.RUNS.c.run_id == run_id))
            if seq is None:
                raise _unknown_run(run_id, self.url)
            _insert_variant(db, seq, run)

    def save(self, run: Run) -> None:
        """Store a whole run in one transaction."""
        with self._errors(), self._writer.begin() as db:
            seq = self._insert_run(db, run.run_id, run.started, run.versions)
            for variant_run in run.runs:
                _insert_variant(db, seq, variant_run)

    def _insert_run(self, db: sa.Connection, run_id: str, started: str, versions: dict[str, str]) -> int:
        if db.scalar(select(schema.RUNS.c.seq).where(schema.RUNS.c.run_id == run_id)) is not None:
            raise InfraError(f"run {run_id} is already stored in {self.url}", remedy="use a fresh run id")
        row = {"run_id": run_id, "started": started, "versions": _to_json(versions)}
        return db.execute(schema.RUNS.insert(), row).inserted_primary_key[0]

    # ---- reading ----

    def runs(self) -> list[StoredRun]:
        """All runs, newest first (by `started`, then by order of storing)."""
        v = schema.VARIANT_RUNS.c
        with self._errors(), self._engine.begin() as db:
            heads = db.execute(select(schema.RUNS).order_by(schema.RUNS.c.started.desc(), schema.RUNS.c.seq.desc())).all()
            lines = db.execute(select(v.run_seq, v.variant, v.board_name, v.timing).order_by(v.id)).all()
        by_run: dict[int, list[Any]] = {}
        for line in lines:
            by_run.setdefault(line.run_seq, []).append(line)
        return [_summary(head, by_run.get(head.seq, [])) for head in heads]

    def latest(self) -> str:
        """Id of the newest run that holds a finished variant. Raises UserError when there is none."""
        found = next((run.run_id for run in self.runs() if run.variants), None)
        if found is None:
            raise UserError(f"no results in {self.url}", remedy="make some first: `make bench` or `tinyrig run`")
        return found

    def resolve(self, prefix: str) -> str:
        """A run id or an unambiguous beginning of one -> the full id. Raises UserError."""
        with self._errors(), self._engine.begin() as db:
            ids = list(db.scalars(select(schema.RUNS.c.run_id).order_by(schema.RUNS.c.seq)))
        if prefix in ids:
            return prefix
        matches = [run_id for run_id in ids if prefix and run_id.startswith(prefix)]
        if len(matches) == 1:
            return matches[0]
        raise _ambiguous(prefix, matches) if matches else _unknown_run(prefix, self.url)

    def load(self, run_id: str) -> Run:
        """A stored run by id or unambiguous prefix, exactly as it was saved."""
        full = self.resolve(run_id)
        v = schema.VARIANT_RUNS.c
        with self._errors(), self._engine.begin() as db:
            head = db.execute(select(schema.RUNS).where(schema.RUNS.c.run_id == full)).one()
            rows = db.execute(select(v.id, v.record, v.outputs).where(v.run_seq == head.seq).order_by(v.id)).all()
            runs = tuple(_variant_run(json.loads(r.record), _load_samples(db, r.id, r.outputs)) for r in rows)
            return Run(head.run_id, head.started, runs, json.loads(head.versions))

    # ---- plumbing ----

    def _prepare(self) -> None:
        """Create what is missing; refuse a schema newer than this code."""
        with self._engine.begin() as db:
            present = set(sa.inspect(db).get_table_names())
            version = db.scalar(select(sa.func.max(schema.SCHEMA.c.version))) if schema.SCHEMA.name in present else None
        if version is None or (version <= schema.STORE_SCHEMA and not present.issuperset(schema.META.tables)):
            with self._writer.begin() as db:
                schema.META.create_all(db)
                if db.scalar(select(sa.func.count()).select_from(schema.SCHEMA)) == 0:
                    db.execute(schema.SCHEMA.insert(), {"version": schema.STORE_SCHEMA})
        elif version > schema.STORE_SCHEMA:
            raise InfraError(
                f"{self.url} was written by a newer tinyrig",
                expected=f"schema {schema.STORE_SCHEMA} or older", received=f"schema {version}",
                remedy="update tinyrig, or name another database",
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise _infra_error(self.url, error) from error
        except (zlib.error, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise _corrupt(self.url, f"{type(error).__name__}: {error}") from error


# ---- engine ----

def _open_engine(url: str, must_exist: bool, busy_s: float) -> sa.Engine:
    try:
        parsed = make_url(url)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        engine = sa.create_engine(parsed, connect_args={"timeout": busy_s} if is_sqlite else {})
    except (ArgumentError, NoSuchModuleError) as error:
        raise UserError(
            f"not a usable database URL: {error}", expected="e.g. sqlite:///results.sqlite", remedy="correct the results URL",
        ) from error
    except ModuleNotFoundError as error:
        raise UserError(f"no driver for the database {parsed.drivername}", received=str(error),
                        remedy="pip install the driver, or use sqlite:///FILE") from error
    if is_sqlite:
        _prepare_file(parsed.database, must_exist)
        sa.event.listen(engine, "connect", _on_sqlite_connect)
        sa.event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _prepare_file(database: str | None, must_exist: bool) -> None:
    if not database or database == ":memory:" or database.startswith("file:"):
        return
    path = Path(database)
    if must_exist and not path.is_file():
        raise UserError(f"no results database at {path}", remedy="make results first: `make bench` or `tinyrig run`")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfraError(f"can't create the folder of the results database: {error}",
                         remedy="name a writable place as results URL") from error


def _on_sqlite_connect(connection: Any, _record: Any) -> None:
    # The driver must not open transactions by itself: _on_sqlite_begin does, with the lock that the work needs.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # WAL lets a report read while a run writes; where it can't be had (read-only file, odd file system, a race with another
    # process that is switching) the rollback journal is as safe.
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA journal_mode = WAL")


def _on_sqlite_begin(db: sa.Connection) -> None:
    # A deferred transaction that turns writer fails at once when another writer was faster; an immediate one waits its turn.
    write = db.get_execution_options().get("tinyrig_write")
    db.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


# ---- errors ----

def _infra_error(url: str, error: SQLAlchemyError) -> InfraError:
    text = str(error.orig) if isinstance(error, DBAPIError) and error.orig else str(error)
    low = text.lower()
    if "locked" in low or "busy" in low:
        return InfraError(f"results database {url} is locked", received=text,
                          remedy="let the other tinyrig process finish, or end the one that holds it")
    if "readonly" in low or "read-only" in low or "unable to open" in low or "disk is full" in low:
        return InfraError(f"results database {url} can't be opened or written", received=text,
                          remedy="check permissions and free space, or name another results URL")
    if "not a database" in low or "malformed" in low or "corrupt" in low:
        return _corrupt(url, text)
    return InfraError(f"results database {url} failed", received=text.splitlines()[0] if text else type(error).__name__,
                      remedy="check the results URL and that the database is reachable")


def _corrupt(url: str, text: str) -> InfraError:
    return InfraError(f"results database {url} is damaged", expected="a tinyrig results database", received=text,
                      remedy="move the file away (a new one is created) or name another results URL")


def _unknown_run(run_id: str, url: str) -> UserError:
    return UserError(f"no run {run_id!r} in {url}", remedy="give a stored run's id or its beginning, or none for the latest")


def _ambiguous(prefix: str, matches: list[str]) -> UserError:
    shown = ", ".join(matches[:5]) + (", ..." if len(matches) > 5 else "")
    return UserError(f"run {prefix!r} is ambiguous", received=f"{len(matches)} matches: {shown}", remedy="give more characters")


# ---- records <-> rows ----

def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise InfraError(f"can't store a {type(value).__name__}", expected="JSON or numpy values, paths", received=repr(value)[:80])


def _to_json(value: Any) -> str:
    return json.dumps(value, default=_plain)


def _insert_variant(db: sa.Connection, seq: int, run: VariantRun) -> None:
    row = {
        "run_seq": seq, "variant": run.variant.name, "tflite_sha256": run.variant.sha256, "build_id": run.image.build_id,
        "board_name": run.board.name, "board_id": run.board.id, "clock_hz": run.board.clock_hz, "timing": run.board.timing,
        "record": _to_json(_record(run)), "outputs": zlib.compress(b"".join(s.outputs for s in run.samples)),
    }
    key = db.execute(schema.VARIANT_RUNS.insert(), row).inserted_primary_key[0]
    samples = [_sample_row(key, i, s) for i, s in enumerate(run.samples)]
    op_cycles = [
        {"variant_run_id": key, "position": i, "op_index": j, "cycles": int(cycles)}
        for i, s in enumerate(run.samples) for j, cycles in enumerate(s.op_cycles)
    ]
    if samples:
        db.execute(schema.SAMPLES.insert(), samples)
    if op_cycles:
        db.execute(schema.OP_CYCLES.insert(), op_cycles)
    metrics = [{"variant_run_id": key, "name": name, "value": value} for name, value in _metrics(run).items()]
    if metrics:
        db.execute(schema.METRICS.insert(), metrics)


def _metrics(run: VariantRun) -> dict[str, float]:
    """Metrics as single numbers; those that were not measured or are withheld are left out. A run that metrics can't be
    computed of is stored without them: its samples are not lost."""
    try:
        values = measure(run)
    except RigError:
        return {}
    low, high = values.pop("accuracy_ci95") or (None, None)
    values |= {"accuracy_ci95_low": low, "accuracy_ci95_high": high}
    return {name: float(value) for name, value in values.items() if value is not None}


def _sample_row(key: int, position: int, s: Sample) -> dict[str, Any]:
    return {
        "variant_run_id": key, "position": position, "kind": s.kind, "window_index": int(s.index), "cycles": int(s.cycles),
        "stack_bytes": None if s.stack_bytes is None else int(s.stack_bytes), "output_bytes": len(s.outputs),
    }


def _record(run: VariantRun) -> dict[str, Any]:
    return {
        "variant": asdict(run.variant), "image": asdict(run.image), "board": asdict(run.board),
        "parity": None if run.parity is None else asdict(run.parity),
        "labels": None if run.labels is None else [int(n) for n in run.labels],
        "class_names": run.class_names, "settings": run.settings,
    }


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


def _variant_run(r: dict[str, Any], samples: tuple[Sample, ...]) -> VariantRun:
    """Raises InfraError for a record that lacks a field or has an unknown one."""
    try:
        return _variant_run_fields(r, samples)
    except (KeyError, TypeError) as error:
        raise InfraError("a stored variant run can't be read", received=f"{type(error).__name__}: {error}",
                         remedy="read it with the tinyrig that wrote it, or make the run again") from error


def _variant_run_fields(r: dict[str, Any], samples: tuple[Sample, ...]) -> VariantRun:
    v = r["variant"]
    variant = Variant(**(v | {"tflite": Path(v["tflite"]), "windows": None if v["windows"] is None else Path(v["windows"])}))
    return VariantRun(
        variant, _image(r["image"]), BoardInfo(**r["board"]), samples,
        None if r["parity"] is None else Parity(**r["parity"]),
        None if r["labels"] is None else tuple(r["labels"]),
        None if r["class_names"] is None else tuple(r["class_names"]), r["settings"],
    )


def _image(i: dict[str, Any]) -> Image:
    return Image(**(i | {
        "elf": Path(i["elf"]), "bin": Path(i["bin"]),
        "toolchain": Toolchain(**i["toolchain"]), "footprint": Footprint(**i["footprint"]),
        "inputs": tuple(map(_tensor, i["inputs"])), "outputs": tuple(map(_tensor, i["outputs"])),
        "ops": tuple(OpInfo(**op) for op in i["ops"]),
    }))


def _tensor(t: dict[str, Any]) -> TensorSpec:
    return TensorSpec(**(t | {"shape": tuple(t["shape"])}))


def _summary(head: Any, lines: list[Any]) -> StoredRun:
    return StoredRun(
        head.run_id, head.started, tuple(line.variant for line in lines),
        tuple(dict.fromkeys(line.board_name for line in lines)), tuple(dict.fromkeys(line.timing for line in lines)),
    )
