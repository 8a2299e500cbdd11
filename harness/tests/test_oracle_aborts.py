"""A model that the board runs and the oracle dies of: unverified, so no timing is shown or stored."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tinyrig.cli import main
from tinyrig.tests.user_home import MODEL, furnish, url
from tinyrig.workload.oracle import _Tflm


def test_a_model_that_the_oracle_dies_of_has_no_timing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(_Tflm, "_invoke", lambda *_: os.abort())
    code = main(["run", *MODEL, "--no-report", "--json", "out.json"])
    shown = capfd.readouterr()
    assert code == 2
    assert "not measured" in shown.err and "there is no timing" in shown.err and "Traceback" not in shown.err
    assert "stored as" not in shown.out
    assert json.loads((tmp_path / "out.json").read_text())["runs"] == []
    with closing(sqlite3.connect(tmp_path / "results.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM metrics").fetchone() == (0,)
        assert db.execute("SELECT kind FROM not_measured").fetchall() == [("model",)]
    assert main(["history", "latency_us_median"]) == 2
