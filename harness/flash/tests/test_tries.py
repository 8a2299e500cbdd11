"""How often flashing is tried, and what becomes of a port whose board goes away meanwhile."""

from __future__ import annotations

import os
import threading
import tty
from dataclasses import replace
from functools import partial

import pytest

from tinyrig.core.boards import BOARDS
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import DeviceError, HostError, LinkError
from tinyrig.flash import flash as flash_module
from tinyrig.flash import samba
from tinyrig.flash.chatter import Chatter
from tinyrig.flash.command import flash_by_command
from tinyrig.flash.flash import flash, restart

BOARD = BOARDS["virtual"]


class SlowFlasher:
    """Fails after `try_s` seconds of a clock of its own."""

    def __init__(self, try_s: float) -> None:
        self.now, self.left_s, self._try_s = 0.0, [], try_s

    def __call__(self, job, before):
        self.left_s.append(job.deadline.left())
        self.now += self._try_s
        return DeviceError("the flasher failed")


@pytest.mark.parametrize(("try_s", "begun"), [(3.0, [10.0, 7.0]), (6.0, [10.0]), (10.0, [10.0]), (12.0, [10.0])])
def test_no_try_is_begun_that_would_be_cut_off(monkeypatch, try_s, begun):
    flasher = SlowFlasher(try_s)
    monkeypatch.setitem(flash_module.FLASHERS, "slow", flasher)
    monkeypatch.setattr(flash_module, "Deadline", partial(Deadline, clock=lambda: flasher.now))
    with pytest.raises(DeviceError, match="the flasher failed") as caught:
        flash(b"image", replace(BOARD, flasher="slow"), "", deadline_s=10.0)
    assert flasher.left_s == begun
    assert ("too little of flash_s" in caught.value.what) == (len(begun) == 1)


def test_a_flash_command_that_hangs_and_one_that_is_missing_differ(tmp_path):
    with pytest.raises(HostError, match="did not finish"):
        flash_by_command(["sleep", "60"], {}, 0.2)
    with pytest.raises(HostError, match="can't be run"):
        flash_by_command([str(tmp_path / "flasher-hangs")], {}, 60.0)


@pytest.fixture
def bootloader():
    """(its end, port) of a bootloader that says who it is, once."""
    board, port = os.openpty()
    tty.setraw(port)
    replies = {b"N#": samba.END, b"V#": b"SAM-BA [Arduino:IKXYZ]" + samba.END, b"I#": b"nRF52840-QIAA" + samba.END}

    def serve() -> None:
        asked = b""
        while replies:
            asked += os.read(board, 1)
            if asked in replies:
                os.write(board, replies.pop(asked))
                asked = b""

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield board, os.ttyname(port)
    thread.join(10)
    os.close(port)


def test_a_board_that_is_unplugged_while_it_is_restarted_is_a_link_error_and_its_port_is_closed(bootloader, monkeypatch):
    board, port = bootloader
    opened = []
    open_, identify = samba._open, samba.Monitor.identify
    monkeypatch.setattr(samba, "_open", lambda *words: opened.append(open_(*words)) or opened[-1])

    def then_unplugged(monitor: samba.Monitor, chatter: Chatter) -> bool:
        found = identify(monitor, chatter)
        os.close(board)
        return found

    monkeypatch.setattr(samba.Monitor, "identify", then_unplugged)
    with pytest.raises(LinkError, match="went away while it was restarted"):
        restart(BOARD, port)
    assert opened and not any(one.is_open for one in opened)
