"""The image of a Raspberry Pi Pico in rp2040js, which models this chip's clocks, timer, UART and watchdog registers: from its
second stage on, over its UART. It does not model that the processor refuses an address, so of the faults only hangs are tried."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tinyrig.board.rig import Rig
from tinyrig.board.rp2040js import PACKAGE, VARIABLE, Rp2040Board, find_node, find_package
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS, RP2040JS_ID, parse_board
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import DeviceError, HostError
from tinyrig.core.records import INSTRUCTIONS
from tinyrig.firmware.tests.test_on_qemu import HANG, SHORT_WATCHDOG, build_toy, wait_for_hello
from tinyrig.link import pacing
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.tests import small_models
from tinyrig.tests.needs import HAS_QEMU
from tinyrig.tests.port_build import port_sources
from tinyrig.workload.image import build_image

BOARD = BOARDS["rp2040js"]
CHECKSUM_POLYNOMIAL = 0x04C11DB7


def missing() -> str:
    try:
        find_node()
        find_package()
    except HostError as error:
        return error.what
    return ""


needs_package = pytest.mark.skipif(bool(missing()), reason=missing() or "it is there")


def crc32_of_the_rom(data: bytes) -> int:
    """RP2040 datasheet, 2.8.1.3.1."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (CHECKSUM_POLYNOMIAL if crc & 1 << 31 else 0)) & 0xFFFFFFFF
    return crc


def test_the_second_stage_has_the_checksum_that_the_boot_rom_asks_for():
    model = compile_model(small_models.dense_int8(), flash_bytes=1 << 20, ram_bytes=1 << 18)
    raw = build_image(model, BOARDS["pico-uart"]).bin.read_bytes()
    assert crc32_of_the_rom(raw[:252]) == int.from_bytes(raw[252:256], "little")
    stack, entry = (int.from_bytes(raw[at : at + 4], "little") for at in (256, 260))
    assert 0x20000000 < stack <= 0x20040000 and entry & 1 and 0x10000100 < entry < 0x10200000


@needs_package
@pytest.mark.slow
def test_outputs_are_those_of_the_virtual_board_and_instructions_those_of_qemu():
    """Two emulators that share nothing count the instructions of one core."""
    for data in (small_models.dense_int8(), small_models.dense_float()):
        model = compile_model(data, flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes, core=BOARD.core)
        rng = np.random.default_rng(0)
        spec = model.inputs[0]
        windows = [spec.quantize(rng.normal(0, 2, spec.shape)).tobytes() for _ in range(6)]
        found, counts = {}, {}
        for name in ("rp2040js", "virtual", *(("qemu-m0",) if HAS_QEMU else ())):
            with Rig(parse_board(name), Config(), clock="instructions") as rig:
                session, hello = rig.prepare(build_image(model, rig.board))
                assert rig.info(hello).name == name
                samples = [*session.stream(windows)]
                found[name] = [np.frombuffer(s.outputs, model.outputs[0].dtype) for s in samples]
                counts[name] = [s.cycles for s in samples]
                assert name != "rp2040js" or (hello.board_id == RP2040JS_ID and rig.board.timing == INSTRUCTIONS)
        # No FPU: the sums of floats are rounded in another order than by its multiply-add.
        assert np.allclose(found["rp2040js"], found["virtual"], rtol=0, atol=0 if spec.dtype == "int8" else 1e-5)
        assert counts.get("qemu-m0", counts["rp2040js"]) == counts["rp2040js"]


@needs_package
@pytest.mark.slow
def test_a_hang_and_a_reboot(tmp_path, monkeypatch):
    monkeypatch.setattr(pacing, "MIN_INVOKE_DEADLINE_S", 1.0)
    elf, raw = build_toy(tmp_path, port_sources(BOARD), SHORT_WATCHDOG, board=BOARD)
    board = Rp2040Board()
    board.load(raw, BOARD.flash_base, Deadline("flash_s", 30))
    with Session(open_link(board.port, BOARD.baud), invoke_deadline_s=20.0) as session:
        session.elf = elf
        wait_for_hello(session)
        good = session.run(bytes(4))
        with pytest.raises(DeviceError, match="the board hung in toy_spin"):
            session.run(bytes([HANG, 0x5A, 0, 0]))
        again = session.run(bytes(4))
        assert again.outputs == good.outputs and again.cycles == good.cycles > 0
        session.reboot(bootloader=False)
        assert session.hello().fault is None
    board.close()


def test_what_is_missing_is_named_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(HostError, match=f"npm package {PACKAGE} is missing") as caught:
        find_package()
    assert f"npm install {PACKAGE}" in caught.value.remedy
    monkeypatch.setenv("PATH", "")
    with pytest.raises(HostError, match=re.escape("Node.js is missing")):
        Rp2040Board()


def test_the_script_is_a_module_that_node_takes():
    if "Node.js" in missing():
        pytest.skip(missing())
    script = Path(find_package.__code__.co_filename).with_name("rp2040js.mjs")
    assert subprocess.run([find_node(), "--check", str(script)], check=False).returncode == 0
