"""A check of a model: what it says is what the compiler does, and it never raises for a file."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from tinyrig.cli import main
from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.model.obstacle import MAX_TOLD, Refused
from tinyrig.compiler.stream.tests.chains import inverted_residuals
from tinyrig.compiler.tests.fuzz_corpus import corpus
from tinyrig.compiler.tests.fuzz_mutate import mutate
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.boards import BOARDS
from tinyrig.core.errors import ModelError
from tinyrig.preflight.arena_picture import picture
from tinyrig.preflight.check import check_model
from tinyrig.preflight.document import document
from tinyrig.preflight.text import folder_table, outcome, page
from tinyrig.workload.tests.test_arduino_sketch import fake  # noqa: F401 - a fixture

ROOM = {"flash_bytes": 1 << 20, "ram_bytes": 1 << 18}


def three_obstacles() -> bytes:
    """Two ops that no engine has, and between them one in a type that its op does not take."""
    b = conv_net()
    mean, taken = b.index("net/mean"), b.tensor((1, 5), "int8", 0.1, name="net/sin/Sin")
    b.op("COMPLEX_ABS", [mean], [b.tensor((1, 5), "int8", 0.1, name="net/sum/Rfft")])
    b.op("SIN", [mean], [taken])
    b.op("CUSTOM", [taken], [b.tensor((1, 5), "int8", 0.1, name="mine")], custom="my_layer")
    return finish_net(b)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_check_says_what_the_compiler_does(dtype: str) -> None:
    data = finish_net(conv_net(dtype=dtype))
    check, compiled = check_model(data), compile_model(data, **ROOM)
    assert check.runs and check.sha256 == compiled.sha256
    assert (check.macs, check.weight_bytes, check.arena_bytes) == (compiled.macs, compiled.weight_bytes, compiled.arena_bytes)
    assert (check.inputs, check.outputs) == (compiled.inputs, compiled.outputs)
    assert [(op.op, op.macs) for op in check.ops] == [(op.op, op.macs) for op in compiled.ops]
    assert sum(op.weight_bytes for op in check.ops) == compiled.weight_bytes
    assert {op.kernel for op in check.ops} <= {"fast", "portable"} and check.portable_share is not None


def test_all_obstacles_come_at_once_and_a_run_says_the_same() -> None:
    check = check_model(three_obstacles())
    assert not check.runs and [(o.index, o.op, o.name) for o in check.obstacles] == [
        (6, "COMPLEX_ABS", "net/sum"),
        (7, "SIN", "net/sin"),
        (8, "CUSTOM 'my_layer'", "mine"),
    ]
    with pytest.raises(Refused) as e:
        compile_model(three_obstacles(), **ROOM)
    assert e.value.obstacles == check.obstacles
    assert all(o.reason in str(e.value) and o.remedy in str(e.value) for o in check.obstacles)
    assert all(o.reason in page(check) and o.remedy in page(check) for o in check.obstacles)


def test_what_follows_from_a_refused_op_is_no_obstacle_of_its_own() -> None:
    b = ModelBuilder()
    x, w, y = b.tensor((1, 4), "float32"), b.tensor((3, 4), "float32"), b.tensor((1, 3), "float32")
    b.op("COMPLEX_ABS", [b.tensor((3, 4), data=np.ones((3, 4)))], [w])
    b.op("FULLY_CONNECTED", [x, w], [y])
    (only,) = check_model(b.finish([x], [y])).obstacles
    assert (only.op, only.index) == ("COMPLEX_ABS", 0)


def test_a_message_lists_a_dozen_and_counts_the_rest() -> None:
    b = conv_net()
    for _ in range(MAX_TOLD + 5):
        b.op("COMPLEX_ABS", [b.index("net/mean")], [b.tensor((1, 5), "int8", 0.1)])
    data = finish_net(b)
    assert len(check_model(data).obstacles) == MAX_TOLD + 5
    with pytest.raises(ModelError, match="and 5 more"):
        compile_model(data, **ROOM)


def test_the_arena_map_has_no_two_pieces_in_one_place_at_one_time() -> None:
    check = check_model(finish_net(conv_net()))
    assert max(p.offset + p.size for p in check.arena_map) <= check.arena_bytes
    for i, a in enumerate(check.arena_map):
        for b in check.arena_map[:i]:
            apart = a.last < b.first or b.last < a.first or a.offset + a.size <= b.offset or b.offset + b.size <= a.offset
            assert apart, (a, b)
    for op in check.ops:  # of a place where a smaller tensor follows a larger one only the smaller is in use then
        assert 0 < op.alive_bytes <= sum(p.size for p in check.arena_map if p.first <= op.index <= p.last)
    assert f"arena in bytes over steps 0 to {len(check.ops) - 1}" in picture(check)


def test_fits_says_what_is_missing() -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 300, 200), "float32"), b.tensor((1, 300, 200), "float32")
    b.op("ABS", [x], [y])
    check = check_model(b.finish([x], [y]))
    small = next(f for f in check.fits if f.board == "nucleo-f401re")
    assert not small.fits and "bytes of RAM" in small.reason and small.ram_need > small.ram_bytes
    assert {f.board for f in check.fits} == set(BOARDS)
    assert "too big for nucleo-f401re" in outcome(check, ["nucleo-f401re"])


def test_json_is_complete_and_plain() -> None:
    for data in (finish_net(conv_net()), three_obstacles(), b""):
        (entry,) = json.loads(json.dumps(document([check_model(data, file="a.tflite")]), allow_nan=False))["models"]
        wanted = {"file", "sha256", "runs", "obstacles", "macs", "weight_bytes", "arena_bytes", "arena_timeline", "ops", "fits"}
        assert wanted <= set(entry) and entry["runs"] == (not entry["obstacles"])
        assert all({"op", "index", "name", "reason", "remedy"} <= set(o) for o in entry["obstacles"])
        assert all({"index", "op", "name", "macs", "weight_bytes", "kernel"} <= set(op) for op in entry["ops"])
        assert set(entry["fits"]) == (set(BOARDS) if entry["runs"] else set())


def test_spoilt_files_give_obstacles_and_never_an_exception() -> None:
    """The fuzzer's mutants: all that was done to them ends as a page, a line and JSON."""
    models = corpus()
    names, refused = sorted(models), 0
    for index in range(120):
        rng = np.random.default_rng([20, index])
        data, _ = mutate(models[names[int(rng.integers(len(names)))]], list(models.values())[:5], rng)
        check = check_model(data, file="spoilt.tflite")
        refused += not check.runs
        assert page(check) and folder_table([(check, outcome(check, ["virtual"]))])
        json.dumps(document([check]), allow_nan=False)
    assert 20 < refused < 120


def test_a_check_imports_nothing_heavy() -> None:
    code = "import sys\nimport tinyrig.preflight.check, tinyrig.preflight.text, tinyrig.preflight.files\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"tensorflow", "pandas", "scipy", "matplotlib", "sqlalchemy", "unicorn", "ai_edge_litert", "tflite_micro"}
    assert not heavy & set(done.stdout.split())


def test_no_step_has_more_in_use_than_the_arena() -> None:
    """By rows buffers lie on each other within one step."""
    check = check_model(inverted_residuals(24, ((1, 8, 1), (3, 8, 2)), first=8), optimise="ram")
    assert any("by rows" in op.op for op in check.ops)
    assert check.arena_least - 16 < max(op.alive_bytes for op in check.ops) <= check.arena_least <= check.arena_bytes
    assert check.flash is not None and 1_000 < check.flash.code_low < check.flash.code_high < 30_000  # not 3,000 a layer


def test_check_takes_what_counts_first(tmp_path, capsys) -> None:
    (tmp_path / "net.tflite").write_bytes(inverted_residuals(24, ((1, 8, 1), (3, 8, 2)), first=8))
    assert main(["check", str(tmp_path / "net.tflite"), "--optimise", "ram"]) == 0
    assert "by rows" in capsys.readouterr().out


def test_a_model_without_any_step_is_checked_for_small_boards_too():
    """Its arena leaves no room there, so chains of layers are sought; there are none. This divided by the number of steps."""
    b = ModelBuilder()
    x = b.tensor((1, 40_000), "float32", name="input")
    fits = check_model(b.finish([x], [x]), file="empty.tflite").fits
    assert {f.board: f.fits for f in fits}["uno-r4-minima"] is False


def test_a_board_by_its_fqbn_fits_by_what_arduino_cli_says(fake, tmp_path, capsys):  # noqa: F811
    """One whose RAM the core does not state is said to be unknown, in words and in JSON, and is no obstacle."""
    (tmp_path / "m.tflite").write_bytes(finish_net(conv_net()))
    model, teensy = str(tmp_path / "m.tflite"), "arduino:teensy:avr:teensy41:speed=600"
    assert main(["check", model, "--board", "arduino:adafruit:nrf52:feather52840"]) == 0
    assert "of 237,568" in capsys.readouterr().out
    assert main(["check", model, "--board", teensy, "--json", str(tmp_path / "c.json")]) == 0
    assert "the board's is not known" in capsys.readouterr().out
    (checked,) = json.loads((tmp_path / "c.json").read_text())["models"]
    assert checked["boards"][teensy]["ram_bytes"] is None and checked["boards"][teensy]["flash_bytes"] == 8_126_464
