"""Nights of several virtual boards at the same time: one that fails, is killed or is in use costs the others nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import time

import pytest

from tinyrig.cli import main
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS, VIRTUAL_ID_PREFIX
from tinyrig.core.config import ROOT
from tinyrig.core.records import Sample
from tinyrig.host.locks import Locks
from tinyrig.host.process_pool import USAGE, ProcessPool
from tinyrig.link.usb import lock_key
from tinyrig.store import history
from tinyrig.store.runs import Store
from tinyrig.tests import small_models
from tinyrig.tests.fake_runs import BOARD, SUBJECT
from tinyrig.tests.processes import alive, children, wait_until_gone
from tinyrig.tests.user_home import MODEL, finish, furnish, start, url
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload import image

pytestmark = pytest.mark.slow

BENCH = """
[nightly]
page = "{home}/nights.html"
[boards.left]
kind = "virtual#1"
[boards.right]
kind = "virtual#2"
faults = [{faults}]
"""
SLOW = "line_rate = 6000\n"
"""Some 4 s for a model."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(furnish(tmp_path))
    names = {"RESULTS": url(tmp_path), "LOCKS": tmp_path / "locks", "LOGS_FILE": tmp_path / "logs" / "nightly.log"}
    for name, value in names.items():
        monkeypatch.setenv(f"TINYRIG_{name}", str(value))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "rig.toml").write_text(BENCH.format(home=tmp_path, faults=""))
    return tmp_path


def results(home):
    """(board, variant) -> its part of the --json document, which is removed."""
    document = json.loads((home / "night.json").read_text())
    (home / "night.json").unlink()
    return {(r["board"], r["variant"]): r for r in document["results"]}


def wait_for_both(home, process):
    """Until each of two boards has kept a sample."""
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        if (home / "results.sqlite").exists():
            with Store(url(home)) as store:
                if len([run for run in store.runs() if run.open_samples]) == 2:
                    return
        time.sleep(0.02)
    raise AssertionError(f"nothing was kept; exit status {process.poll()}")


def nightly(*words):
    return main(["nightly", *words, "--no-report", "--json", "night.json"])


def ids(home):
    with contextlib.closing(sqlite3.connect(home / "results.sqlite")) as db:
        return {row[0] for row in db.execute("SELECT DISTINCT board_id FROM variant_runs")}


def test_a_board_that_fails_leaves_the_others_judged_and_all_is_in_the_log(home, capfd):
    (home / "rig.toml").write_text(BENCH.format(home=home, faults='"flash-bad-write"'))
    boards = ("--board", "left", "right", "virtual#3")
    assert main(["nightly", *MODEL, *boards, "--json", "night.json"]) == 3
    out, errors = capfd.readouterr()
    found = results(home)
    assert [found[b, "dense"]["accepted"] != "" for b in ("left", "right", "virtual#3")] == [True, False, True]
    assert found["right", "dense"]["not_measured"][0]["kind"] == "device" and found["left", "dense"]["verdicts"]
    assert ids(home) == {VIRTUAL_ID_PREFIX + "01", VIRTUAL_ID_PREFIX + "03"}, "boards that are told apart by their ids"
    assert re.search(r"1 rig fault \(dense on right not measured: flash verification failed .*exit 3$", out.strip())
    assert "[0/1] left: dense: streaming 12 windows" in errors
    assert "tinyrig: right: dense: not measured: flash verification failed" in errors
    log = (home / "logs" / "nightly.log").read_text()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.search(rf"^{stamp} INFO    left: dense: streaming 12 windows$", log, re.MULTILINE)
    error = r"ERROR   right: dense: not measured: .*\n      expected: .*\n.*\n      remedy: "
    assert re.search(rf"^{stamp} {error}", log, re.MULTILINE)
    assert re.search(rf"^{stamp} INFO    tinyrig nightly .*exit 3$", log, re.MULTILINE)
    page = (home / "nights.html").read_text()
    assert f"left, virtual<br><code>{VIRTUAL_ID_PREFIX}01</code>" in page and "nights: " in out
    os.remove(re.search(r"^report: (.*)$", out, re.MULTILINE)[1])


@pytest.mark.slow
def test_a_night_whose_process_of_one_board_is_killed_can_be_gone_on_with(home):
    (home / "rig.toml").write_text(SLOW + BENCH.format(home=home, faults=""))
    process = start(home, "nightly", *MODEL, "--no-report", "--json", "night.json")
    wait_for_both(home, process)
    victim = children(process.pid)[0]
    mine = children(victim)
    os.kill(victim, signal.SIGKILL)
    code, errors = finish(process)
    wait_until_gone(mine)
    found = results(home)
    (dead,), (good,) = ([b for b, _ in found if bool(found[b, "dense"]["not_measured"]) is bad] for bad in (True, False))
    assert code == 3 and f"the process of board {dead} was ended" in errors and "SIGKILL" in errors
    assert found[good, "dense"]["accepted"] and found[dead, "dense"]["not_measured"][0]["kind"] == "infra"
    first = found[dead, "dense"]["run_id"]
    (home / "rig.toml").write_text(BENCH.format(home=home, faults=""))
    assert nightly("--resume") == 0
    again = results(home)
    assert again[dead, "dense"]["accepted"] and again[dead, "dense"]["run_id"] == first
    with Store(url(home)) as store:
        (night,) = history.nights(store)
        assert night.exit_code == 0 and len(night.runs) == 2
        assert sorted(a.run_id for a in history.accepted(store)) == sorted(night.runs), "each accepted once"


@pytest.mark.slow
def test_a_night_that_was_killed_is_told_by_the_next_one_and_gone_on_with(home, capfd):
    (home / "rig.toml").write_text(SLOW + BENCH.format(home=home, faults=""))
    process = start(home, "nightly", *MODEL, "--no-report")
    wait_for_both(home, process)
    mine = children(process.pid)
    process.kill()
    process.communicate()
    wait_until_gone(mine)
    (home / "rig.toml").write_text(BENCH.format(home=home, faults=""))
    assert nightly(*MODEL, "--board", "left") == 0
    errors = capfd.readouterr().err
    with Store(url(home)) as store:
        (cut,) = (n for n in history.nights(store) if n.finished is None)
    assert "was cut off, and says nothing about what it did not judge; 2 of its runs are kept" in errors
    assert f"to continue it: tinyrig nightly --resume {cut.night_id}\n" in errors
    assert json.loads((home / "night.json").read_text())["cut_off_before"]
    assert nightly(*MODEL, "--board", "left") == 0
    assert "was cut off" not in capfd.readouterr().err, "told once"
    assert nightly("--resume", cut.night_id) == 0
    assert "samples are already stored" in capfd.readouterr().err
    assert all(r["accepted"] for r in results(home).values())
    assert nightly("--resume", cut.night_id) == 2


def test_a_night_that_is_asked_to_end_closes_its_boards_and_says_how_to_go_on(home):
    (home / "rig.toml").write_text(SLOW + BENCH.format(home=home, faults=""))
    process = start(home, "nightly", *MODEL, "--no-report")
    wait_for_both(home, process)
    workers = children(process.pid)
    mine = workers + [pid for worker in workers for pid in children(worker)]
    process.terminate()
    code, errors = finish(process)
    assert code == 143 and "continue with: tinyrig nightly --resume" in errors and not any(map(alive, mine))
    with Store(url(home)) as store:
        assert history.nights(store)[0].summary.startswith("cut off: Terminated")
        assert {run.state for run in store.runs()} == {"interrupted"}
    log = (home / "nightly.log").read_text()
    assert "ERROR   cut off: Terminated" in log


def test_a_board_in_use_is_the_rigs_fault_and_named(home, capfd):
    with VirtualBoard() as board:
        locks = Locks()
        locks.take(lock_key(board.port), "the board")
        assert nightly(*MODEL, "--board", f"virtual@{board.port}", "left") == 3
        locks.close()
    errors = capfd.readouterr().err
    found = results(home)
    assert found["left", "dense"]["accepted"] and f"process {os.getpid()} " in errors
    assert "in use by another process" in found[f"virtual@{board.port}", "dense"]["not_measured"][0]["error"]


@pytest.mark.parametrize("boards", [("left", "virtual#1"), ("virtual", "virtual#0"), ("virtual@tty", "nano33ble@link")])
def test_one_board_under_two_names_is_refused_before_anything_is_measured(home, capfd, boards):
    (home / "tty").write_text("")
    (home / "link").symlink_to(home / "tty")
    assert main(["nightly", *MODEL, "--board", *boards]) == 2
    assert f"{boards[0]} and {boards[1]} are one board" in capfd.readouterr().err


@pytest.mark.parametrize("words", [("--board", "left"), ("--limit", "3"), ("--model", "dense.tflite")])
def test_a_night_is_gone_on_with_as_it_was_asked_for(home, capfd, words):
    assert main(["nightly", "--resume", *words]) == 2
    assert f"received: {words[0]}" in capfd.readouterr().err


def test_nothing_to_go_on_with_is_the_users_mistake(home, capfd):
    assert main(["nightly", "--resume"]) == 2
    assert "no results database" in capfd.readouterr().err
    Store(url(home)).close()
    assert main(["nightly", "--resume", "2026"]) == 2
    assert "no single night '2026'" in capfd.readouterr().err


def test_a_crash_in_tinyrig_itself_costs_one_board(home, capfd, monkeypatch):
    from tinyrig.nightly import board_worker

    real = board_worker.Procedure

    class Broken(real):
        def results(self, board, variants):
            if board == "right":
                raise ZeroDivisionError("a slip")
            return super().results(board, variants)

    monkeypatch.setattr(board_worker, "Procedure", Broken)
    assert nightly(*MODEL) == 3
    out, errors = capfd.readouterr()
    assert "an error in tinyrig itself ended the process of board right" in out and "Traceback" in errors
    assert results(home)["left", "dense"]["accepted"]


@pytest.mark.slow
def test_a_report_that_fails_changes_no_verdict_for_the_better(home, capfd, monkeypatch):
    """The page's folder can't be: exit 3 for a good night, 1 for a bad one, and the night is stored."""
    (home / "nights.html").mkdir()
    (home / "nights.html" / "nights.html").mkdir()
    monkeypatch.setattr("tinyrig.measure.reporting.write_night", lambda night, config: 0)
    assert main(["nightly", *MODEL, "--board", "left"]) == 3
    assert capfd.readouterr().out.endswith(", no page, exit 3\n")
    (home / "dense.tflite").write_bytes((home / "other.tflite").read_bytes())
    assert main(["nightly", *MODEL, "--board", "left"]) == 1
    assert capfd.readouterr().out.endswith(", no page, exit 1\n")
    with Store(url(home)) as store:
        assert {night.exit_code for night in history.nights(store)} == {0, 1}


def test_many_processes_write_one_database_and_none_finds_it_locked(home):
    def writing(number):
        def task(tell):
            with Store(url(home), busy_s=20.0) as store:
                store.begin_run(f"run-{number}", "2026")
                writer = store.begin_measurement(f"run-{number}", "v", SUBJECT, BOARD)
                for i in range(40):
                    writer.add(Sample("window", i, bytes([number]), 10, None, ()))

        return task

    told = []
    with ProcessPool({str(n): writing(n) for n in range(6)}) as fleet:
        fleet.listen(lambda name, kind, value: told.append((name, kind, value)), 120)
    assert [t for t in told if t[1] != USAGE] == []
    with Store(url(home)) as store:
        assert [run.open_samples for run in store.runs()] == [40] * 6
        for n in range(6):
            assert {s.outputs for s in store.find_open(f"run-{n}", "v").samples} == {bytes([n])}


def test_an_image_that_several_boards_need_is_built_once(home, monkeypatch):
    board = BOARDS["virtual"]
    model = compile_model(small_models.dense_int8(), flash_bytes=board.flash_bytes, ram_bytes=board.ram_bytes)
    built = home / "built"
    real = image._build

    def counted(*words):
        with built.open("a") as file:
            file.write("x")
        return real(*words)

    monkeypatch.setattr(image, "_build", counted)
    told = {}
    folder = home / "images"
    tasks = {str(n): lambda tell: tell("image", image.build_image(model, board, folder).build_id) for n in range(3)}
    with ProcessPool(tasks) as fleet:
        fleet.listen(lambda name, kind, value: told.setdefault(kind, []).append(value), 300)
    assert len(set(told["image"])) == 1 and len(told["image"]) == 3 and built.read_text() == "x"
    assert not list(folder.glob(".*"))


def test_each_commit_is_synced_to_the_disk_before_it_counts(home, monkeypatch):
    """The log of SQLite, after the commit: 8 boards would wait for each other's syncs."""
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")) or real(fd))
    with Store(url(home)) as store:
        before = len(synced)
        store.begin_run("r", "2026")
        assert synced[before:] == [str(home / "results.sqlite-wal")]

        def full(fd):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(Exception, match="can't sync") as caught:
            store.begin_run("s", "2026")
        assert caught.value.exit_code == 3
