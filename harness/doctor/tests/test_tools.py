"""Stand-in executables on the PATH: what is there, what is broken, what hangs; and which board needs which."""

from __future__ import annotations

import dataclasses
import shutil
import time

import pytest

from tinyrig.core.boards import BOARDS
from tinyrig.doctor import tools
from tinyrig.doctor.checks import CheckStatus, gather
from tinyrig.doctor.tools import NEEDS, look, needs


@pytest.fixture
def path(tmp_path, monkeypatch):
    """An empty PATH; path(name, script) puts a shell script there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)

    def put(name: str, script: str) -> None:
        file = tmp_path / name
        file.write_text(f"#!{shell}\n{script}\n")
        file.chmod(0o755)

    shell = shutil.which("sh", path="/bin:/usr/bin")
    return put


@pytest.mark.parametrize("name", ["arm-none-eabi-gcc", "host cc", "qemu-system-arm", "arduino-cli", "arduino core", "st-flash"])
def test_what_is_not_there_is_missing_with_a_remedy(path, name):
    found = look(name)
    assert found.status == CheckStatus.MISSING and found.remedy


GCC = 'case "$*" in *dumpfull*) echo 13.2.1;; *nano.specs*) echo {specs};; *libc_nano*) echo {libc};; esac'


@pytest.mark.parametrize(
    ("specs", "libc", "status"),
    [
        ("/lib/nano.specs", "/lib/libc_nano.a", CheckStatus.OK),
        ("nano.specs", "/lib/libc_nano.a", CheckStatus.BROKEN),
        ("/lib/nano.specs", "libc_nano.a", CheckStatus.BROKEN),
    ],
)
def test_a_compiler_without_its_library_is_broken(path, specs, libc, status):
    """A newlib without the hard-float variant is a common half of an installation."""
    path("arm-none-eabi-gcc", GCC.format(specs=specs, libc=libc))
    found = look("arm-none-eabi-gcc")
    assert found.status == status and "13.2.1" in found.found
    assert ("libnewlib-arm-none-eabi" in found.remedy) == (status == CheckStatus.BROKEN)


CORES = {
    "0.35": '[{"id": "arduino:avr", "installed": "1.8.6"}, {"id": "arduino:mbed_nano", "installed": "4.0.10"}]',
    "1.0": '{"platforms": [{"id": "arduino:mbed_nano", "installed_version": "4.1.5"}]}',
}


@pytest.mark.parametrize(("version", "core"), [("0.35", "4.0.10"), ("1.0", "4.1.5")])
def test_the_arduino_core_in_both_forms_of_the_list(path, version, core):
    listed = f"""[ "$*" = "core list --format json" ] && echo '{CORES[version]}'"""
    path("arduino-cli", f"{listed} || echo arduino-cli Version: {version}.2")
    assert look("arduino-cli").found == f"{version}.2"
    assert look("arduino core") == tools.Found(CheckStatus.OK, f"arduino:mbed_nano {core}")


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("echo '[]'", CheckStatus.MISSING),
        ("echo '{}'", CheckStatus.MISSING),
        ("", CheckStatus.MISSING),
        ("echo no json", CheckStatus.BROKEN),
        ("exit 1", CheckStatus.MISSING),
    ],
)
def test_an_arduino_cli_without_the_core(path, script, status):
    path("arduino-cli", script)
    found = look("arduino core")
    assert found.status == status and "core install arduino:mbed_nano" in found.remedy


def test_a_qemu_without_the_machine_is_broken(path):
    path("qemu-system-arm", 'case "$*" in *help*) echo virt;; *) echo QEMU emulator version 7.2.9;; esac')
    assert look("qemu-system-arm").status == CheckStatus.BROKEN and "7.2.9" in look("qemu-system-arm").found


def test_a_program_that_fails_is_broken_and_says_why(path):
    path("st-flash", "echo cannot load libstlink.so.1 >&2; exit 127")
    found = look("st-flash")
    assert found.status == CheckStatus.BROKEN and "libstlink" in found.found and "stlink-tools" in found.remedy


def test_a_program_that_hangs_is_broken_in_time(path, monkeypatch):
    monkeypatch.setattr(tools, "TOOL_S", 0.2)
    path("st-flash", "while :; do :; done")
    assert look("st-flash").status == CheckStatus.BROKEN and "does not answer" in look("st-flash").found


def test_a_file_that_can_not_be_run_is_broken(path, tmp_path):
    (tmp_path / "st-flash").write_bytes(b"\x7fELFnot")
    (tmp_path / "st-flash").chmod(0o755)
    assert look("st-flash").status == CheckStatus.BROKEN


def test_a_library_that_does_not_load_is_broken():
    assert tools._package("pytest", "a_module_that_is_not_there").status == CheckStatus.BROKEN
    assert tools._package("no-such-distribution", "os").status == CheckStatus.MISSING
    assert tools._package("pytest", "pytest").status == CheckStatus.OK


def test_every_word_of_the_known_boards_stands_in_the_table():
    for board in BOARDS.values():
        words = {getattr(board, "builder", "gcc"), board.flasher, board.starter}
        assert words <= set(NEEDS), f"add {words - set(NEEDS)} to NEEDS"
    every = {name for need in NEEDS.values() for alternatives in need for name in alternatives}
    assert every <= set(tools.TOOLS)


def test_the_core_of_a_board_is_looked_for_by_its_name(path):
    listed = '{"platforms": [{"id": "rp2040:rp2040", "installed_version": "5.0.0"}]}'
    path("arduino-cli", f"echo '{listed}'")
    pico, c3 = (
        next(name for (name,) in needs(BOARDS[board], "none") if name.startswith("core ")) for board in ("pico", "esp32-c3")
    )
    assert look(pico) == tools.Found(CheckStatus.OK, "5.0.0")
    assert look(c3).status == CheckStatus.MISSING and "arduino-cli core install esp32:esp32" in look(c3).remedy


def test_what_a_board_needs():
    virtual = needs(BOARDS["virtual"], "tflm")
    assert ("unicorn",) in virtual and ("arm-none-eabi-gcc",) in virtual and ("tflite-micro",) in virtual
    uart = BOARDS["nano33ble-uart"]
    assert ("pyocd", "st-flash") in needs(uart, "none", "probe") and ("tflite-micro",) not in needs(uart, "none")
    riscv = needs(BOARDS["qemu-rv32"], "tflm")
    assert ("qemu-system-riscv32",) in riscv and ("riscv64-unknown-elf-gcc",) in riscv
    assert ("qemu-system-arm",) not in riscv and ("arm-none-eabi-gcc",) not in riscv
    own = dataclasses.replace(uart, flasher="my-flasher")
    assert ("my-flasher",) in needs(own, "none")


def test_a_tool_of_a_users_own_board_is_looked_for_by_its_name(path):
    assert look("my-flasher").status == CheckStatus.MISSING
    path("my-flasher", "echo my-flasher 3.1")
    assert look("my-flasher") == tools.Found(CheckStatus.OK, "3.1")


def test_what_hangs_or_raises_holds_up_nothing():
    work = {"good": lambda: "good", "slow": lambda: time.sleep(30), "bad": lambda: 1 / 0}
    found = gather(work, lambda name, why: f"{name}: {why}", 0.3)
    assert found["good"] == "good" and "ZeroDivisionError" in found["bad"] and "no answer" in found["slow"]
    assert list(found) == list(work)
