"""The Arduino sketch of the Nano 33 BLE: how it is generated, compiled and refused.

arduino-cli is a stand-in (arduino_cli.py), which compiles with the core's flags around a shim; what it makes runs on the virtual
board in test_sketch_board.py."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tinyrig.cli import main
from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.boards import BOARDS
from tinyrig.core.errors import HostError, ModelError
from tinyrig.core.records import CompiledModel
from tinyrig.link.session import Session
from tinyrig.tests import arduino_cli, small_models
from tinyrig.tests.host_board import FIRMWARE, HostBoard, sketch_program
from tinyrig.workload import arduino_sketch
from tinyrig.workload.image import build_image
from tinyrig.workload.oracle import ORACLES
from tinyrig.workload.user_engine import user_engine

BOARD = BOARDS["nano33ble"]
ROOM = {"flash_bytes": BOARD.flash_bytes, "ram_bytes": BOARD.ram_bytes}


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Path:
    """The stand-in on the PATH; returns its folder."""
    folder = tmp_path / "fake arduino"
    monkeypatch.setenv("PATH", f"{arduino_cli.install(folder)}:/usr/bin:/bin")
    monkeypatch.setenv("TINYRIG_FAKE_ARDUINO", str(folder))
    return folder


def compiled(dtype: str = "int8", engine: str = "tinyrig") -> CompiledModel:
    return compile_model(finish_net(conv_net(dtype=dtype)), **ROOM, engine=engine)


def generated(model: CompiledModel, work: Path, rig: Sequence[Path] = ()) -> tuple[Path, tuple[Path, ...]]:
    work.mkdir(parents=True)
    for name, text in model.sources.items():
        (work / name).write_text(text)
    engine = [
        *(work / n for n in model.sources if n.endswith(".c")),
        *(FIRMWARE / "nn" / k for k in model.kernels),
        *model.extra_sources,
    ]
    folders = (work, *(FIRMWARE / f for f in ("app", "nn", "port")), *model.include_dirs)
    return arduino_sketch.write_sketch(work / arduino_sketch.NAME, list(rig), engine, folders, 4096), folders


def test_image_is_built_as_a_user_of_arduino_cli_would(fake, tmp_path):
    image = build_image(compiled(), BOARD, tmp_path / "build")
    calls = [json.loads(line) for line in (fake / "log").read_text().splitlines()]
    assert [c[0] for c in calls] == ["version", "core", "compile", "compile"]
    assert all(c[1:3] == ["--fqbn", "arduino:mbed_nano:nano33ble"] for c in calls[2:])
    assert image.toolchain.cc.startswith("arduino-cli 1.2.2, arduino:mbed_nano 4.2.1-shim-")
    assert "GCC" in image.toolchain.cc and "softfp" in image.toolchain.flags
    assert image.bin.read_bytes()[4:8] != b"\xff" * 4 and not list(image.elf.parent.glob("sketch/*-build"))
    assert build_image(compiled(), BOARD, tmp_path / "build") == image  # taken again: two questions, no compilation
    assert len((fake / "log").read_text().splitlines()) == 6


def test_footprint_leaves_out_the_heap_that_takes_all_ram_left(fake, tmp_path):
    found = build_image(compiled(), BOARD, tmp_path / "build").footprint
    bare = build_image(compiled(), BOARDS["virtual"], tmp_path / "build").footprint
    assert found.ram_arena == bare.ram_arena and found.flash_weights == bare.flash_weights
    assert abs(found.ram_static - bare.ram_static) <= 16  # alignment
    assert abs(found.flash_engine - bare.flash_engine) < 0.1 * bare.flash_engine
    assert found.ram_rig < 40_000


def test_a_new_core_is_another_build(fake, tmp_path):
    first = build_image(compiled(), BOARD, tmp_path / "build")
    (fake / "core").write_text(json.dumps([{"id": "arduino:mbed_nano", "installed": "4.0.10"}]))  # as arduino-cli 0.35 says it
    second = build_image(compiled(), BOARD, tmp_path / "build")
    assert first.build_id != second.build_id and "arduino:mbed_nano 4.0.10," in second.toolchain.cc


def test_a_users_engine_with_headers_of_its_own(fake, tmp_path):
    folder = FIRMWARE / "examples" / "own_engine"
    model = user_engine(small_models.dense_int8(), folder, **ROOM)
    assert build_image(model, BOARD, tmp_path / "build").footprint.flash_weights > 0


def test_every_include_of_a_sketch_is_in_the_sketch(tmp_path):
    """No path of ours reaches the core's compiler: what is quoted must lie at that place in the sketch."""
    rig = [p for p in arduino_sketch.rig_files() if p.suffix in (".c", ".cpp")]
    folder, _ = generated(compiled(), tmp_path / "work dir", rig)
    sources = [p for p in folder.rglob("*") if p.suffix in (".c", ".cpp", ".h", ".inc")]
    quoted = [(p, name) for p in sources for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', p.read_text(), re.MULTILINE)]
    assert len(quoted) > 30 and all((p.parent / name).is_file() for p, name in quoted)
    assert str(tmp_path) not in "".join(p.read_text() for p in sources)


CONTRACTION = {  # (pragma, flags after the core's): are there fused multiply-adds?
    (arduino_sketch.PRAGMA, arduino_sketch.C_FLAGS): False,
    (arduino_sketch.PRAGMA, "-DNOTHING"): False,
    ("", arduino_sketch.C_FLAGS): False,
    ("", "-DNOTHING"): True,
}


@pytest.mark.parametrize(("pragma", "flags"), CONTRACTION)
def test_contraction_is_off_whatever_the_core_says(tmp_path, monkeypatch, pragma, flags):
    """VFMA rounds once where the oracle rounds twice. VMLA, which the core's -Os may bring, rounds twice."""
    monkeypatch.setattr(arduino_sketch, "PRAGMA", pragma)
    folder, _ = generated(compiled("float32", "portable"), tmp_path / "work")
    fused = 0
    for number, source in enumerate(sorted((folder / "src").rglob("*.c"))):
        target = tmp_path / f"{number}.o"
        subprocess.run(["arm-none-eabi-gcc", "-c", *arduino_cli.C, *flags.split(), source, "-o", target], check=True)
        text = subprocess.run(["arm-none-eabi-objdump", "-d", target], capture_output=True, text=True, check=True).stdout
        fused += len(re.findall(r"\bvf(?:n?ma|n?ms)", text))
    assert bool(fused) == CONTRACTION[pragma, flags]


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_host_build_of_the_sketch_agrees_with_the_oracle(tmp_path, dtype):
    data = finish_net(conv_net(dtype=dtype))
    model = compile_model(data, **ROOM)
    _, folders = generated(model, tmp_path / "work")
    engine = [tmp_path / "work" / "model.c", *(FIRMWARE / "nn" / k for k in model.kernels)]
    program = sketch_program(f"model-{dtype}", engine, folders)
    rng, oracle = np.random.default_rng(3), ORACLES["tflm"](data)
    with HostBoard("", program=program) as board, Session(board.link()) as session:
        for _ in range(10):
            x = rng.normal(0, 40 if dtype == "int8" else 1, (1, 8, 6, 3)).clip(-128, 127).astype(dtype)
            (expected,) = oracle.run([x])
            got = np.frombuffer(session.run([x.tobytes()]).outputs, dtype).reshape(expected.shape)
            np.testing.assert_allclose(got, expected, rtol=0, atol=0 if dtype == "int8" else 1e-5)


def test_without_arduino_cli_one_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tflite").write_bytes(small_models.dense_int8())
    monkeypatch.setattr("tinyrig.board.resolve.attached", lambda: [("/dev/ttyACM7", "2341:805a", BOARD)])
    assert main(["run", "--board", "/dev/ttyACM7", "--model", "m.tflite", "--no-report"]) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "arduino-cli is missing" in said and "arduino-cli core install arduino:mbed_nano" in said


@pytest.mark.parametrize("answer", [{"platforms": []}, {"platforms": None}, [], [{"id": "arduino:avr", "installed": "1.8.6"}]])
def test_without_the_core_the_command_that_installs_it_is_named(fake, tmp_path, answer):
    (fake / "core").write_text(json.dumps(answer))
    with pytest.raises(HostError, match="core arduino:mbed_nano is not installed") as caught:
        build_image(compiled(), BOARD, tmp_path / "build")
    assert "arduino-cli core install arduino:mbed_nano" in caught.value.remedy


REFUSALS = {
    "region `FLASH' overflowed by 12345 bytes": ModelError,
    "heap region overflowed into stack": ModelError,
    "Sketch too big; text section exceeds available space in board": ModelError,
    "fatal error: something.h: No such file": HostError,
}


@pytest.mark.parametrize("text", REFUSALS)
def test_what_the_compiler_refuses_is_told_by_who_is_at_fault(fake, tmp_path, text):
    (fake / "refuses").write_text(text)
    with pytest.raises(REFUSALS[text]) as caught:
        build_image(compiled(), BOARD, tmp_path / "build")
    assert text[:20] in caught.value.received or text.partition("; ")[2][5:25] in caught.value.received
    assert not list((tmp_path / "build").iterdir())


def test_a_core_that_links_elsewhere_is_refused(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(arduino_sketch, "_check_base", lambda elf, base: check(elf, 0x26000))
    with pytest.raises(HostError, match="another bootloader") as caught:
        build_image(compiled(), BOARD, tmp_path / "build")
    assert caught.value.received == "0x10000"


check = arduino_sketch._check_base


def test_an_arduino_cli_that_answers_no_json_is_told(fake, tmp_path):
    (fake / "core").write_text("Error: unknown flag")
    with pytest.raises(HostError, match="gave no usable answer"):
        build_image(compiled(), BOARD, tmp_path / "build")
