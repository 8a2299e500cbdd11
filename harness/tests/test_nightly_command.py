"""`tinyrig nightly` over the virtual board, and what its settings may say."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from tinyrig.budget.budgets import Budgets
from tinyrig.cli import main
from tinyrig.core.config import ROOT, BoardPorts, load_config
from tinyrig.core.errors import UserError
from tinyrig.nightly.begin import NightRequest, night_plan
from tinyrig.store import history
from tinyrig.store.runs import Store
from tinyrig.tests import small_models
from tinyrig.tests.user_home import furnish, url

MODEL = ("--model", "dense.tflite", "--windows", "windows.npz")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TINYRIG_LOGS_FILE", str(tmp_path / "nightly.log"))
    (tmp_path / "rig.toml").write_text(f'[nightly]\npage = "{tmp_path}/nights.html"\n')
    return tmp_path


def nightly(capfd, *words):
    """(exit status, last line of stdout, the --json document)."""
    code = main(["nightly", *(words or MODEL), "--no-report", "--json", "night.json"])
    with open("night.json") as file:
        return code, capfd.readouterr().out.splitlines()[-1], json.load(file)


def test_three_nights_on_the_virtual_board(home, capfd):
    """Nothing, a retrained model, the same accepted; each is stored as a night with its verdicts."""
    code, line, document = nightly(capfd)
    assert code == 0 and line.startswith("tinyrig nightly 20") and line.endswith(": 0 worse, 0 rig faults, exit 0")
    assert document["results"][0]["accepted"] and document["results"][0]["regressions"] == []
    (home / "dense.tflite").write_bytes((home / "other.tflite").read_bytes())
    code, line, document = nightly(capfd)
    assert code == 1 and "(dense outputs changed)" in line and line.endswith("exit 1")
    run_id = document["runs"][0]["run_id"]
    assert main(["accept", run_id, "-m", "trained again"]) == 0
    code, line, document = nightly(capfd)
    assert code == 0 and document["results"][0]["accepted"] == "nothing moved"
    with Store(url(home)) as store:
        nights = history.nights(store)
        assert sorted(n.exit_code for n in nights) == [0, 0, 1] and all(n.finished and n.summary for n in nights)
        assert any(v.status == "changed" and v.metric == "outputs" for v in history.verdicts(store, run_id))
        assert [a.wanted for a in history.accepted(store)] == [False, True, False]


def test_a_fault_of_the_rig_is_exit_3_and_an_unusable_model_exit_2(home, capfd, monkeypatch):
    monkeypatch.setenv("TINYRIG_FAULTS", "flash-bad-write")
    code, line, document = nightly(capfd)
    assert code == 3 and "1 rig fault (dense not measured: flash verification failed" in line
    assert document["results"][0]["not_measured"][0]["kind"] == "device" and document["results"][0]["regressions"] == []
    monkeypatch.delenv("TINYRIG_FAULTS")
    (home / "dense.tflite").write_bytes(small_models.dense_int8()[:700])
    code, line, _ = nightly(capfd)
    assert code == 2 and "1 unusable (dense)" in line and line.endswith("exit 2")


def test_a_night_ends_at_its_limit_and_says_what_was_not_measured(home, capfd, monkeypatch):
    monkeypatch.setenv("TINYRIG_LIMITS_RUN_S", "0.001")
    code, line, document = nightly(capfd)
    assert code == 3 and "out of time" in line and document["exit_code"] == 3


@pytest.mark.parametrize(
    "words",
    [
        ("--board", "teapot", *MODEL),
        ("--windows", "windows.npz"),
        ("--model", "none.tflite"),
        (*MODEL, "--json", "no/such/folder.json"),
        ("--model", "dense.tflite", "./dense.tflite"),
    ],
)
def test_a_users_mistake_is_exit_2_and_the_last_line_says_so(home, capfd, words):
    assert main(["nightly", *words]) == 2
    out, errors = capfd.readouterr()
    assert "not done" in out.splitlines()[-1] and out.endswith("exit 2\n") and "remedy" in errors and "Traceback" not in errors


def test_a_night_that_is_cut_off_is_stored_as_such(home, capfd, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tinyrig.nightly.begin.night_variants", interrupted)
    assert main(["nightly", *MODEL]) == 130
    with Store(url(home)) as store:
        (night,) = history.nights(store)
        assert night.cut_off and night.summary == "cut off: KeyboardInterrupt: "


@pytest.mark.parametrize(("changed", "code"), [(False, 3), (True, 1)])
def test_json_that_can_no_longer_be_written_does_not_hide_a_regression(home, capfd, monkeypatch, changed, code):
    nightly(capfd)
    if changed:
        (home / "dense.tflite").write_bytes((home / "other.tflite").read_bytes())

    write = Path.write_text

    def full(path, *words, **more):  # elsewhere there is room: the other model's image is built first
        if path.name == "night.json":
            raise OSError(28, "No space left on device")
        return write(path, *words, **more)

    monkeypatch.setattr("pathlib.Path.write_text", full)
    assert main(["nightly", *MODEL, "--no-report", "--json", "night.json"]) == code
    out, errors = capfd.readouterr()
    assert out.endswith(f", no JSON, exit {code}\n") and "No space left" in errors


def test_the_report_is_written_and_named_before_the_last_line(home, capfd):
    assert main(["nightly", *MODEL]) == 0
    *_, report, line = capfd.readouterr().out.splitlines()
    assert report.startswith("report: ") and line.startswith("tinyrig nightly")
    path = Path(report.removeprefix("report: "))
    assert path.read_text().splitlines()[0].endswith("nothing worse")
    path.unlink()


# ---- rig.toml ----


def plan(home, text, *words):
    from tinyrig.cli import _parser

    (home / "rig.toml").write_text(text)
    arguments = vars(_parser().parse_args(["nightly", *words]))
    return night_plan(NightRequest(**{f.name: arguments[f.name] for f in fields(NightRequest)}), load_config())


def test_boards_are_the_command_lines_else_the_nights_else_those_of_the_bench(home):
    ports = '[boards.nano33ble]\nlink = "/dev/ttyUSB0"\n'
    night = '[nightly]\nboards = ["virtual", "nano33ble"]\n'
    assert plan(home, "").boards == ("virtual",)
    assert plan(home, ports).boards == ("nano33ble",)
    assert plan(home, ports + night).boards == ("virtual", "nano33ble")
    assert plan(home, ports + night, "--board", "virtual").boards == ("virtual",)


def test_boards_of_rig_toml_by_their_own_names(home):
    left = '[boards.left]\nkind = "virtual#1"\nfaults = ["stall"]\n[boards.right]\nkind = "virtual#2"\n'
    assert plan(home, left).boards == ("left", "right")
    assert load_config().boards["left"] == BoardPorts(kind="virtual#1", faults=("stall",))
    with pytest.raises(UserError, match="left and virtual#1 are one board"):
        plan(home, left, "--board", "left", "virtual#1")


@pytest.mark.parametrize("text", ["file = 3", "size_kib = 0", "keep = true", "age = 1"])
def test_bad_logs_are_refused(home, monkeypatch, text):
    monkeypatch.delenv("TINYRIG_LOGS_FILE")
    (home / "rig.toml").write_text(f"[logs]\n{text}\n")
    with pytest.raises(UserError, match="logs"):
        load_config()


@pytest.mark.parametrize("text", ['[boards.a]\nfaults = "x"\nkind = 3', "[boards.a]\nfaults = [1]", "[boards.a]\nnumber = 1"])
def test_bad_boards_are_refused(home, text):
    (home / "rig.toml").write_text(text)
    with pytest.raises(UserError):
        load_config()


def test_variants_and_models_of_rig_toml(home):
    assert plan(home, '[nightly]\nvariants = ["pqt"]\n').variants == ("pqt",)
    models = '[nightly]\nmodels = ["dense.tflite"]\nwindows = "windows.npz"\n'
    (asked,) = plan(home, models).models
    assert (asked.name, asked.file, asked.windows) == ("dense", home / "dense.tflite", home / "windows.npz")
    assert plan(home, models, "--variant", "pqt").models == ()
    assert load_config().nightly.models == (f"{home}/dense.tflite",), "paths count from rig.toml's folder"


TABLES = """
[models.gesture]
file = "dense.tflite"
windows = "windows.npz"
max_latency = "5ms"
[models.sound]
file = "other.tflite"
"""


def test_own_models_of_rig_toml_are_measured_like_variants_with_their_budgets(home):
    assert [m.name for m in plan(home, TABLES).models] == ["gesture", "sound"]
    assert plan(home, TABLES).models[0].budgets == Budgets(max_latency=5000.0)
    assert plan(home, TABLES, "--variant", "pqt").models == ()
    assert plan(home, TABLES + '[nightly]\nvariants = ["pqt"]\n').models == ()
    named = TABLES + '[nightly]\nmodels = ["sound", "float.tflite"]\nwindows = "windows.npz"\n'
    assert [(m.name, m.windows.name) for m in plan(home, named).models] == [("sound", "windows.npz"), ("float", "windows.npz")]
    (asked,) = plan(home, TABLES, "--model", "gesture", "--max-ram", "8KiB", "--max-latency", "1ms").models
    assert asked.budgets == Budgets(max_latency=1000.0, max_ram=8192) and asked.file == home / "dense.tflite"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "dense.tflite", "sub/dense.tflite"), "two models have the same name"),
        (("--model", "nonsense"), "no model nonsense"),
        (("--model", "sound", "--min-accuracy", "90%"), "needs windows with labels"),
        (("--oracle", "none"), "budgets need an oracle"),
        (("--variant", "pqt", "--max-ram", "8 apples"), "max_ram can't be used"),
        (("--variant", "pqt", "--max-ram", "8KiB", "--oracle", "none"), "budgets need an oracle"),
    ],
)
def test_what_can_not_be_judged_or_told_apart_is_refused_before_anything_is_measured(home, words, said):
    with pytest.raises(UserError, match=said):
        plan(home, TABLES, *words)


def test_a_night_says_which_budget_was_exceeded_and_by_how_much(home, capfd):
    (home / "rig.toml").write_text(TABLES)
    assert main(["nightly", "--no-report", "--max-flash", "1KiB", "--json", "night.json", "--junit", "junit.xml"]) == 1
    junit = (home / "junit.xml").read_text()
    assert junit.count("<failure") == 2 and 'classname="virtual.gesture" name="max_flash"' in junit and "<error" not in junit
    said = capfd.readouterr().out
    assert "gesture on virtual: claim failed: max_flash: flash " in said and "budget at most 1,024 bytes" in said
    document = json.loads((home / "night.json").read_text())
    claims = document["results"][0]["claims"]
    assert claims["max_latency"]["status"] == "passed" and claims["max_flash"]["limit"] == 1024.0
    assert claims["max_flash"]["value"] > 1024


def test_files_of_a_night_are_kept_with_their_whole_paths(home):
    """Whoever resumes it may do so from another folder."""
    kept = plan(home, "", *MODEL).stored("virtual", load_config(), "night").to_json()
    (model,) = kept["models"]
    assert (model["file"], model["windows"]) == (f"{home}/dense.tflite", f"{home}/windows.npz")


@pytest.mark.parametrize(
    "text",
    [
        "nightly = 3",
        "[nightly]\nboards = 'virtual'",
        "[nightly]\nboards = [1]",
        "[nightly]\nhour = 3",
        "[nightly]\nwindows = ['a']",
        '[nightly]\nvariants = ["a"]\nmodels = ["b"]',
        '[nightly]\nmodels = ["a\\u0007"]',
    ],
)
def test_bad_settings_are_refused(home, text):
    (home / "rig.toml").write_text(text)
    with pytest.raises(UserError, match="nightly"):
        load_config()
