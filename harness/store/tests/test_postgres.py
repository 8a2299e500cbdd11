"""PostgreSQL as a real server: one history that many rigs share, and what goes wrong with servers."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import time

import pytest
import sqlalchemy as sa

from tinyrig.cli import main
from tinyrig.core.errors import InfraError, UserError
from tinyrig.core.plans import RunPlan
from tinyrig.core.records import Accepted, NotMeasured, Sample
from tinyrig.measure.resume import find_run
from tinyrig.store import decisions, history
from tinyrig.store.runs import Store
from tinyrig.tables import schema
from tinyrig.tests import old_database
from tinyrig.tests.fake_runs import BOARD, SUBJECT, make_run, make_variant_run
from tinyrig.tests.processes import children, wait_until_gone
from tinyrig.tests.user_home import MODEL, WINDOWS, finish, furnish, numbers, start, url

SAMPLES = [Sample("window", i, bytes([i, 0, 255]), 2**32 - 1 - i, i, (i, 2**32 - 1)) for i in range(6)]


def test_an_open_measurement_keeps_its_samples_until_it_is_finished(postgres_url):
    run = make_variant_run("pqt", 4)
    with Store(postgres_url) as store:
        store.begin_run("r", "2026", {"python": "3"}, RunPlan("virtual"))
        writer = store.begin_measurement("r", "pqt", SUBJECT, BOARD)
        for sample in SAMPLES[:3]:
            writer.add(sample)
        store.add_not_measured("r", NotMeasured("pqt", "gone", "link"))
    with Store(postgres_url) as store:
        found = store.find_open("r", "pqt")
        assert found.samples == tuple(SAMPLES[:3]) and found.subject == SUBJECT
        store.resume_measurement(found).add(SAMPLES[3])
        assert store.find_open("r", "pqt").samples == tuple(SAMPLES[:4])
        assert store.runs()[0].open_samples == 4 and store.runs()[0].not_measured == ("pqt",)
        store.add_measurement("r", run)
        assert store.find_open("r", "pqt") is None
        assert store.load("r").runs == (run,) and store.load("r").not_measured == ()


def _rig(url, name, count):
    for i in range(count):
        with Store(url) as store:
            run_id = f"{name}-{i}"
            store.begin_run(run_id, f"2026-01-{i + 1:02d}")
            writer = store.begin_measurement(run_id, "pqt", SUBJECT, BOARD)
            for sample in SAMPLES:
                writer.add(sample)
            store.add_measurement(run_id, make_variant_run("pqt", 8))
            decisions.accept(store, Accepted(run_id, None, "2026", name, "why", False))


def test_rigs_that_begin_a_history_together_lose_nothing(postgres_url):
    """Each finds an empty database: one of them makes the tables, and both store the same new metadata."""
    context = multiprocessing.get_context("fork")
    rigs = [context.Process(target=_rig, args=(postgres_url, name, 6)) for name in "abc"]
    for rig in rigs:
        rig.start()
    for rig in rigs:
        rig.join(120)
    assert [rig.exitcode for rig in rigs] == [0, 0, 0]
    with Store(postgres_url) as store:
        assert sorted(r.run_id for r in store.runs()) == sorted(f"{n}-{i}" for n in "abc" for i in range(6))
        assert all(len(store.load(r.run_id).runs[0].samples) == 40 and not r.open_samples for r in store.runs())
        assert len(history.accepted(store)) == 18 and len(history.comparables(store)) == 1


def _open_once(url):
    Store(url).close()


def test_processes_that_upgrade_at_once_agree(postgres_url):
    old_database.write_0002(postgres_url, make_run())
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_open_once, args=(postgres_url,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [w.exitcode for w in workers] == [0] * 4
    with Store(postgres_url) as store:
        assert store.load(make_run().run_id) == make_run()


def test_a_reader_sees_one_moment(postgres_url):
    with Store(postgres_url) as one, Store(postgres_url) as other:
        with one.reading() as db:
            count = sa.select(sa.func.count()).select_from(schema.RUNS)
            assert db.scalar(count) == 0
            other.begin_run("r", "2026")
            assert db.scalar(count) == 0
        assert len(one.runs()) == 1


def test_a_lock_is_waited_for_and_then_named(postgres_url):
    Store(postgres_url).close()
    with Store(postgres_url) as holder, Store(postgres_url, busy_s=0.05) as store, holder.writing() as db:
        db.exec_driver_sql("LOCK TABLE runs")
        with pytest.raises(InfraError, match="locked") as caught:
            store.begin_run("r", "2026")
        assert caught.value.remedy


def test_a_server_that_restarts_between_two_samples_costs_nothing(postgres_server):
    """A connection that died is replaced before it is used; while the server is away the rig says so."""
    with Store(postgres_server.new_url()) as store:
        store.begin_run("r", "2026")
        writer = store.begin_measurement("r", "v", SUBJECT, BOARD)
        writer.add(SAMPLES[0])
        postgres_server.stop()
        try:
            with pytest.raises(InfraError, match="can't be reached") as caught:
                writer.add(SAMPLES[1])
        finally:
            postgres_server.start()
        assert caught.value.exit_code == 3 and "start the server" in caught.value.remedy
        for sample in SAMPLES[1:]:
            writer.add(sample)
        assert store.find_open("r", "v").samples == tuple(SAMPLES)


def test_a_server_that_is_not_there(tmp_path):
    with pytest.raises(InfraError, match="can't be reached") as caught:
        Store(f"postgresql://me:secret@/x?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_somebody_elses_database_is_not_touched(postgres_url):
    engine = sa.create_engine(postgres_url)
    with engine.begin() as db:
        db.exec_driver_sql("CREATE TABLE runs (id int)")
    with pytest.raises(UserError, match="not a tinyrig results database"):
        Store(postgres_url)
    assert sa.inspect(engine).get_table_names() == ["runs"]
    engine.dispose()


def test_without_the_driver_the_remedy_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(UserError, match="no driver") as caught:
        Store("postgresql://host/x")
    assert "tinyrig[postgres]" in caught.value.remedy


def test_a_run_of_another_host_is_not_gone_on_with_unasked(postgres_url):
    """Its lock is on that host: nobody here can tell whether it is under way."""
    with Store(postgres_url) as store:
        store.begin_run("theirs", "2026-01-02", {}, RunPlan("virtual", host="elsewhere"))
        with pytest.raises(UserError, match="no run to resume"):
            find_run(store, "", "virtual")
        assert find_run(store, "theirs", "virtual").run_id == "theirs"
        store.begin_run("ours", "2026-01-01", {}, RunPlan("virtual", host=os.uname().nodename))
        assert find_run(store, "", "virtual").run_id == "ours"


@pytest.mark.slow
def test_a_killed_run_that_is_resumed_is_the_uninterrupted_one(postgres_url, tmp_path):
    home, more = furnish(tmp_path), {"TINYRIG_RESULTS": postgres_url, "TINYRIG_LINE_RATE": "20000"}
    assert finish(start(home, "run", *MODEL, "--no-report", "--json", "whole.json"))[0] == 0
    Store(postgres_url).close()
    process = start(home, "run", *MODEL, "--no-report", **more)
    until = time.monotonic() + 60
    with Store(postgres_url) as store:
        while not any(run.open_samples >= 5 for run in store.runs()):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.02)
        boards = children(process.pid)
        process.kill()
        process.communicate()
        wait_until_gone(boards)
        assert 5 <= store.runs()[0].open_samples < WINDOWS + 32
    assert finish(start(home, "run", "--resume", "--no-report", "--json", "out.json", TINYRIG_RESULTS=postgres_url))[0] == 0
    assert numbers(home / "out.json") == numbers(home / "whole.json")


def test_a_run_gives_the_same_on_a_server_as_on_a_file(postgres_url, tmp_path, monkeypatch):
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    for results, name in ((url(tmp_path), "file.json"), (postgres_url, "server.json")):
        monkeypatch.setenv("TINYRIG_RESULTS", results)
        assert main(["run", *MODEL, "--limit", "4", "--no-report", "--json", name]) == 0
    assert numbers(tmp_path / "server.json") == numbers(tmp_path / "file.json")
    with Store(postgres_url) as store:
        (run,) = store.runs()
        assert json.loads((tmp_path / "server.json").read_text())["run_id"] == run.run_id
        assert dataclasses.asdict(run)["state"] == "finished"
