"""passed, failed or not measured: what each claim comes to, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinyrig.analysis.evaluation import evaluate
from tinyrig.analysis.run_json import run_to_json
from tinyrig.budget.budgets import Budgets
from tinyrig.core.config import Config
from tinyrig.core.errors import ClaimError
from tinyrig.core.records import Claim, ClaimStatus, NotMeasured, Run
from tinyrig.measure.claims import CLAIMS, budget_error, claim_error, judge
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_variant_run


def good(**changes):
    base = make_variant_run("pqt")
    variant = replace(base.variant, details={"host_windows": 240}, **changes.pop("variant", {}))
    return replace(base, variant=variant, **changes)


def status(name, run, **settings):
    return next((c.status, c.reason) for c in judge(run, evaluate(run), replace(Config(), **settings)) if c.name == name)


def without(run, kind):
    return replace(run, samples=tuple(s for s in run.samples if s.kind != kind))


def test_a_good_run_passes_every_claim():
    found = judge(good(), evaluate(good()), Config())
    assert [(c.name, c.status, c.reason) for c in found] == [(name, ClaimStatus.PASSED, "") for name in CLAIMS]
    assert all(c.limit is not None and c.value is not None and c.unit for c in found)


@pytest.mark.parametrize(
    ("name", "run", "expected", "word"),
    [
        ("parity", good(parity=None), ClaimStatus.NOT_MEASURED, "no oracle"),
        ("parity", good(parity=replace(good().parity, compared=3)), ClaimStatus.NOT_MEASURED, "3 of 240"),
        ("parity", good(parity=replace(good().parity, mismatched_windows=1)), ClaimStatus.FAILED, "1 of 240 windows differ"),
        ("accuracy", good(variant={"host_accuracy": None}), ClaimStatus.NOT_MEASURED, "host"),
        ("accuracy", good(labels=None), ClaimStatus.NOT_MEASURED, "labels"),
        ("accuracy", good(labels=(0,)), ClaimStatus.NOT_MEASURED, "labels"),
        ("accuracy", replace(good(), samples=good().samples[:5]), ClaimStatus.NOT_MEASURED, "5 of 240"),
        ("accuracy", good(variant={"host_accuracy": 1.0}), ClaimStatus.FAILED, "allowed drop 0.005"),
        ("memory", without(good(), "stack"), ClaimStatus.NOT_MEASURED, "stack"),
        (
            "memory",
            replace(good(), image=replace(good().image, footprint=replace(good().image.footprint, ram_arena=1 << 20))),
            ClaimStatus.FAILED,
            "bytes of RAM",
        ),
        (
            "memory",
            replace(good(), image=replace(good().image, footprint=replace(good().image.footprint, flash_rig=1 << 20))),
            ClaimStatus.FAILED,
            "bytes of flash",
        ),
    ],
)
def test_what_a_claim_comes_to(name, run, expected, word):
    found, reason = status(name, run)
    assert found == expected and word in reason


def test_an_error_of_a_claim_names_variant_and_claim():
    error = claim_error(good(), Claim("accuracy", ClaimStatus.FAILED, "it fell"))
    assert isinstance(error, ClaimError) and error.exit_code == 1 and str(error) == "pqt: accuracy: it fell"


def test_claims_and_what_was_not_measured_are_stored_and_in_the_json(tmp_path):
    claims = (Claim("parity", ClaimStatus.PASSED), Claim("accuracy", ClaimStatus.NOT_MEASURED, "no labels"))
    run = Run("r", "2026", (good(claims=claims),), {}, (NotMeasured("simple", "the board is gone", "link"),))
    with Store(f"sqlite:///{tmp_path}/r.sqlite") as store:
        store.save(run)
        assert store.load("r") == run
        document = run_to_json(store.load("r"))
    none = {"limit": None, "value": None, "unit": "", "against": ""}
    assert document["runs"][0]["claims"] == [
        {"name": "parity", "status": "passed", "reason": "", **none},
        {"name": "accuracy", "status": "not measured", "reason": "no labels", **none},
    ]
    assert document["not_measured"] == [{"variant": "simple", "error": "the board is gone", "kind": "link"}]


# ---- a model from elsewhere ----


def own(correct=None, **budgets):
    """Without an accuracy of the host's; of 240 windows the oracle has `correct` right."""
    run = good(variant={"host_accuracy": None, "budgets": Budgets(**budgets)})
    return replace(run, parity=replace(run.parity, oracle_correct=correct))


def hits(run):
    return int(evaluate(run).hits.sum())


def test_a_model_from_elsewhere_goes_by_the_oracles_accuracy_on_the_same_windows():
    right = hits(own())
    (found,) = (c for c in judge(own(right), evaluate(own(right)), Config()) if c.name == "accuracy")
    assert found.status == ClaimStatus.PASSED and found.against == "the oracle tflm" and found.unit == "fraction"
    assert found.value == pytest.approx(right / 240) and found.limit == pytest.approx(right / 240 - 0.005)
    assert status("accuracy", own(right + 1))[0] == ClaimStatus.PASSED, "within the allowed drop"
    failed, reason = status("accuracy", own(right + 4))
    assert failed == ClaimStatus.FAILED and "of the oracle tflm" in reason and "too low" in reason
    assert status("accuracy", own(right + 4, max_accuracy_drop=0.05))[0] == ClaimStatus.PASSED
    assert status("accuracy", own(None))[0] == ClaimStatus.NOT_MEASURED


@pytest.mark.parametrize(
    ("budget", "good_limit", "bad_limit", "words"),
    [
        ("min_accuracy", 0.5, 1.0, "budget at least 100.00 %"),
        ("max_latency", 1e9, 1.0, "budget at most 1 us"),
        ("max_ram", 1 << 20, 1, "budget at most 1 bytes"),
        ("max_flash", 1 << 20, 1, "budget at most 1 bytes"),
    ],
)
def test_a_budget_is_a_claim_of_its_own_and_says_by_how_much_it_was_exceeded(budget, good_limit, bad_limit, words):
    assert status(budget, own(**{budget: good_limit})) == (ClaimStatus.PASSED, "")
    found, reason = status(budget, own(**{budget: bad_limit}))
    assert found == ClaimStatus.FAILED and words in reason and ("too much" in reason or "too low" in reason)
    assert [c.name for c in judge(own(), evaluate(own()), Config())] == list(CLAIMS), "none where none is asked for"


def test_a_limit_that_is_just_kept_does_not_fail_by_the_last_bit():
    right = hits(own())
    reference = right + 24
    assert status("accuracy", own(reference, max_accuracy_drop=reference / 240 - right / 240))[0] == ClaimStatus.PASSED
    assert status("min_accuracy", own(min_accuracy=right / 240 + 1e-12))[0] == ClaimStatus.PASSED
    assert status("min_accuracy", own(min_accuracy=(right + 1) / 240))[0] == ClaimStatus.FAILED


def test_an_unverified_run_keeps_no_budget():
    budgets = {"min_accuracy": 0.0, "max_latency": 1e9, "max_ram": 1 << 30, "max_flash": 1 << 30}
    for run in (replace(own(**budgets), parity=None), wrong(own(**budgets))):
        claims = {c.name: c.status for c in judge(run, evaluate(run), Config())}
        assert {claims[name] for name in budgets} == {ClaimStatus.NOT_MEASURED}


def wrong(run):
    return replace(run, parity=replace(run.parity, mismatched_windows=1))


def test_a_budget_that_could_not_be_judged_is_an_error_unless_a_failed_claim_says_more():
    run = replace(own(min_accuracy=0.5), labels=None)
    error = budget_error(run, judge(run, evaluate(run), Config()))
    assert error.exit_code == 2 and "min_accuracy: no accuracy was measured" in error.received
    run = replace(own(max_accuracy_drop=0.5), labels=None)
    assert "accuracy: the windows carry no labels" in budget_error(run, judge(run, evaluate(run), Config())).received
    assert budget_error(wrong(own(max_ram=1)), judge(wrong(own(max_ram=1)), evaluate(wrong(own(max_ram=1))), Config())) is None
    assert budget_error(own(), judge(own(), evaluate(own()), Config())) is None


def test_budgets_and_numbers_of_claims_are_stored(tmp_path):
    run = own(200, max_latency=5000.0, max_ram=8192)
    run = replace(run, claims=judge(run, evaluate(run), Config()))
    with Store(f"sqlite:///{tmp_path}/r.sqlite") as store:
        store.save(Run("r", "2026", (run,)))
        (found,) = store.load("r").runs
    assert found.claims == run.claims and found.variant.budgets == run.variant.budgets and found.parity == run.parity
