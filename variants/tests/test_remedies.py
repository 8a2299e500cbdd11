"""Every remedy that a refusal names was tried: the model is built with it, compiled, and runs as the oracle says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tinyrig.core.boards import BOARDS
from tinyrig.preflight.check import check_model
from tinyrig.preflight.host_run import Result, run_on_host

TOLD = {
    "unfrozen": "the weights are not in the file",
    "EXP": "denylisted_ops=['EXP']",
    "LOG": "denylisted_ops=['LOG']",
    "SQRT": "denylisted_ops=['SQRT']",
    "DIV": "denylisted_ops=['DIV']",
    "GELU": "tf.sigmoid(1.702 * x)",
    "WHERE": "multiply by the mask",
    "uint8": "feed float32 windows",
    "length": "keras.Input(batch_shape=(1, ...))",
    "state": "an input and an output of the model",
}
"""Model -> words of the remedy; see remedy_models.py."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("remedies")
    command = [sys.executable, "-m", "tinyrig.variants.tests.remedy_models", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def runs(path: Path) -> bool:
    check = check_model(path.read_bytes(), boards=[BOARDS["virtual"]])
    assert check.runs, check.obstacles
    run = run_on_host(check, path, "tflm", ["virtual"], 0, 1e-5)
    return run.result is Result.RUNS


@pytest.mark.slow
@pytest.mark.parametrize("name", TOLD)
def test_the_remedy_helps(built: Path, name: str) -> None:
    refused = check_model((built / f"{name}.refused.tflite").read_bytes())
    assert runs(built / f"{name}.mended.tflite")
    if refused.runs:
        pytest.skip("the compiler has learned this op")
    assert all(TOLD[name] in o.remedy for o in refused.obstacles), refused.obstacles


@pytest.mark.slow
def test_what_the_default_optimisation_alone_gives_runs(built: Path) -> None:
    assert runs(built / "dynamic.tflite")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lines_keras", "lines_saved", "lines_frozen"])
def test_the_lines_that_convert_a_foreign_file_work(built: Path, name: str) -> None:
    assert runs(built / f"{name}.tflite")
    check = check_model((built / f"{name}.tflite").read_bytes())
    assert {t.dtype for t in check.inputs} == {"int8"}
