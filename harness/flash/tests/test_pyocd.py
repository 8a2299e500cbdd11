"""The real pyOCD, as the rig calls it, on a model of an nRF52840 behind a debug port (virtual/tests/debug_port.py): what it
erases, in which order, and what the user reads when it fails."""

from __future__ import annotations

import dataclasses
import os

import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS
from tinyrig.core.config import BoardPorts
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import DeviceError, HostError, LinkError
from tinyrig.flash import pyocd
from tinyrig.flash.flash import flash, restart
from tinyrig.flash.route import with_flasher
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.tests import small_models
from tinyrig.virtual import chip
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.virtual.tests.debug_port import Server, Target
from tinyrig.workload.image import build_image

BOARD = with_flasher(BOARDS["nano33ble-uart"], BoardPorts(flasher="pyocd"))
BASE = BOARD.flash_base
GPREGRET = 0x4000051C

if os.environ.get("TINYRIG_TEST_PYOCD") != "required":
    pytestmark = pytest.mark.skipif(pyocd.find() is None, reason="pyOCD is not installed (pip install -e '.[swd]')")


@pytest.fixture
def serve():
    """serve(**faults) -> (the chip, the id of its probe). It holds a bootloader, and an older image behind it."""
    servers: list[Server] = []

    def served(**faults) -> tuple[Target, str]:
        target = Target(**faults)
        target.flash[:BASE] = bytes(range(256)) * (BASE // 256)
        target.flash[BASE : BASE + 0x4000] = b"\x5a" * 0x4000
        servers.append(Server(target))
        return target, servers[-1].probe

    yield served
    for server in servers:
        server.shutdown()
        server.server_close()


def untouched(target: Target) -> bool:
    """Whether the bootloader stands as it was."""
    return target.flash[:BASE] == bytes(range(256)) * (BASE // 256) and target.mass_erases == 0


@pytest.mark.slow
def test_an_image_is_flashed_behind_the_bootloader_and_starts(serve, tmp_path):
    model = compile_model(small_models.dense_int8(), flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    image = build_image(model, BOARD, tmp_path)
    data, seen = image.bin.read_bytes(), []
    target, probe = serve()
    target.registers[GPREGRET] = chip.GPREGRET_BOOTLOADER
    assert flash(data, BOARD, probe, lambda done, total: seen.append((done, total))) == 1
    assert target.flash[BASE : BASE + len(data)] == data and untouched(target)
    assert len(data) > 4096 and target.erased[0] == target.erased[-1] == BASE  # first unmade, then made last
    assert min(target.erased) == BASE and max(target.erased) < BASE + len(data)
    assert target.registers[GPREGRET] == 0 and target.resets == 2 and seen[-1][0] >= len(data)
    (tmp_path / "flash.bin").write_bytes(target.flash[BASE : BASE + len(data)])
    with VirtualBoard(image=tmp_path / "flash.bin") as board, open_link(board.port, BOARD.baud) as link:
        assert Session(link).hello().build_id == image.build_id


FAILURES = {
    # what is wrong: (faults of the chip, class, what the user reads, in the remedy)
    "locked": ({"locked": True}, DeviceError, "locked against debugging", "erase everything"),
    "another chip": ({"part": 0x52833}, LinkError, "another chip; nothing was flashed", "probe ="),
    "no contact": ({"silent": True}, LinkError, "the debug probe does not reach the chip", "SWDIO"),
}


@pytest.mark.parametrize("name", ["locked", *(pytest.param(n, marks=pytest.mark.slow) for n in ("another chip", "no contact"))])
def test_what_fails_before_anything_is_written_leaves_everything_as_it_was(serve, name):
    faults, kind, text, remedy = FAILURES[name]
    target, probe = serve(**faults)
    before = bytes(target.flash)
    with pytest.raises(kind, match=text) as caught:
        flash(bytes(8192), BOARD, probe)
    assert caught.value.exit_code == 3 and remedy in caught.value.remedy
    assert bytes(target.flash) == before and target.mass_erases == 0


@pytest.mark.slow
def test_a_byte_that_can_not_be_written_is_named_and_nothing_starts(serve):
    target, probe = serve(bad=BASE + 0x1234)
    with pytest.raises(DeviceError, match=r"0x00011234|could not be written"):
        flash(bytes(0x3000), BOARD, probe, tries=1)
    assert untouched(target) and not chip.startable(target.flash)


@pytest.mark.slow
def test_a_probe_that_goes_away_half_way_leaves_nothing_that_starts(serve):
    """The image before must not run on with another's weights, nor half of the new one."""
    target, probe = serve(dies_at=BASE + 0x2000)
    with pytest.raises(LinkError):
        flash(bytes(0x4000), BOARD, probe, tries=1)
    assert target.flash[BASE : BASE + 4096] == b"\xff" * 4096 and untouched(target)


def test_a_hanging_board_is_reset(serve):
    target, probe = serve()
    before = bytes(target.flash)
    restart(BOARD, probe)
    assert target.resets == 1 and bytes(target.flash) == before


def test_a_probe_that_is_not_attached_is_told():
    with pytest.raises(LinkError, match="not attached"):
        restart(BOARD, "no-such-probe")


@pytest.mark.slow
def test_a_chip_without_description_is_told_with_the_command_that_brings_it(serve):
    _, probe = serve()
    unknown = dataclasses.replace(BOARDS["nucleo-f401re"], flasher="pyocd")
    if pyocd.knows(unknown.swd_target, Deadline("flash_s", 60.0)):
        pytest.skip("this pyOCD has the STM32F401's pack")
    with pytest.raises(HostError, match="does not know this chip") as caught:
        restart(unknown, probe)
    assert "pack install stm32f401retx" in caught.value.remedy


def test_pyocd_knows_the_nano():
    assert pyocd.knows("nrf52840", Deadline("flash_s", 60.0))
