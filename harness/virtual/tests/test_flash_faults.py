"""What can go wrong while a board is flashed: another try succeeds, or the error names it."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest
import serial

from tinyrig.core.boards import BOARDS
from tinyrig.core.errors import DeviceError, LinkError, RigError
from tinyrig.flash import samba
from tinyrig.flash.flash import flash, restart
from tinyrig.host.log import heard
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.virtual.tests.test_flash import alive

pytestmark = pytest.mark.slow

BOARD = BOARDS["virtual"]
PAGES = bytes(range(256)) * 48
"""Three pages behind the program, so that there is a middle to break off in."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The board answers at once or never."""
    monkeypatch.setattr(samba, "REPLY_S", 0.5)
    monkeypatch.setattr(samba, "ERASE_S", 0.5)
    monkeypatch.setattr(samba, "ENTER_S", 2.0)
    monkeypatch.setattr(samba, "TOUCH_AGAIN_S", 0.7)


def bootloader_answers(port: str) -> bool:
    with serial.Serial(port, 115200, timeout=2) as tty:
        tty.write(b"N#")
        return tty.read(2) == b"\n\r"


SURVIVED = [
    "boot-refuse-verify:2",
    "boot-silent-verify:1",
    "brown-out:2",
    "brown-out:5",
    "boot-refuse:1",
    "boot-refuse:4",
    "boot-silent:1",
    "boot-silent:3",
]


@pytest.mark.parametrize("fault", SURVIVED)
def test_a_second_try_mends_it_and_says_so(image_bin: bytes, fault: str) -> None:
    said: list[str] = []
    with VirtualBoard(faults=[fault]) as board, heard(said.append):
        assert flash(image_bin + PAGES, BOARD, board.port) == 2
        assert alive(board.port)
    assert len(said) == 1 and said[0].startswith("flashing again, because")


def test_without_a_fault_one_try_is_enough(image_bin: bytes) -> None:
    with VirtualBoard() as board:
        assert flash(image_bin + PAGES, BOARD, board.port) == 1


@pytest.mark.parametrize("write", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3)), 4, 5])
def test_half_an_image_never_starts(elf, image_bin: bytes, write: int) -> None:
    """The power fails in the middle of every one of the five writes of this image in turn; before, another program ran."""
    with VirtualBoard(image=elf, faults=[f"brown-out:{write}"]) as board:
        with pytest.raises(LinkError, match="fell silent"):
            flash(image_bin + PAGES, BOARD, board.port, tries=1)
        assert bootloader_answers(board.port)
        flash(image_bin + PAGES, BOARD, board.port)
        assert alive(board.port)


FATAL = {
    # fault: (class, what the user reads)
    "boot-dead": (LinkError, "no bootloader answers"),
    "boot-refuse": (DeviceError, r"the bootloader refused 'X00000000#' \(tried 2 times"),
    "unplug:3": (LinkError, "went away while it was flashed; after that can't open"),
    "flash-bad-write:0x11000": (DeviceError, r"flash verification failed at 0x00011000 \(tried 2 times"),
}


@pytest.mark.parametrize("fault", FATAL)
def test_what_stays_broken_is_told_in_its_own_words(elf, image_bin: bytes, fault: str) -> None:
    kind, text = FATAL[fault]
    with VirtualBoard(image=elf, faults=[fault]) as board, pytest.raises(kind, match=text) as caught:
        flash(image_bin + PAGES, BOARD, board.port)
    assert caught.value.exit_code == 3 and caught.value.remedy


def test_every_message_is_another() -> None:
    assert len({text for _, text in FATAL.values()}) == len(FATAL)


MATRIX = {
    # (stage, what happens): (fault, class, what the user reads when it stays so). Documented in docs/reliability.md.
    ("identify", "refusal"): ("boot-refuse-identify", LinkError, "no bootloader answers"),
    ("identify", "silence"): ("boot-dead", LinkError, "no bootloader answers"),
    ("identify", "port gone"): ("unplug-identify", LinkError, "can't open"),
    ("erase", "refusal"): ("boot-refuse:1", DeviceError, "the bootloader refused 'X"),
    ("erase", "silence"): ("boot-silent:1", LinkError, "fell silent at 'X"),
    ("erase", "port gone"): ("unplug-erase", LinkError, "went away while it was flashed"),
    ("write", "refusal"): ("boot-refuse:3", DeviceError, "the bootloader refused 'Y"),
    ("write", "silence"): ("boot-silent:3", LinkError, "fell silent at 'Y"),
    ("write", "port gone"): ("unplug", LinkError, "went away while it was flashed"),
    ("verify", "refusal"): ("boot-refuse-verify", DeviceError, "the bootloader refused 'Z"),
    ("verify", "silence"): ("boot-silent-verify", LinkError, "fell silent at 'Z"),
    ("verify", "port gone"): ("unplug-verify", LinkError, "went away while it was flashed"),
    ("verify", "difference"): ("flash-bad-write:0x11000", DeviceError, "flash verification failed at 0x00011000"),
}
SEEN_ABOVE = {"boot-dead", "unplug", "flash-bad-write:0x11000"}


@pytest.mark.parametrize("cell", [c for c in MATRIX if MATRIX[c][0] not in SEEN_ABOVE], ids=" ".join)
def test_each_stage_tells_each_failure(elf, image_bin: bytes, cell: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    fault, kind, text = MATRIX[cell]
    if cell[0] != "identify":
        monkeypatch.setattr(samba, "ENTER_S", 15.0)  # a busy machine may take its time, and nothing waits so long
    if cell[1] != "silence":
        monkeypatch.setattr(samba, "REPLY_S", 10.0)
        monkeypatch.setattr(samba, "ERASE_S", 10.0)
    with VirtualBoard(image=elf, faults=[fault]) as board, pytest.raises(kind, match=text) as caught:
        flash(image_bin + PAGES, BOARD, board.port, tries=1)
    assert caught.value.exit_code == 3 and caught.value.remedy


def test_every_failure_stands_in_the_documents() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reliability.md").read_text()
    for (stage, what), (fault, _, _) in MATRIX.items():
        assert any(f"`{fault}`" in line and stage in line and what in line for line in page.splitlines()), (stage, what, fault)


def test_a_board_that_does_not_start_what_it_holds(image_bin: bytes) -> None:
    """Stage start: K has no reply that could fail; the hello that does not come tells (test_board_trouble.py)."""
    with VirtualBoard(faults=["boot-stay"]) as board:
        assert flash(image_bin, BOARD, board.port) == 1
        assert bootloader_answers(board.port)


def test_a_bootloader_that_comes_up_late_is_awaited(elf, image_bin: bytes) -> None:
    with VirtualBoard(image=elf, faults=["boot-dead:1"]) as board:
        assert flash(image_bin, BOARD, board.port) == 1
        assert alive(board.port)


def test_a_bad_flash_does_not_start_what_it_holds(elf, image_bin: bytes) -> None:
    with VirtualBoard(image=elf, faults=["flash-bad-write:0x11000"]) as board:
        with pytest.raises(RigError):
            flash(image_bin + PAGES, BOARD, board.port)
        with serial.Serial(board.port, 115200) as tty:
            tty.write(b"K#")
        assert bootloader_answers(board.port)


def test_a_job_ends_with_its_deadline(image_bin: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samba, "REPLY_S", 60.0)
    monkeypatch.setattr(samba, "ERASE_S", 60.0)
    began = time.monotonic()
    with VirtualBoard(faults=["boot-silent:2"]) as board, pytest.raises(LinkError, match=r"fell silent|out of time"):
        flash(image_bin, BOARD, board.port, deadline_s=1.0)
    assert time.monotonic() - began < 20


def test_a_deadline_that_is_over_is_told(image_bin: bytes) -> None:
    with VirtualBoard() as board, pytest.raises(LinkError, match="out of time") as caught:
        flash(image_bin, BOARD, board.port, deadline_s=0.0)
    assert "flash_s = 0 s" in caught.value.expected


def test_restart_gets_a_busy_program_going_again(elf) -> None:
    with VirtualBoard(image=elf) as board:
        with serial.Serial(board.port, 1_000_000) as port:
            port.write(b"b")
        restart(BOARD, board.port)
        assert alive(board.port)


@pytest.mark.slow
def test_power_fails_in_every_write_of_a_real_sized_image(image_bin: bytes, capsys: pytest.CaptureFixture) -> None:
    """Recovery: what the second try adds. REPLY_S is 0.5 s here and 5 s in use; it is waited for once."""
    image, times = image_bin + PAGES * 6, []
    for write in range(1, 21):
        with VirtualBoard(faults=[f"brown-out:{write}"]) as board:
            began = time.monotonic()
            assert flash(image, BOARD, board.port) == 2
            times.append(time.monotonic() - began)
            assert alive(board.port)
    with capsys.disabled():
        print(f"\nbrown-out: {len(times)} survived, {statistics.median(times):.2f} s median, {max(times):.2f} s worst")
