"""Old raw samples go; what was computed of them stays, and nothing pretends that they are still there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from tinyrig.analysis.evaluation import metric_values
from tinyrig.core.errors import UserError
from tinyrig.core.records import Accepted, Run, Sample
from tinyrig.store import comparison, decisions, history
from tinyrig.store.pruning import prune, recompute
from tinyrig.store.runs import Store
from tinyrig.tables import schema
from tinyrig.tests.fake_runs import make_run, make_variant_run
from tinyrig.tests.sealing import reseal

pytestmark = pytest.mark.slow

NOW = "2027-01-01T00:00:00+00:00"
BEFORE = "2026-06-01T00:00:00+00:00"


@pytest.fixture
def store(any_url):
    with Store(any_url) as opened:
        yield opened


def keep(store, run_id, started, accept=False):
    store.save(make_run(run_id, started, ("pqt", "simple")))
    if accept:
        decisions.accept(store, Accepted(run_id, None, started, "me", "why", False))


def state(store):
    """All that must outlive the samples."""
    runs = [r.run_id for r in store.runs()]
    return (
        history.all_series(store, ["latency_cycles_median", "accuracy", "ram_stack", "flash_total"]),
        [comparison.run_values(store, run_id) for run_id in runs],
        [history.op_cycles(store, run_id, "pqt") for run_id in runs],
        history.baseline_runs(store, "virtual", "pqt", history.series(store, "macs")[0].places[0].comparable),
    )


def kinds(store):
    with store.reading() as db:
        return sorted(db.execute(sa.select(schema.SAMPLES.c.kind, sa.func.count()).group_by(schema.SAMPLES.c.kind)).all())


def test_metrics_outlive_their_samples(store):
    keep(store, "old", "2026-01-01")
    keep(store, "new", "2026-07-01")
    before = state(store)
    done = prune(store, BEFORE, NOW)
    assert (done.variant_runs, done.runs, done.samples, done.kept) == (2, 1, 2 * 271, 0)
    assert state(store) == before
    assert dict(kinds(store)) == {"window": 480, "repeat": 60, "stack": 2, "profile": 4}
    assert store.load("new") == make_run("new", "2026-07-01", ("pqt", "simple"))
    assert prune(store, BEFORE, NOW).variant_runs == 0


def test_a_pruned_run_is_refused_and_not_shown_as_one_without_windows(store):
    keep(store, "old", "2026-01-01")
    prune(store, BEFORE, NOW)
    with pytest.raises(UserError, match="pruned on 2027-01-01") as caught:
        store.load("old")
    assert "tinyrig export" in caught.value.remedy


def test_a_dry_run_counts_the_same_and_deletes_nothing(store):
    keep(store, "old", "2026-01-01")
    before = kinds(store)
    would = prune(store, BEFORE, NOW, dry_run=True)
    assert kinds(store) == before and store.load("old").runs
    assert prune(store, BEFORE, NOW) == would


def test_the_newest_accepted_run_keeps_its_samples(store):
    for day, accept in ((1, True), (2, True), (3, False)):
        keep(store, f"r{day}", f"2026-01-0{day}", accept)
    assert prune(store, BEFORE, NOW).kept == 2
    assert store.load("r2").runs[0].samples
    for gone in ("r1", "r3"):
        with pytest.raises(UserError):
            store.load(gone)


def test_a_run_under_way_and_one_without_metrics_keep_theirs(store):
    store.begin_run("open", "2026-01-01")
    store.add_measurement("open", make_variant_run("pqt", 8))
    bare = replace(make_variant_run("pqt", 8), labels=())  # metrics can't be computed of it
    store.save(Run("bare", "2026-01-01", (bare,)))
    assert prune(store, BEFORE, NOW).variant_runs == 0
    assert store.load("open").runs and store.load("bare").runs == (bare,)


def test_more_than_one_transaction_full(store, monkeypatch):
    monkeypatch.setattr("tinyrig.store.pruning._BATCH", 3)
    for i in range(4):
        keep(store, f"r{i}", f"2026-01-0{i + 1}")
    assert prune(store, BEFORE, NOW).variant_runs == 8
    assert [k for k, _ in kinds(store)] == ["profile"]


def keep_a_large_run(store):
    big = tuple(Sample("window", i, bytes(8), 1000 + i, None, tuple(range(60))) for i in range(600))
    store.save(Run("old", "2026-01-01", (replace(make_variant_run("pqt", 8), samples=big, labels=None),)))


def test_the_file_gives_its_space_back(tmp_path):
    path = Path(tmp_path / "r.sqlite")
    with Store(f"sqlite:///{path}") as store:
        keep_a_large_run(store)
        prune(store, BEFORE, NOW)
    before = path.stat().st_size  # pruned, but the rows' pages still belong to the file
    with Store(f"sqlite:///{path}") as store:
        store.compact()
        assert store.runs()[0].variants == ("pqt",)
    assert path.stat().st_size < before / 3
    with Store(f"sqlite:///{path}") as store:
        assert history.series(store, "flash_total")


def test_a_server_clears_the_deleted_rows_away(postgres_url):
    with Store(postgres_url) as store:
        keep_a_large_run(store)
        prune(store, BEFORE, NOW)
        before = pages_of(store)
        store.compact()
        assert before > 1 and pages_of(store) == 0


def pages_of(store):
    with store.reading() as db:
        return db.scalar(sa.text("SELECT pg_relation_size('op_cycles') / 8192"))


def test_metrics_are_computed_again_from_the_samples(store):
    keep(store, "old", "2026-01-01")
    keep(store, "new", "2026-07-01")
    before = state(store)
    with store.writing() as db:
        db.execute(schema.METRICS.update().where(schema.METRICS.c.name == "accuracy").values(value=0.0))
        db.execute(schema.METRICS.delete().where(schema.METRICS.c.name == "ram_stack"))
        db.execute(schema.VARIANT_RUNS.update().values(outputs_sha256="", hits=None))
        reseal(db)
    assert recompute(store) == (4, 0)
    assert state(store) == before


def test_what_was_pruned_keeps_its_metrics(store):
    keep(store, "old", "2026-01-01")
    keep(store, "new", "2026-07-01")
    prune(store, BEFORE, NOW)
    assert recompute(store) == (2, 2) and recompute(store, "old") == (0, 2)
    (series,) = history.series(store, "latency_cycles_median", "pqt")
    assert set(series.values) == {metric_values(make_variant_run("pqt"))["latency_cycles_median"]}
