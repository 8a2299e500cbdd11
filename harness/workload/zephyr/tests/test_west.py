"""What west and Zephyr's build say of a board, and what is said where they are missing or have no such board."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tinyrig.core.boards import BoardTarget, by_zephyr, parse_board
from tinyrig.core.config import load_config
from tinyrig.core.errors import HostError, UserError
from tinyrig.core.hardware.cores import GENERIC, Core, core_of
from tinyrig.core.hardware.zephyr import ZEPHYR_BOARD
from tinyrig.core.records import Hello
from tinyrig.doctor.ports import _nameless
from tinyrig.doctor.routes import Reached, reached
from tinyrig.doctor.tools import needs
from tinyrig.tests import west
from tinyrig.workload.zephyr.facts import check_console, facts_in, memory_in, settings, with_facts
from tinyrig.workload.zephyr.tests.test_zephyr import fake, needs_cmake  # noqa: F401 - a fixture
from tinyrig.workload.zephyr.west import build_command, find_west

M4 = ["arm-zephyr-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mabi=aapcs", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-c", "x.c"]


def test_sizes_clock_and_processor_are_what_the_build_says():
    facts = facts_in("x", settings("\n".join(west.PROFILES["nucleo_f401re"].settings)), M4)
    assert (facts.flash_bytes, facts.ram_bytes, facts.clock_hz) == (512 * 1024, 96 * 1024, 84_000_000)
    assert (facts.flash_base, facts.ram_base) == (0x0800_0000, 0x2000_0000)
    assert core_of(facts.cpu_flags) == Core()


def test_what_a_bootloader_keeps_is_not_counted():
    text = "CONFIG_FLASH_SIZE=1024\nCONFIG_FLASH_LOAD_OFFSET=0xc000\nCONFIG_FLASH_BASE_ADDRESS=0x0\n"
    assert facts_in("x", settings(text), M4).flash_bytes == 1024 * 1024 - 0xC000
    facts = facts_in("x", settings(f"{text}CONFIG_FLASH_LOAD_SIZE=0x76000\n"), M4)
    assert (facts.flash_base, facts.flash_bytes) == (0xC000, 0x76000)


TREE = """/dts-v1/;
/ {
	chosen {
		zephyr,console = &usart2; /* in a.dts:1 */
		zephyr,flash = &flash0;
		zephyr,sram = &sram0;
	};
	soc {
		flash-controller@40023c00 {
			reg = < 0x40023c00 0x400 >;
			flash0: flash@8000000 {
				compatible = "soc-nv-flash";
				reg = < 0x8000000 0x80000 >; /* in b.dtsi:1 */
				partitions { };
			};
		};
	};
	x: sram0: memory@20000000 {
		device_type = "memory";
		reg = < 0x20000000 98304 >;
	};
};
"""


def test_what_kconfig_no_longer_says_is_read_from_the_devicetree():
    facts = facts_in("x", {"CONFIG_FLASH_LOAD_OFFSET": "0x8000"}, M4, TREE)
    assert (facts.flash_base, facts.flash_bytes) == (0x0800_8000, 0x80000 - 0x8000)
    assert (facts.ram_base, facts.ram_bytes) == (0x2000_0000, 98_304)
    wide = TREE.replace("< 0x20000000 98304 >", "< 0x0 0x20000000 0x0 0x18000 >")
    assert memory_in(wide, "zephyr,sram") == memory_in("", "zephyr,sram") == (0, 0)
    check_console("x", TREE)
    check_console("x", "")
    with pytest.raises(UserError, match="chooses no console"):
        check_console("x", TREE.replace("zephyr,console", "zephyr,shell-uart"))


def test_what_the_build_does_not_say_is_not_known_with_the_reason():
    facts = facts_in("x", settings("# CONFIG_XIP is not set\nCONFIG_SRAM_SIZE=\n"), [])
    assert (facts.flash_bytes, facts.ram_bytes, facts.clock_hz, facts.cpu_flags) == (0, 0, 0, (GENERIC,))
    unknown = by_zephyr("x").unknown
    assert set(unknown) == {"clock", "flash", "RAM"} and "CONFIG_SRAM_SIZE" in unknown["RAM"]


def test_a_counter_of_32_kHz_is_refused_unless_the_processor_has_its_own():
    slow = "CONFIG_SYS_CLOCK_HW_CYCLES_PER_SEC=32768\n"
    with pytest.raises(UserError, match="no inference can be timed on bbc_microbit"):
        facts_in("bbc_microbit", settings(slow), M4)
    assert facts_in("nrf52840dk", settings(f"{slow}CONFIG_CPU_CORTEX_M_HAS_DWT=y\n"), M4).clock_hz == 0


@needs_cmake
@pytest.mark.slow
def test_a_board_without_a_console_is_refused_unless_a_snippet_brings_one(fake):  # noqa: F811
    board = by_zephyr("arduino_nano_33_ble")
    with pytest.raises(UserError, match="chooses no console") as caught:
        with_facts(board)
    assert "cdc-acm-console" in caught.value.remedy
    assert core_of(with_facts(replace(board, zephyr_snippets=("cdc-acm-console",))).cpu_flags) == Core()


def test_a_board_that_zephyr_has_not_is_answered_with_those_that_it_has(fake):  # noqa: F811
    with pytest.raises(UserError, match=r"Zephyr 4\.1\.0 has no board nucleo_f410re") as caught:
        with_facts(by_zephyr("nucleo_f410re"))
    assert "nucleo_f401re" in caught.value.expected and "west boards" in caught.value.remedy


def test_a_configuration_that_fails_is_told_in_wests_words(fake):  # noqa: F811
    (fake / "refuses").write_text("Could NOT find Zephyr-sdk")
    with pytest.raises(HostError, match="can't configure") as caught:
        with_facts(by_zephyr("nucleo_f401re"))
    assert "Zephyr-sdk" in caught.value.received and "hello_world" in caught.value.remedy


def test_without_west_its_guide_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="west is missing") as caught:
        find_west()
    assert "docs/zephyr.md" in caught.value.remedy


@pytest.mark.parametrize(
    ("base", "version", "what"),
    [
        (None, None, "no Zephyr is known"),
        ("empty", None, "ZEPHYR_BASE names no Zephyr"),
        ("old", "VERSION_MAJOR = 3\nVERSION_MINOR = 4\nPATCHLEVEL = 99\n", "Zephyr 3.4.99 is too old"),
    ],
)
def test_where_zephyr_is_missing_or_too_old_the_remedy_says_so(fake, tmp_path, monkeypatch, base, version, what):  # noqa: F811
    monkeypatch.delenv("ZEPHYR_BASE")
    if base:
        (tmp_path / base).mkdir()
        monkeypatch.setenv("ZEPHYR_BASE", str(tmp_path / base))
    if version:
        (tmp_path / base / "VERSION").write_text(version)
    with pytest.raises(HostError, match=what) as caught:
        find_west()
    assert "ZEPHYR_BASE" in caught.value.remedy


def test_west_is_called_without_sysbuild_and_with_the_snippets(fake, tmp_path):  # noqa: F811
    words = build_command(find_west(), "nrf52840dk/nrf52840", ("cdc-acm-console",), tmp_path / "out", tmp_path)
    assert words[1:] == [
        *("build", "-p", "always", "--no-sysbuild", "-b", "nrf52840dk/nrf52840"),
        *("-d", f"{tmp_path}/out", "-S", "cdc-acm-console", str(tmp_path)),
    ]
    assert os.access(words[0], os.X_OK)


def test_boards_are_named_as_west_names_them():
    for name in ("nucleo_f401re", "nrf5340dk/nrf5340/cpuapp", "plank@1.5.0", "esp32s3_devkitm//appcpu"):
        assert ZEPHYR_BOARD.fullmatch(name), name
    target = parse_board("zephyr:nrf5340dk/nrf5340/cpuapp@/dev/ttyACM0")
    assert isinstance(target, BoardTarget) and target.board and target.port == "/dev/ttyACM0"
    assert (target.board.zephyr, target.board.builder) == ("nrf5340dk/nrf5340/cpuapp", "zephyr")
    with pytest.raises(UserError, match="no name of a board that Zephyr has"):
        parse_board("zephyr:-DX=1@/dev/ttyACM0")


@pytest.mark.parametrize("name", ["zephyr", "zephyr-timer"])
def test_an_unknown_port_with_our_zephyr_firmware_is_no_bare_metal_board(name):
    """Before, it was listed as a Nano 33 BLE."""
    hello = Hello(2, "", "", "tinyrig", name, "0" * 16, 84_000_000, 512, 0, 0, 0, (), ())
    assert _nameless(hello).builder == "zephyr"


def own(tmp_path, text: str):
    (tmp_path / "rig.toml").write_text(f"[boards.desk]\n{text}")
    return load_config(tmp_path / "rig.toml").boards["desk"].own


def test_rig_toml_names_a_board_of_zephyrs(tmp_path):
    board = own(tmp_path, 'builder = "zephyr"\nzephyr_board = "plank@1.5.0"\nbaud = 921600\n')
    assert (board.zephyr, board.builder, board.flasher, board.baud) == ("plank@1.5.0", "zephyr", "west", 921_600)
    assert own(tmp_path, 'zephyr_board = "rpi_pico"\n').builder == "zephyr" and reached(board) is Reached.ZEPHYR
    assert {("west",), ("zephyr",)} <= set(needs(board, "none"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('builder = "zephyr"\n', "zephyr_board is missing"),
        ('zephyr_board = "rpi_pico"\nport = "virt"\n', "port is no fact"),
        ('zephyr_board = "rpi pico"\n', "zephyr_board"),
        ('builder = "make"\n', "builder"),
        ('fqbn = "a:b:c"\nzephyr_board = "rpi_pico"\n', "fqbn and zephyr_board exclude each other"),
    ],
)
def test_what_does_not_go_together_in_rig_toml_is_told(tmp_path, text, what):
    with pytest.raises(UserError, match=what):
        own(tmp_path, text)
