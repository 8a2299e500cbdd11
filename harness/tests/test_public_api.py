"""What `import tinyrig` offers stays as it is: names, fields and signatures may be added to, never renamed or taken away."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tinyrig
from tinyrig.core.config import ROOT
from tinyrig.tests.user_home import WINDOWS, furnish, url

BUDGETS = {
    "min_accuracy": "Amount | None = None",
    "max_accuracy_drop": "Amount | None = None",
    "max_latency": "str | None = None",
    "max_ram": "Amount | None = None",
    "max_flash": "Amount | None = None",
}
RUN = {
    "model": "Name",
    "windows": "Name | None = None",
    "board": "str = 'virtual'",
    "engine": "str = 'tinyrig'",
    "limit": "int | None = None",
    "oracle": "str | None = None",
    "optimise": "str | None = None",
    "labels": "Name | None = None",
    "output": "str | int | None = None",
    **BUDGETS,
}
MEASURE = {name: words for name, words in RUN.items() if name != "board"} | {"check": "bool = True"}
RECORDS = {
    "Result": {
        "name": "str",
        "model_sha256": "str",
        "board": "str",
        "board_id": "str",
        "clock_hz": "int",
        "timing": "str",
        "timing_note": "str",
        "engine": "str",
        "run_id": "str",
        "windows": "int",
        "verified": "bool",
        "output": "Output | None",
        "unverified_reason": "str",
        "accuracy": "float | None",
        "accuracy_ci95": "tuple[float, float] | None",
        "parity": "Parity | None",
        "latency": "Latency | None",
        "ram": "Ram | None",
        "flash": "Flash | None",
        "ops": "tuple[Op, ...]",
        "claims": "tuple[Claim, ...]",
        "warnings": "tuple[RunWarning, ...]",
        "macs": "int | None",
        "tflite_bytes": "int | None",
        "json": "Mapping[str, Any]",
    },
    "Latency": {
        "cycles_median": "float | None",
        **dict.fromkeys(
            ("us_median", "us_low", "us_high", "layout_spread", "us_p95", "us_p99", "us_min", "us_max"), "float | None"
        ),
        "samples": "int",
    },
    "Ram": {
        "arena_bytes": "int",
        "static_bytes": "int",
        "stack_bytes": "int | None",
        "model_total_bytes": "int | None",
        "rig_bytes": "int",
    },
    "Flash": dict.fromkeys(("weights_bytes", "engine_bytes", "model_total_bytes", "rig_bytes", "total_bytes"), "int"),
    "Parity": {
        "oracle": "str",
        "compared_windows": "int",
        "mismatched_windows": "int",
        "max_abs_diff": "float | None",
        "top1_changed_windows": "int",
    },
    "Output": {"name": "str", "index": "int", "scored_as": "str"},
    "Op": {"index": "int", "op": "str", "name": "str", "cycles": "float | None"},
    "Claim": {
        "name": "str",
        "status": "str",
        "reason": "str",
        "limit": "float | None",
        "value": "float | None",
        "unit": "str",
        "against": "str",
    },
    "RunWarning": {"kind": "str", "text": "str"},
}
RECORDS |= {
    "ModelCheck": {
        "file": "str",
        "sha256": "str",
        "file_bytes": "int",
        "obstacles": "tuple[Obstacle, ...]",
        "inputs": "tuple[TensorSpec, ...]",
        "outputs": "tuple[TensorSpec, ...]",
        "ops": "tuple[CheckedOp, ...]",
        "weight_bytes": "int",
        "arena_bytes": "int",
        "arena_least": "int",
        "flash": "FlashEstimate | None",
        "fits": "tuple[BoardFit, ...]",
        "advice": "tuple[Advice, ...]",
    },
    "CheckedOp": {
        **dict.fromkeys(("op", "name", "layer", "kernel"), "str"),
        **dict.fromkeys(("index", "macs", "weight_bytes", "alive_bytes"), "int"),
    },
    "FlashEstimate": dict.fromkeys(("weight_bytes", "code_low", "code_high"), "int"),
    "BoardFit": {
        "board": "str",
        "fits": "bool",
        **dict.fromkeys(("flash_need", "flash_bytes", "ram_need", "ram_bytes"), "int"),
        "reason": "str",
    },
    "Advice": {"text": "str", "saves_bytes": "int"},
    "Obstacle": {"index": "int", **dict.fromkeys(("op", "name", "reason", "remedy"), "str")},
}
PROPERTIES = {"failed", "passed", "latency_us", "ram_bytes", "flash_bytes"}
ERRORS = {"RigError": 3, "ClaimError": 1, "UserError": 2, "ModelError": 2}
ERRORS |= dict.fromkeys(("DeviceError", "HostError", "InfraError", "LinkError"), 3)


def parameters(function):
    return {
        name: f"{p.annotation}{'' if p.default is p.empty else f' = {p.default!r}'}"
        for name, p in inspect.signature(function).parameters.items()
        if name != "self"
    }


@pytest.mark.parametrize("name", RECORDS)
def test_fields_keep_their_names_and_types(name):
    record = getattr(tinyrig, name)
    found = {f.name: f.type for f in dataclasses.fields(record)}
    assert {field: found.get(field) for field in RECORDS[name]} == RECORDS[name]
    assert record.__dataclass_params__.frozen and record.__doc__


def test_functions_keep_their_parameters():
    from tinyrig.api.session import PytestMeasure

    assert {name: parameters(tinyrig.run).get(name) for name in RUN} == RUN
    measure = parameters(PytestMeasure.__call__)
    assert {name: measure.get(name) for name in MEASURE} == MEASURE
    assert set(measure) >= set(parameters(tinyrig.run)) - {"board"}, "what run() takes the fixture takes too"


def test_properties_and_errors_stay():
    assert all(isinstance(getattr(tinyrig.Result, name), property) for name in PROPERTIES)
    assert all(isinstance(getattr(tinyrig.ModelCheck, name), property) for name in ("runs", "macs", "portable_share"))
    assert list(parameters(tinyrig.check)) == ["model"] and callable(tinyrig.ModelCheck.fits_on)
    assert {name: getattr(tinyrig, name).exit_code for name in ERRORS} == ERRORS
    assert set(RECORDS) | set(ERRORS) | {"run", "check", "__version__"} <= set(dir(tinyrig))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = tinyrig.nonsense


def test_the_page_names_all_of_it():
    page = (ROOT / "docs" / "api.md").read_text()
    names = {*RUN, *RECORDS, *ERRORS, *PROPERTIES, *(field for record in RECORDS.values() for field in record)}
    assert sorted(name for name in names if f"`{name}`" not in page and f"{name}=" not in page) == []


def test_importing_it_costs_next_to_nothing_and_it_is_typed():
    code = "import sys, tinyrig\nprint(*sorted(m for m in sys.modules if m.startswith('tinyrig') or m in ('numpy', 'pytest')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tinyrig"]
    assert (Path(tinyrig.__file__).parent / "py.typed").exists()


# ---- and it works ----


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    return tmp_path


def test_a_model_is_measured_and_its_claims_are_told(home):
    (home / "rig.toml").write_text('[models.gesture]\nfile = "dense.tflite"\nwindows = "windows.npz"\nmax_latency = "1us"\n')
    found = tinyrig.run("gesture", max_ram="1MiB")
    assert found.name == "gesture" and found.verified and found.windows == WINDOWS and found.timing == "estimated"
    assert "was checked against" in found.timing_note
    assert found.latency_us > 1 and found.ram_bytes == found.ram.model_total_bytes and found.flash_bytes > 0
    assert 0 <= found.accuracy_ci95[0] <= found.accuracy <= found.accuracy_ci95[1] <= 1
    assert [op.op for op in found.ops] == ["FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX"] and all(op.cycles for op in found.ops)
    assert not found.passed and [claim.name for claim in found.failed] == ["max_latency"]
    assert {claim.name: claim.status for claim in found.claims}["accuracy"] == "passed"
    assert found.json["tflite_sha256"] == found.model_sha256
    assert (found.output.index, found.output.scored_as) == (0, "classes") and all(w.kind and w.text for w in found.warnings)


def test_a_model_is_checked_without_a_board(home):
    (home / "rig.toml").write_text('[models.gesture]\nfile = "dense.tflite"\n')
    found = tinyrig.check("gesture")
    assert found == tinyrig.check(home / "dense.tflite") and found.runs and found.fits_on("virtual") and found.macs == 288
    (home / "broken.tflite").write_bytes(b"nonsense")
    assert not tinyrig.check("broken.tflite").runs and tinyrig.check("broken.tflite").obstacles[0].reason
    with pytest.raises(tinyrig.UserError):
        tinyrig.check("no-such.tflite")


def test_what_cannot_be_judged_or_used_is_an_error(home):
    with pytest.raises(tinyrig.UserError, match="budgets need an oracle"):
        tinyrig.run("dense.tflite", oracle="none", max_latency="5ms")
    with pytest.raises(tinyrig.UserError, match="budget max_ram can't be used"):
        tinyrig.run("dense.tflite", max_ram="8 apples")
    with pytest.raises(tinyrig.UserError, match="unknown optimisation"):
        tinyrig.run("dense.tflite", optimise="tiny")
    with pytest.raises(tinyrig.UserError, match="no model gestuer"):
        tinyrig.run("gestuer")
    unverified = tinyrig.run("dense.tflite", oracle="none", limit=1)
    assert not unverified.verified and not unverified.passed and unverified.latency is None and unverified.unverified_reason
