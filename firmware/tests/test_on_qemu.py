"""The same firmware on a machine that shares nothing with the virtual board: QEMU's mps2-an386, with another UART and timer."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tinyrig.board.qemu import QemuBoard
from tinyrig.board.rig import Rig
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS, QEMU_ID_PREFIX, Board, parse_board
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import DeviceError, HostError, InfraError, LinkError
from tinyrig.core.records import INSTRUCTIONS
from tinyrig.link import pacing, wire
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.measure.variants import built_variants
from tinyrig.tests import small_models
from tinyrig.tests.host_board import FIRMWARE, build_folder
from tinyrig.tests.needs import needs_board, needs_qemu
from tinyrig.tests.port_build import port_flags, port_sources
from tinyrig.workload.image import build_image
from tinyrig.workload.windows import load_windows

BOARD = BOARDS["qemu"]
FLAGS = [
    "-std=gnu11",
    "-gdwarf-4",
    "-Os",
    "-nostartfiles",
    "--specs=nano.specs",
    f"-ffile-prefix-map={FIRMWARE}=.",
    "-Wl,--no-warn-rwx-segments",
]
BEHAVE, BAD_ADDRESS, HANG, RECURSE = 0, 1, 4, 5
UNMAPPED = {"qemu-m7": "0xC0000000", "qemu-m55": "0x0F000000", "qemu-rv32": "0x08000000"}
"""Where these machines have nothing; the others: toy_fault.c."""
SHORT_WATCHDOG = "-DMEASURE_LONGEST_US=300000"


CORES = ("qemu-m0", "qemu-m3", "qemu-m7", "qemu-m33", "qemu-m55", "qemu-rv32")
"""One board a core, beside `qemu`; that of another instruction set in every `make test`, the others in CI."""
EACH_CORE = [
    pytest.param(name, marks=[*([] if name == "qemu-rv32" else [pytest.mark.slow]), *needs_board(name)]) for name in CORES
]


def build_toy(folder: Path, sources: list[Path], *flags: str, board: Board = BOARD) -> tuple[Path, bytes]:
    """The firmware around toy_fault.c: (ELF, bytes of the image)."""
    elf, raw = folder / "toy.elf", folder / "toy.bin"
    cc = board.core.compiler
    common = [flag for flag in FLAGS if board.core.arm or not flag.startswith("--specs")]
    app = [f for f in FIRMWARE.glob("app/*.c") if f.name != "null_engine.c"]
    files = [*app, *sources, build_folder() / "build_id.c", FIRMWARE / "tests" / "toy_fault.c"]
    words = [*board.cpu_flags, *common, *flags, *port_flags(board, folder), *files, "-o", elf]
    subprocess.run([cc, *words], check=True)
    subprocess.run([cc.replace("gcc", "objcopy"), "-O", "binary", elf, raw], check=True)
    return elf, raw.read_bytes()


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return build_toy(tmp_path_factory.mktemp("qemu"), port_sources(BOARD), SHORT_WATCHDOG)


def wait_for_hello(session):
    """A busy machine starts the emulator late."""
    until = time.monotonic() + 30
    while True:
        try:
            return session.hello()
        except LinkError:
            assert time.monotonic() < until, "QEMU never answers"


@contextlib.contextmanager
def started(toy, record=BOARD):
    elf, raw = toy
    board = QemuBoard(record)
    board.load(raw, record.flash_base, Deadline("flash_s", 30))
    with Session(open_link(board.port, record.baud), invoke_deadline_s=20.0) as session:
        session.elf = elf
        wait_for_hello(session)
        yield session
    board.close()


@pytest.fixture
def session(toy, monkeypatch):
    monkeypatch.setattr(pacing, "MIN_INVOKE_DEADLINE_S", 1.0)
    with started(toy) as session:
        yield session


@needs_qemu
def test_the_watchdog_that_ports_share_counts_a_long_time_in_parts(tmp_path):
    """SysTick has 24 bits: 6 s at 7 ticks a microsecond are three parts of them."""
    shared = FIRMWARE / "port" / "cortexm" / "watchdog.c"
    sources = [shared if f.name == "watchdog.c" else f for f in port_sources(BOARD)]
    with started(build_toy(tmp_path, sources, "-DMEASURE_LONGEST_US=6000000")) as session:
        session.hello()
        with pytest.raises(DeviceError, match="the board hung in toy_spin"):
            session.run(bytes([HANG, 0, 0, 0]))
        assert session.hello().fault is not None
        assert session.run(bytes(4)).outputs


@needs_qemu
def test_faults_and_hangs_are_told_as_on_any_board(session):
    faults_and_hangs(session, "qemu")


@pytest.mark.parametrize("name", EACH_CORE)
def test_faults_and_hangs_are_told_on_every_core(name, tmp_path, monkeypatch):
    monkeypatch.setattr(pacing, "MIN_INVOKE_DEADLINE_S", 1.0)
    board = BOARDS[name]
    flags = [SHORT_WATCHDOG, *([f"-DUNMAPPED={UNMAPPED[name]}"] if name in UNMAPPED else [])]
    with started(build_toy(tmp_path, port_sources(board), *flags, board=board), board) as session:
        faults_and_hangs(session, name)


def faults_and_hangs(session: Session, name: str) -> None:
    """Three ways to fail, each followed by an inference that is right and takes as many instructions as before."""
    assert session.hello().board_id.startswith(QEMU_ID_PREFIX) and session.hello().board_name == name
    good = session.run(bytes(4))
    for how, told in (
        (BAD_ADDRESS, "the board faulted in toy_read"),
        (HANG, "the board hung in toy_spin"),
        (RECURSE, "stack overflow in toy_recurse"),
    ):
        with pytest.raises(DeviceError) as caught:
            session.run(bytes([how, 0x5A, 0, 0]))
        assert caught.value.what.startswith(told) and "toy_fault.c" in caught.value.what, caught.value
        again = session.run(bytes(4))
        assert (again.outputs, again.cycles) == (good.outputs, good.cycles)
    session.reboot(bootloader=False)
    assert session.hello().fault is None


@needs_qemu
def test_a_cut_frame_is_noticed_by_its_silence(session):
    session.hello()
    frame = wire.encode(wire.Frame(wire.Type.ECHO, 40, bytes(200)))
    session.link.write(frame[:100])
    told = wire.decode(session.link.read(wire.HEADER_BYTES + wire.CRC_BYTES, 10.0))
    assert (told.sequence, told.status) == (40, wire.Status.CUT)
    assert session.echo(b"still here") == b"still here"


def ran(board: str, model, windows) -> list:
    with Rig(parse_board(board), Config(), clock="instructions") as rig:
        session, hello = rig.prepare(build_image(model, rig.board))
        info = rig.info(hello)
        assert info.name == board
        return [(s.outputs, s.cycles) for s in session.stream(windows)]


@needs_qemu
def test_outputs_and_instructions_are_those_of_the_virtual_board():
    """Two emulators that know nothing of each other count the same instructions, one by one, and compute the same bytes."""
    for data in (small_models.dense_int8(), small_models.dense_float()):
        model = compile_model(data, flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
        rng = np.random.default_rng(0)
        spec = model.inputs[0]
        windows = [spec.quantize(rng.normal(0, 2, spec.shape)).tobytes() for _ in range(6)]
        assert ran("qemu", model, windows) == ran("virtual", model, windows)


@needs_qemu
def test_another_image_is_never_taken_for_the_one_that_runs():
    first, second = (compile_model(small_models.dense_int8(seed), flash_bytes=1 << 20, ram_bytes=1 << 18) for seed in (0, 7))
    with Rig(parse_board("qemu"), Config()) as rig:
        for model, tries in ((first, 1), (first, 0), (second, 1)):
            _, hello = rig.prepare(build_image(model, rig.board))
            assert hello.model_sha256 == model.sha256 and rig.flash_tries == tries


@needs_qemu
def test_an_emulator_that_died_is_the_rigs_fault():
    model = compile_model(small_models.dense_int8(), flash_bytes=1 << 20, ram_bytes=1 << 18)
    with Rig(parse_board("qemu"), Config()) as rig:
        rig.prepare(build_image(model, rig.board))
        rig.attachment.emulator._process.kill()
        rig.attachment.emulator._process.wait()
        with pytest.raises(InfraError, match="QEMU ended"):
            rig.prepare(build_image(model, rig.board))


@needs_qemu
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_it_ends_with_the_process_that_started_it():
    code = (
        "import sys, time\nfrom tinyrig.core.deadlines import Deadline\nfrom tinyrig.board.qemu import QemuBoard\n"
        "b = QemuBoard()\nb.load(bytes.fromhex('0010002009000000fee7'), 0, Deadline('flash_s', 9))\n"  # an endless loop
        "time.sleep(1)\nb.check()\nprint(b._process.pid, flush=True)\ntime.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=FIRMWARE.parent)
    emulator = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    until = time.monotonic() + 30
    while Path(f"/proc/{emulator}").exists() and "Z" not in Path(f"/proc/{emulator}/stat").read_text().split()[2]:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_without_qemu_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError) as caught:
        Rig(parse_board("qemu"), Config())
    assert "apt-get install" in caught.value.remedy and "qemu-system-arm" in caught.value.remedy and caught.value.exit_code == 3


def test_it_claims_no_time():
    assert BOARD.timing == INSTRUCTIONS


@needs_qemu
@pytest.mark.slow
@pytest.mark.parametrize("name", ["reshaped", "pqt"])
def test_all_test_windows_agree_to_the_byte(name):
    """A float and an integer network of the paper; .ci/run holds all four against each other (bench/same_outputs.py)."""
    (variant,) = built_variants(Config(), [name])
    model = compile_model(variant.tflite.read_bytes(), flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    windows = [tuple(a.tobytes() for a in w) for w in load_windows(variant.windows, model.inputs, None).inputs]
    assert len(windows) == 240
    assert ran("qemu", model, windows) == ran("virtual", model, windows)
