"""The whole way over the virtual board: compile, link, flash through the bootloader, stream, compare, store, report."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyrig.board.rig import Rig
from tinyrig.cli import main
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS, VIRTUAL_ID_PREFIX, parse_board
from tinyrig.core.config import Config
from tinyrig.core.errors import DeviceError, LinkError, ModelError
from tinyrig.core.plans import RunPlan
from tinyrig.core.records import ESTIMATED
from tinyrig.host.log import heard
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.measure.run import measuring
from tinyrig.measure.variant import run_settings
from tinyrig.measure.variants import model_variant
from tinyrig.tests import small_models
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload.image import build_image
from tinyrig.workload.oracle import ORACLES

BOARD = BOARDS["virtual"]
KEYS = {
    "variant",
    "tflite_sha256",
    "windows",
    "accuracy",
    "accuracy_ci95",
    "parity",
    "latency",
    "ram",
    "flash",
    "tflite_bytes",
    "zip_bytes",
    "flops",
    "macs",
    "ops",
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's folder with two models and labelled windows, and a results database of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", f"sqlite:///{tmp_path / 'results.sqlite'}")
    (tmp_path / "dense.tflite").write_bytes(small_models.dense_int8())
    (tmp_path / "float.tflite").write_bytes(small_models.dense_float())
    rng = np.random.default_rng(1)
    x = rng.normal(0, 2, (12, small_models.FEATURES)).astype(np.float32)
    np.savez(tmp_path / "windows.npz", x=x, y=rng.integers(0, 4, 12), class_names=np.array(list("abcd")))
    return tmp_path


def built(data: bytes, engine: str = "tinyrig"):
    model = compile_model(data, flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes, engine=engine)
    return build_image(model, BOARD)


def run_json(*arguments: str) -> tuple[int, dict]:
    code = main(["run", *arguments, "--no-report", "--json", "out.json"])
    with open("out.json") as file:
        return code, json.load(file)


@pytest.mark.parametrize(
    ("model", "engine"), [("dense", "tinyrig"), ("dense", "portable"), ("float", "tinyrig"), ("float", "portable")]
)
def test_a_model_from_elsewhere_gives_schema_1(home, model, engine):
    code, result = run_json("--model", f"{model}.tflite", "--windows", "windows.npz", "--engine", engine)
    assert code == 0 and result["schema"] == 1
    assert result["board"]["timing"] == ESTIMATED and result["board"]["id"].startswith(VIRTUAL_ID_PREFIX)
    assert result["board"]["clock_hz"] == 64_000_000 and "gcc" in result["toolchain"]["cc"]
    (run,) = result["runs"]
    assert set(run) >= KEYS
    assert run["windows"] == 12 and run["parity"]["compared"] == 12 and run["parity"]["mismatched_windows"] == 0
    low, high = run["accuracy_ci95"]
    assert 0 <= low <= run["accuracy"] <= high <= 1
    assert run["latency"]["samples"] == 12 + Config().repeats
    assert 0 < run["latency"]["us_min"] <= run["latency"]["us_median"] <= run["latency"]["us_p99"] <= run["latency"]["us_max"]
    assert (
        run["ram"]["model_total"] == run["ram"]["arena"] + run["ram"]["static"] + run["ram"]["stack"] and run["ram"]["stack"] > 0
    )
    assert run["flash"]["model_total"] == run["flash"]["weights"] + run["flash"]["engine"]
    assert run["flash"]["total"] == run["flash"]["model_total"] + run["flash"]["rig"]
    assert sum(op["cycles"] > 0 for op in run["ops"]) == len(run["ops"]) > 1


def test_without_windows_the_model_runs_on_random_ones(home):
    code, result = run_json("--model", "dense.tflite", "--limit", "3")
    (run,) = result["runs"]
    assert code == 0 and run["windows"] == 3 and run["accuracy"] is None and run["parity"]["compared"] == 3


def test_without_an_oracle_there_is_no_timing(home):
    _, result = run_json("--model", "dense.tflite", "--limit", "2", "--oracle", "none")
    (run,) = result["runs"]
    assert run["parity"] is None and run["latency"] is None


def test_a_model_that_gives_nan_is_neither_verified_nor_scored_nor_timed(home, capfd):
    (home / "nan.tflite").write_bytes(small_models.overflowing())
    code, result = run_json("--model", "nan.tflite", "--windows", "windows.npz")
    (run,) = result["runs"]
    assert code == 1 and run["accuracy"] is None and run["latency"] is None
    assert run["parity"]["nonfinite_windows"] == 12 and run["parity"]["mismatched_windows"] == 0
    assert "claim failed: nan: parity: parity failed: 12 of 12 windows gave NaN or infinity, the first is window 0" in (
        capfd.readouterr().err
    )


def test_the_second_oracle_agrees(home):
    code, result = run_json("--model", "dense.tflite", "--windows", "windows.npz", "--oracle", "litert-ref")
    assert code == 0 and result["runs"][0]["parity"]["oracle"] == "litert-ref"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (small_models.unsupported(), ("COMPLEX_ABS", "op 0")),
        (small_models.too_large(), ("218960 too many", "op 0", "flash")),
        (b"not a model", ()),
        (small_models.dense_int8()[:700], ()),
    ],
)
def test_an_unusable_model_is_exit_2_before_any_c_compiler(home, capfd, monkeypatch, data, told):
    def no_compiler(*args, **kwargs):
        raise AssertionError("a C compiler was asked for")

    monkeypatch.setattr("tinyrig.workload.image._build", no_compiler)
    (home / "bad.tflite").write_bytes(data)
    assert main(["run", "--model", "bad.tflite"]) == 2
    message = capfd.readouterr().err
    assert "Traceback" not in message and all(word in message for word in told), message


def test_too_large_an_arena_is_refused_with_what_is_missing():
    with pytest.raises(ModelError) as caught:
        compile_model(small_models.dense_int8(), flash_bytes=BOARD.flash_bytes, ram_bytes=16)
    assert "16" in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--model", "none.tflite"],
        ["--model", "dense.tflite", "--windows", "none.npz"],
        ["--model", "dense.tflite", "--limit", "0"],
        ["--model", "dense.tflite", "--board", "teapot"],
        ["--windows", "windows.npz"],
        ["--model", "dense.tflite", "--json", "no/such/folder.json"],
    ],
)
def test_a_users_mistake_is_exit_2_with_a_remedy(home, capfd, arguments):
    assert main(["run", *arguments]) == 2
    message = capfd.readouterr().err
    assert "expected" in message and "remedy" in message and "Traceback" not in message


def test_a_port_where_nobody_is_is_exit_3(home, capfd):
    assert main(["run", "--model", "dense.tflite", "--board", "virtual@/dev/does-not-exist"]) == 3
    assert "/dev/does-not-exist" in capfd.readouterr().err


def test_flashes_only_what_does_not_run_already(tmp_path):
    image, other = built(small_models.dense_int8()), built(small_models.dense_int8(seed=7))
    said: list[str] = []
    with VirtualBoard() as board, Rig(parse_board(f"virtual@{board.port}"), Config()) as rig:
        with heard(said.append):
            rig.prepare(image)
        with heard(said.append):
            rig.prepare(image)
        assert len(said) == 1
        with heard(said.append):
            _, hello = rig.prepare(other)
        assert len(said) == 2 and hello.model_sha256 == other.model_sha256


def test_the_same_model_in_other_firmware_is_stale(tmp_path):
    image, portable = built(small_models.dense_int8()), built(small_models.dense_int8(), "portable")
    assert image.build_id != portable.build_id
    said: list[str] = []
    with VirtualBoard(image=portable.elf) as board, Rig(parse_board(f"virtual@{board.port}"), Config()) as rig:
        with heard(said.append):
            _, hello = rig.prepare(image)
        assert said and hello.build_id == image.build_id


def test_a_foreign_firmware_after_flashing_is_an_error_not_a_result():
    """The image's file holds another firmware than its record says, as after a mixed-up build folder."""
    image, other = built(small_models.dense_int8()), built(small_models.dense_int8(seed=7))
    forged = dataclasses.replace(image, bin=other.bin)
    with (
        VirtualBoard() as board,
        Rig(parse_board(f"virtual@{board.port}"), Config()) as rig,
        pytest.raises(DeviceError) as caught,
    ):
        rig.prepare(forged)
    assert image.build_id in str(caught.value) and other.build_id in str(caught.value)


def test_a_board_that_writes_its_flash_badly_is_found_out():
    image = built(small_models.dense_int8())
    with (
        VirtualBoard(faults=("flash-bad-write",)) as board,
        Rig(parse_board(f"virtual@{board.port}"), Config()) as rig,
        pytest.raises((DeviceError, LinkError)) as caught,
    ):
        rig.prepare(image)
    assert caught.value.exit_code == 3


def test_an_interrupted_run_goes_on_where_it_stopped(home):
    config = dataclasses.replace(Config(), results=f"sqlite:///{home / 'results.sqlite'}")
    first, second = model_variant(home / "dense.tflite", None), model_variant(home / "float.tflite", None)
    with measuring(parse_board("virtual"), config, RunPlan(settings=run_settings(config, limit=2))) as open_run:
        open_run.run(first)
        run_id = open_run.run_id
    with measuring(parse_board("virtual"), config, RunPlan(settings=run_settings(config, limit=2)), resume=run_id) as again:
        kept = again.run(first)
        assert kept.samples == open_run.run(first).samples
        again.run(second)
        assert [r.variant.name for r in again.result().runs] == ["dense", "float"]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16))
def test_integer_outputs_on_the_board_are_the_oracles(seed):
    import pathlib
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.tflite"
        path.write_bytes(small_models.dense_int8(seed))
        config = dataclasses.replace(Config(), results=f"sqlite:///{folder}/results.sqlite", repeats=1)
        with measuring(parse_board("virtual"), config, RunPlan(settings=run_settings(config, limit=4))) as open_run:
            run = open_run.run(model_variant(path, None))
    assert run.parity is not None and (run.parity.compared, run.parity.mismatched_windows) == (4, 0)


def test_streaming_survives_a_noisy_line():
    image = built(small_models.dense_int8())
    with (
        VirtualBoard(image=image.elf, faults=("tx-flip:700", "rx-flip:900")) as board,
        Session(open_link(board.port, BOARD.baud)) as session,
    ):
        session.hello()
        window = bytes(small_models.FEATURES)
        samples = list(session.stream([window] * 60))
        assert len({s.outputs for s in samples}) == 1 and len(samples) == 60
        assert session.retries > 0


def test_ops_names_every_step_and_finds_no_difference(home, capfd):
    assert main(["ops", "dense.tflite", "--windows", "windows.npz"]) == 0
    table = capfd.readouterr().out
    assert "differs" not in table and all(word in table for word in ("FULLY_CONNECTED", "SOFTMAX", "hidden", "probabilities"))


def test_ops_is_exit_1_at_the_first_wrong_step(home, capfd, monkeypatch):
    """The oracle is asked about another model of the same shape."""
    monkeypatch.setattr("tinyrig.workload.op_diff.ORACLES", {"tflm": lambda data: ORACLES["tflm"](small_models.dense_int8(7))})
    assert main(["ops", "dense.tflite", "--windows", "windows.npz"]) == 1
    first = next(line for line in capfd.readouterr().out.splitlines() if "differs" in line)
    assert "hidden" in first


@pytest.mark.parametrize(
    "command", [["report", "--format", "html", "--help"], ["variants", "--seed", "1", "--help"], ["variants", "--help"]]
)
def test_commands_of_other_packages_take_their_options_in_any_place(command, tmp_path):
    """In any folder, too: the checkout's own folders must not be what makes the packages importable."""
    words = [sys.executable, "-m", "tinyrig.cli", *command]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--seed" in done.stdout if command[0] == "variants" else "--format" in done.stdout
