"""The NUCLEO-F401RE's image on a register-level model of its chip: clocks, pins, line, faults. What no emulator can show here
is silicon: oscillators that start late, real wait states, the ST-LINK."""

from __future__ import annotations

import dataclasses
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS
from tinyrig.core.errors import DeviceError, ModelError
from tinyrig.link.session import Session
from tinyrig.places.installed import FIRMWARE
from tinyrig.tests import small_models
from tinyrig.tests.host_board import build_folder
from tinyrig.tests.port_build import port_flags, port_sources
from tinyrig.virtual.tests.stm32f401 import TIM2, UNIQUE, Chip, ChipLink
from tinyrig.workload.image import build_image
from tinyrig.workload.oracle import ORACLES

BOARD = BOARDS["nucleo-f401re"]
FLAGS = [
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-infinite-recursion",
    "-Os",
    "-gdwarf-4",
    "-nostartfiles",
    "--specs=nano.specs",
    "-DMEASURE_LONGEST_US=3000",
]


def compiled(data: bytes):
    return compile_model(data, flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return build_image(compiled(small_models.dense_int8()), BOARD, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """build(engine, port folder) -> ELF of the firmware around that file of firmware/tests."""
    folder = tmp_path_factory.mktemp("toys")

    def built(engine: str, port: Path = FIRMWARE / "port" / BOARD.port) -> Path:
        elf = folder / f"{engine}-{port.name}.elf"
        board = replace(BOARD, port=str(port))  # a folder elsewhere replaces the shared files just the same
        app = [*(s for s in FIRMWARE.glob("app/*.c") if s.name != "null_engine.c"), build_folder() / "build_id.c"]
        files = [*app, *port_sources(board), FIRMWARE / "tests" / f"{engine}.c"]
        if not elf.exists():
            words = [*BOARD.cpu_flags, *FLAGS, *port_flags(board, folder), *files, "-o", elf]
            subprocess.run(["arm-none-eabi-gcc", *words], check=True)
        return elf

    return built


def started(elf: Path, **options) -> tuple[Chip, Session]:
    chip = Chip(elf, **options)
    chip.run()
    return chip, Session(ChipLink(chip), invoke_deadline_s=5.0)


@pytest.mark.parametrize("hse", [True, False])
def test_clock_tree_is_84_mhz_from_either_oscillator_and_hello_tells_which(image, hse):
    chip, session = started(image.elf, hse=hse)
    assert (chip.core_hz(), chip.apb1_hz(), chip.timer_hz()) == (BOARD.clock_hz, 42_000_000, 84_000_000)
    assert chip.history == [84_000_000] and chip.complaints == []
    hello = session.hello()
    assert (hello.board_name, hello.internal_clock) == (BOARD.name, not hse)
    assert (hello.clock_hz, hello.fault) == (BOARD.clock_hz, None)
    assert (hello.build_id, hello.model_sha256) == (image.build_id, image.model_sha256)


def test_a_pll_that_does_not_lock_on_the_st_links_clock_locks_on_the_chips_own(image):
    chip, session = started(image.elf, deaf_plls=1)
    assert chip.core_hz() == BOARD.clock_hz and chip.complaints == [] and chip.resets == 0
    assert session.hello().internal_clock and session.hello().fault is None


def test_a_pll_that_locks_on_neither_is_a_fault_that_the_next_start_reports(image):
    chip, session = started(image.elf, deaf_plls=2)
    assert chip.resets == 1 and chip.core_hz() == BOARD.clock_hz and chip.complaints == []
    session.elf = image.elf
    assert not session.hello().internal_clock and session.hello().fault is not None
    assert "the board faulted in clock_init (stm32f401/clock.c:" in session.fault_error().what


def test_baud_rate_is_within_half_a_percent_of_the_boards(image):
    chip, _ = started(image.elf)
    assert chip.baud() == pytest.approx(BOARD.baud, rel=0.005)


def test_board_id_is_the_hash_of_the_unique_id(image):
    value = 0xCBF29CE484222325
    for byte in UNIQUE:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    assert started(image.elf)[1].hello().board_id == struct.pack("<Q", value).hex()


MODELS = {"dense int8": small_models.dense_int8, "wide int8": small_models.wide_int8, "dense float": small_models.dense_float}


@pytest.mark.parametrize("name", MODELS)
def test_inferences_equal_the_oracles_byte_for_byte(tmp_path, name):
    data = MODELS[name]()
    built = build_image(compiled(data), BOARD, tmp_path)
    chip, session = started(built.elf)
    oracle = ORACLES["tflm"](data)
    spec, random = built.inputs[0], np.random.default_rng(1)
    for _ in range(3):
        x = random.normal(0, 1, spec.shape).astype(np.float32)
        x = spec.quantize(x)
        sample = session.run(x.tobytes())
        wanted = np.concatenate([y.ravel() for y in oracle.run([x])])
        got = np.frombuffer(sample.outputs, wanted.dtype)
        assert np.abs(got.astype(float) - wanted).max() <= (1e-5 if spec.dtype == "float32" else 0)
        assert sample.cycles > 0
    assert chip.complaints == [] and chip.overruns == 0


def test_no_byte_is_lost_on_a_line_three_times_as_fast_and_many_on_one_far_too_fast(build):
    """The USART has no FIFO: the bytes between two reads must fit in one byte's time. Cycles are instructions here, so three
    times leaves room for wait states and pipeline."""
    chip, session = started(build("toy_int8"))
    chip.line_speed = 3.0
    session.hello()
    payload = bytes(range(256))
    assert session.echo(payload) == payload and chip.overruns == 0
    chip.line_speed = 300.0
    chip.exchange(payload)
    assert chip.overruns > 0
    chip.line_speed = 1.0
    session.hello()  # an overrun ends with the next read: the line works again
    assert session.echo(payload) == payload


def test_reboot_starts_the_image_again_and_the_last_byte_is_sent_before(build):
    chip, session = started(build("toy_int8"))
    session.reboot(bootloader=False)
    assert chip.resets == 1
    assert session.hello().engine == "toy-int8"


TROUBLE = [(1, "faulted in toy_read"), (4, "hung in toy_spin"), (5, "stack overflow in toy_recurse")]


@pytest.mark.parametrize(("how", "what"), TROUBLE)
def test_a_fault_survives_the_reset_and_is_told(build, how, what):
    elf = build("toy_fault")
    chip, session = started(elf)
    session.elf = elf
    assert session.run(bytes(4)).cycles > 0
    with pytest.raises(DeviceError, match=what):
        session.run(bytes([how, 0x5A, 0, 0]))
    assert chip.resets == 1 and chip.complaints == []
    assert session.run(bytes(4)).cycles > 0
    session.reboot(bootloader=False)
    assert session.hello().fault is None


def test_watchdog_counts_microseconds(build):
    chip, session = started(build("toy_int8"))
    session.run(bytes(8))
    assert chip.timer_hz() / (chip.registers[TIM2 + 0x28] + 1) == 1e6
    assert chip.registers[TIM2] & 1 == 0  # stopped


PLANTED = {
    # edit of the port: (file, from, to, complaint)
    "no wait states": ("clock.c", "ACR_TWO_WAIT_STATES 2u", "ACR_TWO_WAIT_STATES 0u", "84000000 Hz with 0 wait states: 2"),
    "bus too fast": ("clock.c", "(4u << 10)", "0u", "APB1 84000000 Hz: at most 42 MHz"),
    "wrong voltage": ("clock.c", "(2u << 14)", "(1u << 14)", "84000000 Hz in voltage scale 1"),
    "wrong divider": ("clock.c", "PLLCFGR_M_HSE 4u", "PLLCFGR_M_HSE 2u", "PLL input 4000000 Hz: 1 to 2 MHz"),
    "pins not set up": ("port.c", "AF_USART2 = 7", "AF_USART2 = 8", "a byte was sent while pins or USART are not set up"),
    "no clock": ("port.c", "APB1ENR_USART2 (1u << 17)", "APB1ENR_USART2 (1u << 18)", "0x40004400 used without its clock"),
    "PWR has no clock": ("clock.c", "APB1ENR_PWREN (1u << 28)", "APB1ENR_PWREN (1u << 27)", "0x40007000 used without its clock"),
}


@pytest.mark.parametrize("name", [n if i % 3 == 0 else pytest.param(n, marks=pytest.mark.slow) for i, n in enumerate(PLANTED)])
def test_the_model_finds_planted_errors(build, tmp_path, name):
    file, old, new, complaint = PLANTED[name]
    port = tmp_path / name.replace(" ", "-")
    shutil.copytree(FIRMWARE / "port" / BOARD.port, port)
    for source in port.glob("*.[ch]"):
        text = source.read_text().replace('"../port.h"', '"port.h"')
        source.write_text(text.replace(old, new) if source.name == file else text)
        assert source.name != file or new in source.read_text()
    chip, session = started(build("toy_int8", port))
    if chip.baud() > 0 and "without its clock" not in complaint:
        session.hello()  # the model answers all the same: it complains instead
    assert any(complaint in c for c in chip.complaints), chip.complaints


def test_footprint_and_what_does_not_fit(tmp_path, image):
    f = image.footprint
    assert image.bin.stat().st_size == f.flash_total and image.base_address == 0x08000000
    assert f.flash_rig > 1000 and f.ram_arena > 0
    big = compiled(small_models.dense_int8())
    filler = "\nstatic unsigned char filler[98000];\n"
    filler += 'unsigned char *const filler_at __attribute__((section(".vectors"))) = filler;\n'
    big = dataclasses.replace(big, sources=big.sources | {"model.c": big.sources["model.c"] + filler})
    with pytest.raises(ModelError, match="does not fit ST NUCLEO-F401RE") as caught:
        build_image(big, BOARD, tmp_path)
    assert "98304 B of RAM" in caught.value.expected and "RAM exceeded by" in caught.value.received
