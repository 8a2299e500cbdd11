"""The firmware as a Zephyr application: built by real CMake and compilers around a shim of Zephyr's interface, run on QEMU.

west is a stand-in that checks its arguments (harness/tests/west.py)."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tinyrig.board.greeting import situation
from tinyrig.board.qemu import QemuBoard
from tinyrig.board.rig import Rig
from tinyrig.board.tests.test_sketch_board import windows
from tinyrig.cli import main
from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.boards import BOARDS, BoardTarget, by_zephyr
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import LinkError, ModelError
from tinyrig.core.hardware.zephyr import zephyr_board
from tinyrig.core.records import CompiledModel, Hello, Image
from tinyrig.flash.flash import flash
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.tests import west
from tinyrig.tests.needs import needs_board
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload.image import build_image
from tinyrig.workload.zephyr.app import _too_large, lists
from tinyrig.workload.zephyr.facts import with_facts

needs_cmake = pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("ninja")), reason="cmake or ninja not installed")
NUCLEO = "nucleo_f401re"
COUNTS = {NUCLEO: "zephyr", "rpi_pico": "zephyr", "esp32c3_devkitm": "zephyr-timer"}


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "west"
    monkeypatch.setenv("PATH", str(west.install(folder)), prepend=":")
    monkeypatch.setenv("TINYRIG_FAKE_WEST", str(folder))
    monkeypatch.setenv("ZEPHYR_BASE", str(west.SHIM))
    return folder


def small_model(zephyr: str = NUCLEO) -> CompiledModel:
    board = with_facts(by_zephyr(zephyr))
    return compile_model(finish_net(conv_net()), flash_bytes=board.flash_room, ram_bytes=board.ram_room, core=board.core)


@pytest.fixture(scope="module")
def virtual_outputs(tmp_path_factory) -> list[bytes]:
    board = BOARDS["virtual"]
    model = compile_model(finish_net(conv_net()), flash_bytes=board.flash_bytes, ram_bytes=board.ram_bytes)
    image = build_image(model, board, tmp_path_factory.mktemp("bare"))
    with VirtualBoard() as virtual, Rig(BoardTarget(board, virtual.port), Config()) as rig:
        session, _ = rig.prepare(image)
        return [session.run(x).outputs for x in windows("int8")]


@needs_cmake
@pytest.mark.slow
@pytest.mark.parametrize("zephyr", [pytest.param(b, marks=needs_board(west.PROFILES[b].runs_on)) for b in COUNTS])
def test_every_core_gives_the_virtual_boards_bytes(fake, tmp_path, zephyr, virtual_outputs):
    """An M4F whose line has interrupts, an M0+ whose line has none, and RISC-V, where a timer counts."""
    board = with_facts(by_zephyr(zephyr))
    image = build_image(small_model(zephyr), board, tmp_path / "build")
    flash(image.bin.read_bytes(), board, "", files={"bin": str(image.bin), "elf": str(image.elf)})
    record = BOARDS[west.PROFILES[zephyr].runs_on]
    machine = QemuBoard(record)
    try:
        machine.load((fake / "uploaded").read_bytes(), record.flash_base, Deadline("flash_s", 30))
        with Session(open_link(machine.port, 115_200)) as session:
            hello = session.hello()
            samples = [session.run(x) for x in windows("int8")]
            stack = session.run(windows("int8")[0], stack=True)
    finally:
        machine.close()
    assert [s.outputs for s in samples] == virtual_outputs
    assert (hello.board_name, hello.build_id) == (COUNTS[zephyr], image.build_id) and hello.board_id.startswith("51454d55")
    assert all(s.cycles > 1000 for s in samples) and stack.stack_bytes and stack.outputs == virtual_outputs[0]
    assert image.footprint and image.footprint.flash_weights > 0 and image.footprint.ram_static >= 0
    assert image.toolchain.cc.startswith("west 1.3.0, Zephyr 4.1.0, GCC")


@needs_cmake
@pytest.mark.slow
@pytest.mark.parametrize("_", [pytest.param("", marks=needs_board("qemu"))])
def test_a_strangers_board_gets_a_verified_number(fake, tmp_path, monkeypatch, capsys, _):
    """The whole command, from rig.toml: configured, built, flashed, greeted, compared. The stand-in's flashing starts QEMU."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tflite").write_bytes(finish_net(conv_net()))
    machine, over = QemuBoard(BOARDS["qemu"]), threading.Event()
    text = f'[boards.desk]\nbuilder = "zephyr"\nzephyr_board = "{NUCLEO}"\nzephyr_snippets = ["cdc-acm-console"]\n'
    (tmp_path / "rig.toml").write_text(f'{text}link = "{machine.port}"\nprobe = "0669FF"\n')

    def plug_in() -> None:
        while not over.wait(0.05):
            if (fake / "uploaded").exists():
                machine.load((fake / "uploaded").read_bytes(), 0, Deadline("flash_s", 30))
                (fake / "uploaded").unlink()

    watcher = threading.Thread(target=plug_in)
    watcher.start()
    try:
        assert main(["run", "--board=desk", "--model=m.tflite", "--no-report", "--limit=5", "--json", "r.json"]) == 0
    finally:
        over.set()
        watcher.join()
        machine.close()
    (found,) = json.loads((tmp_path / "r.json").read_text())["runs"]
    claims = {claim["name"]: claim["status"] for claim in found["claims"]}
    assert claims["parity"] == "passed" and found["ram"]["stack"] > 0
    assert found["toolchain"]["cc"].startswith("west 1.3.0, Zephyr 4.1.0")
    calls = [json.loads(line) for line in (fake / "log").read_text().splitlines()]
    flashed = next(call for call in calls if call[0] == "flash")
    assert flashed[1:3] == ["--skip-rebuild", "-d"] and flashed[-2:] == ["--dev-id", "0669FF"]
    assert all(call[call.index("-S") + 1] == "cdc-acm-console" for call in calls if "-b" in call)


@needs_cmake
@pytest.mark.slow
def test_tinyrig_check_knows_the_memory_of_a_board_of_zephyrs(fake, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tflite").write_bytes(finish_net(conv_net()))
    assert main(["check", "m.tflite", f"--board=zephyr:{NUCLEO}", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["models"]
    fit = found["boards"][f"zephyr:{NUCLEO}"]
    assert fit["fits"] and (fit["flash_bytes"], fit["ram_bytes"]) == (524_288, 98_304)
    assert fit["ram_need"] == found["boards"]["virtual"]["ram_need"] + 8192


def test_the_application_names_every_source_and_the_models_own_options(tmp_path):
    names = ("port $x.c", "k.c")
    rig, kernel = (tmp_path / name for name in names)
    text = lists([rig], [kernel], [tmp_path], 512, tmp_path)
    assert text.startswith("cmake_minimum_required") and f'target_sources(app PRIVATE "{tmp_path}/port \\$x.c")' in text
    assert "WIRE_MAX_PAYLOAD=512" in text and "PORT_CLOCK_FOUND=1" in text
    assert [line for line in text.splitlines() if "COMPILE_OPTIONS" in line] == [
        f'set_source_files_properties("{kernel}" PROPERTIES COMPILE_OPTIONS "-O3;-ffp-contract=off")'
    ]


def test_a_model_that_is_too_large_is_told_so():
    model = compile_model(finish_net(conv_net()), flash_bytes=1 << 20, ram_bytes=1 << 18)
    error = _too_large("ld: region `RAM' overflowed by 12345 bytes", model, by_zephyr(NUCLEO))
    assert isinstance(error, ModelError) and "zephyr:nucleo_f401re beside Zephyr" in error.what
    assert _too_large("x.c:1:1: error: no", model, by_zephyr(NUCLEO)) is None


def test_what_west_flash_says_is_passed_on(fake, tmp_path):
    (tmp_path / "upload" / "zephyr").mkdir(parents=True)
    (fake / "refuses").write_text("FATAL ERROR: required program openocd not found; install it or add its location to PATH")
    with pytest.raises(LinkError, match="could not flash") as caught:
        flash(b"image", by_zephyr(NUCLEO), "", files={"elf": str(tmp_path / "firmware.elf")}, tries=1)
    assert "openocd not found" in caught.value.received and "probe =" in caught.value.remedy


@pytest.mark.parametrize(("name", "least"), [("zephyr", 1000 - 2), ("zephyr-timer", 0)])
def test_a_timer_of_its_own_rate_is_held_to_no_least_number_of_cycles(tmp_path, name, least):
    image = Image(tmp_path, tmp_path, 0, "", "", "", None, None, (), (), ())  # type: ignore[arg-type]
    hello = Hello(2, "", "", "tinyrig", name, "0" * 16, 84_000_000, 512, 0, 0, 0, (), ())
    assert situation(hello, image, replace(zephyr_board(NUCLEO), ram_bytes=98_304), 1000, True).least_cycles == least
