"""Bits that rot: what is read is what was written, or it is said that the database is damaged."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinyrig.core.errors import EXIT_RIG, InfraError, RigError
from tinyrig.core.records import Accepted, NotMeasured, StoredVerdict, VerdictKind, VerdictStatus
from tinyrig.store import comparison, decisions, history, night_cells, origins
from tinyrig.store.export import export
from tinyrig.store.runs import Store
from tinyrig.tables import seals
from tinyrig.tables.database import Database
from tinyrig.tests.fake_runs import make_run, make_variant_run
from tinyrig.tests.sealing import change

NIGHT = "night-1"
RUNS = ("first", "second")


def furnish(url: str) -> None:
    """Something in every table."""
    with Store(url) as store:
        decisions.begin_night(store, NIGHT, "2026-01-01T00:00:00+00:00", ["virtual"])
        for name in RUNS:
            run = make_run(name, "2026-01-01T00:00:00+00:00", ("pqt",))
            measured = replace(make_variant_run("pqt", 12), claims=run.runs[0].claims)
            store.save(replace(run, runs=(measured,), not_measured=(NotMeasured("simple", "it hung", "rig"),)))
            decisions.add_to_night(store, NIGHT, name)
        decisions.accept(store, Accepted("first", None, "2026-01-01", "me", "it is meant", True))
        verdict = StoredVerdict(
            *("second", "pqt", "virtual", "5649525455414c00", "latency_cycles_median", VerdictKind.NIGHT, VerdictStatus.WORSE),
            *(100.0, 110.0, 10.0, 10.0, 5.0, 6.0, 0.01, "slower"),
        )
        decisions.save_verdicts(store, [verdict])
        decisions.end_night(store, NIGHT, "2026-01-01T01:00:00+00:00", 1, "1 worse")


def told(url: str) -> str:
    """All that the readers say."""
    with Store(url, must_exist=True) as store:
        texts = []
        for form, samples in (("csv", False), ("json", True)):
            out = io.StringIO()
            export(store, out, form, samples)
            texts.append(out.getvalue())
        names = [run.run_id for run in store.runs()]
        lists = (
            store.runs(),
            history.all_series(store, ["latency_us_median", "accuracy"]),
            history.nights(store),
            history.accepted(store),
            history.comparables(store),
            history.moved_verdicts(store),
            [history.verdicts(store, name) for name in names],
            [history.op_cycles(store, name, "pqt") for name in names],
            [comparison.run_values(store, name) for name in names],
            [store.load(name) for name in names],
            night_cells.measured(store, names),
            night_cells.not_measured(store, names),
            night_cells.limits(store, ["latency_cycles_median"]),
            origins.origins(store, names),
        )
        return "\n".join([*texts, *map(repr, lists)])


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    path = tmp_path_factory.mktemp("sound") / "r.sqlite"
    furnish(f"sqlite:///{path}")
    return path.read_bytes(), told(f"sqlite:///{path}")


def test_every_row_of_every_table_has_a_digest_that_fits(any_url: str) -> None:
    furnish(any_url)
    database = Database(any_url, True, 5.0)
    with database.reading() as db:
        assert all(one.read(db) for one in seals.ALL)
    database.close()


@pytest.mark.parametrize("seed", range(60))
def test_a_flipped_bit_changes_nothing_or_is_told(tmp_path: Path, sound: tuple[bytes, str], seed: int) -> None:
    data, said = bytearray(sound[0]), sound[1]
    rng = np.random.default_rng(seed)
    used = np.flatnonzero(np.frombuffer(sound[0], np.uint8))  # the rest is mostly pages that hold nothing
    for _ in range(1 + seed % 2):
        data[int(rng.choice(used))] ^= 1 << int(rng.integers(8))
    (tmp_path / "r.sqlite").write_bytes(data)
    try:
        now = told(f"sqlite:///{tmp_path / 'r.sqlite'}")
    except RigError as error:
        assert error.exit_code == EXIT_RIG, error
        assert error.remedy
    else:
        assert now == said


def columns() -> list[tuple[str, str]]:
    return sorted({(one.table.name, name) for one in seals.ALL for name in (*one.covers, one.name)})


@pytest.mark.parametrize(("table", "column"), columns())
def test_a_value_that_somebody_changed_is_told(tmp_path: Path, sound: tuple[bytes, str], table: str, column: str) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(sound[0])
    with contextlib.closing(sqlite3.connect(path)) as db:
        new = "CASE typeof({0}) WHEN 'text' THEN {0} || ' ' WHEN 'blob' THEN x'00' || {0} WHEN 'null' THEN 1 ELSE {0} + 77 END"
        with db:
            db.execute(f"UPDATE {table} SET {column} = {new.format(column)} WHERE rowid = (SELECT max(rowid) FROM {table})")
    with pytest.raises(RigError) as caught:
        told(f"sqlite:///{path}")
    assert caught.value.exit_code == EXIT_RIG


@pytest.mark.parametrize("digest", ["NULL", "0", "'x'"])
def test_a_row_without_its_digest_is_told(tmp_path: Path, sound: tuple[bytes, str], digest: str) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(sound[0])
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE metrics SET digest = {digest} WHERE name = 'accuracy'")
    with Store(f"sqlite:///{path}") as store, pytest.raises(InfraError, match="damaged") as caught:
        history.series(store, "accuracy")
    assert "a row of metrics" in caught.value.received and "accuracy" in caught.value.received


@pytest.mark.parametrize("value", ["7", "-0.1", "9e999", "-9e999", "'good'", "x'00'"])
def test_an_accuracy_of_earlier_runs_that_can_not_be_is_told(tmp_path: Path, sound: tuple[bytes, str], value: str) -> None:
    path = tmp_path / "r.sqlite"
    path.write_bytes(sound[0])
    change(path, f"UPDATE metrics SET value = {value} WHERE name = 'accuracy' AND variant_run_id = 2")
    with Store(f"sqlite:///{path}") as store:
        with pytest.raises(InfraError, match="accuracy of pqt in run second") as caught:
            history.series(store, "accuracy")
        assert caught.value.expected and caught.value.received and "tinyrig recompute second" in caught.value.remedy
        assert history.series(store, "macs")
