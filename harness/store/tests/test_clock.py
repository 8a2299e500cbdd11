"""A rig without a clock battery: runs and nights keep their order, whatever their dates say."""

from __future__ import annotations

import pytest

from tinyrig.core.plans import RunPlan
from tinyrig.host.log import heard
from tinyrig.reports.nights.gather import gather
from tinyrig.store import decisions, history
from tinyrig.store.pruning import prune
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_run

FUTURE, NOW, PAST = "2099-01-01T00:00:00+00:00", "2026-11-30T00:00:00+00:00", "1970-01-01T00:00:09+00:00"


@pytest.fixture
def store(any_url):
    with Store(any_url) as opened:
        yield opened


def night(store, name, started):
    decisions.begin_night(store, name, started, ["virtual"])
    store.save(make_run(f"run-{name}", started, ("pqt",)))
    decisions.add_to_night(store, name, f"run-{name}")
    decisions.end_night(store, name, started, 0, f"summary of {name}")


def test_a_night_in_the_future_hides_none_after_it(store):
    for name, started in (("a", NOW), ("b", FUTURE), ("c", NOW), ("d", PAST)):
        night(store, name, started)
    assert [n.night_id for n in history.nights(store)] == ["d", "c", "b", "a"]
    assert store.latest() == "run-d" and [r.run_id for r in store.runs()] == ["run-d", "run-c", "run-b", "run-a"]
    (series,) = history.series(store, "accuracy")
    assert [place.night for place in series.places] == ["a", "b", "c", "d"]
    assert gather(store).tonight.night_id == "d"


@pytest.mark.parametrize(("started", "warned"), [(PAST, 1), (NOW, 1), (FUTURE, 0), ("2099-01-01T00:00:00", 0), ("no date", 0)])
def test_a_clock_before_what_is_stored_is_said(store, started, warned):
    night(store, "a", FUTURE)
    said = []
    with heard(said.append):
        decisions.begin_night(store, "b", started, ["virtual"])
        store.begin_run("r", started, plan=RunPlan(night="b"))  # said once a night
    assert len(said) == warned and all(FUTURE in line and started in line for line in said)
    said.clear()
    with heard(said.append):
        store.begin_run("alone", started)
    assert len(said) == warned


def test_a_clock_that_was_set_back_deletes_no_fresh_samples(store):
    for name, started in (("old", "2026-01-01T00:00:00+00:00"), ("new", NOW), ("back", PAST), ("ahead", FUTURE), ("end", NOW)):
        store.save(make_run(name, started, ("pqt",)))
    assert prune(store, "2026-06-01T00:00:00+00:00", "2026-12-01T00:00:00+00:00").runs == 1
    assert store.load("new").runs and store.load("back").runs and store.load("end").runs
