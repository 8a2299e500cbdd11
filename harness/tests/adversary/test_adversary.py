"""The adversary sees what it looks for: each invariant is broken on purpose here. Its campaigns are `make adversary`."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from tinyrig.core.boards import BOARDS
from tinyrig.core.config import Config
from tinyrig.measure.variant import compile_for
from tinyrig.tests import small_models
from tinyrig.tests.adversary import boards, command, disturbances, files, invariants, text_devices
from tinyrig.tests.adversary.__main__ import KINDS, strike
from tinyrig.tests.adversary.attack import Place
from tinyrig.tests.adversary.command import Command, Outcome
from tinyrig.tests.adversary.hostile_board import Lies
from tinyrig.tests.processes import children, wait_until_gone


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path, np.random.default_rng(0))


def scene(place: Place, target: str = "virtual") -> boards.Scene:
    return boards.Scene(place, target, compile_for(small_models.dense_int8(), BOARDS[target], Config()))


def test_the_shares_are_all_of_the_time_and_each_kind_has_its_own_seeds():
    assert sum(kind.share for kind in KINDS.values()) == pytest.approx(1.0)
    assert len({kind.number for kind in KINDS.values()}) == len(KINDS)


def test_the_same_seed_and_index_do_the_same_again():
    kind = KINDS["files"]

    def said(place: Place) -> files.Attack:
        return files.Attack(files._change({"a": [1, {"b": 2}], "c": "d"}, place) + repr(files._spoil(bytes(range(99)), place)))

    first, again, other = (strike(kind, said, seed, 5).what for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Outcome(None, "", "", 0, ()), "hung"),
        (Outcome(2, "", "why", 0, ()), "exit code 2"),
        (Outcome(3, "", "Traceback (most recent call last)", 0, ()), "traceback"),
        (Outcome(3, "a\x1b[2J", "", 0, ()), "control"),
        (Outcome(3, "", "a\x9b2J", 0, ()), "control"),
        (Outcome(3, "", "", 3 << 20, ()), "memory"),
        (Outcome(3, "", "", 0, (1,)), "outlived"),
    ],
)
def test_what_a_process_did_wrong_is_seen(outcome, word):
    (fault,) = invariants.broken(outcome, (0, 3))
    assert word in fault


def test_a_process_that_did_nothing_wrong_is_let_go():
    assert not list(invariants.broken(Outcome(0, "a\tb\r\n", "ü", 200 << 10, ()), (0, 3)))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"parity": None}, "latency without"),
        (
            {"parity": {"compared": 3, "mismatched_windows": 1}, "claims": [{"name": "parity", "status": "passed"}]},
            "parity passed",
        ),
        ({"parity": {"compared": 3, "mismatched_windows": 0, "nonfinite_windows": 3}, "latency": None}, "not finite"),
        ({"latency": float("nan")}, "unusable"),
    ],
)
def test_numbers_without_verification_are_seen(tmp_path, changes, word):
    run = {"variant": "v", "accuracy": 1.0, "latency": {}, "parity": {"compared": 3, "mismatched_windows": 0}}
    path = tmp_path / "out.json"
    path.write_text(json.dumps({"runs": [run]}))
    assert not list(invariants.said_wrongly(path))
    path.write_text(json.dumps({"runs": [run | changes]}))
    assert word in " ".join(invariants.said_wrongly(path))


def test_rows_that_are_doubled_and_metrics_beyond_their_bounds_are_seen(tmp_path):
    with sqlite3.connect(tmp_path / "r.sqlite") as db:
        db.execute("CREATE TABLE variant_runs (run_seq, variant)")
        db.execute("CREATE TABLE metrics (name, value)")
        db.executemany("INSERT INTO metrics VALUES (?, ?)", [("accuracy", 0.5), ("ram_stack", 76)])
        db.execute("INSERT INTO variant_runs VALUES (1, 'v')")
        db.commit()
        assert not list(invariants.stored_wrongly(tmp_path / "r.sqlite"))
        db.execute("INSERT INTO variant_runs VALUES (1, 'v')")
        db.executemany("INSERT INTO metrics VALUES (?, ?)", [("accuracy", 1.5), ("ram_stack", 2**32 - 1), ("auc", float("inf"))])
    db.close()
    assert len(list(invariants.stored_wrongly(tmp_path / "r.sqlite"))) == 4


def test_a_helper_that_outlives_its_command_is_seen_and_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "SETTLE_S", 0.2)

    def leave_one() -> None:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)

    outcome = Command(tmp_path, prepare=leave_one).finish()
    assert outcome.code == 0 and len(outcome.orphans) == 1
    wait_until_gone(list(outcome.orphans))


def test_a_command_that_hangs_is_ended_and_told(tmp_path):
    outcome = Command(tmp_path, prepare=lambda: time.sleep(60)).finish(limit_s=0.3)
    assert outcome.code is None and not set(outcome.orphans) & set(children(os.getpid()))


def test_an_honest_board_is_believed_and_a_lie_that_is_not_noticed_is_seen(place):
    assert boards.tell(scene(place), boards.honest).faults == ()
    for path in place.folder.iterdir():
        if path.is_file():
            path.unlink()
    faults = boards.tell(scene(place), lambda _: boards.Draw("unnoticed", Lies(), True)).faults
    assert "exit code 0" in faults[0] and "stored as" in faults[1]


def test_an_honest_text_device_is_believed_and_nan_is_not(place, tmp_path_factory):
    honest, nan = text_devices.honest(place), text_devices.Lie("nan", text_devices._RESULT, lambda old: b"nan", (1, 3))
    compute = text_devices.computed()
    assert text_devices.tell(place, honest, compute).faults == ()
    other = Place(tmp_path_factory.mktemp("nan"), place.rng)
    assert text_devices.tell(other, nan, compute).faults == ()


def test_numbers_of_no_model_and_results_that_are_not_there_are_seen(tmp_path):
    entry = {"schema": 1, "run_id": "r", "started": "", "runs": [], "not_measured": []}
    (tmp_path / "out.json").write_text(json.dumps(entry))
    good = Outcome(0, "", "", 0, ())
    right = {"a": {"runs": [{"variant": "v"}]}}
    found = list(disturbances._numbers_right(tmp_path, good, right))
    assert "no model" in found[0] and "not in the database" in found[1]


def test_manifests_with_impossible_numbers_are_a_finding(tmp_path, monkeypatch):
    class Built:
        name, host_accuracy, tflite_bytes, zip_bytes, flops, macs = "v", 1.5, 1, 1, 1, 1

    monkeypatch.setattr(files.manifest, "read_built", lambda folder: [Built()])
    case = files._called(Place(tmp_path, np.random.default_rng(0)), "", lambda: files._check_read(Path()))
    assert "host_accuracy 1.5" in " ".join(invariants.broken(case.outcome, case.codes))
