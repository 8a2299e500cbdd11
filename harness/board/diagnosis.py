"""Why a board fell silent."""

from __future__ import annotations

from pathlib import Path

from tinyrig.board.attachment import Attachment
from tinyrig.board.flashing import ImageFlasher
from tinyrig.board.greeting import Greeter
from tinyrig.core.errors import DeviceError, LinkError, RigError
from tinyrig.flash.route import BY_PROBE


def diagnose(
    error: LinkError, elf: Path | None, attachment: Attachment, greeter: Greeter, flasher: ImageFlasher, hello_s: float
) -> RigError:
    """What ended a session with `error`, as far as it can be found out: a board that answers nothing is reset through its
    bootloader or probe, which reach it however busy its program is, and asked again. `elf`: the image that ran."""
    try:
        attachment.check()
        running = greeter.hello()
        hung = running is None
        if hung:
            flasher.restart()
            running = greeter.hello(hello_s)
        if running is not None and (hung or running.fault):
            return _hung(error, elf, attachment, greeter)
    except RigError as found:
        return error if isinstance(found, LinkError) else found
    return error


def _hung(error: LinkError, elf: Path | None, attachment: Attachment, greeter: Greeter) -> RigError:
    """What a board that answers again reports of itself."""
    session = greeter.session
    session.elf = elf
    if session.fault() is not None:
        return session.fault_error()
    return DeviceError(
        f"the board hung and was reset through its {'debug probe' if attachment.board.flasher in BY_PROBE else 'bootloader'}",
        expected="an answer within the deadline",
        received=f"{error.what}: {error.received}" if error.received else error.what,
        remedy="look for an endless loop with interrupts masked, or an inference that takes longer than the deadline",
    )
