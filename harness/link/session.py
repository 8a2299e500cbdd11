"""A conversation with one board: hello, windows in, samples out, whatever the line does meanwhile; WIRE.md says how.

The host asks, the board answers; one request is under way at a time, so no threads are needed. A single request is exchange.py's,
the board and its port connection.py's, the pieces of a window window_sender.py's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from tinyrig.core.errors import DeviceError, UserError
from tinyrig.core.records import FaultRecord, Hello, Sample, TensorSpec
from tinyrig.link import bounds, wire
from tinyrig.link.clock_check import Reading
from tinyrig.link.connection import Connection, exactly
from tinyrig.link.exchange import Refused, Statistics
from tinyrig.link.pacing import FIRST_INVOKE_DEADLINE_S, InvokeDeadlines
from tinyrig.link.serial_link import Link
from tinyrig.link.window_sender import WindowSender, WireWindow
from tinyrig.link.wire import RunFlag, Status, Type

__all__ = ["Session", "Statistics"]


class Session:
    """Speaks to the board at the other end of `link`. `clock` returns seconds, monotonic. `invoke_deadline_s` is what an
    inference of unknown length may take. `reopen` opens the board's port again after it vanished (None: that ends the session).

    Methods raise LinkError when no good reply comes within deadline and retries, DeviceError when the board refuses.
    """

    def __init__(
        self,
        link: Link,
        clock: Callable[[], float] = time.monotonic,
        invoke_deadline_s: float = FIRST_INVOKE_DEADLINE_S,
        reopen: Callable[[], Link] | None = None,
    ) -> None:
        self.connection = Connection(link, clock, reopen, InvokeDeadlines(invoke_deadline_s))
        self.situation = bounds.ANY
        """What is known of the board and its image, for what its replies can be."""
        self._clock = clock
        self._sender: WindowSender | None = None

    @property
    def statistics(self) -> Statistics:
        return self.connection.statistics

    @property
    def retries(self) -> int:
        """How often a frame had to be sent again."""
        return self.statistics.retries

    @property
    def link(self) -> Link:
        """The one of now: another after the port vanished and came back."""
        return self.connection.link

    @property
    def elf(self) -> Path | None:
        """The image that runs, to name the functions of a fault; None: not known."""
        return self.connection.elf

    @elf.setter
    def elf(self, path: Path | None) -> None:
        self.connection.elf = path

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the link."""
        self.link.close()

    def hello(self) -> Hello:
        """Asks the board who it is; begins a session."""
        return self.connection.hello()

    def echo(self, data: bytes) -> bytes:
        """Has `data` (at most max_payload bytes) sent back."""
        return self.connection.ask(Type.ECHO, data, exactly(len(data)), expect=len(data))

    def counter(self) -> Reading | None:
        """The board's counter now; None from a firmware that does not report it. Tried once, because a kept reply would report an
        earlier moment. Raises Lost (a LinkError)."""
        self.connection.known()
        before = self._clock()
        try:
            cycles = self.connection.ask(Type.CLOCK, b"", wire.decode_clock, expect=wire.CLOCK_BYTES, tries=1)
        except Refused as error:
            if error.status == Status.BAD_TYPE:
                return None
            raise
        return Reading(before, self._clock(), cycles)

    def fault(self) -> FaultRecord | None:
        """What the board kept of the fault that caused its last reset; None: it was no fault."""
        return self.connection.fault()

    def fault_error(self) -> DeviceError:
        """The error for a board whose hello reports a fault."""
        return self.connection.fault_error()

    def reboot(self, bootloader: bool = True) -> None:
        """Resets the board into its bootloader or into the application again. The session needs a new hello afterwards.

        The reply may be lost and the board be gone by the next try. Silence then counts as obeyed where the bootloader was asked
        for: flashing finds out.
        """
        self.connection.reboot(bootloader)

    def run(
        self,
        inputs: bytes | Sequence[bytes],
        stack: bool = False,
        profile: bool = False,
        kind: str = "window",
        index: int = 0,
        trigger: bool = False,
        after: int = 0,
    ) -> Sample:
        """One inference. `inputs`: the bytes of each input tensor (of the only one). Returns a Sample of `kind` and `index`.

        `stack` asks for the high-water mark, `profile` for cycles of each step, `trigger` for a pin that is high meanwhile.
        `after`: the window continues a sequence of which so many came before it, else the engine starts from its beginning.
        Raises also UserError on wrong input sizes, Impossible for numbers that the inference can't have, StateLost where the
        board's engine is not where the sequence is.
        """
        hello = self.connection.known()
        if self._sender is None or self._sender.hello != hello:
            self._sender = WindowSender(self.connection, hello)
        tensors = (bytes(inputs),) if isinstance(inputs, bytes | bytearray | memoryview) else tuple(inputs)
        _check_sizes(tensors, hello.inputs)
        flags = RunFlag.INVOKE | (RunFlag.STACK if stack else 0) | (RunFlag.PROFILE if profile else 0)
        flags |= (RunFlag.TRIGGER if trigger else 0) | (RunFlag.KEEP if after else 0)
        reply, outputs = self._sender.run(WireWindow(tensors, flags, wire.tensors_crc(tensors), after))
        sample = Sample(kind, index, outputs, reply.cycles, reply.stack_bytes, reply.op_cycles)
        ops = hello.op_count if profile else 0
        bounds.check_sample(sample, ops, self.situation, self._sender.took_s)
        return sample

    def stream(self, windows: Iterable[bytes | Sequence[bytes]], kind: str = "window") -> Iterator[Sample]:
        """One Sample for each window, in order."""
        for index, window in enumerate(windows):
            yield self.run(window, kind=kind, index=index)


def _check_sizes(tensors: Sequence[bytes], specs: Sequence[TensorSpec]) -> None:
    received, expected = [len(t) for t in tensors], [s.nbytes for s in specs]
    if received != expected:
        raise UserError("the window does not fit the model's inputs", expected=f"{expected} bytes", received=f"{received} bytes")
