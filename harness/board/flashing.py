"""An image onto the board in hand: through which port, with which help of the program that runs there."""

from __future__ import annotations

import logging
import time

from tinyrig.board.attachment import Attachment
from tinyrig.board.emulator import Emulator
from tinyrig.board.greeting import HELLO_PAUSE_S, Greeter
from tinyrig.board.resolve import ports_of
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import LinkError
from tinyrig.core.records import Hello, Image
from tinyrig.flash.flash import ASKS_PROGRAM, flash, restart
from tinyrig.flash.route import BY_PROBE, no_flash_port
from tinyrig.flash.samba import ENTER_S

log = logging.getLogger(__name__)


class ImageFlasher:
    """Flashes and restarts the board of `attachment`; `greeter` has its session, if any. `flash_s` bounds one image."""

    def __init__(self, attachment: Attachment, greeter: Greeter, flash_s: float) -> None:
        self._attachment, self._greeter, self._flash_s = attachment, greeter, flash_s

    def flash(self, image: Image, running: Hello | None) -> int:
        """The tries that it took; `running`: what answers now. Raises RigErrors."""
        emulator = self._attachment.emulator
        if isinstance(emulator, Emulator):
            self._greeter.disconnect()
            log.info("starting %s with the image", emulator.title)
            emulator.load(image.bin.read_bytes(), self._attachment.board.flash_base, Deadline("flash_s", self._flash_s))
            return 1
        port = self._attachment.now(self._port_for(running))
        data = image.bin.read_bytes()
        log.info("flashing %d bytes through %s", len(data), port or "the debug probe")
        files = {"bin": str(image.bin), "elf": str(image.elf)}
        return flash(data, self._attachment.board, port, deadline_s=self._flash_s, files=files)

    def restart(self) -> None:
        """Resets a board that answers nothing. Raises LinkError where that can't be done."""
        self._greeter.disconnect()
        if isinstance(self._attachment.emulator, Emulator):
            raise LinkError(f"{self._attachment.emulator.title}'s machine is reset by its own watchdog only")
        restart(self._attachment.board, self._attachment.now(self._flash_port()))

    def _port_for(self, running: Hello | None) -> str:
        """Where to flash; a program that can be asked has sent the board into its bootloader. Ends the session."""
        board, ports = self._attachment.board, self._attachment.ports
        port = self._flash_port() if running is None or ports.flash else ""
        if running is not None and board.flasher in ASKS_PROGRAM:
            before = ports_of(board)
            self._greeter.session.reboot(bootloader=True)
            port = port or self._appeared(before)
        self._greeter.disconnect()
        return port

    def _flash_port(self) -> str:
        """The port or probe through which a silent board is flashed and reset. Raises LinkError where only the link is known and
        not exactly one board of this kind is on the USB."""
        board, ports = self._attachment.board, self._attachment.ports
        if board.flasher in BY_PROBE:
            return ports.probe
        if ports.flash:
            return ports.flash
        found = ports_of(board)
        if len(found) != 1:
            raise no_flash_port(board, ports.link, found)
        return self._attachment.lock_port(found[0])

    def _appeared(self, before: list[str]) -> str:
        """The port of the bootloader that a board was just sent into: the one that was not there `before`; another board of this
        kind may be attached too. Raises LinkError when none comes."""
        board, until = self._attachment.board, time.monotonic() + ENTER_S
        while time.monotonic() < until:
            new = [port for port in ports_of(board) if port not in before]
            if len(new) == 1:
                return self._attachment.lock_port(new[0])
            time.sleep(HELLO_PAUSE_S)
        raise no_flash_port(board, self._attachment.ports.link, [])
