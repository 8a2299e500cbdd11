"""The sketch for any board that has an Arduino core: compiled as several cores do it, run where such a processor is at hand.

arduino-cli is a stand-in (harness/tests/arduino_cli.py); what stands for the cores are their flags and a shim of the API."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tinyrig.arduino.facts import with_facts
from tinyrig.board.attachment import Attachment
from tinyrig.board.greeting import situation, timer_hz
from tinyrig.board.qemu import QemuBoard
from tinyrig.board.rig import Rig
from tinyrig.board.tests.test_sketch_board import windows
from tinyrig.cli import main
from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.boards import BOARDS, BoardTarget, by_fqbn, parse_board
from tinyrig.core.config import BoardPorts, Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import HostError, ModelError
from tinyrig.core.hardware.arduino import arduino_board
from tinyrig.core.records import Hello, Image, Sample
from tinyrig.flash.flash import flash
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.tests.arduino_cores import PROFILES
from tinyrig.tests.needs import needs_board
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload import arduino_sketch
from tinyrig.workload.image import build_image
from tinyrig.workload.tests.test_arduino_sketch import fake  # noqa: F401 - a fixture

QUICK, NANO_LIKE = "rp2040:rp2040:rpipico", "adafruit:nrf52:feather52840"
EACH = [
    pytest.param(p.fqbn, marks=[*needs_board(p.runs_on), *([] if p.fqbn == QUICK else [pytest.mark.slow])])
    for p in PROFILES.values()
    if p.runs_on.startswith("qemu")
]
COUNTS = {
    # what the sketch finds there: (name in the hello, clock in Hz)
    "rp2040:rp2040:rpipico": ("arduino", 7_812_500),  # the core's counter, and the clock that it states
    "arduino:mbed_portenta:envie_m7": ("arduino-us", 7_812_500),  # a DWT that stands still, as QEMU's: micros()
    "STMicroelectronics:stm32:Nucleo_144:pnum=NUCLEO_U575ZI_Q": ("arduino-us", 7_812_500),
    "STMicroelectronics:stm32:Nucleo_144:pnum=NUCLEO_H743ZI2": ("arduino-us", 7_812_500),
    "teensy:avr:teensy41": ("arduino-us", 7_812_500),
    "rp2040:rp2040:rpipico2": ("arduino", 7_812_500),
    "esp32:esp32:esp32c3": ("arduino", 7_800_000),  # the core states 160 MHz, which its counter belies: measured, rounded
}


@dataclass(frozen=True)
class Session_:
    image: Image
    hello: Hello
    samples: list[Sample]
    stack: Sample


def image_for(fqbn: str, folder: Path) -> Image:
    board = with_facts(by_fqbn(fqbn))
    room = {"flash_bytes": board.flash_room, "ram_bytes": board.ram_room}
    return build_image(compile_model(finish_net(conv_net()), **room, core=board.core), board, folder)


def talk(image: Image, port: str) -> Session_:
    with Session(open_link(port, 115_200)) as session:
        hello = session.hello()
        samples = [session.run(x) for x in windows("int8")]
        return Session_(image, hello, samples, session.run(windows("int8")[0], stack=True))


def on_qemu(fqbn: str, folder: Path) -> Session_:
    image, record = image_for(fqbn, folder), BOARDS[PROFILES[fqbn].runs_on]
    machine = QemuBoard(record)
    try:
        machine.load(image.bin.read_bytes(), record.flash_base, Deadline("flash_s", 30))
        return talk(image, machine.port)
    finally:
        machine.close()


@pytest.fixture(scope="module")
def virtual_outputs(tmp_path_factory) -> list[bytes]:
    board = BOARDS["virtual"]
    model = compile_model(finish_net(conv_net()), flash_bytes=board.flash_bytes, ram_bytes=board.ram_bytes)
    image = build_image(model, board, tmp_path_factory.mktemp("bare"))
    with VirtualBoard() as virtual, Rig(BoardTarget(board, virtual.port), Config()) as rig:
        session, _ = rig.prepare(image)
        return [session.run(x).outputs for x in windows("int8")]


@pytest.mark.parametrize("fqbn", EACH)
def test_every_core_gives_the_virtual_boards_bytes(fake, tmp_path, fqbn, virtual_outputs):  # noqa: F811
    found = on_qemu(fqbn, tmp_path)
    assert [s.outputs for s in found.samples] == virtual_outputs
    assert (found.hello.board_name, found.hello.clock_hz) == COUNTS[fqbn]
    assert found.hello.build_id == found.image.build_id and found.hello.board_id.startswith("51454d55")
    assert all(s.cycles > 1000 for s in found.samples)
    assert found.stack.stack_bytes is None and found.stack.outputs == virtual_outputs[0]  # asked for, not known, said so
    assert found.image.footprint.flash_weights > 0 and found.image.footprint.ram_static >= 0


M4 = [pytest.param(p.fqbn, marks=pytest.mark.slow) for p in PROFILES.values() if p.runs_on == "virtual"]


@pytest.mark.parametrize("fqbn", M4)
def test_a_cortex_m4_counts_cycles_and_is_uploaded_with_all_that_its_uploader_wants(fake, tmp_path, fqbn, virtual_outputs):  # noqa: F811
    """The stand-in refuses an upload without the partitions that the core left beside the image. One core states 48 MHz on this
    chip of 64: its counter belies it."""
    image, board = image_for(fqbn, tmp_path), with_facts(by_fqbn(fqbn))
    with VirtualBoard() as virtual:
        flash(image.bin.read_bytes(), board, virtual.port, files={"bin": str(image.bin), "elf": str(image.elf)})
        found = talk(image, virtual.port)
    assert [s.outputs for s in found.samples] == virtual_outputs
    assert (found.hello.board_name, found.hello.clock_hz) == ("arduino", 64_000_000)
    assert [json.loads(line)[0] for line in (fake / "log").read_text().splitlines()][-1] == "upload"


@pytest.mark.slow
def test_a_new_board_without_a_port_is_flashed_through_its_bootloader(fake, tmp_path, monkeypatch):  # noqa: F811
    """A Pico out of its bag has no serial port before its first program: link is where it will be, flash its bootloader."""
    port = tmp_path / "ttyACM0"
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [])
    entry = BoardPorts(link=str(port), flash="UF2_Board", own=arduino_board(NANO_LIKE, "desk"))
    config = replace(Config(), boards={"desk": entry})
    image = image_for(NANO_LIKE, tmp_path / "build")
    with VirtualBoard() as virtual, Rig(parse_board("desk", config.boards), config) as rig:
        (fake / "appears").write_text(f"{virtual.port} {port}")
        _, said = rig.prepare(image)
    upload = json.loads((fake / "log").read_text().splitlines()[-1])
    assert upload[upload.index("--port") + 1] == "UF2_Board" and said.build_id == image.build_id


def test_two_boards_that_know_no_number_of_theirs_do_not_lock_each_other_out(tmp_path, monkeypatch):
    """Before, the second would have been taken for the first at another port."""
    ports = [str(tmp_path / name) for name in ("a", "b")]
    both = [Attachment(BoardTarget(replace(arduino_board(NANO_LIKE), builder="gcc"), port), Config()) for port in ports]
    with both[0], both[1]:
        for attachment in both:
            attachment.lock_board(hello("arduino", 64_000_000))


def hello(name: str, clock_hz: int) -> Hello:
    return Hello(2, "", "", "tinyrig", name, "0" * 16, clock_hz, 512, 0, 0, 0, (), ())


@pytest.mark.parametrize(
    ("name", "clock_hz", "least"), [("arduino", 133_000_000, 998), ("arduino-us", 48_000_000, 904), ("arduino-us", 1_000_000, 0)]
)
def test_steps_of_a_microsecond_are_allowed_for(tmp_path, name, clock_hz, least):
    """Of 1000 cycles that the arithmetic takes at least, two steps of the timer may be missed; a clock that nobody knows is
    stated as the timer's own, and bounds nothing."""
    image = Image(tmp_path, tmp_path, 0, "", "", "", None, None, (), (), ())  # type: ignore[arg-type]
    board = by_fqbn(QUICK)
    assert situation(hello(name, clock_hz), image, board, 1000, True).least_cycles == least
    assert timer_hz(hello(name, clock_hz), board) == (1_000_000 if name == "arduino-us" else clock_hz)


def test_a_missing_library_is_told_with_what_installs_it(fake, tmp_path):  # noqa: F811
    board = with_facts(by_fqbn(QUICK))
    (fake / "refuses").write_text("tinyrig/src/x.c:3:10: fatal error: Adafruit_TinyUSB.h: No such file or directory")
    with pytest.raises(HostError, match=r"no installed library has Adafruit_TinyUSB\.h") as caught:
        build_image(compile_model(finish_net(conv_net()), flash_bytes=1 << 20, ram_bytes=1 << 18), board, tmp_path / "build")
    assert "arduino-cli lib search Adafruit_TinyUSB" in caught.value.remedy


def test_a_model_that_is_too_large_for_the_core_is_told_so():
    model = compile_model(finish_net(conv_net()), flash_bytes=1 << 20, ram_bytes=1 << 18)
    error = arduino_sketch._too_large("region `RAM' overflowed by 12345 bytes", model, by_fqbn(QUICK))
    assert isinstance(error, ModelError) and "pico beside its Arduino core" in error.what
    assert arduino_sketch._too_large("x.c:1:1: error: no", model, by_fqbn(QUICK)) is None


@pytest.mark.slow
@pytest.mark.parametrize("_", [pytest.param("", marks=needs_board("qemu-m0"))])
def test_a_stranger_with_a_pico_gets_a_verified_number(fake, tmp_path, monkeypatch, capsys, _):  # noqa: F811
    """The whole command: compiled, uploaded, greeted, compared. The stand-in's upload starts QEMU's Cortex-M0 with the image."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tflite").write_bytes(finish_net(conv_net()))
    machine, over = QemuBoard(BOARDS["qemu-m0"]), threading.Event()

    def plug_in() -> None:
        while not over.wait(0.05):
            if (fake / "uploaded").exists():
                machine.load((fake / "uploaded").read_bytes(), 0, Deadline("flash_s", 30))
                (fake / "uploaded").unlink()

    watcher = threading.Thread(target=plug_in)
    watcher.start()
    try:
        words = [
            "run",
            f"--board=arduino:{QUICK}@{machine.port}",
            "--model=m.tflite",
            "--no-report",
            "--limit=5",
            "--json",
            "r.json",
        ]
        assert main(words) == 0
    finally:
        over.set()
        watcher.join()
        machine.close()
    run = json.loads((tmp_path / "r.json").read_text())
    (found,) = run["runs"]
    assert found["toolchain"]["cc"].startswith("arduino-cli 1.2.2, rp2040:rp2040 ") and found["ram"]["stack"] is None
    claims = {claim["name"]: claim for claim in found["claims"]}
    assert claims["parity"]["status"] == "passed" and "knows no bounds" in claims["memory"]["reason"]
