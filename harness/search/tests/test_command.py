"""`tinyrig search` end to end: real training processes, virtual boards, a kill and a resumption."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import optuna
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = rng.standard_normal((90, 20, 3)).astype(np.float32) + y[:, None, None]
    np.savez(tmp_path / "own.npz", x=x, y=y, class_names=np.array(["a", "b", "c"]))
    return tmp_path


def command(home, *words, storage=None, workers=2):
    return [
        sys.executable,
        "-m",
        "tinyrig.cli",
        "search",
        "--dataset",
        str(home / "own.npz"),
        "--study",
        f"test-{home.name}",
        "--storage",
        storage or f"sqlite:///{home / 'study.db'}",
        "--epochs",
        "1",
        "--workers",
        str(workers),
        "--json",
        str(home / "found.json"),
        *words,
    ]


def run(home, *words):
    environment = os.environ | {"TINYRIG_NETS": str(home / "nets"), "TINYRIG_RESULTS": f"sqlite:///{home / 'r.sqlite'}"}
    return subprocess.run(command(home, *words), capture_output=True, text=True, check=False, cwd=home, env=environment)


def test_a_search_is_killed_and_resumed(home):
    process = subprocess.Popen(
        command(home, "--trials", "30"),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        cwd=home,
        env=os.environ | {"TINYRIG_NETS": str(home / "nets")},
    )
    line = process.stderr.readline()  # the first candidate has come to something
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert line.strip()
    refused = run(home, "--trials", "6")
    assert refused.returncode == 2 and "--resume" in refused.stderr
    done = run(home, "--trials", "6", "--resume")
    assert done.returncode == 0, done.stderr
    found = json.loads((home / "found.json").read_text())
    assert len(found["trials"]) >= 6
    measured = [e for e in found["trials"] if e["state"] == "complete"]
    assert measured and all(e["timing"] == "estimated" and e["latency_us"] > 0 for e in measured)
    assert set(found["front"]) <= {e["number"] for e in measured}
    assert "given up" in done.stdout or len(measured) == len(found["trials"])


def test_two_commands_share_a_search_on_postgresql_and_one_is_killed(home, postgres_url):
    """Together they end with what was asked for, though one of them was killed on the way."""
    environment = os.environ | {"TINYRIG_NETS": str(home / "nets")}

    def begin(*words):
        line = command(home, "--trials", "16", *words, storage=postgres_url.replace("+psycopg", ""), workers=1)
        return subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=home, env=environment)

    first = begin()
    assert first.stderr.readline().strip()  # its first candidate has come to something
    second = begin("--resume")
    assert second.stderr.readline().strip()
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    _, told = second.communicate(timeout=300)
    assert second.returncode == 0, told
    last = begin("--resume")  # what the killed one had under way
    _, told = last.communicate(timeout=300)
    assert last.returncode == 0, told
    found = json.loads((home / "found.json").read_text())
    assert len(found["trials"]) == 16 == len({e["number"] for e in found["trials"]})
    workers = {t.user_attrs["worker"] for t in optuna.load_study(study_name=found["study"], storage=postgres_url).trials}
    assert {w.rpartition(":")[2] for w in workers} >= {str(first.pid), str(second.pid)}


def test_a_floor_keeps_poor_candidates_off_the_front(home):
    done = run(home, "--trials", "4", "--family", "mlp", "--min-accuracy", "100", "--precision", "int8")
    assert done.returncode == 0, done.stderr
    found = json.loads((home / "found.json").read_text())
    short = {e["number"] for e in found["trials"] if e["state"] == "complete" and e["accuracy"] < 1}
    assert set(found["below_floor"]) == short and not short & set(found["front"])
    assert "at least 100 % accurate" in done.stdout
    assert run(home, "--trials", "4", "--min-accuracy", "101", "--resume").returncode == 2


def test_hard_limits_prune_before_training(home):
    done = run(home, "--trials", "4", "--max-flash", "1000")
    assert done.returncode == 0, done.stderr
    found = json.loads((home / "found.json").read_text())
    assert {e["stage"] for e in found["trials"]} <= {"static analysis", "refused"}
    assert not list((home / "nets").glob("*.npz"))
    assert "no candidate could be measured" in done.stdout
