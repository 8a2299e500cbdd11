"""Databases of other versions, and of other programs."""

import contextlib
import multiprocessing
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from harness import schema
from harness.database import MIGRATIONS
from harness.errors import InfraError, UserError
from harness.records import FINISHED
from harness.store import Store
from harness.tests import old_database
from harness.tests.fake_runs import make_run


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
        patch.setattr("harness.database._open_engine", lambda *_: engine)
        Store("sqlite://")
        with engine.connect() as db:
            assert compare_metadata(MigrationContext.configure(db), schema.META) == []


def test_every_revision_is_known_by_name():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert tuple(r.revision for r in ScriptDirectory.from_config(config).walk_revisions())[::-1] == schema.REVISIONS


@pytest.mark.parametrize("metrics", [True, False])
def test_a_database_from_before_the_migrations_is_upgraded_beside_a_copy(path, metrics):
    run, said = make_run(), []
    old_database.write(path, run, metrics)
    before = old_database.contents(path)
    with opened(path, say=said.append) as store:
        assert store.load(run.run_id) == run
        assert store.runs()[0].state == FINISHED
        store.begin_run("next", "2027")
    (copy,) = backups(path)
    assert old_database.contents(copy) == before
    assert len(said) == 1 and str(copy) in said[0]
    with opened(path, say=said.append):
        assert len(said) == 1 and backups(path) == [copy]


def test_a_second_copy_does_not_replace_the_first(path):
    for _ in range(2):
        path.unlink(missing_ok=True)
        for rest in ("-wal", "-shm"):
            Path(f"{path}{rest}").unlink(missing_ok=True)
        path.with_suffix(".new").unlink(missing_ok=True)
        old_database.write(path, make_run())
        opened(path, say=lambda text: None).close()
    assert len(backups(path)) == 2


def test_a_migration_that_fails_changes_nothing(path, monkeypatch):
    old_database.write(path, make_run())
    before = old_database.contents(path)
    with contextlib.closing(sqlite3.connect(path)) as db:  # the last step of the migration finds its table taken
        db.execute("CREATE TABLE not_measured (x)")
        db.commit()
    with pytest.raises(InfraError, match="failed"):
        opened(path, say=lambda text: None)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE not_measured")
        db.commit()
    assert old_database.contents(path) == before
    with opened(path, say=lambda text: None) as store:
        assert store.load(make_run().run_id) == make_run()


def test_without_room_for_the_copy_nothing_is_upgraded(path):
    old_database.write(path, make_run())
    before = old_database.contents(path)
    (path.parent / f"{path.name}.before-{schema.REVISIONS[-1]}.part").mkdir()  # in the place of the copy
    with pytest.raises(InfraError, match="can't copy"):
        opened(path, say=lambda text: None)
    assert old_database.contents(path) == before


def _open_once(path):
    opened(path, say=lambda text: None).close()


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
