"""Steps whose training test_build.py leaves out, and a chain from its name to the virtual board."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyrig.variants.lab import manifest
from tinyrig.variants.networks import tflite_facts
from tinyrig.variants.tests.test_build import own_data, variants

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_every_other_step_builds_what_its_name_says(tmp_path):
    data = own_data(tmp_path / "mine.npz")
    names = (
        "deep+cut@2+l2-filters@0.25+qat",
        "deep+l1-filters@0.5",
        "reshaped-random",
        "simple+l1-filters@0.5+float16",
        "simple+pruned@0.75+reshaped",
        "simple+random-init@0.75",
        "simple+trained@2",
    )
    variants(*names, "--dataset", data, "--out", tmp_path / "out", "--epochs", 3)
    by_name = {v["name"]: v for v in manifest.read_manifest(tmp_path / "out")["variants"]}
    filters = {n: [s[0] for k, s in v["weights"]["shapes"].items() if "kernel" in k] for n, v in by_name.items()}
    assert filters == {
        "deep+cut@2+l2-filters@0.25+qat": [12, 12, 2],
        "deep+l1-filters@0.5": [8, 8, 8, 2],
        "reshaped-random": [8, 2],
        "simple+l1-filters@0.5+float16": [8, 2],
        "simple+pruned@0.75+reshaped": [4, 2],
        "simple+random-init@0.75": [4, 2],
        "simple+trained@2": [16, 2],
    }
    with np.load(tmp_path / "out" / "windows.npz") as windows:
        quantised = (tmp_path / "out" / "deep+cut@2+l2-filters@0.25+qat.tflite").read_bytes()
        assert tflite_facts.host_outputs(quantised, windows["x"][:1]).dtype == np.int8
    assert by_name["simple+l1-filters@0.5+float16"]["flops"] > by_name["simple+random-init@0.75"]["flops"] > 0
    assert by_name["simple+trained@2"]["training"]["epochs"] == 3  # --epochs replaces the name's too


@pytest.mark.slow
def test_chains_run_on_the_virtual_board(tmp_path):
    """32 channels, so that the converter quantises the weights of `dynamic`: it leaves layers below 1024 of them alone."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 20)
    data = tmp_path / f"lab-test-{os.getpid()}.npz"
    np.savez(data, x=(rng.normal(size=(40, 12, 32)) + y[:, None, None]).astype(np.float32), y=y)
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tinyrig.cli",
                "run",
                "--variant",
                "simple+l1-filters@0.5+pqt",
                "simple+dynamic",
                "--dataset",
                str(data),
                "--no-report",
                "--json",
                str(tmp_path / "out.json"),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            env={**os.environ, "TINYRIG_RESULTS": f"sqlite:///{tmp_path}/results.sqlite"},
        )
    finally:
        shutil.rmtree(ROOT / "variants" / "out" / data.stem, ignore_errors=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    assert {run["variant"] for run in result["runs"]} == {"simple+l1-filters@0.5+pqt", "simple+dynamic"}
    assert all(run["parity"]["mismatched_windows"] == 0 and run["latency"]["us_median"] > 0 for run in result["runs"])
