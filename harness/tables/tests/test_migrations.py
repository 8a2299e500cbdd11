"""Databases of other versions, and of other programs."""

import contextlib
import multiprocessing
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tinyrig.core.errors import InfraError, UserError
from tinyrig.core.plans import RunPlan, RunSettings
from tinyrig.core.records import RunState, Sample
from tinyrig.host.log import heard
from tinyrig.store import decisions, history
from tinyrig.store.measurements import OpenMeasurement
from tinyrig.store.runs import Store
from tinyrig.tables import schema
from tinyrig.tables.upgrade import MIGRATIONS
from tinyrig.tests import old_database
from tinyrig.tests.fake_runs import SUBJECT, make_run, make_variant_run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "r.sqlite"


def opened(path, **options):
    return Store(f"sqlite:///{path}", **options)


def backups(path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.before-*"))


def test_the_migrations_end_in_the_tables_that_the_code_uses():
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinyrig.tables.database._open_engine", lambda *_: engine)
        Store("sqlite://")
        with engine.connect() as db:
            assert compare_metadata(MigrationContext.configure(db), schema.META) == []


def test_on_a_server_too(postgres_url):
    Store(postgres_url).close()
    engine = sa.create_engine(postgres_url)
    with engine.connect() as db:
        assert compare_metadata(MigrationContext.configure(db), schema.META) == []
    engine.dispose()


def _columns(store):
    v = schema.VARIANT_RUNS.c
    query = sa.select(v.variant, v.comparable, v.outputs_sha256, v.hits, v.pruned, schema.COMPARABLES.c.metadata)
    query = query.join(schema.COMPARABLES, schema.COMPARABLES.c.comparable == v.comparable).order_by(v.id)
    with store.reading() as db:
        return [(*row[:3], None if row.hits is None else bytes(row.hits), *row[4:]) for row in db.execute(query)]


def _odd_run():
    """Without labels, with a window that came twice and out of order, and one whose labels do not suffice."""
    base = make_variant_run("simple", 6)
    first, second, *rest = base.samples
    return replace(
        make_run(names=("pqt",)),
        runs=(
            make_variant_run("pqt", 9),
            replace(base, labels=None),
            replace(base, labels=(1, 2)),
            replace(base, samples=(second, first, *rest, replace(first, outputs=second.outputs))),
        ),
    )


@pytest.mark.parametrize("run", [make_run(), _odd_run()], ids=["usual", "odd"])
def test_what_0003_computes_of_old_runs_is_what_is_stored_with_new_ones(any_url, run):
    old_database.write_0002(any_url, run)
    with Store("sqlite://") as fresh, Store(any_url) as upgraded:
        fresh.save(run)
        assert upgraded.load(run.run_id) == run
        assert _columns(upgraded) == _columns(fresh)
        upgraded.save(replace(run, run_id="next"))


def test_an_old_run_that_can_not_be_read_is_upgraded_without_them(any_url):
    old_database.write_0002(any_url, make_run())
    engine = sa.create_engine(any_url)
    with engine.begin() as db:
        db.execute(sa.text("UPDATE variant_runs SET record = '{}' WHERE id = 1"))
    engine.dispose()
    with Store(any_url) as store:
        assert [row[0] for row in _columns(store)] == ["pruned", "reshaped", "pqt"]
        assert len(store.runs()[0].variants) == 4


KEPT = tuple(Sample("window", i, bytes([i, 255]), 2**32 - 1 - i, None if i else 7, (i, 2**32 - 1)) for i in range(3))


def test_the_samples_of_a_run_that_was_interrupted_stay_its_own(any_url):
    settings = RunSettings("tinyrig", None, "tflm", 30, 0, "speed", 1e-5, 0.005)
    plan = RunPlan("virtual", "glove", ("pqt",), host="desk", settings=settings)
    found = OpenMeasurement(0, replace(SUBJECT, settings=settings), KEPT, (1, 2))
    old_database.write_interrupted(any_url, "r", plan, "pqt", found)
    with Store(any_url) as store:
        (line,) = store.runs()
        assert (line.plan, line.state, line.open_samples, line.variants) == (plan, RunState.INTERRUPTED, 3, ())
        again = store.find_open("r", "pqt")
        assert replace(again, key=0) == found
        run = replace(make_variant_run("pqt", 8), samples=(*KEPT, *make_variant_run("pqt", 8).samples))
        store.add_measurement("r", run)
        assert store.load("r").runs == (run,)


def test_outputs_that_can_not_be_read_are_named_and_cost_nothing_else(path):
    run, said = make_run(), []
    old_database.write(path, run)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE variant_runs SET outputs = x'00' WHERE id = 2")
        db.commit()
    with heard(said.append), opened(path) as store:
        kept = store.load(run.run_id).runs
    assert any("variant run 2 can't be read" in line for line in said)
    assert kept[0] == run.runs[0] and [s.cycles for s in kept[1].samples] == [s.cycles for s in run.runs[1].samples]
    assert {s.outputs for s in kept[1].samples} == {b""}


def test_which_old_nights_were_cut_off_is_read_from_their_summaries(any_url):
    nights = {
        "a": ("2026", 0, "tinyrig nightly 2026-01-01: 0 worse, 0 rig faults, exit 0"),
        "b": ("2026", 3, "cut off: Terminated: 15"),
        "c": (None, None, ""),
        "d": ("2026", 3, "tinyrig nightly 2026-01-01: 0 worse, 1 rig fault (the step was cut off), exit 3"),
    }
    with old_database.at_revision(any_url, "0005") as db:
        for night_id, (finished, code, summary) in nights.items():
            row = {"night": night_id, "finished": finished, "code": code, "summary": summary}
            db.execute(sa.text("INSERT INTO nights VALUES (:night, '2026', :finished, :code, '[]', :summary)"), row)
    with Store(any_url) as store:
        assert {night.night_id: night.cut_off for night in history.nights(store)} == dict.fromkeys("acd", False) | {"b": True}
        decisions.end_night(store, "c", "2026", 3, "whatever words", cut_off=True)
        assert [night.night_id for night in history.nights(store) if night.cut_off] == ["c", "b"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET versions = '5'",
        "UPDATE runs SET versions = '" + "[" * 3000 + "'",
        "UPDATE runs SET plan = 'null'",
        "UPDATE runs SET state = 'odd'",
        "UPDATE metrics SET value = 'x' WHERE name = 'accuracy'",
        "UPDATE metrics SET value = 9e999 WHERE name = 'accuracy'",
        "UPDATE samples SET cycles = 'many' WHERE position = 2",
        "UPDATE variant_runs SET record = '[]'",
        "UPDATE variant_runs SET clock_hz = 1e400",
        'UPDATE variant_runs SET record = replace(record, \'"labels": [\', \'"labels": ["a", \')',
        "UPDATE variant_runs SET record = replace(record, '\"flops\": ', '\"flops\": 1' || hex(zeroblob(200)))",
    ],
)
def test_what_an_old_row_can_not_hold_is_told_when_it_is_read(path, change):
    run = make_run(names=("pqt",))
    old_database.write_0002(f"sqlite:///{path}", run)
    with old_database.at_revision(f"sqlite:///{path}", "0006") as db:
        db.exec_driver_sql(change)
    with pytest.raises(InfraError) as caught, opened(path) as store:
        store.load(run.run_id)
        history.series(store, "accuracy")
    assert caught.value.received and caught.value.remedy


def test_every_revision_is_known_by_name():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert tuple(r.revision for r in ScriptDirectory.from_config(config).walk_revisions())[::-1] == schema.REVISIONS


@pytest.mark.parametrize("metrics", [True, False])
def test_a_database_from_before_the_migrations_is_upgraded_beside_a_copy(path, metrics):
    run, said = make_run(), []
    old_database.write(path, run, metrics)
    before = old_database.contents(path)
    with heard(said.append), opened(path) as store:
        assert store.load(run.run_id) == run
        assert store.runs()[0].state == RunState.FINISHED
        store.begin_run("next", "2027")
    (copy,) = backups(path)
    assert old_database.contents(copy) == before
    assert len(said) == 1 and str(copy) in said[0]
    with heard(said.append), opened(path):
        assert len(said) == 1 and backups(path) == [copy]


def test_a_second_copy_does_not_replace_the_first(path):
    for _ in range(2):
        path.unlink(missing_ok=True)
        for rest in ("-wal", "-shm"):
            Path(f"{path}{rest}").unlink(missing_ok=True)
        path.with_suffix(".new").unlink(missing_ok=True)
        old_database.write(path, make_run())
        opened(path).close()
    assert len(backups(path)) == 2


def test_a_migration_that_fails_changes_nothing(path, monkeypatch):
    old_database.write(path, make_run())
    before = old_database.contents(path)
    with contextlib.closing(sqlite3.connect(path)) as db:  # the last step of the migration finds its table taken
        db.execute("CREATE TABLE not_measured (x)")
        db.commit()
    with pytest.raises(InfraError, match="failed"):
        opened(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE not_measured")
        db.commit()
    assert old_database.contents(path) == before
    with opened(path) as store:
        assert store.load(make_run().run_id) == make_run()


def test_without_room_for_the_copy_nothing_is_upgraded(path):
    old_database.write(path, make_run())
    before = old_database.contents(path)
    (path.parent / f"{path.name}.before-{schema.REVISIONS[-1]}.part").mkdir()  # in the place of the copy
    with pytest.raises(InfraError, match="can't copy"):
        opened(path)
    assert old_database.contents(path) == before


def _open_once(path):
    opened(path).close()


def test_two_processes_that_upgrade_at_once_agree(path):
    run = make_run()
    old_database.write(path, run)
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_open_once, args=(path,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [w.exitcode for w in workers] == [0] * 4
    assert len(backups(path)) == 1
    with opened(path) as store:
        assert store.load(run.run_id) == run


@pytest.mark.parametrize("change", ["UPDATE tinyrig_schema SET version = 99", "UPDATE alembic_version SET version_num = '0099'"])
def test_a_newer_database_is_refused_as_it_is(path, change):
    opened(path).close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(change)
        db.commit()
    before = old_database.contents(path)
    with pytest.raises(InfraError, match="newer tinyrig") as caught:
        opened(path)
    assert "99" in caught.value.received and caught.value.remedy
    assert old_database.contents(path) == before


@pytest.mark.parametrize("tables", ["CREATE TABLE runs (id)", "CREATE TABLE alembic_version (version_num); CREATE TABLE x (y)"])
def test_somebody_elses_database_is_not_touched(path, tables):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(tables)
    before = path.read_bytes()
    with pytest.raises(UserError, match="not a tinyrig results database") as caught:
        opened(path)
    assert caught.value.received and caught.value.remedy
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
