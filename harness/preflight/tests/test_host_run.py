"""A folder of models in one go, each beside the oracle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tinyrig.cli import main
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.errors import HostError, ModelError
from tinyrig.preflight import host_run
from tinyrig.preflight.check import check_model
from tinyrig.preflight.host_run import HostRun, Result, run_on_host, told
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import Oracle


def test_a_folder_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.tflite").write_bytes(finish_net(conv_net()))
    (tmp_path / "b.tflite").write_bytes(b"")
    b = ModelBuilder()
    x, y = b.tensor((1, 1000, 300)), b.tensor((1, 1000, 300))
    b.op("ABS", [x], [y])
    (tmp_path / "c.tflite").write_bytes(b.finish([x], [y]))
    assert main(["check", "--run", ".", "--json", "out.json"]) == 2
    rows = [line for line in capsys.readouterr().out.splitlines() if ".tflite" in line]
    assert ["runs: as tflm on 3 windows" in rows[0], "refused" in rows[1], "too big: virtual lacks" in rows[2]] == [True] * 3
    found = [m["run"]["result"] for m in json.loads((tmp_path / "out.json").read_text())["models"]]
    assert found == ["runs", "refused", "too big"]


def test_a_wrong_output_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, path = finish_net(conv_net()), tmp_path / "a.tflite"
    path.write_bytes(data)
    right = HostModel.invoke
    monkeypatch.setattr(HostModel, "invoke", lambda self, x: [np.bitwise_xor(y, 1) for y in right(self, x)])
    run = run_on_host(check_model(data), path, "tflm", [], 0, 1e-5)
    assert run == HostRun(Result.DIFFERS, "", "tflm", 3, 3, 1.0)
    assert told(run) == "differs from tflm on 3 of 3 windows, by up to 1"


def test_the_other_oracle_need_not_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(Oracle):
        name = "tflm"

        def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
            raise ModelError("tflm can't run it")

    class Missing(Oracle):
        name = "litert-ref"

        def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
            raise HostError("LiteRT is not installed")

    monkeypatch.setattr(host_run, "ORACLES", {"tflm": Refusing, "litert-ref": Missing})
    data, path = finish_net(conv_net()), tmp_path / "a.tflite"
    path.write_bytes(data)
    run = run_on_host(check_model(data), path, "tflm", [], 0, 1e-5)
    assert run == HostRun(Result.NO_ORACLE, "tflm can't run it; LiteRT is not installed")
    with pytest.raises(HostError, match="not installed"):
        run_on_host(check_model(data), path, "litert-ref", [], 0, 1e-5)
