"""A history of many nights, written with bulk inserts. Nothing in it was measured.

python -m tinyrig.tests.fake_nights FILE.sqlite [--nights 1000 --variants 8 --boards 4]
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sqlalchemy as sa

from tinyrig.analysis.evaluation import evaluate
from tinyrig.analysis.provenance import comparable_metadata, metadata_hash
from tinyrig.core.records import BoardInfo, Measurement
from tinyrig.store import rows
from tinyrig.store.runs import Store
from tinyrig.tables import schema, seals
from tinyrig.tests.fake_runs import SHAPES, make_variant_run
from tinyrig.tests.postgres import mend_counters

START = datetime.datetime(2024, 1, 1, 1, tzinfo=datetime.UTC)
NOISE = 0.0005
"""Standard deviation of a run's latency, as a share."""
_NOISY = ("latency", "cycles_per_mac")
_BATCH = 100
"""Nights that are in memory at once."""


@dataclass(frozen=True)
class Plan:
    """Each `accept_every`-th night changes the latency of one variant by 2 %, and the change is accepted."""

    nights: int = 1000
    variants: int = 8
    boards: int = 4
    accept_every: int = 100
    seed: int = 0


def fill(store: Store, plan: Plan = Plan()) -> None:
    """Adds the plan's nights to a store without runs."""
    rng = np.random.default_rng(plan.seed)
    cells = _cells(plan)
    with store.writing() as db:
        metadata = {cell.comparable: json.dumps(comparable_metadata(cell.run), sort_keys=True) for cell in cells}
        db.execute(schema.COMPARABLES.insert(), [{"comparable": k, "metadata": text} for k, text in metadata.items()])
    for first in range(0, plan.nights, _BATCH):
        tables = _tables(plan, cells, range(first, min(first + _BATCH, plan.nights)), rng)
        with store.writing() as db:
            _SCRATCH.create_all(db)
            db.execute(_LEVELS.insert(), _levels(cells))
            for table, lines in tables.items():
                db.execute((_FACTORS if table == _FACTORS.name else schema.META.tables[table]).insert(), lines)
            _multiply(db)
            _seal(db, first=tables["variant_runs"][0]["id"])
            _SCRATCH.drop_all(db)
    if store.url.startswith("postgresql"):
        with store.writing() as db:
            mend_counters(db)


@dataclass(frozen=True)
class Cell:
    """One variant on one board, as it is before any noise."""

    run: Measurement
    board: int
    variant: int
    row: dict[str, Any]
    metrics: dict[str, float]
    comparable: str


def _cells(plan: Plan) -> list[Cell]:
    return [_cell(board, variant) for board in range(plan.boards) for variant in range(plan.variants)]


def _cell(board: int, variant: int) -> Cell:
    shape = list(SHAPES)[variant % len(SHAPES)]
    name = shape if variant < len(SHAPES) else f"{shape}-{variant // len(SHAPES)}"
    run = make_variant_run(shape, 24)
    info = run.board if board == 0 else BoardInfo("nano33ble", f"{board:016x}", 64_000_000, "measured")
    run = replace(run, board=info, variant=replace(run.variant, name=name))
    found = evaluate(run)
    comparable = metadata_hash(found.comparable)
    row = {
        **rows.columns(run),
        "comparable": comparable,
        "outputs_sha256": found.outputs_sha256,
        "hits": None if found.hits is None else bytes(bool(h) for h in found.hits),
        "pruned": START.isoformat(),
    }
    return Cell(run, board, variant, row, found.numbers, comparable)


def night_id(night: int) -> str:
    return f"night-{night:04d}"


def run_id(night: int, board: int) -> str:
    return f"{(START + datetime.timedelta(days=night)).strftime('%Y%m%d-%H%M%S')}-{board:04x}"


def _tables(plan: Plan, cells: list[Cell], nights: range, rng: np.random.Generator) -> dict[str, list[dict[str, Any]]]:
    names = ("nights", "runs", "night_runs", "variant_runs", "accepted", _FACTORS.name)
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for night in nights:
        started = (START + datetime.timedelta(days=night)).isoformat(timespec="seconds")
        tables["nights"].append(
            {
                "night_id": night_id(night),
                "seq": night + 1,
                "started": started,
                "finished": started,
                "exit_code": 0,
                "boards": json.dumps([f"board{b}" for b in range(plan.boards)]),
                "summary": "nothing changed",
            }
        )
        for board in range(plan.boards):
            seq = night * plan.boards + board + 1
            tables["runs"].append(
                {
                    "seq": seq,
                    "run_id": run_id(night, board),
                    "started": started,
                    "versions": "{}",
                    "state": "finished",
                    "plan": None,
                }
            )
            tables["night_runs"].append({"run_seq": seq, "night_id": night_id(night), "rerun": 0})
            tables["accepted"].append(_accepted(plan, night, seq, started))
        for i, cell in enumerate(cells):
            _variant_run(plan, tables, night * len(cells) + i + 1, night, cell, rng)
    return tables


def _level(plan: Plan, night: int, cell: Cell) -> float:
    """By which the latency is multiplied this night."""
    return 1.02 ** (sum(n // plan.accept_every % plan.variants == cell.variant for n in _changes(plan, night)))


def _changes(plan: Plan, night: int) -> range:
    return range(plan.accept_every, night + 1, plan.accept_every)


def _accepted(plan: Plan, night: int, seq: int, started: str) -> dict[str, Any]:
    wanted = night > 0 and night % plan.accept_every == 0
    why = f"change {night // plan.accept_every} is wanted" if wanted else "nothing changed"
    return {"run_seq": seq, "variant": None, "accepted_at": started, "who": "test", "why": why, "wanted": wanted}


def _variant_run(plan: Plan, tables: dict[str, Any], key: int, night: int, cell: Cell, rng: np.random.Generator) -> None:
    level, before = _level(plan, night, cell), _level(plan, night - 1, cell)
    factor = level * (1.0 if cell.board == 0 else math.exp(rng.normal(0, NOISE)))
    tables["variant_runs"].append(cell.row | {"id": key, "run_seq": night * plan.boards + cell.board + 1})
    tables[_FACTORS.name].append(
        {"id": key, "board": cell.board, "variant": cell.variant, "factor": factor, "before": before, "changed": level != before}
    )


# ---- metrics and verdicts, most of the rows: the database multiplies them out ----

_SCRATCH = sa.MetaData()
_FACTORS = sa.Table(
    "fake_factors",
    _SCRATCH,
    *(sa.Column(n, sa.Integer) for n in ("id", "board", "variant")),
    *(sa.Column(n, sa.Float) for n in ("factor", "before")),
    sa.Column("changed", sa.Boolean),
    prefixes=["TEMPORARY"],
)
"""For each variant run by what its noisy metrics are multiplied, and by what those of its baseline."""
_LEVELS = sa.Table(
    "fake_levels",
    _SCRATCH,
    *(sa.Column(n, sa.Integer) for n in ("board", "variant")),
    sa.Column("name", sa.String(64)),
    sa.Column("value", sa.Float),
    sa.Column("noisy", sa.Boolean),
    prefixes=["TEMPORARY"],
)


def _levels(cells: list[Cell]) -> list[dict[str, Any]]:
    return [
        {
            "board": cell.board,
            "variant": cell.variant,
            "name": name,
            "value": value,
            "noisy": name.startswith(_NOISY) and name != "latency_samples",
        }
        for cell in cells
        for name, value in cell.metrics.items()
    ]


def _multiply(db: sa.Connection) -> None:
    f, t = _FACTORS.c, _LEVELS.c
    new = sa.case((t.noisy, t.value * f.factor), else_=t.value)
    old = sa.case((t.noisy, t.value * f.before), else_=t.value)
    status = sa.case((sa.and_(t.noisy, f.changed), "worse"), else_="same")
    both = sa.and_(f.board == t.board, f.variant == t.variant)
    values = sa.select(f.id, t.name, new).join_from(_FACTORS, _LEVELS, both)
    db.execute(schema.METRICS.insert().from_select(["variant_run_id", "name", "value"], values))
    judged: dict[str, Any] = {
        "variant_run_id": f.id,
        "metric": t.name,
        "kind": sa.literal("night"),
        "status": status,
        "old": sa.cast(old, sa.Text),
        "new": sa.cast(new, sa.Text),
        "change": new - old,
        "change_percent": 100 * (new - old) / sa.func.nullif(old, 0),
        "threshold": 0.0025 * old,
        "detectable": 0.004 * old,
        "reason": sa.literal(""),
        "details": sa.literal("{}"),
    }
    db.execute(schema.VERDICTS.insert().from_select(list(judged), sa.select(*judged.values()).join_from(_FACTORS, _LEVELS, both)))


def _seal(db: sa.Connection, first: int) -> None:
    """What is new: variant runs from `first` on."""
    for table in {one.table.name: one.table for one in seals.ALL}.values():
        key = table.c.get("variant_run_id", table.c.digest)
        seals.seal(db, table, key >= first if key.name == "variant_run_id" else key.is_(None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    for name in ("nights", "variants", "boards"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Plan, name))
    options = parser.parse_args()
    url = options.file if "://" in options.file else f"sqlite:///{options.file}"
    with Store(url) as store:
        fill(store, Plan(options.nights, options.variants, options.boards))


if __name__ == "__main__":
    main()
