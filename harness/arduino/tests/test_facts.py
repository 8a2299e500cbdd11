"""What arduino-cli says of boards, and what is said where it has no board, no core, or is not there."""

from __future__ import annotations

import json
from argparse import Namespace
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from tinyrig.arduino.cli import find_tools, install
from tinyrig.arduino.facts import Facts, facts_in, facts_of, properties, with_facts
from tinyrig.calibrate.board import measured_loops
from tinyrig.core.boards import BOARDS, BoardTarget, by_fqbn, parse_board
from tinyrig.core.config import Config
from tinyrig.core.errors import HostError, UserError
from tinyrig.core.hardware.arduino import FQBN, arduino_board
from tinyrig.core.hardware.cores import GENERIC, Core, core_of
from tinyrig.tests import arduino_cli
from tinyrig.tests.arduino_cores import PROFILES
from tinyrig.tflm.engine import tflm_engine
from tinyrig.workload.tests.test_arduino_sketch import fake  # noqa: F401 - a fixture

PICO = "rp2040:rp2040:rpipico"
CORES = {
    PICO: Core(dsp=False, fpu=False),
    "arduino:mbed_portenta:envie_m7": Core(),
    "STMicroelectronics:stm32:Nucleo_144:pnum=NUCLEO_U575ZI_Q": Core(),
    "esp32:esp32:esp32c3": Core(arm=False, dsp=False, fpu=False),
}


def told(fqbn: str, folder: Path, capsys) -> Facts:
    """As `compile --show-properties` prints them, without the processes between."""
    capsys.readouterr()
    assert arduino_cli.show_properties(Namespace(fqbn=fqbn, sketch=folder / "sketch")) == 0
    return facts_in(fqbn, properties(capsys.readouterr().out))


@pytest.mark.parametrize("fqbn", CORES)
def test_processor_and_memory_are_what_the_cores_recipe_and_limits_say(fqbn, tmp_path, capsys):
    facts, wanted = told(fqbn, tmp_path, capsys), PROFILES[fqbn].properties
    assert core_of(facts.cpu_flags) == CORES[fqbn]
    assert (facts.flash_bytes, facts.ram_bytes) == tuple(int(wanted[f"upload.maximum_{w}"]) for w in ("size", "data_size"))


def test_what_the_core_does_not_say_is_not_known_with_the_reason():
    facts = facts_in(
        "x:y:z", properties("upload.maximum_size=\nbuild.mcu=esp32s3\nrecipe.c.o.pattern=xtensa-esp32s3-elf-gcc -c x")
    )
    assert (facts.flash_bytes, facts.ram_bytes, facts.cpu_flags) == (0, 0, (GENERIC,))
    board = replace(arduino_board("x:y:z"), cpu_flags=facts.cpu_flags)
    assert set(board.unknown) == {"stack", "clock", "flash", "RAM"} and all(board.unknown.values())
    assert "upload.maximum_data_size" in board.unknown["RAM"]
    assert board.ram_room > 1 << 20 and core_of(board.cpu_flags) == Core(arm=False, dsp=False, fpu=False)
    assert not BOARDS["virtual"].unknown


def test_eight_bits_are_refused_by_the_compiler_not_by_a_name(tmp_path, capsys):
    with pytest.raises(UserError, match="8 bits") as caught:
        told("arduino:avr:uno", tmp_path, capsys)
    assert "atmega328p, 2048 bytes of RAM" in caught.value.received
    arm = "recipe.c.o.pattern=/t/arm-none-eabi-gcc -mcpu=cortex-m7 -mthumb -mfloat-abi=hard -mfpu=fpv5-d16"
    assert facts_in("teensy:avr:teensy41", properties(arm)).cpu_flags[0] == "-mcpu=cortex-m7"


def test_a_board_that_the_core_has_not_is_answered_with_those_that_it_has(fake):  # noqa: F811
    with pytest.raises(UserError, match="has no board rpipcio") as caught:
        with_facts(by_fqbn("rp2040:rp2040:rpipcio"))
    assert PICO in caught.value.expected and "board listall" in caught.value.remedy


@pytest.mark.parametrize("platform", ["rp2040:rp2040", "STMicroelectronics:stm32", "acme:m7"])
def test_a_missing_core_is_answered_with_its_installation(platform, monkeypatch):
    others = {"platforms": [{"id": "arduino:avr", "installed_version": "1.8.6"}]}
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr("tinyrig.arduino.cli.ask", lambda command, limit_s: others)
    with pytest.raises(HostError, match=f"core {platform} is not installed") as caught:
        find_tools(fqbn=f"{platform}:board")
    assert caught.value.received == "arduino:avr" and f"arduino-cli core install {platform}" in caught.value.remedy
    assert "--additional-urls" in caught.value.remedy


def test_the_commands_for_a_core_of_others_name_its_index_twice():
    """Without it `core install` knows no such core either."""
    assert install("esp32:esp32").count("--additional-urls https://espressif.github.io/") == 2
    assert "--additional-urls" not in install("arduino:mbed_portenta")


def test_without_arduino_cli_both_installations_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="arduino-cli is missing") as caught:
        with_facts(by_fqbn(PICO))
    assert "arduino-cli core install rp2040:rp2040" in caught.value.remedy


def test_facts_are_asked_for_once(fake):  # noqa: F811
    facts_of.cache_clear()
    board = with_facts(by_fqbn(PICO))
    assert set(board.unknown) == {"stack", "clock"} and with_facts(by_fqbn(PICO)) == board
    assert [json.loads(line)[0] for line in (fake / "log").read_text().splitlines()].count("compile") == 1


@pytest.mark.parametrize(
    ("text", "fqbn", "port"),
    [
        ("arduino:adafruit:nrf52:feather52840@/dev/ttyACM0", "adafruit:nrf52:feather52840", "/dev/ttyACM0"),
        (
            "arduino:esp32:esp32:esp32s3:CDCOnBoot=cdc,PSRAM=opi@usb:1234",
            "esp32:esp32:esp32s3:CDCOnBoot=cdc,PSRAM=opi",
            "usb:1234",
        ),
        ("arduino:acme:m7:board", "acme:m7:board", None),
    ],
)
def test_a_board_by_its_fqbn(text, fqbn, port):
    target = parse_board(text)
    assert isinstance(target, BoardTarget) and target.board and (target.board.fqbn, target.port) == (fqbn, port)
    assert target.board.builder == "sketch" and len(target.board.name) <= 64


@pytest.mark.parametrize(
    "text", ["arduino:", "arduino:rp2040", "arduino:rp2040:rp2040@/dev/ttyACM0", "arduino:a:b:c:d", "arduino:a b:c:d"]
)
def test_what_is_no_fqbn_is_told_with_an_example(text):
    with pytest.raises(UserError, match="no FQBN") as caught:
        parse_board(text)
    assert "rp2040:rp2040:rpipico" in caught.value.expected and "arduino-cli board list" in caught.value.remedy


def test_an_fqbn_without_its_prefix_is_answered_with_it():
    with pytest.raises(UserError) as caught:
        parse_board("rp2040:rp2040:rpipico@/dev/ttyACM0")
    assert "--board=arduino:rp2040:rp2040:rpipico@/dev/ttyACM0" in caught.value.remedy


def test_a_long_name_keeps_what_tells_it_from_others():
    """Of the results database a board's name takes 64 characters."""
    names = {
        arduino_board(f"STMicroelectronics:stm32:Nucleo_144:pnum=NUCLEO_{x},usb=CDCgen,xusb=FS,opt=o3std").name for x in "AB"
    }
    assert len(names) == 2 and all(len(name) == 64 for name in names) and FQBN.fullmatch(PICO)


def test_what_needs_a_bare_image_says_so_of_a_sketch(monkeypatch):
    """Before, TFLM's refusal called the Nano 33 BLE the same chip as any board, and calibration would have begun to compile."""
    with pytest.raises(UserError, match="can't be built for pico") as caught:
        tflm_engine(b"", "tflm", BOARDS["pico"], Config())
    assert "same chip" not in caught.value.remedy

    class Attached:
        board = BOARDS["pico"]

    monkeypatch.setattr("tinyrig.calibrate.board.Rig", lambda *_: nullcontext(Attached()))
    with pytest.raises(UserError, match="pico can't be calibrated"):
        measured_loops(BoardTarget(BOARDS["pico"], "/dev/x"), Config())
