"""The files of docs/examples are what systemd and GitHub take, and call what tinyrig has."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tinyrig.cli import _parser
from tinyrig.core.config import ROOT

EXAMPLES = ROOT / "docs" / "examples"
UNITS = sorted(EXAMPLES.glob("tinyrig-*"))
CALL = re.compile(r"\.venv/bin/tinyrig (.+)")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_takes_the_units(tmp_path):
    for unit in UNITS:  # the checkout is not in this machine's ~/tinyrig
        text = unit.read_text().replace("%h/tinyrig/.venv/bin/tinyrig", sys.executable).replace("%h/tinyrig", str(tmp_path))
        (tmp_path / unit.name).write_text(text)
    command = ["systemd-analyze", "verify", "--user", *(str(tmp_path / unit.name) for unit in UNITS)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "tinyrig" in line]
    assert done.returncode == 0 and not complaints, done.stderr


def test_a_unit_with_a_slip_is_found(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd here")
    bad = tmp_path / "tinyrig-bad.service"
    bad.write_text("[Service]\nType=oneshoot\nExecStart=/bin/true\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(bad)],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert "oneshoot" in done.stderr


def check_workflow(path: Path) -> subprocess.CompletedProcess[str]:
    """By schemastore's schema of GitHub's workflows, which check-jsonschema carries: nothing is fetched."""
    pytest.importorskip("check_jsonschema", reason="no check-jsonschema here: pip install 'tinyrig[dev]'")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_github_takes_the_workflow():
    done = check_workflow(EXAMPLES / "nightly.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"), [("runs-on:", "run-on:"), ("timeout-minutes: ", "timeout-minutes: about "), ("cron:", "chron:")]
)
def test_a_workflow_with_a_slip_is_found(tmp_path, right, wrong):
    text = (EXAMPLES / "nightly.yml").read_text()
    assert right in text
    (tmp_path / "bad.yml").write_text(text.replace(right, wrong, 1))
    assert check_workflow(tmp_path / "bad.yml").returncode == 1


def test_the_workflow_has_a_schedule_and_a_rig_of_its_own():
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((EXAMPLES / "nightly.yml").read_text())
    triggers = workflow[True]  # YAML 1.1 reads the key `on` as a truth
    assert re.fullmatch(r"\S+( \S+){4}", triggers["schedule"][0]["cron"])
    (job,) = workflow["jobs"].values()
    assert "self-hosted" in job["runs-on"] and job["timeout-minutes"] > 0


@pytest.mark.parametrize("path", [EXAMPLES / "nightly.yml", *UNITS], ids=lambda p: Path(p).name)
def test_what_they_call_exists(path):
    for words in CALL.findall(path.read_text()):
        _parser().parse_args(words.split())
