"""`tinyrig run` over several variants: one that can't be measured stops no other, and the exit status reports the worst."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tinyrig.budget.quantity import show_us
from tinyrig.cli import main
from tinyrig.core.errors import DeviceError, InfraError, LinkError, ModelError, UserError
from tinyrig.measure import board_side
from tinyrig.measure.variants import model_variant
from tinyrig.tests.user_home import furnish, url


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """Variant name -> the error that measuring it ends with; `dense` has a host accuracy that the board can't reach."""
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    found: dict[str, Exception] = {}
    names, real = ("dense", "float", "other"), board_side.measure_variant

    def measure_variant(job, *rest):
        if job.variant.name in found:
            raise found[job.variant.name]
        return real(job, *rest)

    def built_variants(config, wanted=(), deadline=None):
        variants = [model_variant(tmp_path / f"{n}.tflite", tmp_path / "windows.npz") for n in wanted or names]
        return [dataclasses.replace(v, host_accuracy=1.0) if v.name == "dense" else v for v in variants]

    monkeypatch.setattr("tinyrig.measure.board_side.measure_variant", measure_variant)
    monkeypatch.setattr("tinyrig.measure.variants.built_variants", built_variants)
    return found


def run(*words: str) -> tuple[int, dict]:
    code = main(["run", *words, "--no-report", "--json", "out.json"])
    with open("out.json") as file:
        return code, json.load(file)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (LinkError("gone"), "link", 3),
        (DeviceError("faulted"), "device", 3),
        (InfraError("ended"), "infra", 3),
        (ModelError("too large"), "model", 2),
    ],
)
def test_the_others_are_measured_all_the_same(faults, capfd, error, kind, code):
    faults["float"] = error
    status, document = run("--variant", "float", "other")
    assert status == code
    assert [r["variant"] for r in document["runs"]] == ["other"]
    assert document["not_measured"] == [{"variant": "float", "error": str(error), "kind": kind}]
    output, errors = capfd.readouterr()
    assert f"float: not measured: {error}" in errors and ("--resume" in errors) is (code == 3)
    (kept,) = document["runs"]
    assert (
        "other on virtual: verified, accuracy" in output and f"{show_us(kept['latency']['us_median'])} (estimated, " in output
    ), "without a report too"


def test_a_failed_claim_counts_more_than_a_rig_that_failed_and_both_are_told(faults, capfd):
    faults["other"] = LinkError("the board is gone")
    status, document = run("--variant", "dense", "other")
    errors = capfd.readouterr().err
    assert status == 1
    assert "claim failed: dense: accuracy:" in errors and "other: not measured: the board is gone" in errors
    assert {c["name"]: c["status"] for c in document["runs"][0]["claims"]}["accuracy"] == "failed"


def test_a_rig_that_failed_counts_more_than_an_unusable_model(faults):
    faults |= {"float": ModelError("too large"), "other": LinkError("gone")}
    assert main(["run", "--no-report", "--variant", "float", "other"]) == 3


def test_another_mistake_of_the_users_ends_the_command(faults, capfd):
    faults["float"] = UserError("no such windows")
    assert main(["run", "--no-report"]) == 2
    assert "no such windows" in capfd.readouterr().err


def test_resuming_measures_what_the_rig_could_not(faults):
    faults["other"] = LinkError("gone")
    assert run("--variant", "float", "other")[0] == 3
    faults.clear()
    status, document = run("--resume")
    assert status == 0 and document["not_measured"] == []
    assert [r["variant"] for r in document["runs"]] == ["float", "other"]


def test_json_that_can_no_longer_be_written_is_exit_3_and_the_run_is_kept(faults, capfd, monkeypatch):
    def gone(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", gone)
    assert main(["run", "--variant", "other", "--no-report", "--json", "out.json"]) == 3
    assert "No space left" in capfd.readouterr().err


def test_an_error_in_tinyrig_itself_is_not_shown_as_a_failed_claim(faults, capfd):
    """Python's exit status for an exception that nobody expects is 1."""
    faults["other"] = KeyError("a bug")
    assert main(["run", "--variant", "other", "--no-report"]) == 3
    errors = capfd.readouterr().err
    assert "Traceback" in errors and "says nothing about the model" in errors and "tinyrig run --resume" in errors


def test_a_second_board_is_refused_and_not_taken_in_the_place_of_the_first(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["run", "--board", "virtual", "--board", "nano33ble"])
    assert caught.value.code == 2 and "tinyrig nightly --board A B" in capsys.readouterr().err


# ---- models of the user's ----

RIG = """
[models.gesture]
file = "dense.tflite"
windows = "windows.npz"
max_latency = "1us"
[models.sound]
file = "other.tflite"
max_ram = "8KiB"
"""


def test_a_project_with_models_of_its_own_measures_those_and_a_budget_that_is_exceeded_is_named(faults, tmp_path, capfd):
    (tmp_path / "rig.toml").write_text(RIG)
    status, document = run()
    claims = {run["variant"]: {c["name"]: c for c in run["claims"]} for run in document["runs"]}
    assert status == 1 and list(claims) == ["gesture", "sound"]
    assert claims["gesture"]["accuracy"]["status"] == "passed" and claims["gesture"]["accuracy"]["against"] == "the oracle tflm"
    exceeded = claims["gesture"]["max_latency"]
    assert exceeded["status"] == "failed" and exceeded["value"] > exceeded["limit"] == 1.0 and exceeded["unit"] == "us"
    assert claims["sound"]["max_ram"]["status"] == "passed" and claims["sound"]["max_ram"]["limit"] == 8192.0
    errors = capfd.readouterr().err
    assert "claim failed: gesture: max_latency: latency " in errors and "budget at most 1 us: " in errors and "too much" in errors


def test_junit_has_a_case_for_each_claim_and_an_error_for_the_rig(faults, tmp_path):
    import xml.etree.ElementTree as ET

    (tmp_path / "rig.toml").write_text(RIG)
    faults["sound"] = LinkError("the board is gone")
    assert run("--junit", "junit.xml")[0] == 1
    cases = ET.parse(tmp_path / "junit.xml").getroot().iter("testcase")
    kinds = {(c.get("classname"), c.get("name")): next((child.tag for child in c), "passed") for c in cases}
    assert kinds["virtual.gesture", "max_latency"] == "failure" and kinds["virtual.gesture", "parity"] == "passed"
    assert kinds["virtual.sound", "measured"] == "error"
    assert main(["run", "--model", "nonsense", "--no-report", "--junit", "junit.xml"]) == 2
    (case,) = ET.parse(tmp_path / "junit.xml").getroot().iter("testcase")
    assert "no model nonsense" in case.find("error").get("message")


def test_several_models_in_one_run_by_file_and_by_name(faults, tmp_path):
    (tmp_path / "rig.toml").write_text(RIG)
    status, document = run("--model", "sound", "dense.tflite", "--limit", "2", "--max-flash", "1MiB")
    assert status == 0 and [r["variant"] for r in document["runs"]] == ["sound", "dense"]
    assert "max_latency" not in {c["name"] for c in document["runs"][1]["claims"]}, "a file brings no budgets of rig.toml"
    assert [r["variant"] for r in run("--resume", document["run_id"])[1]["runs"]] == ["sound", "dense"]


def test_windows_without_a_model_are_those_of_all_models_of_rig_toml(faults, tmp_path):
    (tmp_path / "rig.toml").write_text(RIG)
    _, document = run("--windows", "windows.npz", "--limit", "3", "--max-latency", "1s")
    assert [(r["variant"], r["windows"], r["accuracy"] is None) for r in document["runs"]] == [
        ("gesture", 3, False),
        ("sound", 3, False),
    ]
    assert main(["run", "--windows", "windows.npz", "--variant", "other", "--no-report"]) == 2


def test_variants_are_measured_where_they_are_named_and_have_budgets_too(faults, tmp_path):
    (tmp_path / "rig.toml").write_text(RIG)
    status, document = run("--variant", "other", "--max-ram", "1B")
    assert status == 1 and [r["variant"] for r in document["runs"]] == ["other"]


def test_a_budget_that_could_not_be_judged_is_no_good_run(faults, tmp_path, capfd):
    import numpy as np

    np.savez(tmp_path / "unlabelled.npz", x=np.load(tmp_path / "windows.npz")["x"])
    assert main(["run", "--model", "dense.tflite", "--windows", "unlabelled.npz", "--min-accuracy", "10%", "--no-report"]) == 2
    assert "budgets that could not be judged" in capfd.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("--model", "dense.tflite", "--max-latency", "5"),
        ("--model", "dense.tflite", "--max-ram", "-1"),
        ("--model", "dense.tflite", "--oracle", "none", "--max-ram", "8KiB"),
        ("--model", "dense.tflite", "--min-accuracy", "90%"),
        ("--model", "nonsense"),
        ("--model", "dense.tflite", "dense.tflite"),
    ],
)
def test_what_can_not_be_used_is_refused_before_anything_is_measured(faults, tmp_path, words):
    assert main(["run", "--no-report", *words]) == 2
    assert not (tmp_path / "results.sqlite").exists()
