"""`tinyrig init`: what it writes can be used at once, and nothing is overwritten."""

import ast
import json
import re
import subprocess
import sys
import tomllib

import pytest

from tinyrig.cli import main
from tinyrig.core.config import load_config
from tinyrig.start import project
from tinyrig.tests import small_models

FILES = ("rig.toml", "tests/test_model_on_board.py", ".github/workflows/tinyrig.yml")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_it_writes_loads_and_names_the_only_model(home, capsys):
    (home / "models").mkdir()
    (home / "models" / "my gesture.tflite").write_bytes(small_models.dense_int8())
    (home / "models" / "my gesture.npz").touch()
    assert main(["init"]) == 0
    said = capsys.readouterr().out
    assert [f"{name}: written" for name in FILES] == said.splitlines()[:3] and "next: tinyrig run" in said
    model = load_config().own_models["my_gesture"]
    assert (model.file, model.windows) == (f"{home}/models/my gesture.tflite", f"{home}/models/my gesture.npz")
    tree = ast.parse((home / FILES[1]).read_text())
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == ["test_my_gesture_on_board"]
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(home / FILES[2])]
    assert subprocess.run(check, capture_output=True).returncode == 0


def test_every_commented_key_of_rig_toml_is_one(home):
    main(["init"])
    text = re.sub(r"^# (?=\[|\w+ = )", "", (home / "rig.toml").read_text(), flags=re.M)
    (home / "rig.toml").write_text(text)
    tables, config = tomllib.loads(text), load_config()
    assert tables.keys() >= {"models", "boards", "nightly", "limits"} and config.limits.run_s == 21600
    assert config.own_models["gesture"].max_ram == 8192


def test_nothing_is_overwritten(home, capsys):
    for name in FILES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("mine")
    assert main(["init"]) == 0
    assert {(home / name).read_text() for name in FILES} == {"mine"}
    assert capsys.readouterr().out.count("left as it is") == 3


def test_without_a_model_or_with_several_it_says_what_to_do(home, capsys):
    assert main(["init"]) == 0
    assert "no model found" in capsys.readouterr().out
    assert tomllib.loads((home / "rig.toml").read_text())["models"] == {"gesture": {"file": "gesture.tflite"}}


@pytest.mark.parametrize("words", [["--model", "none.tflite"], ["--windows", "none.npz"]])
def test_a_file_that_is_not_there_is_the_users_error(home, words, capsys):
    assert main(["init", *words]) == 2
    assert "none." in capsys.readouterr().err and not (home / "rig.toml").exists()


def test_hostile_names_stay_texts(home):
    name = 'a"] \\ é.tflite'
    (home / name).touch()
    main(["init"])
    assert tomllib.loads((home / "rig.toml").read_text())["models"]["a"]["file"] == name


def test_ci_installs_what_is_installed_here(monkeypatch):
    class Origin:
        version = "1.2.3"

        def read_text(self, _):
            return json.dumps({"url": "https://host/rig.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}})

    monkeypatch.setattr("importlib.metadata.distribution", lambda _: Origin())
    assert project.requirement() == "tinyrig @ git+https://host/rig.git@abc"
    monkeypatch.setattr(Origin, "read_text", lambda *_: None)
    assert project.requirement() == "tinyrig==1.2.3"
