"""What `pytest bench/` shows: a failed claim is a failure, a rig that failed an error, what was not asked for is skipped."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tinyrig.core.config import ROOT
from tinyrig.store import history
from tinyrig.store.runs import Store
from tinyrig.tests import small_models
from tinyrig.tests.user_home import environment, furnish, url, wait_for_samples

CONFTEST = '''
import dataclasses, os
from pathlib import Path
from tinyrig.measure import board_side, reporting, variants as built
from tinyrig.core.errors import LinkError

measure_variant = board_side.measure_variant

def variants(config, names=(), deadline=None):
    """Instead of the built ones: `dense`, whose accuracy on the host was perfect, and `other`, of which it is not known."""
    dense, other = (built.model_variant(Path(f"{n}.tflite"), Path("windows.npz")) for n in ("dense", "other"))
    return [dataclasses.replace(dense, host_accuracy=1.0), other]

def run(job, *rest):
    if job.variant.name == os.environ.get("BUG"):
        raise KeyError("a bug")
    if job.variant.name in os.environ.get("GONE", "").split(","):
        raise LinkError("the board is gone", remedy="look for it")
    return measure_variant(job, *rest)

built.built_variants, board_side.measure_variant = variants, run
if "REPORT" not in os.environ:
    reporting.write_report = reporting.write_night = lambda *words: print("no report: it takes seconds")
'''
CALL = """
from tinyrig.core.errors import DeviceError
def test_raises_in_its_own_body(tinyrig_board):
    raise DeviceError("the board faulted")
def test_is_wrong():
    assert False
"""


@pytest.fixture
def project(tmp_path):
    """A checkout with the real bench/ files and two small variants."""
    furnish(tmp_path)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "bench").mkdir()
    for name in ("conftest", "test_accuracy", "test_parity", "test_memory"):
        (tmp_path / "bench" / f"{name}.py").write_text((ROOT / "bench" / f"{name}.py").read_text())
    return tmp_path


def start(project: Path, *words: str, folder: str = "bench/", **more: str) -> subprocess.Popen[str]:
    options = ["--rootdir=.", "--junitxml=junit.xml", "-rA", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", folder, *options, *words]
    return subprocess.Popen(
        command, cwd=project, env=environment(project, **more), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def run(project: Path, *words: str, **more: str) -> tuple[int, str, dict[str, str]]:
    """(exit status, output, kind of each test in JUnit's XML)."""
    process = start(project, *words, **more)
    output, _ = process.communicate(timeout=120)
    root = ET.parse(project / "junit.xml")
    kinds = {
        re.sub(r"^test_", "", case.get("name")): next((child.tag for child in case if child.tag != "properties"), "passed")
        for case in root.iter("testcase")
    }
    return process.returncode, output, kinds


ACCURACY, PARITY, MEMORY = "accuracy_reaches_the_hosts[{}]", "outputs_agree_with_the_oracle[{}]", "fits_the_board[{}]"
HITS = "the_board_is_right_where_the_oracle_is[{}]"


ORACLE = "the_board_is_right_where_the_oracle_is[{}]"


def test_a_failed_claim_is_a_failure_and_one_without_the_hosts_accuracy_goes_by_the_oracles(project):
    code, _, kinds = run(project)
    assert code == 1
    assert kinds == {
        ACCURACY.format("dense"): "failure",
        ACCURACY.format("other"): "passed",
        HITS.format("dense"): "passed",
        HITS.format("other"): "passed",
        PARITY.format("dense"): "passed",
        PARITY.format("other"): "passed",
        MEMORY.format("dense"): "passed",
        MEMORY.format("other"): "passed",
        ORACLE.format("dense"): "passed",
        ORACLE.format("other"): "passed",
    }


def test_a_rig_that_fails_is_an_error_and_exit_3(project):
    code, output, kinds = run(project, "-k", "other or memory", GONE="other", BUG="dense")
    assert code == 3 and set(kinds.values()) == {"error"}
    assert "LinkError: the board is gone" in output and "Traceback" not in output
    run_id = Store(url(project)).runs()[0].run_id
    assert f"pytest bench/ --resume {run_id}" in output


@pytest.mark.slow
def test_a_failed_claim_counts_though_the_rig_failed_too(project):
    code, output, kinds = run(project, GONE="other", REPORT="1")
    assert code == 1
    assert kinds[ACCURACY.format("dense")] == "failure" and kinds[ACCURACY.format("other")] == "error"
    assert re.search(r"dense +passed +failed +passed", output)
    assert "not measured: other (a fault of the link): the board is gone" in output


def test_a_rig_that_fails_in_a_tests_own_body_is_an_error_too(project):
    (project / "bench" / "test_call.py").write_text(CALL)
    code, _, kinds = run(project, folder="bench/test_call.py")
    assert (code, kinds) == (1, {"raises_in_its_own_body": "error", "is_wrong": "failure"})


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_session_says_how_to_go_on_and_does(project, number, status):
    process = start(project, "-k", "parity", TINYRIG_LINE_RATE="20000")
    wait_for_samples(project, process, 3)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == status, output
    line = Store(url(project)).runs()[0]
    assert line.state == "interrupted" and line.open_samples + 44 * len(line.variants) >= 3
    words = re.search(r"pytest bench/ (--resume \S+)", output).group(1).split()
    code, output, kinds = run(project, "-k", "parity", *words)
    assert code == 0 and set(kinds.values()) == {"passed"}
    again = Store(url(project)).runs()
    assert len(again) == 1 and again[0].state == "finished" and again[0].variants == ("dense", "other")


@pytest.mark.slow
def test_a_killed_session_is_gone_on_with(project):
    process = start(project, "-k", "parity", TINYRIG_LINE_RATE="20000")
    wait_for_samples(project, process, 3)
    process.kill()
    process.communicate(timeout=60)
    assert Store(url(project)).runs()[0].state == "open"
    code, _, kinds = run(project, "-k", "parity", "--resume")
    assert code == 0 and set(kinds.values()) == {"passed"}
    (line,) = Store(url(project)).runs()
    assert line.state == "finished" and line.variants == ("dense", "other")
    resumed = [r.settings.resumed_at for r in Store(url(project)).load(line.run_id).runs]
    assert any(resumed)


@pytest.mark.slow
def test_with_nightly_what_got_worse_is_a_failed_claim_until_it_is_accepted(project):
    """The second night's `other` has other weights."""
    (project / "bench" / "test_regression.py").write_text((ROOT / "bench" / "test_regression.py").read_text())
    assert len(run(project, "-k", "parity or worse")[2]) == 2, "only nights ask"
    code, output, kinds = run(project, "-k", "worse", "--nightly")
    assert (code, set(kinds.values())) == (0, {"passed"})
    (project / "other.tflite").write_bytes(small_models.dense_int8(seed=3))
    code, output, kinds = run(project, "-k", "worse", "--nightly")
    assert code == 1 and kinds == {"nothing_got_worse[dense]": "passed", "nothing_got_worse[other]": "failure"}
    assert re.search("ClaimError: other: worse than the accepted runs: .*outputs changed", output), output
    assert "tinyrig nightly 2" in output
    with Store(url(project)) as store:
        assert [len(night.runs) for night in history.nights(store)] == [1, 1]
    code, _, kinds = run(project, "-k", "worse", "--nightly", GONE="other")
    assert code == 3 and kinds["nothing_got_worse[other]"] == "error"


def test_nothing_to_go_on_with_is_exit_2(project):
    process = start(project, "--resume")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2 and "remedy" in output
