"""`tinyrig ops` of several models, and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinyrig.cli import main
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.ops_command import Compared, document
from tinyrig.workload.op_diff import OpDiff


def test_several_models_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.tflite").write_bytes(finish_net(conv_net()))
    b = conv_net()
    b.op("COMPLEX_ABS", [b.index("net/mean")], [b.tensor((1, 5), "int8", 0.1)])
    (tmp_path / "refused.tflite").write_bytes(finish_net(b))
    assert main(["ops", "good.tflite", "refused.tflite", "--limit", "2", "--json", "out.json"]) == 2
    shown = capsys.readouterr().out
    assert "CONV_2D" in shown and "op 6 COMPLEX_ABS" in shown
    good, refused = json.loads((tmp_path / "out.json").read_text())["models"]
    assert (good["file"], good["oracle"], good["windows"], good["dtype"], good["refused"]) == (
        "good.tflite",
        "tflm",
        2,
        "int8",
        None,
    )
    assert (good["mismatched_values"], good["max_abs_diff"]) == (0, 0.0) and good["compared_values"] > 50
    assert "op 6 COMPLEX_ABS" in refused["refused"] and refused["compared_values"] == 0 and refused["max_abs_diff"] is None


def test_values_that_differ_are_counted_and_infinities_are_no_json() -> None:
    rows = (
        OpDiff(0, "CONV_2D", "conv", "a", "int8", 0.0, 0, 10),
        OpDiff(1, "ADD", "add", "b", "int8", 2.0, 3, 10),
        OpDiff(2, "EXP", "exp", "c", "float32", 1e-7, 5, 10),
        OpDiff(3, "LOG", "log", "d", "float32", float("inf"), 4, 10),
        OpDiff(4, "MUL", "mul", "e", "float32", None, 0, 0),
    )
    (entry,) = document([Compared(Path("m.tflite"), "00", "tflm", 1, rows)], 1e-5)["models"]
    assert (entry["mismatched_values"], entry["compared_values"], entry["max_abs_diff"], entry["dtype"]) == (7, 40, None, "int8")
    json.dumps(entry, allow_nan=False)
