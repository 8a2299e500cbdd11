"""What a night's runs hold, on each kind of database."""

from dataclasses import replace

import pytest

from tinyrig.core.plans import RunPlan
from tinyrig.core.records import Claim, ClaimStatus, NotMeasured, Run, StoredVerdict
from tinyrig.store import decisions, night_cells
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_variant_run

STARTED = "2026-01-01T01:00:00+00:00"


@pytest.fixture
def store(any_url):
    with Store(any_url) as opened:
        yield opened


def test_what_was_measured_and_which_claims_failed(store):
    claims = (Claim("parity", ClaimStatus.PASSED), Claim("accuracy", ClaimStatus.FAILED, "93 % < 95 %"))
    store.save(Run("r1", STARTED, (replace(make_variant_run("pqt", 8), claims=claims), make_variant_run("simple", 8))))
    store.save(Run("r2", STARTED, (make_variant_run("simple", 8),)))
    pqt, simple = night_cells.measured(store, ["r1"])
    assert (pqt.run_id, pqt.variant, pqt.board, pqt.timing) == ("r1", "pqt", "virtual", "estimated")
    assert (pqt.dataset, pqt.synthetic, pqt.pruned, pqt.failed) == ("glove", True, False, (("accuracy", "93 % < 95 %"),))
    assert simple.failed == () and night_cells.measured(store, []) == []


def test_what_was_not_measured_and_on_which_board(store):
    store.begin_run("r1", STARTED, {}, RunPlan("desk"))
    store.begin_run("r2", STARTED)
    gone = NotMeasured("pqt", "no answer", "link")
    for run_id in ("r1", "r2"):
        store.add_not_measured(run_id, gone)
    assert night_cells.not_measured(store, ["r1", "r2"]) == [("r1", "desk", gone), ("r2", "", gone)]


def test_limits_are_those_of_verdicts_with_numbers(store):
    store.save(Run("r1", STARTED, (make_variant_run("pqt", 8),)))
    where = ("r1", "pqt", "virtual", "5649525455414c00")
    decisions.save_verdicts(
        store,
        [
            StoredVerdict(*where, "macs", "night", "same", 5, 5, threshold=0.0),
            StoredVerdict(*where, "latency_us_median", "night", "same", 10.5, 10.6, threshold=0.25),
            StoredVerdict(*where, "latency_us_median", "drift", "same", 1.0, 1.0, threshold=0.1),
            StoredVerdict(*where, "outputs", "night", "same", "ab", "ab", threshold=0.0),
            StoredVerdict(*where, "accuracy", "night", "not comparable"),
        ],
    )
    asked = ("latency_us_median", "outputs", "accuracy")
    assert night_cells.limits(store, asked) == [("r1", "pqt", "latency_us_median", 10.5, 0.25)]
    assert night_cells.limits(store, asked, since="2026-02-01") == []
