"""The GitHub action: its file, and its scripts with programs that stand for GitHub's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tinyrig.core.config import ROOT

SCRIPTS = ROOT / "action"
GH = """#!{python}
import json, pathlib, sys
words, place = sys.argv[1:], pathlib.Path({place!r})
(place / "calls").open("a").write(json.dumps(words) + "\\n")
if "PATCH" in words or "POST" in words:
    sys.exit({refuses})
print((place / "comments").read_text(), end="")
"""
TINYRIG = """#!{python}
import os, pathlib, sys
target = pathlib.Path(sys.argv[sys.argv.index("--json") + 1])
pathlib.Path({place!r}, "words").write_text(repr(sys.argv[1:]))
target.write_text(pathlib.Path({place!r}, "result").read_text())
sys.exit(1)
"""


def program(place: Path, name: str, text: str, **words: object) -> None:
    (place / "bin").mkdir(exist_ok=True)
    (place / "bin" / name).write_text(text.format(python=sys.executable, place=str(place), **words))
    (place / "bin" / name).chmod(0o755)


def script(name: str, place: Path, **more: str) -> subprocess.CompletedProcess[str]:
    beside = f"{place / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": beside, "FOLDER": str(place), **more}
    return subprocess.run(["bash", SCRIPTS / name], env=environment, capture_output=True, text=True, check=False, cwd=place)


def test_githubs_schema_takes_it() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", str(ROOT / "action.yml")]
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_no_expression_gets_into_a_script() -> None:
    """What a pull request may name is data: it comes through the environment, where no shell reads it."""
    steps = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    assert len(steps) > 6 and not [step for step in steps if "${{" in step.get("run", "")]


@pytest.mark.parametrize("name", sorted(p.name for p in SCRIPTS.iterdir()))
def test_scripts_parse(name: str) -> None:
    assert subprocess.run(["bash", "-n", SCRIPTS / name]).returncode == 0


# ---- the comment ----


def calls(place: Path) -> list[list[str]]:
    return [json.loads(line) for line in (place / "calls").read_text().splitlines()]


def comment(place: Path, text: str, there: str, refuses: int = 0) -> subprocess.CompletedProcess[str]:
    program(place, "gh", GH, refuses=refuses)
    (place / "comments").write_text(there)
    (place / "tinyrig-comment.md").write_text(text)
    return script("comment.sh", place, REPOSITORY="me/mine", NUMBER="7")


def test_a_change_is_said_once(tmp_path: Path) -> None:
    assert comment(tmp_path, "<!-- tinyrig -->\nchanged\n", "").returncode == 0
    assert calls(tmp_path)[-1][1:4] == ["--method", "POST", "repos/me/mine/issues/7/comments"]


def test_the_comment_is_updated_in_place(tmp_path: Path) -> None:
    assert comment(tmp_path, "<!-- tinyrig -->\nchanged\n", "42\n").returncode == 0
    assert calls(tmp_path)[-1][1:4] == ["--method", "PATCH", "repos/me/mine/issues/comments/42"]


def test_no_change_makes_no_comment_but_corrects_one(tmp_path: Path) -> None:
    comment(tmp_path, "", "")
    assert len(calls(tmp_path)) == 1  # looked only
    comment(tmp_path, "", "42\n")
    assert "PATCH" in calls(tmp_path)[-1] and "nothing changed" in (tmp_path / "tinyrig-comment.md").read_text()


def test_a_token_that_may_not_write_costs_only_the_comment(tmp_path: Path) -> None:
    done = comment(tmp_path, "<!-- tinyrig -->\nchanged\n", "", refuses=1)
    assert done.returncode == 0 and "pull-requests: write" in done.stdout


# ---- the run ----


def test_the_result_is_said_before_it_decides(tmp_path: Path) -> None:
    from tinyrig.analysis.run_json import run_to_json
    from tinyrig.tests.fake_runs import make_run

    program(tmp_path, "tinyrig", TINYRIG)
    (tmp_path / "result").write_text(json.dumps(run_to_json(make_run("now", "2026-01-02T00:00:00+00:00", ("simple",)))))
    outputs, summary = tmp_path / "outputs", tmp_path / "summary"
    more = {
        "GITHUB_OUTPUT": str(outputs),
        "GITHUB_STEP_SUMMARY": str(summary),
        "ARGUMENTS": "--model 'my model.tflite' $(touch x)",
    }
    done = script("run.sh", tmp_path, **more)
    assert done.returncode == 0, done.stderr
    assert outputs.read_text() == f"code=1\njson={tmp_path}/tinyrig.json\njunit={tmp_path}/tinyrig.xml\n"
    assert "| `simple` |" in summary.read_text()
    words = (tmp_path / "words").read_text()
    assert "'--model', 'my model.tflite', '$(touch', 'x)', '--json'" in words and not (tmp_path / "x").exists()


def test_without_arguments_the_models_of_rig_toml_are_measured(tmp_path: Path) -> None:
    program(tmp_path, "tinyrig", TINYRIG)
    (tmp_path / "result").write_text("")
    more = {"GITHUB_OUTPUT": str(tmp_path / "o"), "GITHUB_STEP_SUMMARY": str(tmp_path / "s"), "ARGUMENTS": ""}
    assert script("run.sh", tmp_path, **more).returncode == 0
    assert (tmp_path / "words").read_text().startswith("['run', '--json'")
    assert (tmp_path / "o").read_text() == "code=1\n"
