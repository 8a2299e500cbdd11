"""Image -> board. FLASHERS: one function per way to flash, chosen by the board record or rig.toml.

`nano33` speaks to the Nano 33 BLE's bootloader (SAM-BA with Arduino's extensions, see harness/virtual/bootloader.py for
the commands). The virtual board is flashed by the same code as a real one.

A try that breaks off is followed by another while there is time, `tries` times in all. What starts the image, its stack
pointer and reset vector, is written last and only after all else was verified: half an image looks like erased flash to the
bootloader and never starts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from tinyrig.core.boards import Board
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import LinkError, ModelError, RigError
from tinyrig.flash import probe
from tinyrig.flash.arduino import flash_arduino
from tinyrig.flash.command import flash_by_command, no_flasher
from tinyrig.flash.job import FlashJob, Progress
from tinyrig.flash.samba import ENTER_S, flash_nano33, restart_nano33
from tinyrig.flash.west import flash_west

log = logging.getLogger(__name__)

TRIES = 2
LINKED_BY_OTHERS = ("sketch", "zephyr")
"""Builders that have seen to it that an image fits: its .bin need not be what is written."""
FLASH_S = 300.0
"""For all tries together: twice entering, erasing, 240 pages written and compared."""


def flash(
    image_bin: bytes,
    board: Board,
    port: str,
    progress: Progress | None = None,
    *,
    deadline_s: float = FLASH_S,
    tries: int = TRIES,
    files: Mapping[str, str] | None = None,
) -> int:
    """Erases, writes, verifies and starts `image_bin` (to stand at `board.flash_base`) through `port`; returns the tries it took.

    `port` is a serial port, or the id of a debug probe ("": the only one) where the board's flasher takes one.

    The board may run any program or be in its bootloader already. `files`: the paths of the same image, "bin" and "elf".
    Why a try failed is logged. Raises ModelError (image too large), LinkError (nobody answers, port missing, busy or gone, not
    this kind of board, `deadline_s` over) or DeviceError (refused; verification failed, with the address).
    """
    if board.builder not in LINKED_BY_OTHERS and len(image_bin) > board.flash_bytes:
        raise ModelError(
            "the image does not fit the board's flash",
            expected=f"at most {board.flash_bytes} bytes",
            received=f"{len(image_bin)} bytes",
            remedy="use a smaller model",
        )
    job = FlashJob(image_bin, board, port, progress or (lambda done, total: None), Deadline("flash_s", deadline_s), files or {})
    failure: RigError | None = None
    for attempt in range(1, tries + 1):
        before = job.deadline.left()
        failure = FLASHERS[board.flasher](job, failure)
        if failure is None:
            return attempt
        left = job.deadline.left()
        if left < before - left:  # another try takes about as long as this one, and would be cut off
            raise _given_up(failure, attempt, "too little of flash_s is left for another")
        if attempt < tries:
            log.info("flashing again, because %s", failure.what)
    assert failure is not None
    raise _given_up(failure, tries)


def _given_up(failure: RigError, tried: int, why: str = "") -> RigError:
    """`failure` with the number of tries."""
    times = "once" if tried == 1 else f"{tried} times"
    told = f" (tried {times}{'; ' if why else ''}{why})" if why or tried > 1 else ""
    error = type(failure)(failure.what + told, expected=failure.expected, received=failure.received, remedy=failure.remedy)
    error.__cause__ = failure
    return error


def flash_own(job: FlashJob, before: RigError | None) -> RigError | None:
    """One try by the user's own command. Returns what it failed with."""
    values = {**job.files, "port": job.port, "base": f"0x{job.board.flash_base:08x}"}
    return flash_by_command(job.board.flash_command, values, job.deadline.left())


def flash_not(job: FlashJob, before: RigError | None) -> RigError | None:
    """Raises LinkError."""
    raise no_flasher(job.board.name)


FLASHERS: dict[str, Callable[[FlashJob, RigError | None], RigError | None]] = {
    "nano33": flash_nano33,
    "arduino-cli": flash_arduino,
    "command": flash_own,
    "west": flash_west,
    "none": flash_not,
    **probe.FLASHERS,
}
ASKS_PROGRAM = ("nano33", "command")
"""Flashers before which a running firmware is asked to reboot into the bootloader; others see to that themselves."""


def restart(board: Board, port: str, deadline_s: float = 2 * ENTER_S) -> None:
    """Resets a board whose program no longer answers and starts the program again: through its debug probe, which reaches it
    whatever it does, or its bootloader. Raises LinkError or HostError."""
    deadline = Deadline("flash_s", deadline_s)
    if board.flasher in probe.RESTARTERS:
        probe.RESTARTERS[board.flasher](board, port, deadline)
        return
    if board.flasher in ("command", "none", "west") or board.fqbn:
        raise LinkError(f"{board.name} has no bootloader that is known how to be asked")
    restart_nano33(board, port, deadline)
