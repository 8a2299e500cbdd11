"""JUnit's XML: the shape that readers of it ask for, a case for each claim, an error for each fault of the rig."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from tinyrig.budget.budgets import Budgets
from tinyrig.core.errors import HostError, InfraError, LinkError, UserError
from tinyrig.core.records import Claim, ClaimStatus, NotMeasured, Run
from tinyrig.junit.runs import check_path, run_document, save, told_in
from tinyrig.junit.xml import Case, Outcome, Suite, document
from tinyrig.nightly.junit import night_document
from tinyrig.nightly.results import NightResult, VariantResult
from tinyrig.tests.fake_runs import make_variant_run

SHAPE = {
    "testsuites": ((), {"testsuite"}),
    "testsuite": (("name", "tests", "failures", "errors"), {"properties", "testcase", "system-out", "system-err"}),
    "properties": ((), {"property"}),
    "property": (("name", "value"), set()),
    "testcase": (("name", "classname"), {"skipped", "error", "failure", "system-out", "system-err"}),
    "skipped": (("message",), set()),
    "error": (("message", "type"), set()),
    "failure": (("message", "type"), set()),
}
"""Element -> (attributes that it must have, elements that it may have): what the schemas in use, Jenkins' and Ant's, agree on."""
MAY = {"testsuites": {"name", "tests", "failures", "errors", "time"}, "testsuite": {"skipped", "timestamp", "hostname", "time"}}


def checked(text: str) -> ET.Element:
    """Raises AssertionError for what a reader would not take."""
    root = ET.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        must, inside = SHAPE[element.tag]
        assert set(must) <= set(element.attrib) <= set(must) | MAY.get(element.tag, set()), element.attrib
        assert {child.tag for child in element} <= inside
    for suite in root.iter("testsuite"):
        cases = suite.findall("testcase")
        assert suite.get("tests") == str(len(cases)) and all(len(case) <= 1 for case in cases)
        for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(count) == str(sum(case.find(tag) is not None for case in cases))
    return root


def kinds(text):
    cases = checked(text).iter("testcase")
    return {(case.get("classname"), case.get("name")): next((child.tag for child in case), "passed") for case in cases}


def named(name, claims, **variant):
    run = make_variant_run("pqt")
    return replace(run, claims=claims, variant=replace(run.variant, name=name, **variant))


def test_each_claim_is_a_case_and_a_rig_that_failed_is_an_error():
    claims = (
        Claim("parity", ClaimStatus.PASSED),
        Claim("accuracy", ClaimStatus.NOT_MEASURED, "no labels"),
        Claim("max_ram", ClaimStatus.FAILED, "RAM 9,000 bytes, budget at most 8,192 bytes: 808 bytes (9.9 %) too much"),
    )
    run = named("gesture.v2", claims)
    missing = (NotMeasured("sound", "the board is gone\n  remedy: look for it", "link"),)
    text = run_document(Run("r1", "2026-01-31T17:45:02+00:00", (run,), {}, missing), "/dev/tty.usb", [InfraError("lost")])
    assert kinds(text) == {
        ("/dev/tty_usb.gesture_v2", "parity"): "passed",
        ("/dev/tty_usb.gesture_v2", "accuracy"): "skipped",
        ("/dev/tty_usb.gesture_v2", "max_ram"): "failure",
        ("/dev/tty_usb.sound", "measured"): "error",
        ("tinyrig", "run"): "error",
    }
    failure, error = checked(text).find(".//failure"), checked(text).find(".//error")
    assert "808 bytes" in failure.get("message") and failure.get("type") == "ClaimError"
    assert error.get("message") == "the board is gone" and "look for it" in error.text and error.get("type") == "link"


def test_a_budget_that_could_not_be_judged_is_an_error_and_not_skipped():
    claims = (Claim("accuracy", ClaimStatus.NOT_MEASURED, "no labels"), Claim("memory", ClaimStatus.NOT_MEASURED, "no stack"))
    run = named("gesture", claims, budgets=Budgets(max_accuracy_drop=0.01))
    found = kinds(run_document(Run("r1", "2026", (run,)), "virtual"))
    assert found == {("virtual.gesture", "accuracy"): "error", ("virtual.gesture", "memory"): "skipped"}


def test_a_night_has_a_case_for_what_moved():
    claims = (Claim("parity", ClaimStatus.PASSED),)
    results = (
        VariantResult("virtual", "pqt", "r1", claims=claims),
        VariantResult("virtual", "simple", "r1", error=LinkError("gone", remedy="look for it")),
        VariantResult("virtual", "own", "r1", claims=claims, budget_error=UserError("no labels")),
    )
    text = night_document(NightResult("n1", "2026-01-31T17:45:02+00:00", results, (("virtual", "r1", 0),)))
    assert kinds(text) == {
        ("virtual.pqt", "parity"): "passed",
        ("virtual.pqt", "nothing got worse"): "passed",
        ("virtual.simple", "measured"): "error",
        ("virtual.own", "parity"): "passed",
        ("virtual.own", "nothing got worse"): "passed",
        ("virtual.own", "budgets"): "error",
    }


@pytest.mark.parametrize("name", ["a\x00b", "a\x1bb", '<b> & "c"', "a\ud800b", "a\ufffeb", "𝄞"])
def test_whatever_a_name_holds_the_file_can_be_read(name, tmp_path):
    text = document([Suite(name, (Case(name, name, Outcome.ERROR, f"{name}\nmore", "E"),), properties=((name, name),))])
    save(tmp_path / "j.xml", text)
    checked((tmp_path / "j.xml").read_text("utf-8"))


def test_what_ends_a_command_early_is_in_the_file_too(tmp_path):
    path = tmp_path / "j.xml"
    with pytest.raises(LinkError), told_in(path, "run"):
        raise LinkError("gone")
    assert kinds(path.read_text()) == {("tinyrig", "run"): "error"}
    with pytest.raises(LinkError), told_in(None, "run"):
        raise LinkError("gone")


def test_a_file_that_can_not_be_written_is_said_before_any_work(tmp_path):
    for path in (tmp_path, tmp_path / "no" / "j.xml"):
        with pytest.raises(UserError, match="--junit"):
            check_path(path)
    check_path(tmp_path / "j.xml")
    with pytest.raises(HostError, match="--junit"):
        save(tmp_path, "x")
