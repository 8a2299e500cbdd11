"""`tinyrig run --board=mlperf@PORT` as a user gives it: through store, JSON and report; and what it refuses."""

from __future__ import annotations

import functools
import json
import subprocess
import sys

import numpy as np
import pytest

import tinyrig.mlperf.bench as bench
from tinyrig.cli import main
from tinyrig.core.config import ROOT
from tinyrig.mlperf.tests.board import IMPATIENT, QUICK, FakeBoard, int8_windows, save_windows
from tinyrig.reports.markdown import render
from tinyrig.reports.run import report
from tinyrig.store.runs import Store
from tinyrig.tests.small_models import dense_int8
from tinyrig.tests.user_home import url


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Labelled windows and the model that the board runs; the rule and the deadlines are short."""
    (tmp_path / "dense.tflite").write_bytes(dense_int8())
    x = int8_windows(16, 20)
    save_windows(tmp_path / "own.npz", x, np.arange(16) % 4)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(bench, "Rule", functools.partial(bench.Rule, seconds=0.02))
    monkeypatch.setattr(bench, "Times", lambda: QUICK)
    return tmp_path


def test_a_run_is_stored_told_and_reported(home):
    with FakeBoard("--model", "own01", "--tflite", str(home / "dense.tflite")) as board:
        words = ["--model", "dense.tflite", "--windows", "own.npz", "--json", "out.json", "--no-report"]
        assert main(["run", f"--board=mlperf@{board.port}", *words]) == 0
    document = json.loads((home / "out.json").read_text())
    entry = document["runs"][0]
    assert entry["parity"]["mismatched_windows"] == 0 and entry["flash"] is None and entry["ram"] is None
    assert len(entry["throughput"]["runs"]) == 5 and entry["latency"]["samples"] == 5
    claims = {claim["name"]: claim["status"] for claim in entry["claims"]}
    assert claims["memory"] == "not measured" and claims["parity"] == "passed"
    assert "timestamps" in document["timing_note"] and document["board"]["clock_hz"] == 0
    with Store(url(home)) as store:
        run = store.load(document["run_id"])
    text = render(report.build(report.report_of([run]), None), home)
    assert "clock not known" in text and "no official MLPerf result" in text and "the firmware was built elsewhere" in text
    assert f"{entry['throughput']['median']:,.2f}" in text and "0 MHz" not in text


def test_a_rig_that_fails_leaves_it_unmeasured(home, capfd, monkeypatch):
    monkeypatch.setattr(bench, "Times", lambda: IMPATIENT)
    with FakeBoard("--fault", "silent") as board:
        assert main(["run", f"--board=mlperf@{board.port}", "--windows", "own.npz", "--json", "out.json"]) == 3
    errors = capfd.readouterr().err
    assert "own: not measured: no MLPerf Tiny firmware answers" in errors and "--resume" not in errors
    assert json.loads((home / "out.json").read_text())["not_measured"][0]["kind"] == "link"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--board=mlperf@/dev/null"], "needs windows"),
        (["--board=mlperf", "--windows", "own.npz"], "can't be found automatically"),
        (["--board=mlperf@/dev/null", "--windows", "own.npz", "--engine", "portable"], "--engine can't be used"),
        (["--board=mlperf@/dev/null", "--windows", "own.npz", "--resume"], "--resume can't be used"),
    ],
)
def test_a_slip_of_the_user_is_told(home, capsys, words, told):
    assert main(["run", *words]) == 2
    assert told in capsys.readouterr().err


def test_bench_says_that_it_needs_our_firmware(tmp_path):
    command = [sys.executable, "-m", "pytest", "bench/test_parity.py", "--board=mlperf@/dev/null", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "tinyrig run --board=mlperf@PORT --windows" in done.stdout + done.stderr
