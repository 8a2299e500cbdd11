"""The user's project and its state: found from below, hidden from git, never beside the installed code."""

import re
from pathlib import Path

import pytest

from tinyrig.places.installed import FIRMWARE
from tinyrig.places.project import cache_folder, made, project_folder

ROOT = Path(__file__).resolve().parents[3]


def test_the_project_is_where_the_nearest_rig_toml_is(tmp_path, monkeypatch):
    (below := tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(below)
    (tmp_path / "rig.toml").touch()
    assert project_folder() == tmp_path
    (tmp_path / "a" / "rig.toml").touch()
    assert project_folder() == tmp_path / "a"


def test_without_rig_toml_it_is_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert project_folder() == tmp_path


def test_the_state_folder_is_hidden_from_git(tmp_path):
    made(tmp_path / ".tinyrig" / "reports" / "nights")
    assert (tmp_path / ".tinyrig" / ".gitignore").read_text().endswith("\n*\n")
    (tmp_path / ".tinyrig" / ".gitignore").write_text("mine\n")
    made(tmp_path / ".tinyrig" / "build")
    assert (tmp_path / ".tinyrig" / ".gitignore").read_text() == "mine\n"
    made(tmp_path / "elsewhere")
    assert not list(tmp_path.glob("elsewhere/*"))


def test_caches_lie_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "tinyrig"


def test_the_firmware_is_found():
    assert (FIRMWARE / "app" / "main.c").is_file() and (FIRMWARE / "WIRE.md").is_file()


@pytest.mark.parametrize("package", ["harness", "variants", "reports"])
def test_no_code_knows_where_it_lies_but_to_read(package):
    """A path beside the installed code is for reading: whatever is written belongs to the user's project or cache."""
    wrong = re.compile(r'/ "out"|/ "build"|parents\[[12]\]')
    files = [p for p in (ROOT / package).rglob("*.py") if not {"tests", "out"} & set(p.relative_to(ROOT).parts)]
    found = {p.relative_to(ROOT).as_posix() for p in files if wrong.search(p.read_text("utf-8"))}
    assert found <= {"harness/bootstrap.py", "harness/core/config.py", "variants/lab/build.py"}, "use tinyrig.places"
