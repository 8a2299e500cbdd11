"""The nRF52840 image, exactly as a board would get it, on the virtual board: session, measuring, faults of the line."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from tinyrig.core.boards import BOARDS, VIRTUAL_ID_PREFIX
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.tests.host_board import BUILD_ID, FIRMWARE, build_folder
from tinyrig.tests.port_build import port_flags, port_sources
from tinyrig.virtual.launch import VirtualBoard

BOARD = BOARDS["virtual"]
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-nostartfiles", "--specs=nano.specs"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """images(engine, *more flags) -> ELF with that file of firmware/tests."""
    folder = tmp_path_factory.mktemp("images")

    def build(engine: str, *flags: str):
        elf = folder / f"{engine}{''.join(flags)}.elf"
        sources = [*FIRMWARE.glob("app/*.c"), *port_sources(BOARD), build_folder() / "build_id.c"]
        files = [*(s for s in sources if s.name != "null_engine.c"), FIRMWARE / "tests" / f"{engine}.c"]
        script = port_flags(BOARD, folder)
        if not elf.exists():
            subprocess.run(["arm-none-eabi-gcc", *BOARD.cpu_flags, *FLAGS, *flags, *script, *files, "-o", elf], check=True)
        return elf

    return build


@pytest.fixture
def start(images):
    """start(engine, **options of the virtual board) -> Session."""
    opened: list = []

    def started(engine: str, *flags: str, **options) -> Session:
        board = VirtualBoard(image=images(engine, *flags), **options)
        opened.append(board)
        session = Session(open_link(board.port, BOARD.baud), invoke_deadline_s=5.0)
        opened.append(session)
        return session

    yield started
    for thing in reversed(opened):
        thing.close()


def window(seed: int) -> bytes:
    return np.random.default_rng(seed).integers(-60, 60, 8, np.int8).tobytes()


def expected(data: bytes) -> bytes:
    return (2 * np.frombuffer(data, np.int8) + 1).astype(np.int8).tobytes()


def test_hello(start):
    hello = start("toy_int8").hello()
    assert (hello.build_id, hello.engine, hello.board_name) == (BUILD_ID.hex(), "toy-int8", "nano33ble-uart")
    assert hello.board_id.startswith(VIRTUAL_ID_PREFIX)
    assert (hello.clock_hz, hello.fault) == (BOARD.clock_hz, None)


def test_a_board_without_its_crystal_says_so_and_works(start):
    session = start("toy_int8", faults=["no-crystal"])
    hello = session.hello()
    assert (hello.board_name, hello.internal_clock, hello.fault) == ("nano33ble-uart", True, None)
    assert session.run(window(0)).outputs == expected(window(0))


def test_cycles_repeat_exactly_and_the_profile_adds_up(start):
    session = start("toy_int8")
    samples = list(session.stream([window(n) for n in range(10)]))
    assert [s.outputs for s in samples] == [expected(window(n)) for n in range(10)]
    # The toy has no branch on its data, so under a timing model without caches only one figure is right.
    assert len({s.cycles for s in samples}) == 1 and samples[0].cycles > 1024
    profile = session.run(window(0), profile=True)
    assert sum(profile.op_cycles) == profile.cycles == pytest.approx(samples[0].cycles, rel=0.05)


def test_stack_is_that_of_the_inference(start):
    """1024 bytes of scratch array, a few saved registers, and nothing of the firmware around it."""
    session = start("toy_int8")
    assert {1024 <= session.run(window(n), stack=True).stack_bytes <= 1100 for n in range(3)} == {True}
    assert start("toy_multi").run([bytes(24), bytes(10000)], stack=True).stack_bytes < 100


@pytest.mark.parametrize("flags", [("-DWIRE_MAX_PAYLOAD=512",), ("-DWIRE_MAX_PAYLOAD=16384",)])
def test_tensors_in_pieces_and_whole(start, flags):
    session = start("toy_multi", *flags)
    x, b = np.arange(6, dtype=np.float32), np.random.default_rng(1).integers(-128, 128, 10000).astype(np.int8)
    total = np.array([x.sum() + b.sum(dtype=np.int32)], np.int32)
    outputs = session.run([x.tobytes(), b.tobytes()]).outputs
    assert outputs == (2 * x).tobytes() + (-b).astype(np.int8).tobytes() + total.tobytes()


@pytest.mark.parametrize("flags", [(), ("-DWIRE_MAX_PAYLOAD=16384",)])
def test_large_tensors_pass_a_bad_line(start, flags):
    """10 KB each way; with the larger payload the outputs first travel in INVOKE's own reply, which then hardly ever arrives."""
    session = start("toy_multi", *flags, faults=["line-drop", "line-flip", "line-insert", "line-dup"])
    x = np.arange(6, dtype=np.float32)
    for seed in range(3):
        b = np.random.default_rng(seed).integers(-128, 128, 10000).astype(np.int8)
        total = np.array([x.sum() + b.sum(dtype=np.int32)], np.int32)
        outputs = session.run([x.tobytes(), b.tobytes()]).outputs
        assert outputs == (2 * x).tobytes() + (-b).astype(np.int8).tobytes() + total.tobytes()
    assert session.retries > 3


@pytest.mark.parametrize("fault", ["rx-drop:400", "rx-flip:400", "rx-noise:400", "tx-drop:400", "tx-flip:400", "tx-noise:400"])
def test_line_faults_cost_repetitions_not_results(start, fault):
    session = start("toy_int8", faults=[fault])
    samples = list(session.stream([window(n) for n in range(60)]))
    assert [s.outputs for s in samples] == [expected(window(n)) for n in range(60)]
    assert session.retries >= (0 if fault.startswith("rx-noise") else 1)  # noise between frames needs no repetition


def test_reboot_into_the_application(start):
    session = start("toy_int8")
    session.run(window(0))
    session.reboot(bootloader=False)
    assert session.run(window(1)).outputs == expected(window(1))


def test_reboot_into_the_bootloader(start):
    """SAM-BA's `I#` is answered by the bootloader and by nothing else."""
    session = start("toy_int8")
    session.reboot(bootloader=True)
    session.link.write(b"I#")
    assert b"nRF52840" in session.link.read(10, 2.0)
