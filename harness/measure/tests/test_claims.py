"""passed, failed or not measured: what each claim comes to, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinyrig.analysis.evaluation import evaluate
from tinyrig.analysis.run_json import run_to_json
from tinyrig.core.config import Config
from tinyrig.core.errors import ClaimError
from tinyrig.core.records import Claim, ClaimStatus, NotMeasured, Run
from tinyrig.measure.claims import CLAIMS, claim_error, judge
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
    assert judge(good(), evaluate(good()), Config()) == tuple(Claim(name, ClaimStatus.PASSED) for name in CLAIMS)


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
    assert document["runs"][0]["claims"] == {
        "parity": {"status": "passed", "reason": ""},
        "accuracy": {"status": "not measured", "reason": "no labels"},
    }
    assert document["not_measured"] == [{"variant": "simple", "error": "the board is gone", "kind": "link"}]
