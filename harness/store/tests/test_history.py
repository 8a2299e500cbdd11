"""Series, nights, acceptances, verdicts and baselines, on each kind of database."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrig.analysis.evaluation import metric_values
from tinyrig.analysis.outputs import outputs_hash, top1_hits
from tinyrig.analysis.provenance import comparable_metadata, metadata_hash
from tinyrig.core.errors import InfraError, UserError
from tinyrig.core.records import Accepted, BoardInfo, Run, Sample, StoredVerdict, Toolchain, VerdictKind, VerdictStatus
from tinyrig.store import decisions, history
from tinyrig.store.runs import Store
from tinyrig.tests import fake_nights
from tinyrig.tests.fake_nights import Plan
from tinyrig.tests.fake_runs import make_run, make_variant_run

BOARD_ID = "5649525455414c00"


@pytest.fixture
def store(any_url):
    with Store(any_url) as opened:
        yield opened


def slower(run, factor):
    """The same outputs, other cycles."""
    return replace(run, samples=tuple(replace(s, cycles=round(s.cycles * factor)) for s in run.samples))


def keep(store, run_id, day=1, factor=1.0, accept=False, wanted=False, night="", rerun=0, **changes):
    """A stored run of `pqt`, perhaps accepted, perhaps of a night."""
    run = slower(replace(make_variant_run("pqt", 8), **changes), factor)
    store.save(Run(run_id, f"2026-01-{day:02d}T01:00:00+00:00", (run,)))
    if night:
        if not any(n.night_id == night for n in history.nights(store)):
            decisions.begin_night(store, night, f"2026-01-{day:02d}T01:00:00+00:00", ["virtual"])
        decisions.add_to_night(store, night, run_id, rerun)
    if accept or wanted:
        why = "it is meant" if wanted else "nothing changed"
        decisions.accept(store, Accepted(run_id, None, f"2026-01-{day:02d}T02:00:00+00:00", "me", why, wanted))
    return run


def usual_hash():
    return metadata_hash(comparable_metadata(make_variant_run("pqt", 8)))


def medians(runs):
    return [run.metrics["latency_cycles_median"] for run in runs]


# ---- series ----


def test_a_series_is_the_metric_of_each_run_in_order_of_storing(store):
    run = keep(store, "b", 2, 1.5)
    keep(store, "a", 1)
    (series,) = history.series(store, "latency_cycles_median")
    assert [(p.run_id, p.started[:10]) for p in series.points] == [("b", "2026-01-02"), ("a", "2026-01-01")]
    assert series.points[0].value == metric_values(run)["latency_cycles_median"]
    assert (series.variant, series.board, series.board_id, series.timing) == ("pqt", "virtual", BOARD_ID, "estimated")
    assert {p.comparable for p in series.points} == {usual_hash()}


def test_boards_of_one_kind_have_series_of_their_own(store):
    for number in (1, 2):
        keep(store, f"r{number}", number, board=BoardInfo("nano33ble", f"{number:016x}", 64_000_000, "measured"))
    keep(store, "v", 3)
    assert [s.board_id for s in history.series(store, "flash_total")] == [f"{1:016x}", f"{2:016x}", BOARD_ID]
    assert len(history.series(store, "flash_total", board="nano33ble")) == 2
    assert [s.places[0].run_id for s in history.series(store, "flash_total", board=f"{2:016x}")] == ["r2"]
    assert [s.places[0].run_id for s in history.series(store, "flash_total", board="56495254")] == ["v"]
    assert history.series(store, "flash_total", board="%") == history.series(store, "flash_total", variant="x") == []


def test_since_leaves_out_what_is_older(store):
    for day in (1, 2, 3):
        keep(store, f"r{day}", day)
    (series,) = history.series(store, "accuracy", since="2026-01-02")
    assert [p.run_id for p in series.places] == ["r2", "r3"]


def test_a_run_without_the_metric_is_left_out(store):
    keep(store, "a", 1)
    keep(store, "b", 2, parity=None)  # unverified: no timing
    latency, flash = history.all_series(store, ["latency_us_median", "flash_total"])
    assert [p.run_id for p in latency.places] == ["a"] and len(latency.values) == 1
    assert [p.run_id for p in flash.places] == ["a", "b"]


def test_a_wanted_change_is_marked_and_a_quiet_night_is_not(store):
    keep(store, "a", 1, accept=True)
    keep(store, "b", 2, wanted=True, night="n", rerun=1)
    (series,) = history.series(store, "ram_arena")
    assert [(p.accepted, p.night, p.rerun) for p in series.points] == [("", "", 0), ("it is meant", "n", 1)]


def test_no_samples_are_read(store, monkeypatch):
    keep(store, "a", accept=True)
    monkeypatch.setattr("tinyrig.store.measurements.load_samples", None)
    assert history.series(store, "accuracy") and history.baseline_runs(store, "virtual", "pqt", usual_hash())


def test_metadata_by_hash(store):
    run = keep(store, "a")
    assert history.comparables(store) == {usual_hash(): comparable_metadata(run)}


def test_cycles_by_operator(store):
    store.save(make_run())
    rows = history.op_cycles(store, make_run().run_id, "pqt")
    profile = next(s for s in make_variant_run("pqt").samples if s.kind == "profile")
    assert [op for op, _, _ in rows] == ["RESHAPE", "CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    assert [cycles for _, _, cycles in rows] == list(map(float, profile.op_cycles))
    assert history.op_cycles(store, make_run().run_id, "none") == []


# ---- nights, acceptances, verdicts ----


def test_nights_are_newest_first_and_know_their_runs(store):
    keep(store, "a", 1, night="n1")
    keep(store, "b", 2, night="n2")
    keep(store, "c", 2, night="n2", rerun=1)
    decisions.add_to_night(store, "n2", "c", 5)  # said before
    decisions.end_night(store, "n2", "2026-01-02T03:00:00+00:00", 1, "pqt is slower")
    second, first = history.nights(store)
    assert (second.night_id, second.runs, second.reruns, second.exit_code) == ("n2", ("b", "c"), (0, 1), 1)
    assert (second.summary, second.boards, first.finished, first.exit_code) == ("pqt is slower", ("virtual",), None, None)
    assert [n.night_id for n in history.nights(store, since="2026-01-02")] == ["n2"]
    with pytest.raises(InfraError, match="already stored"):
        decisions.begin_night(store, "n1", "2026", [])


def test_acceptances_are_kept_for_ever(store):
    keep(store, "a", 1, accept=True)
    decisions.accept(store, Accepted("a", "pqt", "2026-01-02", "me", "again", True))
    assert [(e.run_id, e.variant, e.why, e.wanted) for e in history.accepted(store)] == [
        ("a", None, "nothing changed", False),
        ("a", "pqt", "again", True),
    ]
    assert [e.why for e in history.accepted(store, wanted_only=True)] == ["again"]


def test_only_what_was_measured_can_be_accepted(store):
    keep(store, "a")
    store.begin_run("empty", "2026")
    for run_id, variant in (("a", "other"), ("empty", None), ("unknown", None)):
        with pytest.raises(UserError):
            decisions.accept(store, Accepted(run_id, variant, "2026", "me", "why", True))
    assert history.accepted(store) == []


def verdict(run_id="a", metric="ram_arena", status="same", **more):
    return StoredVerdict(run_id, "pqt", "virtual", BOARD_ID, metric, VerdictKind.NIGHT, VerdictStatus(status), **more)


def test_verdicts_round_trip_and_the_last_word_counts(store):
    keep(store, "a")
    numbers = verdict(old=1.5, new=0.1 + 0.2, change=-1.2, threshold=0.25, detectable=0.4, p_value=1e-9, details={"runs": 2})
    hashes = verdict(metric="outputs", status="changed", old="ab", new="cd", reason="they differ")
    decisions.save_verdicts(store, [verdict(status="worse"), hashes])
    decisions.save_verdicts(store, [numbers, replace(numbers, kind=VerdictKind.DRIFT)])
    assert set(map(repr, history.verdicts(store, "a"))) == {
        repr(v) for v in (numbers, hashes, replace(numbers, kind=VerdictKind.DRIFT))
    }
    assert history.moved_verdicts(store) == [hashes]
    assert history.moved_verdicts(store, since="2027") == []
    with pytest.raises(UserError, match="no finished variant"):
        decisions.save_verdicts(store, [verdict(metric="macs"), replace(verdict(), variant="other")])
    assert len(history.verdicts(store, "a")) == 3


def test_numpy_numbers_are_stored_as_plain_ones(store):
    keep(store, "a")
    numbers = {"old": np.float64(1.5), "new": np.int64(2), "change": np.float32(0.5)}
    decisions.save_verdicts(store, [verdict(**numbers, details={"n": np.bool_(True)})])
    (found,) = history.verdicts(store, "a")
    assert (found.old, found.new, found.change, found.details) == (1.5, 2, 0.5, {"n": True})


@dataclass(frozen=True)
class FakeJudgement:
    """The fields of verdicts.Judgement that have columns, and one that has not."""

    metric: str = "ram_arena"
    status: str = "worse"
    reason: str = ""
    baseline: float = 100.0
    value: float = 110.0
    difference: float = 10.0
    difference_percent: float = 10.0
    threshold: float = 0.0
    detectable: float | None = None
    p_value: float | None = None
    baseline_runs: int = 20


def test_a_judgement_becomes_a_verdict_and_loses_nothing():
    made = decisions.stored_verdict(FakeJudgement(), "a", "pqt", "virtual", BOARD_ID)
    assert (made.old, made.new, made.change, made.change_percent) == (100.0, 110.0, 10.0, 10.0)
    assert made.details == {"baseline_runs": 20}
    names = {f.name for f in dataclasses.fields(StoredVerdict)}
    assert set(decisions._COLUMNS.values()) <= names and set(decisions._COLUMNS) <= {
        f.name for f in dataclasses.fields(FakeJudgement)
    }


# ---- baselines ----


def test_the_baseline_is_the_last_accepted_comparable_runs(store):
    runs = [keep(store, f"r{day}", day, 1 + day / 100, accept=day != 3) for day in range(1, 6)]
    found = history.baseline_runs(store, "virtual", "pqt", usual_hash(), 3)
    assert [r.run_ids for r in found] == [("r2",), ("r4",), ("r5",)]
    assert medians(found) == [metric_values(runs[i])["latency_cycles_median"] for i in (1, 3, 4)]
    assert found[0].outputs_sha256 == outputs_hash(runs[0]) and list(found[0].hits) == list(top1_hits(runs[0]))
    assert not any(r.first for r in found)
    before = history.baseline_runs(store, BOARD_ID, "pqt", usual_hash(), before=["r4", "r5"])
    assert [r.run_ids for r in before] == [("r1",), ("r2",)]


def test_where_nothing_was_accepted_the_first_run_stands_in(store):
    keep(store, "a", 1)
    keep(store, "b", 2)
    (only,) = history.baseline_runs(store, "virtual", "pqt", usual_hash(), before=["b"])
    assert only.run_ids == ("a",) and only.first
    assert history.baseline_runs(store, "virtual", "pqt", usual_hash(), before=["a"]) == []
    assert history.last_accepted_metadata(store, "virtual", "pqt") is None


def test_a_new_compiler_has_no_baseline_and_what_differs_is_known(store):
    keep(store, "a", 1, accept=True)
    image = make_variant_run("pqt", 8).image
    new = keep(store, "b", 2, image=replace(image, toolchain=Toolchain("gcc 14", "-O3")))
    metadata = comparable_metadata(new)
    assert history.baseline_runs(store, "virtual", "pqt", metadata_hash(metadata), before=["b"]) == []
    assert history.last_accepted_metadata(store, "virtual", "pqt", before=["b"]) == {
        **metadata,
        "compiler": image.toolchain.cc,
        "flags": image.toolchain.flags,
    }


def test_the_runs_of_one_night_count_as_one_with_their_median(store):
    keep(store, "a", 1, accept=True)
    keep(store, "b", 2, 1.30, night="n")
    keep(store, "c", 2, 1.10, night="n", rerun=1)
    keep(store, "d", 2, 1.20, night="n", rerun=2, accept=True)
    found = history.baseline_runs(store, "virtual", "pqt", usual_hash())
    assert [r.run_ids for r in found] == [("a",), ("b", "c", "d")]
    assert found[1].night == "n" and found[1].metrics["latency_cycles_median"] == pytest.approx(1.2 * medians(found)[0], rel=1e-4)


def test_a_run_that_is_accepted_in_part_counts_for_that_variant(store):
    store.save(Run("a", "2026-01-01", (make_variant_run("pqt", 8), make_variant_run("simple", 8))))
    decisions.accept(store, Accepted("a", "simple", "2026", "me", "why", True))
    comparable = usual_hash()
    (other,) = history.baseline_runs(store, "virtual", "pqt", comparable)
    (accepted,) = history.baseline_runs(store, "virtual", "simple", comparable)
    assert other.first and not accepted.first


def test_what_was_before_an_accepted_change_of_this_metric_does_not_count(store):
    for day in range(1, 6):
        keep(store, f"r{day}", day, accept=True)
    decisions.save_verdicts(store, [verdict("r3", "latency_cycles_median", "worse"), verdict("r3", "ram_arena", "same")])
    runs = history.baseline_runs(store, "virtual", "pqt", usual_hash())
    assert [r.run_ids[0] for r in history.since_change(runs, "latency_cycles_median")] == ["r3", "r4", "r5"]
    assert history.since_change(runs, "ram_arena") == runs and history.since_change([], "macs") == []


# ---- the generator that other tests and benchmarks share ----


def test_fake_nights_read_like_stored_ones(store):
    fake_nights.fill(store, Plan(nights=9, variants=5, boards=2, accept_every=4))
    assert len(history.nights(store)) == 9 and len(store.runs()) == 18
    series = history.series(store, "latency_cycles_median")
    assert len(series) == 10 and all(len(s.values) == 9 for s in series)
    virtual = next(s for s in series if s.board == "virtual" and s.variant == "pruned")
    assert virtual.values[4] == pytest.approx(1.02 * virtual.values[3]) and virtual.values[3] == virtual.values[0]
    assert [p.accepted for p in virtual.places][3:5] == ["", "change 1 is wanted"]
    moved = {(v.run_id, v.variant) for v in history.moved_verdicts(store)}
    assert moved == {(fake_nights.run_id(n, b), v) for n, v in ((4, "pruned"), (8, "reshaped")) for b in (0, 1)}
    store.begin_run("next", "2027")
    store.add_measurement("next", make_variant_run("pqt", 8))  # behind keys that were given by hand


# ---- properties ----

levels = st.lists(st.tuples(st.integers(1, 2**31), st.booleans()), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None)
@given(levels, st.integers(1, 8))
def test_series_and_baselines_are_what_was_stored(runs, count):
    base = make_variant_run("pqt", 2)
    with Store("sqlite://") as store:
        for i, (cycles, accept) in enumerate(runs):
            samples = tuple(replace(s, cycles=cycles) for s in base.samples)
            store.save(Run(f"r{i}", f"2026-01-{i + 1:02d}", (replace(base, samples=samples),)))
            if accept:
                decisions.accept(store, Accepted(f"r{i}", None, "2026", "me", "why", False))
        (series,) = history.series(store, "latency_cycles_median")
        assert list(series.values) == [float(cycles) for cycles, _ in runs]
        expected = [float(cycles) for cycles, accept in runs if accept][-count:] or [float(runs[0][0])]
        assert medians(history.baseline_runs(store, "virtual", "pqt", series.places[0].comparable, count)) == expected


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.builds(
            Sample, st.sampled_from(["window", "repeat"]), st.integers(0, 5), st.binary(min_size=8, max_size=8), st.just(1)
        ),
        max_size=12,
    ),
    st.none() | st.lists(st.integers(0, 7), max_size=6),
)
def test_what_outlives_the_samples_is_computed_of_them(samples, labels):
    run = replace(make_variant_run("pqt", 1), samples=tuple(samples), labels=None if labels is None else tuple(labels))
    with Store("sqlite://") as store:
        store.save(Run("r", "2026", (run,)))
        (found,) = history.baseline_runs(store, "virtual", "pqt", metadata_hash(comparable_metadata(run)))
    assert found.outputs_sha256 == outputs_hash(run)
    try:
        hits = top1_hits(run)
    except InfraError:
        hits = None
    assert found.hits == (None if hits is None else tuple(map(bool, hits)))
