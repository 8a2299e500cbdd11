"""The rig's side of a search: space, budgets, study, training process, workers. End to end: test_command.py."""

import sys
import time
from dataclasses import replace

import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.cli import main
from tinyrig.core.config import Config, load_config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import HostError, InfraError, LinkError, UserError
from tinyrig.host.log import heard
from tinyrig.host.signals import Terminated
from tinyrig.search import command, workers
from tinyrig.search import study as studies
from tinyrig.search import trainer as trainers
from tinyrig.search.candidate import CandidateResult, OverBudget
from tinyrig.search.plan import Budgets, SearchPlan
from tinyrig.search.space import name_of
from tinyrig.search.trainer import Trainer

MEASURED = CandidateResult(0.9, 100.0, 3000, 6000, 6400, 5000, 20, 0.9, "00", 4000, "virtual", "56", "estimated")
PLAN = SearchPlan("glove", 0)


class Drawn:
    """A chooser that hypothesis drives; an optuna.Trial is another."""

    def __init__(self, data):
        self._data = data

    def suggest_categorical(self, name, choices):
        return self._data.draw(st.sampled_from(list(choices)), name)


@given(st.data())
def test_every_candidate_is_a_plain_word_with_its_precision_last(data):
    name = name_of(Drawn(data), ("cnn",), ("int8",))
    assert name.startswith("cnn-") and name.endswith("+pqt") and len(name) <= 100
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-+@.")
    assert name_of(Drawn(data), ("mlp",), ("float32",)).count("+pqt") == 0


ENTRY = st.fixed_dictionaries(
    {
        "accuracy": st.integers(0, 3),
        "latency_us": st.integers(0, 3),
        "ram_bytes": st.integers(0, 3),
        "flash_bytes": st.integers(0, 3),
        "state": st.sampled_from(["complete", "complete", "pruned"]),
    }
)


@given(st.lists(ENTRY, max_size=12))
def test_the_front_is_what_nothing_dominates(found):
    front = studies.front(found)
    complete = [e for e in found if e["state"] == "complete"]
    values = lambda e: tuple(e[name] for name in studies.OBJECTIVES)  # noqa: E731
    assert bool(front) == bool(complete)
    assert not any(studies.dominates(a, b) for a in complete for b in front)
    for entry in complete:
        assert any(values(f) == values(entry) or studies.dominates(f, entry) for f in front)
    assert len({values(f) for f in front}) == len(front)


@pytest.mark.parametrize(
    ("budgets", "values", "words"),
    [
        (Budgets(ram_bytes=100), {"ram_bytes": 101}, "ram bytes 101, the budget is 100"),
        (Budgets(ram_bytes=100), {"ram_bytes": 100, "flash_bytes": 9**9}, ""),
        (Budgets(latency_us=5.5), {"latency_us": None}, ""),
        (Budgets(latency_us=5.5), {"latency_us": 60.0}, "latency us 60, the budget is 6"),
    ],
)
def test_budgets(budgets, values, words):
    assert budgets.exceeded(**values) == words


@pytest.fixture
def url(tmp_path):
    return studies.storage_url(None, tmp_path)


def open_study(url, plan=PLAN, resume=False):
    return studies.open_study("s", url, plan, resume, 10)


def test_a_study_is_gone_on_with_only_when_asked_and_with_the_same_plan(url):
    open_study(url)
    with pytest.raises(UserError, match="--resume"):
        open_study(url)
    with pytest.raises(UserError, match="seed: 0 then, 1 now"):
        open_study(url, replace(PLAN, seed=1), resume=True)
    assert open_study(url, resume=True).study_name == "s"
    assert studies.known_plan("s", url) == PLAN.stored() and studies.known_plan("other", url) is None


def test_a_storage_that_cannot_be_opened_is_the_hosts_fault():
    with pytest.raises(HostError, match="storage can't be opened"):
        studies.known_plan("s", "sqlite:////nowhere/at/all.db")


def test_trials_of_dead_processes_are_ended_and_those_of_others_left(url, monkeypatch):
    study = open_study(url)
    for worker in (f"{studies.socket.gethostname()}:999999999", "elsewhere:1", f"{studies.socket.gethostname()}:1"):
        monkeypatch.setattr(studies, "worker_name", lambda worker=worker: worker)
        assert studies.next_trial(study, 4) is not None
    study.ask()  # nobody's: another host may just be about to say that it is its own
    assert studies.end_cut_off(study) == 1
    assert [t.state.name for t in study.trials] == ["FAIL", "RUNNING", "RUNNING", "RUNNING"]
    monkeypatch.setattr(studies, "OWNERLESS_S", 0.0)
    assert studies.end_cut_off(study) == 1
    assert study.trials[3].state.name == "FAIL"


def silent_for_long(url):
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))
    engine.dispose()


def stale(study):
    return study._storage._get_stale_trial_ids(study._study_id)


def test_a_trial_without_a_sign_of_life_is_ended_whatever_host_it_was_on(url, monkeypatch):
    monkeypatch.setattr(studies, "worker_name", lambda: "elsewhere:1")
    study = open_study(url)
    first = studies.next_trial(study, 1)
    studies.begin(first, "mlp-8")
    assert studies.next_trial(study, 1) is None and studies.end_cut_off(study) == 0
    silent_for_long(url)
    studies.beat(study, [first])
    assert studies.next_trial(study, 1) is None
    silent_for_long(url)
    second = studies.next_trial(study, 1)
    studies.begin(second, "mlp-4")
    silent_for_long(url)
    assert studies.end_cut_off(study) == 1
    studies.tell_measured(study, first, MEASURED)  # it was only slow; what it was to do is another's now
    studies.tell_given_up(study, second, "static analysis", "too big")
    studies.tell_failed(study, second, "no port")
    assert [t.state.name for t in study.trials] == ["FAIL", "FAIL"] and not studies.entries(study)


def test_a_storage_that_is_lost_is_the_hosts_fault(url):
    study = open_study(url)
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE trial_heartbeats"))
    engine.dispose()
    with pytest.raises(HostError, match="storage was lost") as caught, studies.watched():
        studies.next_trial(study, 3)
    assert "--resume" in caught.value.remedy


def measured(accuracy, **changes):
    return replace(MEASURED, accuracy=accuracy, chance=0.4, **changes)


@pytest.mark.parametrize(("floor", "on_front"), [(None, [0.7, 0.5]), (70.0, [0.7]), (0.0, [0.7, 0.5, 0.4]), (99.0, [])])
def test_what_is_below_the_floor_stands_on_no_front_and_the_sampler_knows(url, floor, on_front):
    study = open_study(url, replace(PLAN, min_accuracy=floor))
    for i, accuracy in enumerate((0.4, 0.5, 0.7)):
        trial = study.ask()
        studies.begin(trial, f"mlp-{i + 1}")
        studies.tell_measured(study, trial, measured(accuracy, flash_bytes=1000 + i))
    found = studies.entries(study)
    assert [e["accuracy"] for e in studies.front(found, floor)] == on_front
    feasible = [all(v <= 0 for v in t.constraints.values()) for t in study.trials]
    assert [e["accuracy"] in on_front for e in found] == feasible


@pytest.mark.parametrize("text", ["0.85", "101", "-1", "nan", "many"])
def test_a_floor_is_given_in_percent(text, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["search", "--min-accuracy", text])
    assert caught.value.code == 2 and "--min-accuracy" in capsys.readouterr().err


def test_a_candidate_nearer_to_the_limits_is_told_so():
    budgets = Budgets(ram_bytes=100, flash_bytes=1000)
    near, far = budgets.excess(ram_bytes=110, flash_bytes=900), budgets.excess(ram_bytes=200, flash_bytes=1500)
    assert (round(near, 9), round(far, 9), budgets.excess(ram_bytes=100, flash_bytes=None)) == (0.1, 1.5, 0.0)


def test_several_processes_together_do_not_try_more_than_was_asked_for(url):
    mine = open_study(url)
    theirs = studies.optuna().load_study(study_name="s", storage=url)
    trials = [studies.next_trial(study, 3) for study in (mine, theirs, mine, theirs, mine)]
    assert [t is None for t in trials] == [False, False, False, True, True]
    studies.tell_failed(mine, trials[0], "no answer")
    assert studies.next_trial(theirs, 3) is not None


@given(st.data(), st.sampled_from([("int8", "int16x8"), ("int16x8",), ("float32", "int8", "int16x8")]))
def test_no_candidate_has_a_maximum_of_int16(data, precisions):
    name = name_of(Drawn(data), ("cnn",), precisions)
    assert not ("-max" in name and name.endswith("+int16x8"))


def test_entries_tell_what_was_measured_and_why_not(url):
    study = open_study(url)
    for tell in (
        lambda t: studies.tell_measured(study, t, MEASURED),
        lambda t: studies.tell_given_up(study, t, "static analysis", "too much"),
        lambda t: studies.tell_failed(study, t, "no port"),
    ):
        trial = study.ask()
        studies.begin(trial, f"mlp-{trial.number + 1}")
        tell(trial)
    first, second = studies.entries(study)
    assert (first["name"], first["state"], first["ram_bytes"]) == ("mlp-1", "complete", 3000)
    assert (second["stage"], second["reason"]) == ("static analysis", "too much")
    with pytest.raises(InfraError, match="different boards"):
        studies.check_board([first, first | {"board": "nano33ble"}])


# ---- the training process ----

STAND_IN = """import json, os, sys
for line in sys.stdin:
    {body}
    sys.stdout.flush()
"""


def stand_in(tmp_path, body, monkeypatch):
    """A Trainer whose process is a script: `body` answers the request `line`."""
    script = tmp_path / "trainer.py"
    script.write_text(STAND_IN.format(body=body))
    trainer = Trainer(tmp_path, "glove", 0, None)
    monkeypatch.setattr(trainer, "_command", [sys.executable, str(script)])
    return trainer


def test_a_trainer_is_asked_and_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(trainers, "CANDIDATES_A_PROCESS", 2)
    answer = "print(json.dumps({'tflite': str(os.getpid()), 'windows': 'w', 'host_accuracy': 1, 'macs': 2}))"
    trainer = stand_in(tmp_path, answer, monkeypatch)
    pids = [str(trainer.train("mlp-8").tflite) for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]
    assert str(trainer.sketch("mlp-8").tflite) not in pids[:2]
    trainer.close()
    trainer.close()


def test_a_refused_candidate_is_the_users_error(tmp_path, monkeypatch):
    refused = {"what": "too short", "expected": "a", "received": "b", "remedy": "c"}
    trainer = stand_in(tmp_path, f"print(json.dumps({{'refused': {refused!r}}}))", monkeypatch)
    with pytest.raises(UserError, match="too short"):
        trainer.sketch("mlp-8")
    trainer.close()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("sys.exit('out of memory')", "out of memory"),
        ("print('no json')", "failed at mlp-8"),
        ("print(json.dumps({'failed': 'disk full'}))", "disk full"),
    ],
)
def test_a_training_process_that_fails_is_the_hosts_fault(tmp_path, body, words, monkeypatch):
    trainer = stand_in(tmp_path, body, monkeypatch)
    with pytest.raises(HostError, match=words):
        trainer.train("mlp-8")
    trainer.close()


def test_a_silent_training_process_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(trainers, "ANSWER_S", 0.2)
    trainer = stand_in(tmp_path, "pass", monkeypatch)
    with pytest.raises(HostError, match="no answer within"):
        trainer.train("mlp-8")
    trainer.close()


# ---- workers ----


class Closable:
    def __init__(self, *args):
        pass

    def close(self):
        pass


@pytest.fixture
def search(url, tmp_path, monkeypatch):
    """Runs a search whose candidates come to what `evaluate(name)` says; returns the study and what was reported."""
    monkeypatch.setattr(workers, "Trainer", Closable)
    monkeypatch.setattr(workers, "CandidateBoard", Closable)
    study, told = open_study(url), []

    def run(evaluate, trials=6, count=2, families=("cnn", "mlp")):
        monkeypatch.setattr(workers, "evaluate", lambda name, *rest: evaluate(name))
        plan = replace(PLAN, families=families, precisions=("int8",))
        task = workers.SearchTask(study, plan, trials, Config(), tmp_path, Deadline("run_s", 60))
        with heard(told.append, "tinyrig.search"):
            workers.Search(task, [None] * count).run()
        return study, told

    return run


def test_a_search_ends_with_so_many_finished_trials(search):
    fates = iter([OverBudget("static analysis", "too big"), UserError("too short"), *[None] * 50])

    def evaluate(name):
        fate = next(fates)
        if fate is not None:
            raise fate
        return MEASURED

    study, told = search(evaluate)
    found = studies.entries(study)
    assert len(found) == 6
    assert sorted(e["stage"] for e in found if e["state"] == "pruned")[:2] == ["refused", "static analysis"]
    assert any("given up (static analysis: too big)" in text for text in told)
    study, _ = search(evaluate, trials=8)
    assert len(studies.entries(study)) == 8


def test_a_candidate_that_was_tried_before_is_not_tried_again(search):
    names = []

    def evaluate(name):
        names.append(name)
        return MEASURED

    study, told = search(evaluate, trials=40, count=1, families=("mlp",))
    assert len(studies.entries(study)) == 40
    assert len(names) == len(set(names)) == 40 - sum("the same as trial" in text for text in told)


def test_what_is_under_way_gives_signs_of_life(search, url, monkeypatch):
    others = studies.optuna().load_study(study_name="s", storage=studies._storage(url))
    monkeypatch.setattr(studies, "BEAT_S", 0)

    def evaluate(name):
        silent_for_long(url)
        until = time.monotonic() + 60
        while stale(others):
            assert time.monotonic() < until
            time.sleep(0.05)
        return MEASURED

    study, _ = search(evaluate, trials=2, count=1)
    assert len(studies.entries(study)) == 2


def test_a_rig_that_keeps_failing_ends_the_search_and_costs_no_candidate(search):
    def evaluate(name):
        raise LinkError("no answer")

    with pytest.raises(LinkError, match="no answer"):
        search(evaluate, count=1)


def test_one_failure_of_the_rig_is_survived(search):
    fates = iter([LinkError("no answer"), *[None] * 50])

    def evaluate(name):
        if (fate := next(fates)) is not None:
            raise fate
        return MEASURED

    study, _ = search(evaluate, trials=3)
    assert [t.state.name for t in study.trials].count("FAIL") == 1
    assert len(studies.entries(study)) == 3


def test_a_study_from_before_a_limit_was_known_can_be_resumed(url):
    study = open_study(url)
    study.set_user_attr(studies.PLAN, {k: v for k, v in PLAN.stored().items() if k != "min_accuracy"})
    assert open_study(url, resume=True).study_name == "s"


def test_a_resumed_plan_takes_what_is_not_given_from_how_it_was_begun():
    begun = replace(PLAN, dataset="watch", families=("mlp",), max_ram=100).stored()
    nothing = dict.fromkeys(begun)
    assert SearchPlan.of(nothing, begun) == replace(PLAN, dataset="watch", families=("mlp",), max_ram=100)
    assert SearchPlan.of(nothing | {"max_ram": 7, "families": ["cnn"]}, begun).max_ram == 7
    assert SearchPlan.of(nothing, {"dataset": "glove", "seed": 0}) == PLAN


# ---- boards ----

OWN = '[boards.left]\nkind = "virtual#1"\n[boards.wired]\nkind = "nano33ble"\nlink = "/dev/ttyACM7"\n'


def test_a_board_that_only_rig_toml_names_can_be_searched_on(tmp_path, monkeypatch):
    (tmp_path / "rig.toml").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    asked = []

    class Stopped:
        def __init__(self, task, targets):
            asked.extend(targets)

        def run(self):
            raise LinkError("enough")

    monkeypatch.setattr(workers, "Search", Stopped)
    monkeypatch.setattr(command, "_make", lambda folder: None)
    words = ["search", "--storage", f"sqlite:///{tmp_path}/study.db", "--workers", "3"]
    assert main([*words, "--board", "left"]) == 3
    assert [(t.entry, t.number) for t in asked] == [("left", 1)] * 3
    assert main([*words, "--study", "other", "--board", "unheard-of"]) == 2


def test_a_physical_board_has_one_worker(tmp_path, monkeypatch):
    (tmp_path / "rig.toml").write_text(OWN)
    config = load_config(tmp_path / "rig.toml")
    assert len(command.worker_targets(["wired"], None, config)) == 1
    assert [t.entry for t in command.worker_targets(["wired", "left"], 5, config)] == ["wired", "left"]
    assert len(command.worker_targets(["left", "virtual"], 5, config)) == 5


def test_an_interruption_passes_though_optuna_was_interrupted_while_it_was_imported(monkeypatch):
    """Nothing is looked up in the package any more, which may be there in parts."""

    def broken():
        raise AttributeError("partially initialized module 'optuna' has no attribute 'exceptions'")

    with pytest.raises(Terminated), studies.watched():
        monkeypatch.setattr(studies, "optuna", broken)
        raise Terminated(15)
