"""One board on the bench: finds or starts it, puts an image on it and proves that this image answers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from harness.boards import BOARDS, Board, Target, recognise_id, recognise_usb
from harness.config import BoardPorts, Config
from harness.errors import DeviceError, LinkError, RigError, UserError
from harness.flash import flash, restart
from harness.link import Link, open_link
from harness.lock import Locks, port_key
from harness.records import BoardInfo, Hello, Image, TensorSpec
from harness.session import Session
from harness.virtual.faults import parse_fault
from harness.virtual.launch import VirtualBoard

HELLO_PAUSE_S = 0.05
"""Between two tries: a port that fails at once is not asked a million times."""


@dataclass(frozen=True)
class Ports:
    """`link` carries the session; `flash` reaches the bootloader (the same tty on the virtual board)."""

    link: str
    flash: str


class Rig:
    """A context manager around one board; the virtual one is started and ended with it.

    `clock` is for the virtual board alone: what its cycle counter counts, "cycles", "instructions" or "off"; so are `faults` and
    rig.toml's, which are injected together.
    """

    def __init__(self, target: Target, config: Config, clock: str = "cycles", faults: tuple[str, ...] = ()) -> None:
        self._virtual: VirtualBoard | None = None
        self._session: Session | None = None
        self._blank = False
        self.flash_tries = 0
        """Tries that the last flashing took; 0: the image ran already."""
        self.clock_known = False
        """Whether the counter has been held against the host's clock for long enough: once is worth waiting for."""
        self._heard = ""  # instead of a hello, the last time that none came
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.faults = (*config.faults, *faults)
        self._locks = Locks()
        try:
            self.board, self.ports = self._attach(target, config, clock)
        except BaseException:
            self.close()
            raise
        self._usb_serial = usb_serial(self.ports.link)
        self._limits = config.limits.on(self.board)
        self._wanted_id = config.boards.get(self.board.name, BoardPorts()).id.lower()

    def _attach(self, target: Target, config: Config, clock: str) -> tuple[Board, Ports]:
        if target.port is None and target.board is not None and target.board.starter:
            return STARTERS[target.board.starter](self, target.board, config, clock)
        if self.faults:
            raise UserError(
                "faults can be injected only into a virtual board that the run starts itself",
                expected="no faults, or --board virtual", received=", ".join(self.faults),
                remedy="remove `faults` from rig.toml and TINYRIG_FAULTS from the environment",
            )  # fmt: skip
        board, ports = find_ports(target, config)
        for port in sorted({ports.link, ports.flash}):
            self._locks.take(port_key(port), f"the board at {port}")
        return board, ports

    def _start_virtual(self, board: Board, config: Config, clock: str) -> tuple[Board, Ports]:
        moves = "disconnect" in [getattr(parse_fault(text), "kind", "") for text in self.faults]
        self._folder = tempfile.TemporaryDirectory(prefix="tinyrig-tty-") if moves else None
        link = Path(self._folder.name) / "virtual" if self._folder else None
        self._virtual = VirtualBoard(
            line_rate=config.line_rate, clock=clock, faults=self.faults, fault_seed=config.fault_seed, link=link
        )
        self._blank = True
        port = str(link or self._virtual.port)
        return board, Ports(port, port)

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
        self._locks.close()

    def injected(self) -> dict[str, int]:
        """Faults of the line that the virtual board has injected so far, by direction and kind."""
        return self._virtual.injected() if self._virtual is not None and self.faults else {}

    def prepare(self, image: Image, say: Callable[[str], None] = lambda text: None) -> tuple[Session, Hello]:
        """A session with `image` running at the other end; flashes unless hello proves that exactly it runs already.

        Raises DeviceError when another board than rig.toml asks for answers (nothing is flashed then), or another firmware
        after flashing, LinkError when none does.
        """
        running = None if self._blank else self._hello()
        self._lock_board(running)
        self.flash_tries = 0
        self._check_id(running)
        if running is None or not runs(running, image):
            if running is None and self._wanted_id and not self._blank:
                say("no firmware of ours answers: the board's id can be checked only after flashing")
            self._flash(image, running, say)
            self._blank = False
            running = self._hello(self._limits.hello_s)
        if running is None:
            raise LinkError(
                f"no answer on {self.ports.link} after flashing",
                expected=f"the firmware's hello within hello_s = {self._limits.hello_s:g} s ([limits] in rig.toml)",
                received=self._heard or "silence",
                remedy="check the serial wires (TX P1.03, RX P1.10), [boards] in rig.toml, and the board's power",
            )
        self._lock_board(running)
        self._check_id(running)
        check_hello(running, image)
        assert self._session is not None
        self._session.elf = image.elf
        self._check_start(running)
        return self._session, running

    def _check_id(self, running: Hello | None) -> None:
        """Whether the board that answers is the one that rig.toml names; silence can't be checked."""
        if running is not None and self._wanted_id not in ("", running.board_id.lower()):
            raise DeviceError(
                f"the board on {self.ports.link} is not the one asked for", expected=f"id {self._wanted_id}",
                received=f"id {running.board_id}",
                remedy=f"name the port of that board, or correct the id under [boards.{self.board.name}] in rig.toml",
            )  # fmt: skip

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
                restart(self.board, self.ports.flash)
                running = self._hello(self._limits.hello_s)
            if running is not None and (hung or running.fault):
                return self._hung(error, elf)
        except RigError as found:
            return error if isinstance(found, LinkError) else found
        return error

    def _hung(self, error: LinkError, elf: Path | None) -> RigError:
        """What a board that answers again tells of itself."""
        assert self._session is not None
        self._session.elf = elf
        if self._session.fault() is not None:
            return self._session.fault_error()
        return DeviceError(
            "the board hung and was reset through its bootloader", expected="an answer within the deadline",
            received=f"{error.what}: {error.received}" if error.received else error.what,
            remedy="look for an endless loop with interrupts masked, or an inference that takes longer than the deadline",
        )  # fmt: skip

    def info(self, hello: Hello) -> BoardInfo:
        board = recognise_id(hello.board_id, self.board)
        return BoardInfo(board.name, hello.board_id, hello.clock_hz, board.timing, board.timer_hz or hello.clock_hz)

    def _lock_board(self, hello: Hello | None) -> None:
        """A board may be reached by two ports. The virtual ones all have one id and are told apart by their ports."""
        if hello is not None and recognise_id(hello.board_id, self.board).name != "virtual":
            self._locks.take(f"board {hello.board_id}", f"the board with id {hello.board_id}")

    def _hello(self, seconds: float = 0.0) -> Hello | None:
        """None when nobody speaks our protocol there; asks once, and again until `seconds` have passed: a board that has just
        been started may need a moment before it listens."""
        self._disconnect()
        self._session = Session(self._open(), invoke_deadline_s=self._limits.window_s, reopen=self._open)
        until = time.monotonic() + seconds
        while True:
            try:
                return self._session.hello()
            except (LinkError, DeviceError) as error:
                self._heard = error.received or error.what
                if time.monotonic() >= until:
                    return None
                time.sleep(HELLO_PAUSE_S)

    def _open(self) -> Link:
        """The board's link, under the name that its USB port has now. Raises LinkError; InfraError for a dead virtual board."""
        if self._virtual is not None:
            self._virtual.check()
        moved = port_of(self._usb_serial) if self._usb_serial else None
        return open_link(moved or self.ports.link, self.board.baud)

    def _flash(self, image: Image, running: Hello | None, say: Callable[[str], None]) -> None:
        if running is not None:
            assert self._session is not None
            self._session.reboot(bootloader=True)
        self._disconnect()
        data = image.bin.read_bytes()
        say(f"flashing {len(data)} bytes through {self.ports.flash}")
        self.flash_tries = flash(data, self.board, self.ports.flash, say=say, deadline_s=self._limits.flash_s)

    def _disconnect(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


STARTERS: dict[str, Callable[[Rig, Board, Config, str], tuple[Board, Ports]]] = {"virtual": Rig._start_virtual}
"""Emulators that are started for a run and end with it; keys as in `Board.starter`."""


def find_ports(target: Target, config: Config) -> tuple[Board, Ports]:
    """Board and ports of a physical (or already started virtual) board.

    A named port counts for both directions, unless rig.toml wires it up with another one. Raises LinkError when none is found.
    """
    board = target.board or (_wired(target.port, config) or _recognise(target.port) if target.port else None)
    board = board or BOARDS["nano33ble-uart"]  # a serial adapter says nothing of what hangs on it; the hello will
    wired = config.boards.get(board.name, BoardPorts())
    if target.port:
        pair = target.port in (wired.link, wired.flash)
        return board, Ports((pair and wired.link) or target.port, (pair and wired.flash) or target.port)
    usb = "" if wired.link and wired.flash else _attached(board)
    link, flash_port = wired.link or usb or wired.flash, wired.flash or usb or wired.link
    if not link or not flash_port:
        raise LinkError(
            f"no {board.title} is attached",
            expected="a port with USB id " + " or ".join(board.usb_ids),
            received="none",
            remedy="plug it in, name the port (--board PORT) or wire it up in rig.toml (docs/rig.md), or use --board virtual",
        )
    return board, Ports(link, flash_port)


def _wired(port: str, config: Config) -> Board | None:
    """The board that rig.toml has on this port."""
    names = [name for name, ports in config.boards.items() if port in (ports.link, ports.flash)]
    return BOARDS.get(names[0]) if names else None


def _recognise(port: str) -> Board | None:
    return next((board for name, _, board in attached() if name == port and board), None)


def _attached(board: Board) -> str:
    """Its port, "" where there is none. Raises LinkError for several: the wrong one would be flashed."""
    ports = [name for name, usb, _ in attached() if usb in board.usb_ids]
    if len(ports) > 1:
        raise LinkError(
            f"several boards could be meant by {board.name}", expected=f"one {board.title}", received=", ".join(ports),
            remedy="name the port (--board PORT), or wire link and flash up in rig.toml; its id guards against a mix-up",
        )  # fmt: skip
    return ports[0] if ports else ""


def attached() -> list[tuple[str, str, Board | None]]:
    """(port, USB id or "", board or None) of every serial port of this machine."""
    from serial.tools import list_ports

    ports = [(p.device, f"{p.vid:04x}:{p.pid:04x}" if p.vid is not None else "") for p in list_ports.comports()]
    return [(device, usb, recognise_usb(usb) if usb else None) for device, usb in ports]


def usb_serial(port: str) -> str:
    """The USB serial number behind a port; "" where it has none, as ptys and URLs."""
    from serial.tools import list_ports

    return next((p.serial_number or "" for p in list_ports.comports() if p.device == port), "")


def port_of(serial: str) -> str | None:
    """The port that a USB serial number has now."""
    from serial.tools import list_ports

    found = [p.device for p in list_ports.comports() if p.serial_number == serial]
    return found[0] if len(found) == 1 else None  # one adapter with two ports can't be told apart


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
