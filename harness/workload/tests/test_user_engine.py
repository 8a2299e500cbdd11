"""A user's own engine: what its folder must hold, what is generated beside it, and the example on the virtual board."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tinyrig.board.rig import Rig
from tinyrig.cli import main
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.core.boards import BOARDS, parse_board
from tinyrig.core.config import Config
from tinyrig.core.errors import DeviceError, ModelError, UserError
from tinyrig.core.scoring import ScoreKind, Scoring
from tinyrig.measure.parity import compare
from tinyrig.measure.sampling import take_samples
from tinyrig.tests import small_models
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.image import build_image
from tinyrig.workload.oracle import ORACLES, TflmOracle
from tinyrig.workload.user_engine import is_folder, read_config, user_engine
from tinyrig.workload.windows import random_windows

BOARD = BOARDS["virtual"]
EXAMPLE = Path(__file__).resolve().parents[3] / "firmware" / "examples" / "own_engine"
ROOM = {"flash_bytes": BOARD.flash_bytes, "ram_bytes": BOARD.ram_bytes}


def three_layers() -> bytes:
    """[1, 9] float32 -> 30, relu -> 17 without bias, relu -> 5: an even number of rows swapped, and no softmax."""
    rng = np.random.default_rng(5)
    b = ModelBuilder()
    sizes = (9, 30, 17, 5)
    rows = [b.tensor((1, n), name=f"row{n}") for n in sizes]
    for i, (n, m) in enumerate(itertools.pairwise(sizes)):
        weights = b.tensor((m, n), data=rng.normal(0, 0.4, (m, n)))
        bias = -1 if i == 1 else b.tensor((m,), data=rng.normal(0, 0.4, m))
        b.op("FULLY_CONNECTED", [rows[i], weights, bias], [rows[i + 1]], fusedActivationFunction=int(i < 2))
    return b.finish([rows[0]], [rows[-1]])


def test_the_example_runs_and_agrees_on_the_virtual_board(tmp_path):
    data = small_models.dense_float()
    model = user_engine(data, EXAMPLE, **ROOM)
    image = build_image(model, BOARD, tmp_path)
    windows = random_windows(model.inputs, 4, seed=2)
    with Rig(parse_board("virtual"), Config()) as rig:
        session, hello = rig.prepare(image)
        samples = take_samples(session, windows, repeats=2)
    assert (hello.engine, hello.arena_bytes, hello.op_count) == ("own", 1024, 0)
    with ORACLES["tflm"](data) as oracle:
        parity = compare(oracle, windows, samples, model.outputs, 1e-5, Scoring(ScoreKind.CLASSES))
    assert parity.compared == 4 and parity.mismatched_windows == 0 and parity.top1_changed == 0
    assert all(s.cycles > 0 for s in samples if s.kind == "window")
    footprint = image.footprint
    assert footprint.flash_weights == len(data) and 0 < footprint.flash_engine < 8192
    assert footprint.ram_arena == 1024 and footprint.ram_static > 0


def test_the_example_runs_on_the_host_too():
    data = three_layers()
    host, oracle = HostModel(user_engine(data, EXAMPLE, **ROOM)), TflmOracle(data)
    for seed in range(5):
        x = [np.random.default_rng(seed).normal(0, 2, (1, 9)).astype(np.float32)]
        np.testing.assert_allclose(host.invoke(x)[0], oracle.run(x)[0], rtol=1e-5, atol=1e-5)


def test_a_model_that_the_engine_cannot_run_is_the_boards_refusal(tmp_path):
    """dense_int8 is int8; the example knows float32 only and says so through engine_init."""
    model = user_engine(small_models.dense_int8(), EXAMPLE, **ROOM)
    with Rig(parse_board("virtual"), Config()) as rig:
        session, _ = rig.prepare(build_image(model, BOARD, tmp_path))
        with pytest.raises(DeviceError, match="engine_init failed"):
            session.run([bytes(model.inputs[0].nbytes)])


@pytest.fixture
def folder(tmp_path):
    """A copy of the example, to be spoilt."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "engine"))


def test_firmware_that_says_something_else_than_the_folder_is_refused(folder, tmp_path):
    source = folder / "own_engine.c"
    source.write_text(source.read_text().replace(".name = ENGINE_NAME", '.name = "other"'))
    image = build_image(user_engine(small_models.dense_float(), folder, **ROOM), BOARD, tmp_path / "build")
    with Rig(parse_board("virtual"), Config()) as rig, pytest.raises(DeviceError, match="engine differs"):
        rig.prepare(image)


def test_model_facts_cross_into_the_generated_header():
    model = user_engine(small_models.dense_int8(), EXAMPLE, **ROOM)
    header = model.sources["model_data.h"]
    assert "#define MODEL_INPUT_0(where) {(where), 20, 9, 2, {1, 20}, 5.0e-2f, -3}" in header
    assert f"MODEL_DATA_BYTES = {len(small_models.dense_int8())}" in header
    assert ", ".join(f"0x{b:02x}" for b in bytes.fromhex(model.sha256)) in header
    assert model.ops == () and model.weight_bytes == len(small_models.dense_int8())


def test_subfolders_and_optional_figures_are_taken(folder):
    (folder / "more").mkdir()
    (folder / "more" / "more.c").write_text("int more;\n")
    (folder / "more" / "more.h").write_text("extern int more;\n")
    config = folder / "engine_config.h"
    config.write_text(config.read_text() + "#define ENGINE_OP_COUNT 2 // steps\n#define ENGINE_WEIGHT_BYTES (0x20u)\n")
    model = user_engine(small_models.dense_float(), folder, **ROOM)
    assert {p.name for p in model.extra_sources} == {"own_engine.c", "more.c"}
    assert [p.name for p in model.include_dirs] == ["engine", "more"]
    assert len(model.ops) == 2 and model.weight_bytes == 32


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('ENGINE_NAME "own"', "ENGINE_NAME own", "ENGINE_NAME"),
        ('ENGINE_NAME "own"', 'ENGINE_NAME "far too long a name"', "15"),
        ('#define ENGINE_NAME "own"', "", "nothing"),
        ("ENGINE_ARENA_BYTES 1024", "ENGINE_ARENA_BYTES (2 * 512)", "literal"),
        ("ENGINE_ARENA_BYTES 1024", "ENGINE_ARENA_BYTES -1", "literal"),
    ],
)
def test_an_unusable_config_is_told(folder, old, new, word):
    config = folder / "engine_config.h"
    config.write_text(config.read_text().replace(old, new))
    with pytest.raises(UserError, match=word):
        read_config(folder)


def test_what_is_no_engine_is_refused(folder, tmp_path):
    data = small_models.dense_float()
    with pytest.raises(UserError, match="not an engine"):
        user_engine(data, tmp_path / "missing", **ROOM)
    (folder / "engine_config.h").unlink()
    with pytest.raises(UserError, match=r"engine_config\.h"):
        user_engine(data, folder, **ROOM)


def test_what_is_no_model_or_too_large_is_refused():
    with pytest.raises(ModelError, match="tflite"):
        user_engine(b"no model at all", EXAMPLE, **ROOM)
    with pytest.raises(ModelError, match="weights"):
        user_engine(small_models.dense_float(), EXAMPLE, flash_bytes=100, ram_bytes=BOARD.ram_bytes)
    with pytest.raises(ModelError, match="arena"):
        user_engine(small_models.dense_float(), EXAMPLE, flash_bytes=BOARD.flash_bytes, ram_bytes=1000)


def test_a_folder_is_told_from_a_name(tmp_path, monkeypatch):
    (tmp_path / "portable").mkdir()
    monkeypatch.chdir(tmp_path)
    assert is_folder(str(tmp_path)) and is_folder("./mine") and is_folder("./portable")
    assert not is_folder("portable") and not is_folder("no such engine")


def test_the_command_takes_a_folder_like_an_engine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", f"sqlite:///{tmp_path / 'results.sqlite'}")
    (tmp_path / "net.tflite").write_bytes(small_models.dense_float())
    options = ("--limit", "2", "--no-report", "--json", "out.json")
    assert main(["run", "--engine", str(EXAMPLE), "--model", "net.tflite", *options]) == 0
    (run,) = json.loads((tmp_path / "out.json").read_text())["runs"]
    assert run["engine"] == "own" and run["parity"]["mismatched_windows"] == 0 and run["latency"]["cycles_median"] > 0


def generated_c(weights: np.ndarray, bias: np.ndarray) -> str:
    """One dense layer as a generator might write it: weights in the code, no .tflite."""
    rows = ",\n".join("{" + ", ".join(f"{float(v)!r}f" for v in row) + "}" for row in weights)
    bias_c = ", ".join(f"{float(v)!r}f" for v in bias)
    m, n = weights.shape
    return f"""
static const float weights[{m}][{n}] = {{{rows}}};
static const float bias[{m}] = {{{bias_c}}};
int generated_predict(const float *features, float *outputs);
int generated_predict(const float *features, float *outputs)
{{
    for (int i = 0; i < {m}; i++) {{
        outputs[i] = bias[i];
        for (int j = 0; j < {n}; j++) outputs[i] += weights[i][j] * features[j];
    }}
    return 0;
}}
"""


def test_generated_c_beside_the_example_is_an_engine(tmp_path):
    """As docs/engine.md tells it: the folder copied, the tool's output put beside."""
    rng = np.random.default_rng(9)
    weights, bias = rng.normal(0, 0.4, (3, 7)).astype(np.float32), rng.normal(0, 0.4, 3).astype(np.float32)
    b = ModelBuilder()
    x, y = b.tensor((1, 7), name="x"), b.tensor((1, 3), name="y")
    b.op("FULLY_CONNECTED", [x, b.tensor((3, 7), data=weights), b.tensor((3,), data=bias)], [y])
    data = b.finish([x], [y])
    folder = shutil.copytree(EXAMPLE.with_name("generated_engine"), tmp_path / "engine")
    (folder / "generated.c").write_text(generated_c(weights, bias))
    host, window = HostModel(user_engine(data, folder, **ROOM)), [rng.normal(0, 2, (1, 7)).astype(np.float32)]
    np.testing.assert_allclose(host.invoke(window)[0], TflmOracle(data).run(window)[0], rtol=1e-5, atol=1e-5)
