import contextlib
import json
import multiprocessing
import os
import secrets
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyrig.analysis.evaluation import metric_values
from tinyrig.analysis.run_json import run_to_json
from tinyrig.budget.budgets import Budgets
from tinyrig.core.errors import InfraError, UserError
from tinyrig.core.plans import AskedModel, MeasurementSettings, NightOptions, RunPlan, RunSettings, Subject
from tinyrig.core.records import Parity, Run, Sample
from tinyrig.host.log import heard
from tinyrig.store.runs import Store
from tinyrig.tables import schema
from tinyrig.tests.fake_runs import BOARD, SUBJECT, make_run, make_variant_run
from tinyrig.tests.sealing import change


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/deep/folder/results.sqlite"


def test_round_trip_of_a_whole_run(any_url):
    run = make_run()
    with Store(any_url) as store:
        store.save(run)
    with Store(any_url, must_exist=True) as store:
        assert store.load(run.run_id) == run
        assert run_to_json(store.load(run.run_id)) == run_to_json(run)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
cycles = st.integers(0, 2**32 - 1)
samples = st.builds(
    Sample,
    st.sampled_from(["window", "repeat", "profile", "stack"]),
    st.integers(0, 10**6),
    st.binary(max_size=40),
    cycles,
    st.none() | cycles,
    st.lists(cycles, max_size=5).map(tuple),
)
parities = st.none() | st.builds(Parity, st.text(max_size=8), cycles, cycles, st.floats(min_value=0), cycles, st.none() | cycles)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(samples, max_size=12).map(tuple),
    parities,
    st.none() | st.lists(st.integers(0, 99), max_size=9).map(tuple),
    st.none() | st.lists(st.text(max_size=9), max_size=4).map(tuple),
    st.dictionaries(st.text(max_size=5), json_values, max_size=3),
    st.text(min_size=1, max_size=20),
)
def test_anything_round_trips(some_samples, parity, labels, class_names, extra, name):
    base = make_variant_run("pqt", 1)
    run = replace(
        base,
        samples=some_samples,
        parity=parity,
        labels=labels,
        class_names=class_names,
        settings=MeasurementSettings.from_json(extra),
        variant=replace(base.variant, name=name, details=extra, windows=None, host_accuracy=None),
    )
    with Store("sqlite://") as store:
        _check_round_trip(store, Run("id", "2026", (run, base), {"a": name}))


run_settings = st.builds(
    RunSettings,
    st.text(max_size=8),
    st.none() | cycles,
    st.text(max_size=8),
    cycles,
    cycles,
    st.text(max_size=8),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
subjects = st.builds(
    Subject, st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), run_settings
)
paths = st.none() | st.sampled_from([Path("/a/b.tflite"), Path("/c d")])
budgets = st.builds(Budgets, st.none() | st.floats(0, 1), max_ram=st.none() | st.integers(1, 9999))
plans = st.builds(
    RunPlan,
    st.text(max_size=8),
    st.none() | st.text(max_size=8),
    st.lists(st.text(max_size=8), max_size=3).map(tuple),
    st.lists(st.builds(AskedModel, st.text(max_size=8), st.just(Path("/m")), paths, budgets), max_size=2).map(tuple),
    paths,
    budgets,
    st.none() | st.text(max_size=8),
    st.none() | run_settings,
    st.none() | st.text(min_size=1, max_size=8),
    st.none() | st.builds(NightOptions, st.none() | cycles, st.none() | st.text(), st.text()),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(samples, max_size=12).map(tuple), subjects, plans)
def test_anything_that_is_under_way_round_trips(some_samples, subject, plan):
    with Store("sqlite://") as store:
        store.begin_run("id", "2026", {}, plan)
        for variant in ("a", "b"):
            writer = store.begin_measurement("id", variant, subject, BOARD)
            for sample in some_samples:
                writer.add(sample)
        found = store.find_open("id", "a")
        assert (found.subject, found.samples, found.resumed) == (subject, some_samples, ())
        store.resume_measurement(found)
        assert store.find_open("id", "a").resumed == (len(some_samples),)
        assert store.runs()[0].open_samples == 2 * len(some_samples) and store.runs()[0].plan == plan
        assert store.load("id").runs == () and store.runs()[0].variants == ()


@settings(max_examples=30, deadline=None)
@given(st.lists(samples, max_size=12).map(tuple), st.integers(0, 12), st.booleans())
def test_a_measurement_is_what_it_says_whatever_was_kept_of_it(some_samples, kept, foreign):
    """Samples that arrived before are not stored again, and others that lie in their place are dropped."""
    run = replace(make_variant_run("pqt", 1), samples=some_samples)
    there = (Sample("window", 9, b"another", 9), *some_samples)[not foreign :][:kept]
    with Store("sqlite://") as store:
        store.begin_run("id", "2026")
        writer = store.begin_measurement("id", "pqt", SUBJECT, BOARD)
        for sample in there:
            writer.add(sample)
        store.add_measurement("id", run)
        assert store.load("id").runs == (run,)
        assert store.find_open("id", "pqt") is None and store.runs()[0].open_samples == 0
        with store.reading() as db:
            assert db.scalar(sa.select(sa.func.count()).select_from(schema.SAMPLES)) == len(some_samples)


def _check_round_trip(store, run):
    store.save(run)
    assert store.load(run.run_id) == run


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some_samples=st.lists(samples, max_size=6).map(tuple),
    parity=parities,
    extra=st.dictionaries(st.text(max_size=5), json_values, max_size=3),
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
)
def test_anything_round_trips_on_a_server(postgres_url, some_samples, parity, extra, name):
    """Text columns hold no NUL there; a variant is named after a file, which can't either."""
    base = make_variant_run("pqt", 1)
    variant = replace(base.variant, name=name, details=extra)
    run = replace(base, samples=some_samples, parity=parity, settings=MeasurementSettings.from_json(extra), variant=variant)
    with Store(postgres_url) as store:
        _check_round_trip(store, Run(secrets.token_hex(8), "2026", (run, base), {"a": name}))


def test_numpy_values_are_stored_as_plain_ones(any_url):
    base = make_variant_run("pqt", 2)
    run = replace(
        base,
        labels=tuple(np.array([3, 4])),
        settings=MeasurementSettings(more={"a": np.float32(0.5), "b": np.arange(2), "c": Path("x/y")}),
        samples=(Sample("window", np.int64(0), b"ab", np.uint32(7), np.int32(9), (np.uint32(1),)),),
    )
    with Store(any_url) as store:
        store.save(Run("id", "2026", (run,)))
        got = store.load("id").runs[0]
    assert got.labels == (3, 4) and got.settings == MeasurementSettings(more={"a": 0.5, "b": [0, 1], "c": "x/y"})
    assert got.samples == (Sample("window", 0, b"ab", 7, 9, (1,)),)


def test_values_that_can_not_be_stored_leave_nothing_behind(any_url):
    with Store(any_url) as store:
        with pytest.raises(InfraError, match="can't store a object"):
            store.save(Run("id", "2026", (make_variant_run(settings=MeasurementSettings(more={"x": object()})),)))
        assert store.runs() == []


def test_finished_variants_survive_a_killed_session(any_url):
    def session():
        store = Store(any_url)
        store.begin_run("run-1", "2026-01-01", {"python": "3"})
        store.add_measurement("run-1", make_variant_run("simple"))
        os._exit(9)

    process = multiprocessing.get_context("fork").Process(target=session)
    process.start()
    process.join(30)
    assert process.exitcode == 9
    with Store(any_url, must_exist=True) as store:
        assert store.load("run-1") == Run("run-1", "2026-01-01", (make_variant_run("simple"),), {"python": "3"})


def _save_many(url, name, count):
    for i in range(count):
        with Store(url) as store:
            store.begin_run(f"{name}-{i}", "2026")
            store.add_measurement(f"{name}-{i}", make_variant_run("pqt", 8))


def test_two_processes_lose_nothing(any_url):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_save_many, args=(any_url, name, 8)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [w.exitcode for w in workers] == [0, 0]
    with Store(any_url) as store:
        assert sorted(r.run_id for r in store.runs()) == sorted(f"{n}-{i}" for n in "ab" for i in range(8))
        assert all(len(store.load(r.run_id).runs[0].samples) == 40 for r in store.runs())


def test_runs_are_listed_newest_first(any_url):
    with Store(any_url) as store:
        for run_id, started in (("b", "2026-01-02"), ("a", "2026-01-01"), ("c", "2026-01-02")):
            store.save(make_run(run_id, started, ("pqt",)))
        store.begin_run("empty", "2027-01-01")
        assert [r.run_id for r in store.runs()] == ["empty", "c", "a", "b"]  # as they were begun, whatever their dates
        assert store.latest() == "c"
        line = store.runs()[1]
    assert (line.variants, line.boards, line.timings) == (("pqt",), ("virtual",), ("estimated",))


def test_prefixes(any_url):
    with Store(any_url) as store:
        for run_id in ("2026-aa", "2026-ab", "2026-a"):
            store.begin_run(run_id, "2026")
        assert store.resolve("2026-aa") == "2026-aa"
        assert store.resolve("2026-a") == "2026-a"
        with pytest.raises(UserError, match="ambiguous"):
            store.resolve("2026")
        for unknown in ("x", ""):
            with pytest.raises(UserError, match="no run"):
                store.load(unknown)
        with pytest.raises(UserError, match="no run"):
            store.add_measurement("x", make_variant_run())
        with pytest.raises(InfraError, match="already stored"):
            store.begin_run("2026-a", "2026")


def test_no_results(url, tmp_path):
    with pytest.raises(UserError, match="no results database"):
        Store(url, must_exist=True)
    assert not (tmp_path / "deep").exists()
    with Store(url) as store, pytest.raises(UserError, match="no results in"):
        store.latest()


@pytest.mark.parametrize("bad", ["nonsense", "nosuchdb://x/y", "://"])
def test_unusable_urls(bad):
    with pytest.raises(UserError, match="not a usable database URL"):
        Store(bad)


def test_newer_schema_is_refused(url, tmp_path):
    Store(url).close()
    with sqlite3.connect(tmp_path / "deep/folder/results.sqlite") as db:
        db.execute("UPDATE tinyrig_schema SET version = 99")
    with pytest.raises(InfraError, match="newer tinyrig") as caught:
        Store(url)
    assert "schema 99" in caught.value.received


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "r.sqlite").write_bytes(b"not a database, " * 300)
    with pytest.raises(InfraError, match="damaged") as caught:
        Store(f"sqlite:///{tmp_path}/r.sqlite")
    assert caught.value.remedy


def test_a_damaged_record(url, tmp_path):
    with Store(url) as store:
        store.save(make_run())
    with sqlite3.connect(tmp_path / "deep/folder/results.sqlite") as db:
        db.execute("UPDATE variant_runs SET record = '{'")
    with Store(url) as store, pytest.raises(InfraError, match="damaged"):
        store.load(make_run().run_id)


def test_a_locked_database(url, tmp_path):
    Store(url).close()
    holder = sqlite3.connect(tmp_path / "deep/folder/results.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with Store(url, busy_s=0.05) as store, pytest.raises(InfraError, match="locked"):
        store.begin_run("x", "2026")
    holder.close()


def test_a_folder_that_can_not_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InfraError, match="folder"):
        Store(f"sqlite:///{tmp_path}/file/sub/r.sqlite")
    with pytest.raises(InfraError, match="can't be opened"):
        Store(f"sqlite:///{tmp_path}")


def test_passwords_stay_out_of_messages():
    with Store("sqlite://") as store:
        assert store.url == "sqlite://"
    with pytest.raises(UserError) as caught:
        Store("nosuchdb://user:secret@host/db")
    assert "secret" not in str(caught.value)


def metrics_in(path) -> dict[tuple[str, str], float]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        rows = db.execute("select variant, name, value from metrics join variant_runs on id = variant_run_id").fetchall()
    return {(variant, name): value for variant, name, value in rows}


def test_metrics_stand_beside_the_samples_for_sql(tmp_path):
    run = make_variant_run("pqt")
    with Store(f"sqlite:///{tmp_path / 'r.sqlite'}") as store:
        store.save(Run("r1", "2026-01-01T00:00:00+00:00", (run,)))
    stored, expected = metrics_in(tmp_path / "r.sqlite"), metric_values(run)
    low, high = expected["accuracy_ci95"]
    assert stored["pqt", "accuracy_ci95_low"] == low and stored["pqt", "accuracy_ci95_high"] == high
    for name in ("latency_cycles_median", "ram_model_total", "flash_model_total", "accuracy"):
        assert stored["pqt", name] == expected[name]


def test_an_unverified_run_stores_no_timing(tmp_path):
    run = replace(make_variant_run("pqt"), parity=None)
    with Store(f"sqlite:///{tmp_path / 'r.sqlite'}") as store:
        store.save(Run("r1", "2026-01-01T00:00:00+00:00", (run,)))
    names = {name for _, name in metrics_in(tmp_path / "r.sqlite")}
    assert "ram_model_total" in names and not any(name.startswith("latency") for name in names)


def test_a_run_that_metrics_can_not_be_computed_of_is_stored_all_the_same(tmp_path):
    run, said = replace(make_variant_run("pqt"), labels=()), []
    with heard(said.append), Store(f"sqlite:///{tmp_path / 'r.sqlite'}") as store:
        store.save(Run("r1", "2026-01-01T00:00:00+00:00", (run,)))
        assert store.load("r1").runs == (run,)
    assert metrics_in(tmp_path / "r.sqlite") == {}
    assert len(said) == 1 and "pqt is stored without metrics" in said[0] and "has no label" in said[0]


def test_nan_is_not_stored(url):
    """JSON has none: another reader of the record would refuse the whole row."""
    run = make_variant_run("pqt")
    with Store(url) as store, pytest.raises(InfraError, match="can't be stored"):
        store.save(replace(make_run(), runs=(replace(run, settings=MeasurementSettings(more={"volts": [float("nan")]})),)))


def test_a_difference_without_bound_is_null_in_the_record_and_infinite_again(url):
    run = replace(make_variant_run("simple"), parity=Parity("tflm", 240, 1, float("inf"), 0, 3))
    with Store(url) as store:
        store.save(replace(make_run(), runs=(run,)))
    path = url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert "Infinity" not in db.execute("SELECT record FROM variant_runs").fetchone()[0]
    with Store(url) as store:
        assert store.load(make_run().run_id).runs[0].parity == run.parity


def test_the_plan_of_the_arena_is_kept_beside_the_image(url):
    """A tinyrig from before it takes the image's fields as they are; a record from before it has none."""
    run = make_variant_run("pqt")
    assert run.image.arena
    with Store(url) as store:
        store.save(replace(make_run(), runs=(run,)))
        assert store.load(make_run().run_id).runs[0].image.arena == run.image.arena
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
        record = json.loads(db.execute("SELECT record FROM variant_runs").fetchone()[0])
        assert "arena" not in record["image"]
        del record["arena"]
        db.execute("UPDATE variant_runs SET record = ?", (json.dumps(record),))
    change(Path(url.removeprefix("sqlite:///")))
    with Store(url) as store:
        assert store.load(make_run().run_id).runs[0].image.arena == ()


def test_a_plan_from_before_models_had_names_is_read(tmp_path):
    old = {"board": "virtual", "model": "/m/a.tflite", "windows": "/m/w.npz"}
    assert RunPlan.from_json(old).models == (AskedModel("a", Path("/m/a.tflite"), Path("/m/w.npz")),)
    night = {"models": ["/m/a.tflite", "/m/b.tflite"], "limit": None, "oracle": None, "engine": "tinyrig"}
    found = RunPlan.from_json({"board": "virtual", "model": None, "windows": None, "night": "n", "nightly": night})
    assert [m.name for m in found.models] == ["a", "b"] and found.nightly == NightOptions(None, None, "tinyrig")
