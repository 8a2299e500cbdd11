"""`tinyrig search` end to end: real training processes, virtual boards, a kill and a resumption."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from harness.config import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = rng.standard_normal((90, 20, 3)).astype(np.float32) + y[:, None, None]
    np.savez(tmp_path / "own.npz", x=x, y=y, class_names=np.array(["a", "b", "c"]))
    return tmp_path


def command(home, *words):
    return [
        sys.executable, "-m", "harness.cli", "search", "--dataset", str(home / "own.npz"), "--study", f"test-{home.name}",
        "--storage", f"sqlite:///{home / 'study.db'}", "--epochs", "1", "--workers", "2",
        "--json", str(home / "found.json"), *words,
    ]  # fmt: skip


def run(home, *words):
    environment = os.environ | {"TINYRIG_NETS": str(home / "nets"), "TINYRIG_RESULTS": f"sqlite:///{home / 'r.sqlite'}"}
    return subprocess.run(command(home, *words), capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def test_a_search_is_killed_and_resumed(home):
    process = subprocess.Popen(
        command(home, "--trials", "30"), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=ROOT,
        env=os.environ | {"TINYRIG_NETS": str(home / "nets")},
    )  # fmt: skip
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


def test_hard_limits_prune_before_training(home):
    done = run(home, "--trials", "4", "--max-flash", "1000")
    assert done.returncode == 0, done.stderr
    found = json.loads((home / "found.json").read_text())
    assert {e["stage"] for e in found["trials"]} <= {"static analysis", "refused"}
    assert not list((home / "nets").glob("*.npz"))
    assert "no candidate could be measured" in done.stdout
