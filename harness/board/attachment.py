"""A board that is ours for a while: found or started, locked, and reached under whatever name its port has now."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tinyrig.board.emulator import Emulator
from tinyrig.board.labgrid import LabgridPlaces
from tinyrig.board.qemu import QemuBoard
from tinyrig.board.resolve import Ports, entry_of, find_ports, is_started_here, resolved
from tinyrig.board.rp2040js import PACKAGE, Rp2040Board
from tinyrig.core.boards import Board, BoardTarget, recognise_id
from tinyrig.core.config import Config
from tinyrig.core.errors import InfraError, InUseError, UserError
from tinyrig.core.hardware.board import UNKNOWN_ID
from tinyrig.core.records import MEASURED, Hello
from tinyrig.host.locks import Locks, taken_at
from tinyrig.link.serial_link import Link, open_link
from tinyrig.link.usb import Plug, lock_key, plug_at, port_now
from tinyrig.virtual.faults import parse_fault
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.virtual.timing.calibrated import chip_of
from tinyrig.virtual.timing.systems import NO_WAIT, named


@dataclass(frozen=True)
class Played:
    """What the sensors of a virtual board read: an .npz (harness/virtual/sensors), and how many of the board's seconds pass in
    one of the host's."""

    file: Path
    speed: float = 1.0


class Attachment:
    """A context manager. `clock`, `faults` and `played` are the virtual board's alone: see Rig.

    Raises RigErrors where the board is not there, can't be started or belongs to somebody else.
    """

    def __init__(
        self,
        target: BoardTarget,
        config: Config,
        clock: str = "cycles",
        faults: tuple[str, ...] = (),
        played: Played | None = None,
    ) -> None:
        target = resolved(target, config)
        self._played = played
        self.faults = (*config.faults, *entry_of(target, target.board, config).faults, *faults)
        self.emulator: VirtualBoard | Emulator | None = None
        """The one that was started for this attachment and ends with it."""
        self.timing_model: str | None = None
        """Of the virtual board started for this attachment: see model_name()."""
        self.spread = 0.0
        """How far its estimates may be off, as a share, where they are behind a calibrated memory system; 0: not known."""
        self.blank = False
        """Whether it is an emulator without an image yet, which answers nothing."""
        self._locks = Locks()
        self._places = LabgridPlaces(config.labgrid)
        self._closing = contextlib.ExitStack()
        self._closing.callback(self._locks.close)
        self._closing.callback(self._places.close)
        try:
            self.board, self.ports = self._attach(target, config, clock)
        except BaseException:
            self.close()
            raise
        self._plugs = {port: plug_at(port) for port in (self.ports.link, self.ports.flash)}
        self.wanted_id = entry_of(target, self.board, config).id.lower()
        """What rig.toml says that its id is, in lower case; "": nothing."""

    def __enter__(self) -> Attachment:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """More than once is fine."""
        self.emulator = None
        self._closing.close()

    def _attach(self, target: BoardTarget, config: Config, clock: str) -> tuple[Board, Ports]:
        if is_started_here(target, config) and target.board is not None:
            port = self._start_virtual(target, config, clock) if target.board.starter == "virtual" else self._start(target.board)
            self.blank = True
            return target.board, Ports(port, port)
        self._refuse_faults()
        board, ports = find_ports(target, config)
        for port in sorted({ports.link, ports.flash, ports.probe} - {""}):
            self.lock_port(port)
        return board, Ports(self._places.reach(ports.link), self._places.reach(ports.flash), ports.probe)

    def _start_virtual(self, target: BoardTarget, config: Config, clock: str) -> str:
        """Its port: a link to its pty, which a fault `disconnect` moves."""
        link: Path | None = None
        if "disconnect" in [getattr(parse_fault(text), "kind", "") for text in self.faults]:
            link = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="tinyrig-tty-"))) / "virtual"
        board = VirtualBoard(
            line_rate=config.line_rate,
            clock=clock,
            faults=self.faults,
            fault_seed=config.fault_seed,
            link=link,
            number=target.number,
            memory=config.memory,
            sensors=self._played.file if self._played else None,
            sensor_speed=self._played.speed if self._played else 1.0,
        )
        if config.memory != NO_WAIT:
            chip = chip_of(config.memory)
            self.timing_model, self.spread = named(chip), chip.spread
        self._closing.callback(board.close)
        self.emulator = board
        return str(link or board.port)

    def _start(self, record: Board) -> str:
        self._refuse_faults()
        board = Rp2040Board() if record.starter == PACKAGE else QemuBoard(record)
        self._closing.callback(board.close)
        self.emulator = board
        return board.port

    def _refuse_faults(self) -> None:
        if self.faults:
            raise UserError(
                "faults can be injected only into a virtual board that the run starts itself",
                expected="no faults, or --board virtual",
                received=", ".join(self.faults),
                remedy="remove `faults` from rig.toml and TINYRIG_FAULTS from the environment",
            )

    def injected(self) -> dict[str, int]:
        """Faults of the line that the virtual board has injected so far, by direction and kind."""
        return self.emulator.injected() if self.emulator is not None and self.faults else {}

    def spans(self) -> tuple[tuple[int, ...], ...]:
        """See VirtualBoard.spans(); empty for other boards."""
        return self.emulator.spans() if isinstance(self.emulator, VirtualBoard) else ()

    def lay_out(self, elf: Path) -> int:
        """See VirtualBoard.lay_out(); 0 for other boards."""
        return self.emulator.lay_out(elf) if isinstance(self.emulator, VirtualBoard) else 0

    def check(self) -> None:
        """Raises InfraError for an emulator that died."""
        if self.emulator is not None:
            self.emulator.check()

    def open_link(self) -> Link:
        """The board's link, under the name that its USB port has now. Raises LinkError; InfraError for a dead emulator."""
        self.check()
        return open_link(self.now(self.ports.link), self.board.baud)

    def now(self, port: str) -> str:
        """The name that a port has now, which a board with USB of its own may change at every reset."""
        return port_now(self._plugs.get(port, Plug())) or port

    def lock_port(self, port: str) -> str:
        """The port, ours from now on. Raises LinkError where somebody else uses it."""
        self._locks.take(lock_key(port), f"the board at {port}")
        return port

    def lock_board(self, hello: Hello) -> None:
        """A board may be reached by two ports. Emulated ones all have one id and differ by their ports. Raises InfraError where
        its id answers at another port at this moment, LinkError where another process has it and does not say where."""
        if recognise_id(hello.board_id, self.board).timing != MEASURED or hello.board_id == UNKNOWN_ID:
            return
        key, port = f"board {hello.board_id}", self.ports.link
        try:
            self._locks.take(key, f"the board with id {hello.board_id}", at=port)
        except InUseError as error:
            other = taken_at(key)
            if other in ("", port):
                raise
            raise InfraError(
                f"one board id at two ports: {hello.board_id}",
                expected="each physical board at one port, with an id of its own",
                received=f"{other}, in use by {error.received}, and {port}",
                remedy="if it is one board, name it once; if there are two, their results can't be told apart: use them one by "
                "one, each with a results database of its own",
            ) from error
