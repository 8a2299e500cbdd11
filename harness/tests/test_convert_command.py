"""`tinyrig convert` before TensorFlow is asked: what is no network is refused, with what it is."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from tinyrig.cli import main
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.host import own_command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.tflite").write_bytes(finish_net(conv_net()))
    (tmp_path / "model.cc").write_text("const unsigned char m[] = {" + ",".join(map(str, finish_net(conv_net()))) + "};")
    (tmp_path / "page.html").write_text("<!DOCTYPE html><html></html>")
    (tmp_path / "empty").mkdir()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, "x")
    (tmp_path / "gesture.keras").write_bytes(packed.getvalue())
    return tmp_path


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("model.tflite", "is a .tflite already"),
        ("model.cc", "C source with a .tflite inside"),
        ("page.html", "an HTML page"),
        ("empty", "is no network"),
        ("missing.keras", "can't be read"),
    ],
)
def test_what_is_no_network_is_refused(folder: Path, capsys: pytest.CaptureFixture[str], name: str, told: str) -> None:
    assert main(["convert", name, "--float32"]) == 2
    assert told in capsys.readouterr().err


def test_what_was_made_is_checked_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def convert(words: list[str], seconds: float) -> tuple[int, str]:
        asked.append(words)
        Path(words[words.index("-o") + 1]).write_bytes((folder / "model.tflite").read_bytes())
        return 0, ""

    monkeypatch.setattr(own_command, "run_module", convert)
    assert main(["convert", "gesture.keras", "--windows", "x.npz"]) == 0
    assert asked == [["tinyrig.variants.convert", "gesture.keras", "-o", "gesture.tflite", "--windows", "x.npz"]]
    assert "can be compiled" in capsys.readouterr().out
    monkeypatch.setattr(own_command, "run_module", lambda words, seconds: (2, ""))
    assert main(["convert", "gesture.keras", "--float32"]) == 2


@pytest.mark.parametrize("words", [["run", "--model"], ["check"], ["ops"], ["engines", "--model"]])
def test_every_command_knows_a_foreign_file(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main([*words, "gesture.keras"]) == 2
    shown = capsys.readouterr()
    assert "a Keras model (.keras)" in shown.out + shown.err and "tinyrig convert" in shown.out + shown.err
