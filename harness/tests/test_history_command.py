"""The commands about stored runs, over runs that the virtual board made."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tinyrig.cli import main
from tinyrig.core.config import load_config
from tinyrig.core.errors import UserError
from tinyrig.store.runs import Store
from tinyrig.tests.sealing import change
from tinyrig.tests.user_home import MODEL, environment, furnish, url

FEW = ("--limit", "3", "--no-report")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A home whose database holds four runs of a model: twice the same, once with other weights, once with other kernels."""
    home = furnish(tmp_path_factory.mktemp("home"))
    dense = (home / "dense.tflite").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("TINYRIG_RESULTS", url(home))
        patch.setenv("TINYRIG_LOCKS", str(home / "locks"))
        patch.setenv("TINYRIG_REPEATS", "2")
        for weights, engine in (
            (dense, "tinyrig"),
            (dense, "tinyrig"),
            ((home / "other.tflite").read_bytes(), "tinyrig"),
            (dense, "portable"),
        ):
            (home / "dense.tflite").write_bytes(weights)
            assert main(["run", *MODEL, *FEW, "--engine", engine]) == 0
    return home


@pytest.fixture
def home(measured, tmp_path, monkeypatch):
    """A copy of its database for each test."""
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect(measured / "results.sqlite")) as source, closing(sqlite3.connect("results.sqlite")) as target:
        source.backup(target)
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    return tmp_path


@pytest.fixture
def runs(home):
    """Ids, oldest first."""
    with Store(url(home)) as store:
        return [run.run_id for run in store.runs()][::-1]


def tell(capfd, *words):
    code = main(list(words))
    out, errors = capfd.readouterr()
    assert "Traceback" not in errors
    return code, out, errors


def test_history_names_what_was_accepted_and_what_is_not_comparable(runs, capfd):
    assert main(["accept", runs[2], "-m", "new weights"]) == 0
    code, out, _ = tell(capfd, "history", "latency_cycles_median")
    rows = [line for line in out.splitlines() if line.startswith("| 20")]
    assert code == 0 and [row.split("|")[2].strip() for row in rows] == runs
    assert "estimated" in out and "of dense on virtual" in out
    assert rows[1].split("|")[5].strip() == ""  # the same twice: no change
    assert "accepted: new weights" in rows[2]
    assert "not comparable with the row above: engine tinyrig -> portable" in rows[3] and rows[3].split("|")[5].strip() == ""
    builds = [row.split("|")[3].strip() for row in rows]
    assert builds[0] == builds[1] and len(set(builds)) == 3 and all(len(build) == 8 for build in builds)
    assert "estimated cycles at 64 MHz, timer 64 MHz (one step is 15.6 ns), " in out and "arm-none-eabi-gcc" in out
    assert sum("accepted" in row for row in rows) == 1


@pytest.mark.parametrize("column", ["variant", "board_name", "timing", "build_id"])
def test_no_text_of_the_database_moves_the_cursor(runs, home, capfd, column):
    change(home / "results.sqlite", f"UPDATE variant_runs SET {column} = char(27) || '[31m' || {column}")
    for words in (["history", "latency_us_median"], ["export", "--samples"]):
        main(words)
        shown = capfd.readouterr()
        assert "\x1b" not in shown.out + shown.err
        assert (words[0] == "export" and column == "build_id") or "\\x1b" in shown.out


@pytest.mark.parametrize("value", ["x'00ff'", "x'6162'"])
def test_what_is_no_text_in_a_column_of_texts_is_damage(runs, home, capfd, value):
    with closing(sqlite3.connect(home / "results.sqlite")) as db, db:
        db.execute(f"UPDATE variant_runs SET timing = {value}")
    assert main(["export", "--samples"]) == 3
    shown = capfd.readouterr().err
    assert "is damaged" in shown and "Traceback" not in shown


def test_history_of_a_part(runs, capfd):
    which = ("--since", "1d", "--variant", "dense", "--board", "virtual")
    code, out, _ = tell(capfd, "history", "flash_total", "--last", "1", *which)
    assert code == 0 and "the last 1 of 4" in out and runs[-1] in out and runs[0] not in out
    for words in (("--variant", "none"), ("--board", "nano33ble"), ("--since", "2999-01-01")):
        code, out, errors = tell(capfd, "history", "flash_total", *words)
        assert code == 2 and not out and "remedy" in errors


def test_an_unknown_metric_is_answered_with_near_ones(runs, capfd):
    code, _, errors = tell(capfd, "history", "latency")
    assert code == 2 and "latency_cycles_median" in errors and "flash" not in errors
    assert "accuracy" in tell(capfd, "history", "acuracy")[2]


def test_compare_of_the_same_twice(runs, capfd):
    code, out, _ = tell(capfd, "compare", runs[0], runs[1])
    assert code == 0 and "dense: all" in out and "metrics are the same" in out and "firmware" not in out
    assert out.count("virtual 5649525455414c") == 2 and out.count("arm-none-eabi-gcc") == 2
    assert "latency_cycles_median" in tell(capfd, "compare", runs[0], runs[1], "--all")[1]


def test_compare_of_other_weights(runs, capfd):
    code, out, _ = tell(capfd, "compare", runs[0], runs[2])
    assert code == 0 and "the outputs differ" in out and "zip_bytes" in out and "dense: firmware " in out


def test_compare_writes_a_page(runs, home, capfd):
    code, _, _ = tell(capfd, "compare", runs[0], runs[2], "--html", "changes.html")
    page = (home / "changes.html").read_text()
    assert code == 0 and page.startswith("<!doctype html>") and "the outputs differ" in page and runs[2] in page
    code, _, errors = tell(capfd, "compare", runs[0], runs[2], "--html", str(home))
    assert code == 3 and "--html can't be written" in errors


def test_what_is_not_comparable_is_refused(runs, capfd):
    code, out, errors = tell(capfd, "compare", runs[0])  # with the latest, of other kernels
    assert code == 2 and "not comparable: engine: tinyrig in A, portable in B" in out and "nothing" in errors
    assert "latency" not in out


@pytest.mark.parametrize("words", [("m.tflite",), ("m.tflite", "--windows", "w.npz"), ("m.tflite", "other.tflite")])
def test_compare_of_a_model_points_to_its_new_name(capfd, words):
    code, out, errors = tell(capfd, "compare", *words)
    assert code == 2 and not out and "tinyrig ops m.tflite" in errors


def test_accept_is_kept_with_who_and_when(runs, home, capfd):
    code, out, _ = tell(capfd, "accept", runs[2], "-m", "  smaller  ")
    assert code == 0 and runs[2] in out
    with closing(sqlite3.connect(home / "results.sqlite")) as db:
        ((why, who, wanted, variant),) = db.execute("SELECT why, who, wanted, variant FROM accepted")
    assert (why, wanted, variant) == ("smaller", 1, None) and "@" in who


@pytest.mark.parametrize("words", [("-m", " "), ("-m", "why", "--variant", "dense", "none")])
def test_accept_keeps_nothing_of_a_mistake(runs, home, capfd, words):
    code, _, errors = tell(capfd, "accept", runs[0], *words)
    assert code == 2 and "remedy" in errors
    with closing(sqlite3.connect(home / "results.sqlite")) as db:
        assert db.execute("SELECT * FROM accepted").fetchall() == []


def test_export_by_the_ending(runs, home, capfd):
    assert main(["export", "-o", "out.json"]) == 0 and main(["export", "--samples", "-o", "out.csv"]) == 0
    lines = json.loads((home / "out.json").read_text())
    assert [line["run_id"] for line in lines] == runs and all(line["latency_cycles_median"] > 0 for line in lines)
    with (home / "out.csv").open(newline="") as file:
        samples = list(csv.DictReader(file))
    assert len(samples) == 4 * (3 + 2 + 2) and {s["kind"] for s in samples} == {"window", "repeat", "stack", "profile"}
    capfd.readouterr()
    code, out, _ = tell(capfd, "export")
    assert code == 0 and len(out.splitlines()) == 5


def test_a_reader_that_has_seen_enough_is_no_error(runs, home):
    """`tinyrig export | head -1`: more than a pipe holds."""
    command = [sys.executable, "-m", "tinyrig.cli", "export", "--samples"]
    many = "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)"
    change(home / "results.sqlite", f"{many} INSERT INTO samples SELECT 1, i, 'repeat', i, i, NULL, x'', NULL FROM n")
    with subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("run_id,")
        process.stdout.close()
        assert process.stderr.read() == "" and process.wait(30) == 0


def test_parquet_needs_a_file(runs, capfd):
    code, out, errors = tell(capfd, "export", "--format", "parquet")
    assert code == 2 and not out and "-o FILE" in errors


def test_prune_by_policy(runs, home, capfd):
    assert tell(capfd, "prune")[0] == 2
    (home / "rig.toml").write_text('[history]\nkeep_samples = "0d"\n')
    change(
        home / "results.sqlite",
        f"UPDATE runs SET started = '2026-01-01T00:00:00+00:00' WHERE run_id = '{runs[0]}'",
        f"UPDATE runs SET started = '2999-01-01T00:00:00+00:00' WHERE run_id != '{runs[0]}'",
    )
    assert "would delete 6 raw samples of 1 measurements" in tell(capfd, "prune", "--dry-run")[1]
    before = tell(capfd, "history", "latency_cycles_median")[1]
    code, out, _ = tell(capfd, "prune")
    assert code == 0 and "deleted 6 raw samples" in out
    assert tell(capfd, "history", "latency_cycles_median")[1] == before
    assert tell(capfd, "compare", runs[0], runs[1])[0] == 0
    assert "1 have no raw samples" in tell(capfd, "recompute")[1]
    assert tell(capfd, "recompute", "none")[0] == 2


@pytest.mark.parametrize(
    "text", ["history = 5", '[history]\nkeep_samples = "soon"', "[history]\nkeep_samples = 90", '[history]\nkeep = "90d"']
)
def test_a_policy_that_can_not_be_used(tmp_path, text):
    file = tmp_path / "rig.toml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        load_config(file)
    assert "history" in str(caught.value) and caught.value.remedy


def test_without_a_database_the_remedy_says_how_to_make_one(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    for words in (
        ("history", "accuracy"),
        ("compare", "a", "b"),
        ("accept", "a", "-m", "b"),
        ("export",),
        ("prune", "--keep-samples", "1d"),
        ("recompute",),
    ):
        code, _, errors = tell(capfd, *words)
        assert code == 2 and "tinyrig run" in errors
    assert not (tmp_path / "results.sqlite").exists()


def test_estimates_show_their_bands_and_what_they_were_checked_against(runs, capsys):
    assert main(["history", "latency_us_median", "--variant", "dense"]) == 0
    told = capsys.readouterr().out
    assert len(re.findall(r"\d\.\d \(\d+\.\d-\d+\.\d\)", told)) == len(runs) and told.count("was checked against") == 1
    assert main(["compare", runs[0], runs[1], "--all"]) == 0
    told = capsys.readouterr().out
    assert "B / A" in told and re.search(r"1\.000 \(1\.000-1\.000\)", told) and told.count("was checked against") == 1
    assert main(["history", "cycles_per_mac", "--format", "json", "--last", "2"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [line["low"] < line["value"] < line["high"] and line["metric"] for line in listed] == ["cycles_per_mac"] * 2
    assert main(["history", "flash_total", "--format", "csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["run_id"] for row in rows] == runs and {row["low"] for row in rows} == {""} and float(rows[0]["value"]) > 0
    assert main(["history", "flash_total"]) == 0
    assert "was checked against" not in capsys.readouterr().out
