"""Resuming a run: the same result as without the interruption, or a refusal that says what has changed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tinyrig.analysis.run_json import run_to_json
from tinyrig.cli import main
from tinyrig.core.boards import parse_board
from tinyrig.core.config import Config
from tinyrig.core.errors import DeviceError, InfraError, LinkError, UserError
from tinyrig.core.plans import AskedModel, RunPlan
from tinyrig.core.records import RunState, Sample
from tinyrig.host.locks import Locks
from tinyrig.host.log import heard
from tinyrig.measure.recorder import StoreRecorder
from tinyrig.measure.resume import find_run, run_key
from tinyrig.measure.run import measuring
from tinyrig.measure.sampling import steps, take_samples
from tinyrig.measure.variant import run_settings
from tinyrig.measure.variants import model_variant
from tinyrig.store.decisions import add_to_night, begin_night
from tinyrig.store.measurements import SampleWriter
from tinyrig.store.runs import Store
from tinyrig.tests import old_database
from tinyrig.tests.fake_runs import BOARD, SUBJECT
from tinyrig.tests.user_home import MODEL, SAMPLES, WINDOWS, furnish, numbers, url

pytestmark = pytest.mark.slow

VIRTUAL = parse_board("virtual")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    return tmp_path


@pytest.fixture
def config(home):
    return dataclasses.replace(Config(), results=url(home), repeats=5)


class CutOff(BaseException):
    """Stands for the end of the process: nothing below may catch it."""


def cut_off_after(samples: int, monkeypatch, error: type[BaseException] = CutOff) -> None:
    """The process ends right after so many samples have become durable."""
    add, count = SampleWriter.add, []

    def add_and_end(self, sample):
        add(self, sample)
        count.append(sample)
        if len(count) == samples:
            raise error

    monkeypatch.setattr(SampleWriter, "add", add_and_end)


def interrupted(config, variant, samples, monkeypatch, plan=RunPlan()) -> str:
    """The id of a run that ended after so many samples."""
    with monkeypatch.context() as patch, pytest.raises(CutOff):
        cut_off_after(samples, patch)
        with measuring(VIRTUAL, config, plan) as open_run:
            open_run.run(variant)
    return open_run.run_id


def dense(home, name="dense"):
    return model_variant(home / f"{name}.tflite", home / "windows.npz")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted run of `dense`."""
    folder = furnish(tmp_path_factory.mktemp("whole"))
    with measuring(VIRTUAL, dataclasses.replace(Config(), results=url(folder), repeats=5)) as open_run:
        return open_run.run(dense(folder))


@pytest.mark.parametrize("samples", [1, WINDOWS, WINDOWS + 1, WINDOWS + 7])
def test_a_resumed_run_equals_the_uninterrupted_one(home, config, monkeypatch, whole, samples):
    run_id = interrupted(config, dense(home), samples, monkeypatch)
    asked = []
    run = SampleWriter.add
    monkeypatch.setattr(SampleWriter, "add", lambda self, sample: asked.append(sample) or run(self, sample))
    with measuring(VIRTUAL, config, resume=run_id) as open_run:
        again = open_run.run(dense(home))
        result = open_run.result()
    assert len(asked) == WINDOWS + 7 - samples  # only what was missing was measured
    assert again.samples == whole.samples and again.parity == whole.parity and again.claims == whole.claims
    # what the line cost each attempt differs
    assert again.settings.band == pytest.approx(whole.settings.band, rel=0.05)  # of what the second process saw
    own = dataclasses.replace(whole.settings, resumed_at=(samples,), link=again.settings.link, band=again.settings.band)
    assert again.settings == own
    same = dataclasses.replace(whole, settings=own)
    assert run_to_json(result)["runs"] == run_to_json(dataclasses.replace(result, runs=(same,)))["runs"]


def test_a_run_that_an_older_tinyrig_left_is_resumed(home, config, monkeypatch, whole):
    """Of revision 0004, which kept samples under way in a table of their own."""
    run_id = interrupted(config, dense(home), 5, monkeypatch)
    with Store(config.results) as store:
        plan, found = store.runs()[0].plan, store.find_open(run_id, "dense")
    config = dataclasses.replace(config, results=f"sqlite:///{home / 'old.sqlite'}")
    old_database.write_interrupted(config.results, run_id, plan, "dense", found)
    with measuring(VIRTUAL, config, resume=run_id) as open_run:
        again = open_run.run(dense(home))
    assert again.samples == whole.samples and again.parity == whole.parity and again.settings.resumed_at == (5,)


def test_states_of_a_run(home, config, monkeypatch):
    run_id = interrupted(config, dense(home), 3, monkeypatch)
    with Store(config.results) as store:
        line = store.runs()[0]
        assert (line.run_id, line.state, line.open_samples, line.variants) == (run_id, RunState.INTERRUPTED, 3, ())
        with measuring(VIRTUAL, config, resume=run_id) as open_run:
            assert store.runs()[0].state == RunState.OPEN
            open_run.run(dense(home))
        line = store.runs()[0]
        assert (line.state, line.open_samples, line.variants) == (RunState.FINISHED, 0, ("dense",))


@pytest.mark.parametrize("kept", [3, None], ids=["under way", "finished"])
@pytest.mark.parametrize("change", ["model", "windows", "image", "board"])
def test_what_has_changed_is_refused(home, config, monkeypatch, change, kept):
    """Each change is named, with what was and what is, and nothing that was kept is touched."""
    if kept:
        run_id = interrupted(config, dense(home), kept, monkeypatch)
    else:
        with measuring(VIRTUAL, config) as open_run:
            run_id = (open_run.run(dense(home)), open_run.run_id)[1]
    words = {
        "model": lambda: (home / "dense.tflite").write_bytes((home / "other.tflite").read_bytes()) and "the model",
        "windows": lambda: _change_a_value(home / "windows.npz") or "the test windows",
        "image": lambda: monkeypatch.setattr("tinyrig.workload.image.MODEL_FLAGS", ("-std=gnu11", "-O2")) or "the firmware image",
        "board": lambda: _another_id(monkeypatch) or "the board has changed",
    }[change]()
    before = _kept(config)
    with measuring(VIRTUAL, config, resume=run_id) as open_run, pytest.raises(UserError, match=words) as caught:
        open_run.run(dense(home))
        open_run.run(dense(home, "other"))  # of a finished variant the board is not asked: the next one's is
    assert caught.value.expected and caught.value.received and "--resume" in caught.value.remedy
    assert caught.value.exit_code == 2
    assert _kept(config) == before


def _kept(config):
    with Store(config.results) as store:
        line = store.runs()[0]
        return line.open_samples, line.variants


def _change_a_value(path):
    with np.load(path) as file:
        arrays = dict(file)
    arrays["x"][-1, -1] += 1
    np.savez(path, **arrays)


def _another_id(monkeypatch):
    """Another board answers: one that says that it is number 7."""
    from tinyrig.virtual.launch import VirtualBoard

    monkeypatch.setattr("tinyrig.board.attachment.VirtualBoard", lambda **options: VirtualBoard(**{**options, "number": 7}))


def begin(config, plan, run_id):
    with measuring(VIRTUAL, config, plan, resume=run_id):
        raise AssertionError("it was not refused")


def test_other_options_and_settings_are_refused_by_name(home, config, monkeypatch):
    run_id = interrupted(config, dense(home), 3, monkeypatch)
    for option, words in (({"limit": 4}, "--limit"), ({"oracle": "none"}, "the oracle"), ({"engine": "portable"}, "the engine")):
        with pytest.raises(UserError, match=words):
            begin(config, RunPlan(settings=run_settings(config, **option)), run_id)
    for key in ("repeats", "seed", "float_tolerance", "accuracy_drop"):
        with pytest.raises(UserError, match=f"`{key}`"):
            begin(dataclasses.replace(config, **{key: getattr(config, key) + 1}), RunPlan(), run_id)


def test_a_run_that_another_process_makes_is_not_taken_from_it(home, config, monkeypatch):
    run_id = interrupted(config, dense(home), 3, monkeypatch, plan=RunPlan("virtual"))
    other = Locks()
    other.take(run_key(run_id), "run")
    with pytest.raises(InfraError, match="in use by another process"):
        begin(config, RunPlan(), run_id)
    with Store(config.results) as store, pytest.raises(UserError, match="no run to resume") as caught:
        find_run(store, "", "virtual")
    assert "1 under way" in caught.value.received
    other.close()
    with Store(config.results) as store:
        assert find_run(store, "", "virtual").run_id == run_id


def test_a_open_sample_that_the_board_no_longer_gives_is_an_error(home, config, monkeypatch):
    run_id = interrupted(config, dense(home), 3, monkeypatch)
    real = Store.find_open

    def forged(self, *names):
        found = real(self, *names)
        return dataclasses.replace(found, samples=(*found.samples[:-1], dataclasses.replace(found.samples[-1], outputs=b"else")))

    monkeypatch.setattr(Store, "find_open", forged)
    with measuring(VIRTUAL, config, resume=run_id) as open_run, pytest.raises(DeviceError, match="no longer answers"):
        open_run.run(dense(home))


def test_a_kept_repetition_that_differs_stays_an_error():
    done = [Sample("window", 0, b"a", 1), Sample("repeat", 0, b"b", 1)]
    with pytest.raises(DeviceError, match="does not repeat itself"):
        take_samples(None, _NoWindows(), 1, done)


class _NoWindows:
    inputs = ()

    def __len__(self):
        return 1


def test_the_steps_of_a_variant():
    assert [(s.kind, s.index, s.window) for s in steps(2, 2)] == [
        ("window", 0, 0),
        ("window", 1, 1),
        ("repeat", 0, 0),
        ("repeat", 1, 0),
        ("stack", 0, 0),
        ("profile", 0, 0),
    ]


# ---- the command ----


def test_resume_needs_no_word_of_what_was_asked_for(home, monkeypatch, capfd):
    assert main(["run", *MODEL, "--limit", "8", "--no-report", "--json", "whole.json"]) == 0
    with monkeypatch.context() as patch:
        cut_off_after(5, patch, KeyboardInterrupt)
        assert main(["run", *MODEL, "--limit", "8", "--no-report"]) == 130
    run_id = Store(url(home)).runs()[0].run_id
    assert f"tinyrig run --resume {run_id}" in capfd.readouterr().err
    assert main(["run", "--resume", "--no-report", "--json", "out.json"]) == 0
    assert json.loads((home / "out.json").read_text())["run_id"] == run_id
    assert numbers(home / "out.json") == numbers(home / "whole.json")
    assert "5 samples are already stored" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("begun", "words", "both"),
    [
        ({"model": "dense.tflite", "windows": "windows.npz"}, ["--model", "other.tflite"], ("dense.tflite", "other.tflite")),
        ({"model": "dense.tflite", "windows": "windows.npz"}, ["--variant", "pqt"], ("all built variants", "pqt")),
        ({"model": "dense.tflite"}, ["--windows", "windows.npz"], ("random", "windows.npz")),
        ({"model": "dense.tflite", "windows": "w.npz"}, ["--windows", "windows.npz"], ("w.npz", "windows.npz")),
        ({"model": "dense.tflite", "windows": "w.npz"}, ["--labels", "y.npy"], ("windows file", "y.npy")),
        ({"model": "dense.tflite", "output": "a"}, ["--output", "b"], ("a", "b")),
        ({"variants": ("pqt", "simple")}, ["--variant", "pqt"], ("pqt, simple", "pqt")),
        ({"variants": ("pqt",)}, ["--model", "other.tflite"], ("built variants", "other.tflite")),
        ({"dataset": "glove"}, ["--dataset", "watch"], ("glove", "watch")),
        ({}, ["--board", "virtual#2"], ("virtual", "virtual#2")),
        ({"model": "dense.tflite"}, ["--max-ram", "8KiB"], ("none", "max_ram 8192")),
    ],
)
def test_a_resumed_run_is_only_what_it_was_begun_with(home, config, capfd, monkeypatch, begun, words, both):
    """What was begun and what is asked for now are named; leaving it out goes on."""
    monkeypatch.setattr("tinyrig.measure.variants.built_variants", lambda *a: pytest.fail("nothing is built for it"))
    stored = {key: str(home / value) if key in ("model", "windows") else value for key, value in begun.items()}
    plan = RunPlan.from_json({"board": "virtual", **stored})
    with Store(config.results) as store:
        store.begin_run("20260101-000000-0001", "2026", plan=plan)
    assert main(["run", "--no-report", "--resume", "20260101-000000-0001", *words]) == 2
    message = capfd.readouterr().err
    expected = next(line for line in message.splitlines() if "expected:" in line)
    received = next(line for line in message.splitlines() if "received:" in line)
    assert both[0] in expected and both[1] in received and "can't resume run 20260101-000000-0001" in message
    with Store(config.results) as store:
        assert store.runs()[0].variants == () and not store.runs()[0].open_samples


def test_what_is_asked_for_again_in_the_same_words_goes_on(home):
    with Store(url(home)) as store:
        plan = RunPlan("virtual", "glove", models=(AskedModel("dense", home / "dense.tflite", home / "windows.npz"),))
        store.begin_run("20260101-000000-0001", "2026", plan=plan)
    assert main(["run", "--resume", "20260101-000000-0001", *MODEL, "--no-report", "--json", "out.json"]) == 0
    assert [r["variant"] for r in json.loads((home / "out.json").read_text())["runs"]] == ["dense"]


def test_a_finished_variant_is_held_against_its_file_before_another_is_measured(home, config, monkeypatch):
    """Else the second would be stored with the new windows beside the first one's old ones."""
    with measuring(VIRTUAL, config) as open_run:
        open_run.run(dense(home))
    _change_a_value(home / "windows.npz")
    with measuring(VIRTUAL, config, resume=open_run.run_id) as again, pytest.raises(UserError, match="the test windows"):
        again.check_finished([dense(home, "other"), dense(home)])
    assert _kept(config) == (0, ("dense",))


def test_a_finished_run_is_told_again_without_measuring(home, monkeypatch):
    assert main(["run", *MODEL, "--no-report", "--json", "whole.json"]) == 0
    run_id = Store(url(home)).runs()[0].run_id
    monkeypatch.setattr("tinyrig.measure.board_side.measure_variant", None)
    assert main(["run", "--resume", run_id, "--no-report", "--json", "out.json"]) == 0
    assert numbers(home / "out.json") == numbers(home / "whole.json")


@pytest.mark.parametrize("words", [[], ["20260101-000000-0000"], ["2"]])
def test_nothing_to_go_on_with_is_exit_2(home, capfd, words):
    assert main(["run", *MODEL, "--no-report", "--limit", "1"]) == 0
    again = Store(url(home)).runs()[0].run_id
    if words == ["2"]:
        Store(url(home)).begin_run(again + "x", "2026")
    assert main(["run", "--resume", *words]) == 2
    message = capfd.readouterr().err
    assert "remedy" in message and "Traceback" not in message


def test_without_a_database_there_is_nothing_to_go_on_with(home, capfd):
    assert main(["run", "--resume"]) == 2
    assert "no results database" in capfd.readouterr().err and not (home / "results.sqlite").exists()


def test_a_run_that_failed_at_its_first_word_is_not_gone_on_with(home):
    assert main(["run", *MODEL, "--limit", "0"]) == 2
    assert main(["run", "--resume"]) == 2


def test_the_newest_unfinished_run_of_the_board_is_meant(home, config, monkeypatch):
    first = interrupted(config, dense(home), 2, monkeypatch, plan=RunPlan("virtual"))
    with Store(config.results) as store:
        store.begin_run("other-board", "2099", plan=RunPlan("nano33ble@/dev/x"))
        store.begin_run("model", "2099", plan=RunPlan("virtual", models=(AskedModel("m", Path("m.tflite")),)))
        store.save(dataclasses.replace(store.load(first), run_id="finished", started="2099"))
        assert find_run(store, "", "virtual", bench=True).run_id == first
        assert find_run(store, "", "virtual").run_id == "model"
        assert find_run(store, "", "nano33ble").run_id == "other-board"
        assert find_run(store, "fin", None).run_id == "finished"
        with pytest.raises(UserError, match="not one of built variants"):
            find_run(store, "model", None, bench=True)


# ---- faults of the rig ----


def test_a_rig_fault_leaves_one_variant_unmeasured_and_the_next_gets_a_new_board(home, config, monkeypatch):
    from tinyrig.measure.variant import measure_variant

    boards, calls = [], []

    def fails_once(job, rig, *rest):
        boards.append(rig)
        calls.append(job.variant.name)
        if len(calls) == 1:
            raise LinkError("the board is gone", remedy="look for it")
        return measure_variant(job, rig, *rest)

    monkeypatch.setattr("tinyrig.measure.board_side.measure_variant", fails_once)
    with measuring(VIRTUAL, config) as open_run:
        with pytest.raises(LinkError):
            open_run.run(dense(home))
        open_run.run(dense(home, "other"))
        document = run_to_json(open_run.result())
    assert boards[0] is not boards[1]
    assert [r["variant"] for r in document["runs"]] == ["other"]
    assert document["not_measured"] == [{"variant": "dense", "error": "the board is gone\n  remedy: look for it", "kind": "link"}]
    with Store(config.results) as store:
        assert store.runs()[0].state == RunState.INTERRUPTED and store.runs()[0].not_measured == ("dense",)
    with measuring(VIRTUAL, config, resume=open_run.run_id) as open_run:
        open_run.run(dense(home))
        open_run.run(dense(home, "other"))
        assert open_run.result().not_measured == ()
    with Store(config.results) as store:
        assert store.runs()[0].state == RunState.FINISHED and set(store.runs()[0].variants) == {"dense", "other"}


def test_a_reason_and_an_end_that_can_not_be_stored_are_logged(home, config, monkeypatch):
    """Whoever reads only the database sees a run under way: the log is the one place that says what happened."""
    said = []
    with heard(said.append), pytest.raises(LinkError), measuring(VIRTUAL, config) as open_run:
        monkeypatch.setattr("tinyrig.measure.board_side.measure_variant", _raise(LinkError("the board is gone")))
        for method in ("add_not_measured", "set_state"):
            monkeypatch.setattr(Store, method, _raise(InfraError("the disk is full")))
        open_run.run(dense(home))
    lost = [line for line in said if "the disk is full" in line]
    assert len(lost) == 2 and "why dense was not measured could not be stored" in lost[0] and open_run.run_id in lost[1]


def _raise(error):
    def fail(*_):
        raise error

    return fail


def test_samples_are_counted_as_the_command_does():
    assert len(steps(WINDOWS, Config().repeats)) == SAMPLES


# ---- two boards of a night with one id ----


def test_a_second_board_with_the_id_of_the_first_is_refused_in_a_night_and_nothing_of_it_is_kept():
    board = dataclasses.replace(BOARD, id="5649525455414c00")
    with Store("sqlite://") as store:
        begin_night(store, "n", "2026", ["left", "right"])
        for run_id, name in (("a", "left"), ("b", "right"), ("a2", "left"), ("alone", "right")):
            store.begin_run(run_id, "2026", plan=RunPlan(name))
            if run_id != "alone":
                add_to_night(store, "n", run_id, int(run_id == "a2"))
        StoreRecorder(store, "a", "v", None).start(SUBJECT, board)
        with pytest.raises(InfraError, match="two boards of this night report one id: 5649525455414c00") as caught:
            StoreRecorder(store, "b", "v", None).start(SUBJECT, board)
        assert caught.value.received == "left, right" and store.find_open("b", "v") is None
        StoreRecorder(store, "b", "v", None).start(SUBJECT, dataclasses.replace(board, id="5649525455414c01"))
        StoreRecorder(store, "a2", "v", None).start(SUBJECT, board)  # a rerun
        StoreRecorder(store, "alone", "v", None).start(SUBJECT, board)  # of no night
