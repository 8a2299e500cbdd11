"""One board on the bench: finds or starts it, puts an image on it and proves that this image answers."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np

from tinyrig.board.labgrid import Places
from tinyrig.board.qemu import QemuBoard
from tinyrig.board.resolve import Ports, entry_of, find_ports, is_started_here, ports_of, resolved
from tinyrig.core.boards import Board, BoardTarget, recognise_id
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import DeviceError, LinkError, RigError, UserError
from tinyrig.core.records import MEASURED, BoardInfo, Hello, Image, TensorSpec
from tinyrig.flash.flash import ASKS_PROGRAM, flash, restart
from tinyrig.flash.route import BY_PROBE, no_flash_port
from tinyrig.flash.samba import ENTER_S
from tinyrig.host.locks import Locks
from tinyrig.link.serial_link import Link, LinkGone, open_link
from tinyrig.link.session import Session
from tinyrig.link.usb import Plug, lock_key, plug_at, port_now
from tinyrig.virtual.faults import parse_fault
from tinyrig.virtual.launch import VirtualBoard

log = logging.getLogger(__name__)

HELLO_PAUSE_S = 0.05
"""Between two tries: a port that fails at once is not asked a million times."""


class Rig:
    """A context manager around one board; the virtual one is started and ended with it.

    `clock` is for the virtual board alone: what its cycle counter counts, "cycles", "instructions" or "off"; so are `faults` and
    rig.toml's, which are injected together.
    """

    def __init__(self, target: BoardTarget, config: Config, clock: str = "cycles", faults: tuple[str, ...] = ()) -> None:
        self._virtual: VirtualBoard | QemuBoard | None = None
        self._session: Session | None = None
        self._blank = False
        self.flash_tries = 0
        """Tries that the last flashing took; 0: the image ran already."""
        self.clock_known = False
        """Whether the counter has been held against the host's clock for long enough: once is worth waiting for."""
        self._heard = ""  # instead of a hello, the last time that none came
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        target = resolved(target, config)
        self.faults = (*config.faults, *entry_of(target, target.board, config).faults, *faults)
        self._locks = Locks()
        self._places = Places(config.labgrid)
        try:
            self.board, self.ports = self._attach(target, config, clock)
        except BaseException:
            self.close()
            raise
        self._plugs = {port: plug_at(port) for port in (self.ports.link, self.ports.flash)}
        self._limits = config.limits.on(self.board)
        self._wanted_id = entry_of(target, self.board, config).id.lower()

    def _attach(self, target: BoardTarget, config: Config, clock: str) -> tuple[Board, Ports]:
        if is_started_here(target, config) and target.board is not None:
            return STARTERS[target.board.starter](self, target, config, clock)
        if self.faults:
            raise no_faults(self.faults)
        board, ports = find_ports(target, config)
        for port in sorted({ports.link, ports.flash, ports.probe} - {""}):
            self._locks.take(lock_key(port), f"the board at {port}")
        return board, Ports(self._places.reach(ports.link), self._places.reach(ports.flash), ports.probe)

    def _start_virtual(self, target: BoardTarget, config: Config, clock: str) -> tuple[Board, Ports]:
        moves = "disconnect" in [getattr(parse_fault(text), "kind", "") for text in self.faults]
        self._folder = tempfile.TemporaryDirectory(prefix="tinyrig-tty-") if moves else None
        link = Path(self._folder.name) / "virtual" if self._folder else None
        self._virtual = VirtualBoard(
            line_rate=config.line_rate,
            clock=clock,
            faults=self.faults,
            fault_seed=config.fault_seed,
            link=link,
            number=target.number,
        )
        self._blank = True
        port = str(link or self._virtual.port)
        return target.board, Ports(port, port)

    def _start_qemu(self, target: BoardTarget, config: Config, clock: str) -> tuple[Board, Ports]:
        if self.faults:
            raise no_faults(self.faults)
        self._virtual = QemuBoard()
        self._blank = True
        return target.board, Ports(self._virtual.port, self._virtual.port)

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._disconnect()
        if self._virtual is not None:
            self._virtual.close()
            self._virtual = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        self._places.close()
        self._locks.close()

    def injected(self) -> dict[str, int]:
        """Faults of the line that the virtual board has injected so far, by direction and kind."""
        return self._virtual.injected() if self._virtual is not None and self.faults else {}

    def prepare(self, image: Image) -> tuple[Session, Hello]:
        """A session with `image` running at the other end; flashes unless hello proves that exactly it runs already.

        Raises DeviceError when another board than rig.toml asks for answers (nothing is flashed then), or another firmware
        after flashing, LinkError when none does.
        """
        running = self._running()
        self._lock_board(running)
        self.flash_tries = 0
        self._check_id(running)
        if running is None or not runs(running, image):
            if running is None and self._wanted_id and not self._blank:
                log.info("no firmware of ours answers: the board's id can be checked only after flashing")
            self._flash(image, running)
            self._blank = False
            running = self._hello(self._limits.hello_s)
        if running is None:
            wires = f"the serial wires ({self.board.pins}), " if self.board.pins else ""
            raise LinkError(
                f"no answer on {self.ports.link} after flashing",
                expected=f"the firmware's hello within hello_s = {self._limits.hello_s:g} s ([limits] in rig.toml)",
                received=self._heard or "silence",
                remedy=f"check {wires}[boards] in rig.toml, and the board's power",
            )
        self._lock_board(running)
        self._check_id(running)
        check_hello(running, image)
        if running.internal_clock:
            log.info("the board runs from its internal oscillator: its clock, and so every time, is exact to 1 or 2 % only")
        assert self._session is not None
        self._session.elf = image.elf
        self._check_start(running)
        return self._session, running

    def _running(self) -> Hello | None:
        """What answers before anything is flashed; nothing where the port is the firmware's own, which is only to come."""
        try:
            return None if self._blank else self._hello()
        except LinkError:
            if self.board.flasher != "command":
                raise
            return None

    def _check_id(self, running: Hello | None) -> None:
        """Whether the board that answers is the one that rig.toml names; silence can't be checked."""
        if running is not None and self._wanted_id not in ("", running.board_id.lower()):
            raise DeviceError(
                f"the board on {self.ports.link} is not the one asked for",
                expected=f"id {self._wanted_id}",
                received=f"id {running.board_id}",
                remedy=f"name the port of that board, or correct the id under [boards.{self.board.name}] in rig.toml",
            )

    def _check_start(self, running: Hello) -> None:
        """An engine that faulted while it was prepared can't be measured."""
        assert self._session is not None
        record = self._session.fault() if running.fault else None
        if record is not None and record.at_start:
            raise self._session.fault_error()

    def diagnose(self, error: LinkError) -> RigError:
        """Why a board fell silent during a session, as far as it can be found out: a board that answers nothing is reset
        through its bootloader (the 1200-baud touch reaches it however busy its program is) and asked again."""
        elf = self._session.elf if self._session else None
        try:
            if self._virtual is not None:
                self._virtual.check()
            running = self._hello()
            hung = running is None
            if hung:
                self._disconnect()
                self._restart()
                running = self._hello(self._limits.hello_s)
            if running is not None and (hung or running.fault):
                return self._hung(error, elf)
        except RigError as found:
            return error if isinstance(found, LinkError) else found
        return error

    def _restart(self) -> None:
        """Resets a board that answers nothing. Raises LinkError where that can't be done."""
        if isinstance(self._virtual, QemuBoard):
            raise LinkError("QEMU's machine is reset by its own watchdog only")
        restart(self.board, self._now(self._flash_port()))

    def _hung(self, error: LinkError, elf: Path | None) -> RigError:
        """What a board that answers again tells of itself."""
        assert self._session is not None
        self._session.elf = elf
        if self._session.fault() is not None:
            return self._session.fault_error()
        return DeviceError(
            f"the board hung and was reset through its {'debug probe' if self.board.flasher in BY_PROBE else 'bootloader'}",
            expected="an answer within the deadline",
            received=f"{error.what}: {error.received}" if error.received else error.what,
            remedy="look for an endless loop with interrupts masked, or an inference that takes longer than the deadline",
        )

    def info(self, hello: Hello) -> BoardInfo:
        board = recognise_id(hello.board_id, self.board)
        return BoardInfo(board.name, hello.board_id, hello.clock_hz, board.timing, board.timer_hz or hello.clock_hz)

    def _lock_board(self, hello: Hello | None) -> None:
        """A board may be reached by two ports. Emulated ones all have one id and are told apart by their ports."""
        if hello is not None and recognise_id(hello.board_id, self.board).timing == MEASURED:
            self._locks.take(f"board {hello.board_id}", f"the board with id {hello.board_id}")

    def _hello(self, seconds: float = 0.0) -> Hello | None:
        """None when nobody speaks our protocol there; asks once, and again until `seconds` have passed: a board that has just
        been started may need a moment before it listens."""
        self._disconnect()
        until = time.monotonic() + seconds
        while True:
            try:
                if self._session is None:  # a board that was just flashed may not have its port back
                    self._session = Session(self._open(), invoke_deadline_s=self._limits.window_s, reopen=self._open)
                return self._session.hello()
            except (LinkError, DeviceError) as error:
                self._heard = error.received or error.what
                over = time.monotonic() >= until
                if self._session is None and (over or not seconds):
                    raise  # without `seconds` nothing was done yet for which a port might be away
                if over:
                    return None
                if isinstance(error, LinkGone):
                    self._disconnect()
                time.sleep(HELLO_PAUSE_S)

    def _open(self) -> Link:
        """The board's link, under the name that its USB port has now. Raises LinkError; InfraError for a dead virtual board."""
        if self._virtual is not None:
            self._virtual.check()
        return open_link(self._now(self.ports.link), self.board.baud)

    def _now(self, port: str) -> str:
        """The name that a port has now, which a board with USB of its own may change at every reset."""
        return port_now(self._plugs.get(port, Plug())) or port

    def _flash(self, image: Image, running: Hello | None) -> None:
        if isinstance(self._virtual, QemuBoard):
            self._disconnect()
            log.info("starting QEMU with the image")
            self._virtual.load(image.bin.read_bytes(), self.board.flash_base, Deadline("flash_s", self._limits.flash_s))
            self.flash_tries = 1
            return
        port = self._flash_port() if running is None or self.ports.flash else ""
        if running is not None and self.board.flasher in ASKS_PROGRAM:
            assert self._session is not None
            before = ports_of(self.board)
            self._session.reboot(bootloader=True)
            port = port or self._appeared(before)
        self._disconnect()
        data = image.bin.read_bytes()
        port = self._now(port)
        log.info("flashing %d bytes through %s", len(data), port or "the debug probe")
        files = {"bin": str(image.bin), "elf": str(image.elf)}
        self.flash_tries = flash(data, self.board, port, deadline_s=self._limits.flash_s, files=files)

    def _flash_port(self) -> str:
        """The port or probe through which a silent board is flashed and reset. Raises LinkError where only the link is known and
        not exactly one board of this kind is on the USB."""
        if self.board.flasher in BY_PROBE:
            return self.ports.probe
        if self.ports.flash:
            return self.ports.flash
        found = ports_of(self.board)
        if len(found) != 1:
            raise no_flash_port(self.board, self.ports.link, found)
        return self._locked(found[0])

    def _appeared(self, before: list[str]) -> str:
        """The port of the bootloader that a board was just sent into: the one that was not there `before`; another board of this
        kind may be attached too. Raises LinkError when none comes."""
        until = time.monotonic() + ENTER_S
        while time.monotonic() < until:
            new = [port for port in ports_of(self.board) if port not in before]
            if len(new) == 1:
                return self._locked(new[0])
            time.sleep(HELLO_PAUSE_S)
        raise no_flash_port(self.board, self.ports.link, [])

    def _locked(self, port: str) -> str:
        self._locks.take(lock_key(port), f"the board at {port}")
        return port

    def _disconnect(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


STARTERS: dict[str, Callable[[Rig, BoardTarget, Config, str], tuple[Board, Ports]]] = {
    "virtual": Rig._start_virtual,
    "qemu": Rig._start_qemu,
}
"""Emulators that are started for a run and end with it; keys as in `Board.starter`."""


def no_faults(faults: tuple[str, ...]) -> UserError:
    return UserError(
        "faults can be injected only into a virtual board that the run starts itself",
        expected="no faults, or --board virtual",
        received=", ".join(faults),
        remedy="remove `faults` from rig.toml and TINYRIG_FAULTS from the environment",
    )


def runs(hello: Hello, image: Image) -> bool:
    """Whether exactly this firmware with exactly this model answered."""
    return (hello.build_id, hello.model_sha256) == (image.build_id, image.model_sha256)


def check_hello(hello: Hello, image: Image) -> None:
    """What was built against what answers: a stale or foreign firmware is an error, not a result.

    Raises DeviceError naming the first difference.
    """
    pairs = [
        ("build id", image.build_id, hello.build_id),
        ("model SHA-256", image.model_sha256, hello.model_sha256),
        ("engine", image.engine, hello.engine),
        ("arena bytes", image.footprint.ram_arena, hello.arena_bytes),
        ("op count", len(image.ops), hello.op_count),
        ("inputs", [_form(t) for t in image.inputs], [_form(t) for t in hello.inputs]),
        ("outputs", [_form(t) for t in image.outputs], [_form(t) for t in hello.outputs]),
    ]
    for what, expected, received in pairs:
        if expected != received:
            raise DeviceError(
                f"the board runs another firmware than was built: {what} differs",
                expected=str(expected),
                received=str(received),
                remedy="flash again; if it stays, another program holds the board or the image does not start",
            )


def _form(tensor: TensorSpec) -> tuple[object, ...]:
    """What both sides must agree on; the wire carries scales as float32 and no names."""
    return (tensor.shape, tensor.dtype, float(np.float32(tensor.scale)), tensor.zero_point)
