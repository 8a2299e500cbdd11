"""A full disk, results that can't be written, a locked database, signals: nothing that was measured is lost."""

from __future__ import annotations

import contextlib
import resource
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tinyrig.cli import main
from tinyrig.core.errors import InfraError
from tinyrig.core.records import Sample
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import BOARD, SUBJECT
from tinyrig.tests.processes import alive, children, stop_and_continue, wait_until_gone
from tinyrig.tests.user_home import MODEL, finish, furnish, numbers, start, url, wait_for_samples

FILE_LIMIT = 260_000
"""Bytes: room for the tables and some of the samples."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    return tmp_path


def whole(home: Path) -> dict:
    """The uninterrupted run's numbers; its database goes away, its image stays built."""
    assert main(["run", *MODEL, "--no-report", "--json", "whole.json"]) == 0
    for file in home.glob("results.sqlite*"):
        file.unlink()
    return numbers(home / "whole.json")


def resumed(home: Path) -> dict:
    assert main(["run", "--resume", "--no-report", "--json", "out.json"]) == 0
    return numbers(home / "out.json")


def kept(home: Path) -> int:
    with Store(url(home)) as store:
        return store.runs()[0].open_samples


def check_message(errors: str) -> None:
    assert "can't be opened or written" in errors and "remedy: check permissions and free space" in errors
    assert "Traceback" not in errors


def test_files_that_may_not_grow_stop_the_run_and_lose_nothing(home):
    expected = whole(home)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, limit[1]))
    try:
        process = start(home, "run", *MODEL, "--no-report")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    code, errors = finish(process)
    assert code == 3
    check_message(errors)
    assert 0 < kept(home) < 44
    assert resumed(home) == expected


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for the tables and some of the samples."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=260k", "tmpfs", str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_the_run_and_loses_nothing(home, small_disk, monkeypatch, capfd):
    expected = whole(home)
    monkeypatch.setenv("TINYRIG_RESULTS", url(small_disk))
    assert main(["run", *MODEL, "--no-report"]) == 3
    check_message(capfd.readouterr().err)
    assert 0 < kept(small_disk) < 44
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert resumed(home) == expected


def test_results_that_may_only_be_read_are_exit_3(home, monkeypatch, capfd):
    Store(url(home)).close()
    monkeypatch.setenv("TINYRIG_RESULTS", f"sqlite:///file:{home / 'results.sqlite'}?mode=ro&uri=true")
    assert main(["run", *MODEL]) == 3
    check_message(capfd.readouterr().err)


def test_a_folder_in_the_place_of_the_results_is_exit_3(home, capfd):
    (home / "results.sqlite").mkdir()
    assert main(["run", *MODEL]) == 3
    check_message(capfd.readouterr().err)


@pytest.mark.parametrize("name", ["results.sqlite", "folder"])
def test_what_root_may_not_change_is_exit_3(home, monkeypatch, capfd, name):
    """The file of the results, or the folder in which it should come to be."""
    if name == "folder":
        (home / "folder").mkdir()
        monkeypatch.setenv("TINYRIG_RESULTS", url(home / "folder"))
    else:
        Store(url(home)).close()
    if subprocess.run(["chattr", "+i", name], capture_output=True, check=False).returncode:
        pytest.skip("no immutable files here")
    try:
        assert main(["run", *MODEL]) == 3
        check_message(capfd.readouterr().err)
    finally:
        subprocess.run(["chattr", "-i", name], check=True)


def test_a_locked_database_costs_one_sample_at_most(home):
    with Store(url(home), busy_s=0.05) as store:
        store.begin_run("r", "2026")
        writer = store.begin_measurement("r", "v", SUBJECT, BOARD)
        samples = [Sample("window", i, bytes([i]), i) for i in range(3)]
        writer.add(samples[0])
        with contextlib.closing(sqlite3.connect(home / "results.sqlite", isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            with pytest.raises(InfraError, match="locked") as caught:
                writer.add(samples[1])
        assert caught.value.exit_code == 3 and caught.value.remedy
        for sample in samples[1:]:
            writer.add(sample)
        assert store.find_open("r", "v").samples == tuple(samples)


def test_a_table_that_is_full_loses_nothing(home):
    """SQLite's own "database or disk is full"."""
    with Store(url(home)) as store:
        store.begin_run("r", "2026")
        writer = store.begin_measurement("r", "v", SUBJECT, BOARD)
        with store._database.writing() as db:
            db.exec_driver_sql(f"PRAGMA max_page_count = {db.exec_driver_sql('PRAGMA page_count').scalar() + 2}")
        added = 0
        with pytest.raises(InfraError, match="can't be opened or written") as caught:
            while True:
                writer.add(Sample("window", added, bytes(1000), added))
                added += 1
        assert "full" in caught.value.received
    with Store(url(home)) as store:
        assert len(store.find_open("r", "v").samples) == added > 0


@pytest.mark.parametrize(
    ("number", "status"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_the_command_which_says_how_to_go_on(home, number, status):
    expected = whole(home)
    process = start(home, "run", *MODEL, "--no-report", TINYRIG_LINE_RATE="20000")
    wait_for_samples(home, process, 3)
    started = children(process.pid)
    stop_and_continue(process.pid, *started)
    assert process.poll() is None and set(map(alive, started)) == {True}
    process.send_signal(number)
    code, errors = finish(process)
    assert code == status and "Traceback" not in errors
    wait_until_gone(started)
    assert not list((home / "locks").iterdir())
    with Store(url(home)) as store:
        run = store.runs()[0]
    assert run.state == "interrupted" and run.open_samples >= 3
    assert f"continue with: tinyrig run --resume {run.run_id}" in errors
    assert resumed(home) == expected
