"""The plugin in a user's own repository: nothing happens unasked, a claim is a test, a rig that failed is an error."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET

import pytest

from tinyrig.tests.user_home import environment, furnish
from tinyrig.virtual.launch import VirtualBoard

pytestmark = pytest.mark.slow


@pytest.fixture
def repo(pytester, monkeypatch):
    """A user's repository with two models, in an environment that has the plugin installed."""
    furnish(pytester.path)
    for name, value in environment(pytester.path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(pytester.path)
    return pytester


def run(repo, *words):
    return repo.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words)


def kinds(repo):
    """Kind of each test in JUnit's XML."""
    cases = ET.parse(repo.path / "junit.xml").getroot().iter("testcase")
    return {case.get("name"): next((c.tag for c in case if c.tag != "properties"), "passed") for case in cases}


MEASURED = """
import pytest

@pytest.mark.parametrize("model", ["dense", "other"])
def test_is_small(tinyrig_measure, model):
    found = tinyrig_measure(f"{model}.tflite", windows="windows.npz", max_ram="8KiB", max_latency="5ms")
    assert found.verified and found.accuracy is not None

def test_is_too_big(tinyrig_measure):
    tinyrig_measure("dense.tflite", windows="windows.npz", max_flash="1KiB")

@pytest.mark.xfail
def test_is_expected(tinyrig_measure):
    tinyrig_measure("no-such.tflite")

def test_is_told(tinyrig_measure, tinyrig_board):
    found = tinyrig_measure("dense.tflite", windows="windows.npz", max_flash="1KiB", check=False)
    assert [c.name for c in found.failed] == ["max_flash"] and tinyrig_board.virtual
"""


def test_claims_are_tests_with_the_users_own_parameters(repo):
    repo.makepyfile(MEASURED)
    done = run(repo, "--junitxml=junit.xml")
    done.assert_outcomes(passed=3, failed=1, xfailed=1)
    assert done.ret == 1
    assert kinds(repo) == {"test_is_small[dense]": "passed", "test_is_small[other]": "passed"} | {
        "test_is_too_big": "failure",
        "test_is_told": "passed",
        "test_is_expected": "skipped",
    }
    done.stdout.fnmatch_lines(["*ClaimError: dense: max_flash: flash * bytes, budget at most 1,024 bytes: *too much*"])
    text = done.stdout.str()
    assert "Traceback" not in text and "claims.py" not in text
    assert text.count("was checked against") == 1, "what all estimates are worth is said once"
    assert len(set(re.findall(r"run (2\d{7}-\w+-\w+)", text))) == 2, "each model is measured once"
    properties = {p.get("name"): p.get("value") for p in ET.parse(repo.path / "junit.xml").getroot().iter("property")}
    assert float(properties["tinyrig.dense.latency_us"]) > 0 and properties["tinyrig.dense.verified"] == "True"


@pytest.mark.slow
def test_workers_of_xdist_take_turns_on_one_board(repo):
    """Each port of a board belongs to one process: without turns one worker would find it in use."""
    repo.makepyfile(MEASURED)
    with VirtualBoard(link=repo.path / "board"):
        done = run(repo, "-n", "2", f"--board=virtual@{repo.path / 'board'}", "--junitxml=junit.xml")
    done.assert_outcomes(passed=3, failed=1, xfailed=1)
    assert done.ret == 1 and sorted(kinds(repo).values()).count("error") == 0


RIG = """
import tinyrig
def test_by_the_fixture(tinyrig_measure):
    tinyrig_measure("dense.tflite")
def test_again(tinyrig_measure):
    tinyrig_measure("dense.tflite")
def test_by_the_function():
    tinyrig.run("dense.tflite", board="virtual@/dev/no-such-port")
"""


@pytest.mark.parametrize("words", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_a_rig_that_fails_is_an_error_and_exit_3(repo, words):
    repo.makepyfile(RIG)
    done = run(repo, "--board=virtual@/dev/no-such-port", "--junitxml=junit.xml", *words)
    assert set(kinds(repo).values()) == {"error"} and len(kinds(repo)) == 3
    assert done.ret == 3 and "LinkError" in done.stdout.str()
    assert done.stdout.str().count("FAILED") == 0


@pytest.mark.slow
def test_a_failed_test_counts_more_than_a_rig_that_failed_and_unusable_input_is_exit_2(repo):
    repo.makepyfile(test_a=RIG, test_b="def test_wrong():\n    assert 1 == 2\n")
    done = run(repo, "--board=virtual@/dev/no-such-port", "--junitxml=junit.xml")
    assert done.ret == 1 and kinds(repo)["test_wrong"] == "failure"
    repo.makepyfile(test_c='def test_c(tinyrig_measure):\n    tinyrig_measure("no-such.tflite")\n')
    done = run(repo, "test_c.py", "--junitxml=junit.xml")
    assert done.ret == 2 and kinds(repo) == {"test_c": "error"}
    assert "UserError" in done.stdout.str() and "Traceback" not in done.stdout.str()
    assert run(repo, "--board=nonsense").ret == 2


USERS_OWN = """
import sys, pytest

@pytest.fixture(params=["a", "b"])
def variant(request):
    return request.param

@pytest.fixture
def config():
    return {"their": "own"}

@pytest.fixture
def claim(): return "claim"

@pytest.fixture
def night(): return "night"

@pytest.fixture
def measurement(): return "measurement"

def test_own(variant, config, claim, night, measurement):
    assert variant in "ab" and config == {"their": "own"} and (claim, night) == ("claim", "night")

def test_nothing_is_loaded():
    assert not {"numpy", "sqlalchemy", "pydantic", "tinyrig.measure.run"} & set(sys.modules)
"""


def test_a_users_own_names_are_theirs_and_nothing_happens_unasked(repo):
    repo.makepyfile(USERS_OWN)
    repo.makeconftest("def pytest_addoption(parser):\n    parser.addoption('--resume')\n    parser.addoption('--nightly')\n")
    before = {path.name for path in repo.path.iterdir()}
    done = run(repo, "-p", "no:hypothesispytest", "-p", "no:hypothesis")
    done.assert_outcomes(passed=3)
    assert done.ret == 0 and "= tinyrig =" not in done.stdout.str()
    left = {path.name for path in repo.path.iterdir()} - before - {"__pycache__", "stdout", "stderr"}
    assert not left, "nothing was written"


def test_without_the_plugin_its_option_and_fixtures_are_gone(repo):
    repo.makepyfile("def test_it(tinyrig_measure):\n    pass\n")
    done = repo.run(sys.executable, "-m", "pytest", "-p", "no:tinyrig", "-p", "no:cacheprovider")
    assert done.ret == 1 and "fixture 'tinyrig_measure' not found" in done.stdout.str()
    done = repo.run(sys.executable, "-m", "pytest", "-p", "no:tinyrig", "--board=virtual")
    assert done.ret == 4 and "unrecognized arguments" in done.stderr.str()


BOARD_OF_THEIRS = """
def pytest_addoption(parser):
    parser.addoption("--board", default="theirs")
"""


@pytest.mark.slow
def test_an_option_of_the_users_that_is_called_board_is_theirs(repo):
    repo.makeconftest(BOARD_OF_THEIRS)
    repo.makepyfile(
        "def test_it(pytestconfig, tinyrig_board):\n"
        "    assert (pytestconfig.getoption('--board'), tinyrig_board.asked) == ('mine', 'virtual#3')\n"
    )
    run(repo, "--board", "mine", "--tinyrig-board=virtual#3").assert_outcomes(passed=1)


def test_a_board_named_with_a_space_is_no_folder_of_tests(repo):
    """An existing path is one for pytest until it knows the option: the project's conftest.py would be found too late."""
    repo.makeconftest(BOARD_OF_THEIRS.replace("board", "other"))
    repo.makepyfile("def test_it(pytestconfig, tinyrig_board):\n    assert pytestconfig.getoption('--other') == 'mine'\n")
    run(repo, "--other=mine", "--board", "/dev/null").assert_outcomes(passed=1)


@pytest.mark.slow
def test_paths_count_from_here_or_from_the_root_and_names_are_those_of_rig_toml(repo):
    (repo.path / "rig.toml").write_text('[models.gesture]\nfile = "other.tflite"\nwindows = "windows.npz"\nmin_accuracy = "0%"\n')
    (repo.path / "tests").mkdir()
    (repo.path / "tests" / "test_it.py").write_text(
        "import os\ndef test_it(tinyrig_measure, monkeypatch):\n"
        "    monkeypatch.chdir(os.path.dirname(__file__))\n"
        '    assert tinyrig_measure("dense.tflite", windows="windows.npz").name == "dense"\n'
        '    assert tinyrig_measure("gesture").claims[-1].name == "min_accuracy"\n'
    )
    run(repo, f"--rootdir={repo.path}").assert_outcomes(passed=1)
