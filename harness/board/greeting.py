"""Who answers on a board's link, and whether it is who was meant."""

from __future__ import annotations

import time

import numpy as np

from tinyrig.board.attachment import Attachment
from tinyrig.core.boards import BOARDS, Board
from tinyrig.core.errors import DeviceError, LinkError
from tinyrig.core.records import MEASURED, Hello, Image, TensorSpec
from tinyrig.flash.route import first_flash
from tinyrig.link import bounds
from tinyrig.link.serial_link import LinkGone
from tinyrig.link.session import Session

HELLO_PAUSE_S = 0.05
"""Between two tries: a port that fails at once is not asked a million times."""


class Greeter:
    """Holds the one session with the board of `attachment`. `window_s` is what an inference of unknown length may take."""

    def __init__(self, attachment: Attachment, window_s: float) -> None:
        self._attachment, self._window_s = attachment, window_s
        self._session: Session | None = None
        self.heard = ""
        """What came instead of a hello, the last time that none came."""
        self.refusal: DeviceError | None = None
        """What the board there answered instead of a hello that can be used; None: no board did."""

    @property
    def session(self) -> Session:
        """The one that the last hello came through."""
        assert self._session is not None, "nobody has answered yet"
        return self._session

    def hello(self, seconds: float = 0.0) -> Hello | None:
        """None when nobody speaks our protocol there; asks once, and again until `seconds` have passed: a board that has just
        been started may need a moment before it listens. Raises LinkError where the port can't be opened."""
        self.disconnect()
        self.refusal = None
        until = time.monotonic() + seconds
        while True:
            try:
                if self._session is None:  # a board that was just flashed may not have its port back
                    open_link = self._attachment.open_link
                    self._session = Session(open_link(), invoke_deadline_s=self._window_s, reopen=open_link)
                return self._session.hello()
            except (LinkError, DeviceError) as error:
                self.heard = error.received or error.what
                self.refusal = error if isinstance(error, DeviceError) else None
                over = time.monotonic() >= until
                if self._session is None and (over or not seconds):
                    raise  # without `seconds` nothing was done yet for which a port might be away
                if over:
                    return None
                if isinstance(error, LinkGone):
                    self.disconnect()
                time.sleep(HELLO_PAUSE_S)

    def running(self) -> Hello | None:
        """What answers before anything is flashed; nothing where the port is the firmware's own, which is only to come."""
        try:
            return None if self._attachment.blank else self.hello()
        except LinkError as error:
            board, ports = self._attachment.board, self._attachment.ports
            if board.flasher != "command" and not ((board.fqbn and ports.flash != ports.link) or board.zephyr):
                raise first_flash(board, ports.link) or error from error
            return None

    def check_id(self, running: Hello) -> None:
        """Raises DeviceError when the board that answers is not the one that rig.toml names."""
        wanted, board = self._attachment.wanted_id, self._attachment.board
        if wanted not in ("", running.board_id.lower()):
            raise DeviceError(
                f"the board on {self._attachment.ports.link} is not the one asked for",
                expected=f"id {wanted}",
                received=f"id {running.board_id}",
                remedy=f"name the port of that board, or correct the id under [boards.{board.name}] in rig.toml",
            )

    def disconnect(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def runs(hello: Hello, image: Image) -> bool:
    """Whether exactly this firmware with exactly this model answered."""
    return (hello.build_id, hello.model_sha256) == (image.build_id, image.model_sha256)


def check_hello(hello: Hello, image: Image, board: Board) -> None:
    """What was built against what answers: a stale or foreign firmware is an error, not a result.

    Raises DeviceError naming the first difference.
    """
    if board.clock_hz and board.name in BOARDS:  # of a user's own board only its firmware knows the clock
        bounds.check("board's clock", hello.clock_hz, bounds.Situation(clock_hz=board.clock_hz))
    pairs = [
        ("build id", image.build_id, hello.build_id),
        ("model SHA-256", image.model_sha256, hello.model_sha256),
        ("engine", image.engine, hello.engine),
        ("arena bytes", image.footprint.ram_arena if image.footprint else 0, hello.arena_bytes),
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
                remedy="flash again; if this persists, another program holds the board or the image does not start",
            )


def counts_us(hello: Hello) -> bool:
    """Whether its cycles are those of a timer that steps each microsecond: firmware/port/port.h."""
    return hello.board_name.endswith("-us")


def timer_hz(hello: Hello, board: Board) -> int:
    """Steps of the timer behind the cycles in a second."""
    return 1_000_000 if counts_us(hello) else board.timer_hz or hello.clock_hz


def situation(hello: Hello, image: Image, board: Board, least_cycles: int, counting: bool) -> bounds.Situation:
    """What bounds the replies of this board with this image. `counting`: its counter is on."""
    physical = board.timing == MEASURED
    own = image.footprint.ram_arena + image.footprint.ram_static if image.footprint else 0
    per_s = bounds.CLOCK_RATIO * hello.clock_hz if physical else bounds.EMULATED_PER_S
    step = hello.clock_hz // timer_hz(hello, board)
    # a clock that nobody knows is stated as the timer's own, and a timer need not count the processor's cycles
    known = counting and not (counts_us(hello) and step == 1) and not hello.board_name.endswith("-timer")
    return bounds.Situation(
        clock_hz=hello.clock_hz,
        least_cycles=max(0, least_cycles - 2 * step) if known else 0,
        most_stack=max(0, board.ram_room - own),
        per_s=per_s,
        physical=physical,
        counting=counting,
    )


def _form(tensor: TensorSpec) -> tuple[object, ...]:
    """What both sides must agree on; the wire carries scales as float32 and no names."""
    return (tensor.shape, tensor.dtype, float(np.float32(tensor.scale)), tensor.zero_point)
