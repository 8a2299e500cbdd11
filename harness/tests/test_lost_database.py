"""A results database that is deleted or replaced under a command: never "stored", always exit 3, and --json all the same."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tinyrig.cli import main
from tinyrig.core.records import Sample
from tinyrig.measure.keeper import RunKeeper
from tinyrig.store import decisions
from tinyrig.store.measurements import SampleWriter
from tinyrig.store.runs import Store
from tinyrig.tables.database import LostDatabase
from tinyrig.tests.fake_runs import make_run
from tinyrig.tests.user_home import MODEL, furnish, url


def gone(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def empty(path: Path) -> None:
    part = path.with_name(".part")
    part.write_bytes(b"")
    part.replace(path)


def copied(path: Path) -> None:
    part = path.with_name(".part")
    shutil.copy(path, part)
    part.replace(path)


def overwritten(path: Path) -> None:
    path.write_bytes(b"no database at all\n" * 100)


def emptied(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=10)) as db, db:
        for table in ("op_cycles", "samples", "metrics", "verdicts", "accepted", "not_measured", "night_runs", "variant_runs"):
            db.execute(f"DELETE FROM {table}")
        db.execute("DELETE FROM runs")


Way = Callable[[Path], None]


@pytest.mark.parametrize("way", [gone, empty, copied])
def test_nothing_is_written_into_a_file_that_nobody_finds_again(tmp_path: Path, way: Way) -> None:
    path = tmp_path / "results.sqlite"
    with Store(f"sqlite:///{path}") as store:
        store.save(make_run("a", names=("pqt",)))
        way(path)
        for write in (
            lambda: store.begin_run("b", "2026"),
            lambda: store.save(make_run("c", names=("pqt",))),
            lambda: decisions.begin_night(store, "n", "2026", []),
        ):
            with pytest.raises(LostDatabase, match="while it was in use") as caught:
                write()
            assert caught.value.exit_code == 3 and caught.value.expected and caught.value.remedy
    assert (way is gone) != path.exists()


def test_one_that_goes_within_a_commit_is_noticed_after_it(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    with Store(f"sqlite:///{path}") as store, pytest.raises(LostDatabase, match="deleted"), store.writing():
        gone(path)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    return tmp_path


def run(capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["run", *MODEL, "--no-report", "--json", "out.json"])
    shown = capfd.readouterr()
    assert "stored as run" not in shown.out and "Traceback" not in shown.err
    return code, shown.out, shown.err


@pytest.mark.parametrize("way", [gone, copied])
def test_a_database_that_goes_while_samples_are_taken(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], way: Way
) -> None:
    add, taken = SampleWriter.add, []

    def adding(self: SampleWriter, sample: Sample) -> None:
        taken.append(sample)
        if len(taken) == 5:
            way(home / "results.sqlite")
        add(self, sample)

    monkeypatch.setattr(SampleWriter, "add", adding)
    code, _, errors = run(capfd)
    assert code == 3 and len(taken) == 5
    assert "while it was in use" in errors
    assert json.loads((home / "out.json").read_text())["runs"] == []


@pytest.mark.parametrize(
    ("way", "late"),
    [
        *((way, late) for way, late in ((gone, False), (copied, False), (emptied, True))),
        *(pytest.param(way, False, marks=pytest.mark.slow) for way in (empty, overwritten, emptied)),
        *(pytest.param(way, True, marks=pytest.mark.slow) for way in (gone, empty)),
    ],
)
def test_a_database_that_goes_before_the_end(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], way: Way, late: bool
) -> None:
    end = RunKeeper.end

    def ending(self: RunKeeper, state: str) -> None:
        if late:
            end(self, state)
        way(home / "results.sqlite")
        if not late:
            end(self, state)

    monkeypatch.setattr(RunKeeper, "end", ending)
    code, _, errors = run(capfd)
    assert code == 3, errors
    assert "results database" in errors or "results.sqlite" in errors
    (measured,) = json.loads((home / "out.json").read_text())["runs"]
    assert measured["parity"]["compared"] == 12
