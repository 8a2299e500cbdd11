"""`tinyrig check` as a user calls it: what it prints, writes and returns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinyrig.cli import main
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """good.tflite, refused.tflite, and large/large.tflite, whose arena no board has."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "large").mkdir()
    (tmp_path / "good.tflite").write_bytes(finish_net(conv_net()))
    b = conv_net()
    b.op("COMPLEX_ABS", [b.index("net/mean")], [b.tensor((1, 5), "int8", 0.1)])
    (tmp_path / "refused.tflite").write_bytes(finish_net(b))
    b = ModelBuilder()
    x, y = b.tensor((1, 1000, 300), "float32"), b.tensor((1, 1000, 300), "float32")
    b.op("ABS", [x], [y])
    (tmp_path / "large" / "large.tflite").write_bytes(b.finish([x], [y]))
    return tmp_path


def test_a_model_that_fits(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "good.tflite", "--json", "out.json", "--svg", "arena.svg"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("CONV_2D", "net/conv", "MACs", "arena in bytes over steps", "nucleo-f401re", "flash"))
    (entry,) = json.loads((models / "out.json").read_text())["models"]
    assert entry["file"] == "good.tflite" and entry["runs"] and entry["fits"]["virtual"]
    assert (models / "arena.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["refused.tflite"], "op 6 COMPLEX_ABS"),
        (["large/large.tflite"], "does not fit virtual: lacks"),
        (["good.tflite", "refused.tflite"], "remedy"),
        (["good.tflite", "--board", "moon"], "--board moon is not known"),
        (["missing.tflite"], "missing.tflite can't be read"),
        (["good.tflite", "large/large.tflite", "--svg", "a.svg"], "--svg draws one model"),
        (["good.tflite", "--svg", "a.bmp"], "file type"),
    ],
)
def test_what_can_not_be_used_is_exit_code_2(
    models: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert main(["check", *words]) == 2
    shown = capsys.readouterr()
    assert told in shown.out + shown.err and "Traceback" not in shown.err


def test_a_folder_gives_a_table(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "."]) == 2
    rows = [line for line in capsys.readouterr().out.splitlines() if ".tflite" in line]
    assert len(rows) == 3
    assert "too big for virtual" in rows[1] and "refused: op 6 COMPLEX_ABS" in rows[2] and "fits" in rows[0]


def test_a_name_of_rig_toml_stands_for_its_file(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "rig.toml").write_text('[models.gesture]\nfile = "good.tflite"\n')
    assert main(["check", "gesture"]) == 0
    assert "good.tflite: " in capsys.readouterr().out


def test_a_file_of_a_folder_that_can_not_be_read_does_not_hide_the_others(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (models / "nowhere.tflite").symlink_to(models / "missing")
    (models / "pointer.tflite").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n")
    assert main(["check", "."]) == 2
    rows = [line for line in capsys.readouterr().out.splitlines() if ".tflite" in line]
    assert len(rows) == 5 and "can't be read" in rows[2] and "a pointer of Git LFS" in rows[3]


def test_json_alone_on_stdout(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "good.tflite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == 1
