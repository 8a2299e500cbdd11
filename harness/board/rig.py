"""One board on the bench: finds or starts it, puts an image on it and proves that this image answers."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType

from tinyrig.board.attachment import Attachment, Played
from tinyrig.board.diagnosis import diagnose
from tinyrig.board.flashing import ImageFlasher
from tinyrig.board.greeting import Greeter, check_hello, runs, situation, timer_hz
from tinyrig.board.resolve import Ports
from tinyrig.core.boards import Board, BoardTarget, recognise_id
from tinyrig.core.config import Config
from tinyrig.core.errors import DeviceError, LinkError, RigError
from tinyrig.core.records import BoardInfo, Hello, Image
from tinyrig.link.session import Session

log = logging.getLogger(__name__)


class Rig:
    """A context manager around one board; an emulator is started and ended with it.

    `clock` is for the virtual board alone: what its cycle counter counts, "cycles", "instructions" or "off"; so are `faults` and
    rig.toml's, which are injected together, and `played`, what its sensors read.
    """

    def __init__(
        self,
        target: BoardTarget,
        config: Config,
        clock: str = "cycles",
        faults: tuple[str, ...] = (),
        played: Played | None = None,
    ) -> None:
        self.attachment = Attachment(target, config, clock, faults, played)
        limits = config.limits.on(self.board)
        self._hello_s = limits.hello_s
        self._greeter = Greeter(self.attachment, limits.window_s)
        self._flasher = ImageFlasher(self.attachment, self._greeter, limits.flash_s)
        self._clock = clock
        self.flash_tries = 0
        """Tries that the last flashing took; 0: the image ran already."""
        self.clock_known = False
        """Whether the counter has been compared with the host's clock for long enough: once is worth waiting for."""
        self._elf: Path | None = None  # of the image that runs

    @property
    def board(self) -> Board:
        return self.attachment.board

    @property
    def ports(self) -> Ports:
        return self.attachment.ports

    @property
    def faults(self) -> tuple[str, ...]:
        """Those that the virtual board was started with."""
        return self.attachment.faults

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """More than once is fine."""
        self._greeter.disconnect()
        self.attachment.close()

    def injected(self) -> dict[str, int]:
        """Faults of the line that the virtual board has injected so far, by direction and kind."""
        return self.attachment.injected()

    def prepare(self, image: Image, least_cycles: int = 0) -> tuple[Session, Hello]:
        """A session with `image` running at the other end; flashes unless hello proves that exactly it runs already.
        `least_cycles`: of one inference, by the model's arithmetic.

        Raises DeviceError when another board than rig.toml asks for answers (nothing is flashed then), or another firmware
        after flashing, LinkError when none does.
        """
        self.flash_tries = 0
        running = self._greeter.running()
        if running is not None:
            self._claim(running)
        if running is None or not runs(running, image):
            running = self._flashed(image, running)
            self._claim(running)
        board = recognise_id(running.board_id, self.board)
        check_hello(running, image, board)
        if running.internal_clock:
            log.info("the board runs from its internal oscillator: its clock, and so every time, is accurate only to 1 or 2 %")
        session = self._greeter.session
        session.elf = self._elf = image.elf
        session.situation = situation(running, image, board, least_cycles, self._clock != "off")
        _check_start(session, running)
        return session, running

    def _claim(self, running: Hello) -> None:
        """Raises LinkError for a board that somebody else uses, DeviceError for another than rig.toml names."""
        self.attachment.lock_board(running)
        self._greeter.check_id(running)

    def _flashed(self, image: Image, running: Hello | None) -> Hello:
        """What answers after flashing. Raises LinkError when nobody does."""
        if running is None and self.attachment.wanted_id and not self.attachment.blank:
            log.info("no tinyrig firmware answers: the board's id can be checked only after flashing")
        refusal = self._greeter.refusal if running is None else None
        try:
            self.flash_tries = self._flasher.flash(image, running)
        except LinkError as error:
            if refusal is None:
                raise
            raise _unreachable(refusal, error) from error
        self.attachment.blank = False
        answer = self._greeter.hello(self._hello_s)
        if answer is not None:
            return answer
        if self._greeter.refusal is not None:
            raise self._greeter.refusal
        wires = f"the serial wires ({self.board.pins}), " if self.board.pins else ""
        sketch = "whether the board has another port that Serial goes to (docs/your_board.md), " if self.board.fqbn else ""
        sketch = "which port the board's console is (docs/zephyr.md), " if self.board.zephyr else sketch
        raise LinkError(
            f"no answer on {self.ports.link} after flashing",
            expected=f"the firmware's hello within hello_s = {self._hello_s:g} s ([limits] in rig.toml)",
            received=self._greeter.heard or "silence",
            remedy=f"check {wires}{sketch}[boards] in rig.toml, and the board's power",
        )

    def diagnose(self, error: LinkError) -> RigError:
        """Why the board fell silent, so that a session ended with `error`: that itself, or what could be found out."""
        return diagnose(error, self._elf, self.attachment, self._greeter, self._flasher, self._hello_s)

    def info(self, hello: Hello) -> BoardInfo:
        board = recognise_id(hello.board_id, self.board)
        return BoardInfo(board.name, hello.board_id, hello.clock_hz, board.timing, timer_hz(hello, board))


def _unreachable(refusal: DeviceError, error: LinkError) -> DeviceError:
    """Why a board that did answer can't be flashed: what it answered comes first, as that is what must be mended."""
    return DeviceError(
        f"{refusal.what}, and it can't be flashed: {error.what}",
        expected=refusal.expected,
        received=f"{refusal.received}; while flashing {error.received or 'nothing'}",
        remedy=error.remedy or refusal.remedy,
    )


def _check_start(session: Session, running: Hello) -> None:
    """An engine that faulted while it was prepared can't be measured. Raises DeviceError."""
    record = session.fault() if running.fault else None
    if record is not None and record.at_start:
        raise session.fault_error()
