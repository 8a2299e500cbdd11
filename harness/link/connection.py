"""One board behind a port that may vanish: its hello, its fault records, and the proof that it is still the same.

Repetition and deadlines of a single request are exchange.py's. Here is what goes beyond one: a board that was reset says so and
why, and a port that comes back must have the same board behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tinyrig.core.errors import DeviceError, LinkError
from tinyrig.core.records import FaultRecord, Hello
from tinyrig.link import wire
from tinyrig.link.exchange import GREETING_PATIENCE_S, PATIENCE_S, Exchange, Refused, Statistics
from tinyrig.link.fault_report import PROCESSOR, fault_error
from tinyrig.link.pacing import InvokeDeadlines
from tinyrig.link.serial_link import Link, LinkGone
from tinyrig.link.wire import Status, Type, WireError

BASE_DEADLINE_S = 0.5
"""For a request that the board answers at once."""
BYTE_DEADLINE_S = 1e-4
"""More for every byte of a frame: slower than a 115200 baud line."""
MAX_VANISHED = 8
"""So often the port may vanish in one window."""
REATTACH_S = 20.0
"""A port that vanished must be back, and its board answer, within this."""
REATTACH_PAUSE_S = 0.1
T = TypeVar("T")


class Connection:
    """Requests to the board at the other end of `link`. `clock` returns seconds, monotonic. `reopen` opens the board's port again
    after it vanished (None: that ends the session).

    Methods raise LinkError when no good reply comes within deadline and retries, DeviceError when the board refuses.
    """

    def __init__(
        self, link: Link, clock: Callable[[], float], reopen: Callable[[], Link] | None, invoke_deadlines: InvokeDeadlines
    ) -> None:
        self.exchange = Exchange(link, clock)
        self.invoke_deadlines = invoke_deadlines
        self.reopen = reopen
        self.elf: Path | None = None
        """The image that runs, to name the functions of a fault; None: not known."""
        self.vanished = 0
        """How often the port has vanished in this window."""
        self._clock = clock
        self._hello: Hello | None = None

    def now(self) -> float:
        """Seconds of the host's clock."""
        return self._clock()

    @property
    def statistics(self) -> Statistics:
        return self.exchange.statistics

    @property
    def link(self) -> Link:
        return self.exchange.link

    def new_window(self) -> None:
        """What was lost before no longer counts."""
        self.exchange.trouble.new_window()
        self.vanished = 0

    # ---- who is there ----

    def known(self) -> Hello:
        """The hello of this session, asked for if need be."""
        return self._hello or self.hello()

    def hello(self) -> Hello:
        """Asks the board who it is; begins a session."""
        try:
            hello = self._greet()
        except LinkGone as gone:
            self.vanished = 0
            self.reattach(gone)
            hello = self._greet()
        if hello.wire_version != wire.VERSION:
            raise DeviceError(
                "the board speaks another wire version",
                expected=str(wire.VERSION),
                received=str(hello.wire_version),
                remedy="flash a firmware built from this tree",
            )
        self._hello = hello
        self.exchange.trouble.patience_s = PATIENCE_S
        return hello

    def forget(self) -> None:
        """The board was reset: it needs another hello."""
        self._hello = None

    def _greet(self) -> Hello:
        return self.ask(Type.HELLO, b"", wire.decode_hello, expect=wire.HELLO_BYTES + 4 * wire.HELLO_TENSOR_BYTES)

    # ---- requests, and what may end a session ----

    def ask(
        self,
        kind: Type,
        payload: bytes,
        check: Callable[[bytes], T],
        expect: int = 0,
        tries: int = 0,
        board_s: Callable[[int], float] | None = None,
    ) -> T:
        """See Exchange.ask(). Raises DeviceError also for a board that was reset."""
        full_s = BASE_DEADLINE_S + BYTE_DEADLINE_S * (len(payload) + expect)
        try:
            return self.exchange.ask(kind, payload, check, full_s, expect, tries, board_s)
        except Refused as error:
            if error.status == Status.NO_HELLO:
                raise self._reset_error() from error
            raise

    def reboot(self, bootloader: bool) -> None:
        """See Session.reboot()."""
        self.known()
        self.exchange.trouble.patience_s = GREETING_PATIENCE_S
        try:
            self._ask_reboot(bootloader)
        except Refused as error:
            if error.status != Status.NO_HELLO:
                raise
            if bootloader:  # it came back as the application
                self.hello()
                self._ask_reboot(bootloader)
        except LinkError:
            if not bootloader:
                raise
        self.forget()

    def _ask_reboot(self, bootloader: bool) -> None:
        self.exchange.ask(Type.REBOOT, wire.reboot_payload(bootloader), exactly(0), BASE_DEADLINE_S)

    def fault(self) -> FaultRecord | None:
        """What the board kept of the fault that caused its last reset; None: it was no fault."""
        self.known()
        return self.ask(Type.FAULT, b"", wire.decode_fault, expect=4 * wire.FAULT_WORDS)

    def fault_error(self) -> DeviceError:
        """The error for a board whose hello reports a fault."""
        self.invoke_deadlines.forget()  # nor does the board know any more how long an inference may take
        try:
            record = self.fault()
        except (LinkError, DeviceError):
            record = None  # an older firmware, or it is gone already
        return fault_error(record or FaultRecord(PROCESSOR, 0, (0,) * 9, 0, 0, 0, 0, ()), self.elf)

    def cause_of(self, error: LinkError) -> LinkError | DeviceError:
        """A board that no longer answers may have been reset by a fault, which its next hello reports."""
        self.forget()
        self.exchange.trouble.patience_s = GREETING_PATIENCE_S
        try:
            fault = self.hello().fault
        except (LinkError, DeviceError):
            return error
        return self.fault_error() if fault else error

    def _reset_error(self) -> DeviceError:
        self.forget()
        if self.hello().fault:
            return self.fault_error()
        return DeviceError(
            "the board was reset during the session",
            expected="the session to continue",
            received="no hello since its reset",
            remedy="check its power supply; then run again",
        )

    # ---- a port that vanished ----

    def reattach(self, gone: LinkGone) -> None:
        """Opens the port again and proves that the same board with the same firmware, not reset meanwhile, is behind it."""
        self.vanished += 1
        if self.reopen is None or self.vanished >= MAX_VANISHED:
            raise gone
        self.exchange.trouble.begin()
        until = self._clock() + REATTACH_S
        while True:
            self.link.close()
            try:
                self.exchange.attach(self.reopen())
                self._recognise()
                break
            except LinkError as error:  # not there yet, or gone again
                if self._clock() > until:
                    raise LinkError(
                        f"{gone.what} and did not come back",
                        expected=f"the board again within {REATTACH_S:g} s",
                        received=error.received or error.what,
                        remedy=gone.remedy,
                    ) from error
            time.sleep(REATTACH_PAUSE_S)
        self.statistics.reconnects += 1

    def _recognise(self) -> None:
        before = self._hello
        if before is None:
            return
        self.ask(Type.ECHO, b"", exactly(0))  # before hello: a board that was reset says so
        now = self._greet()
        for what in ("build_id", "model_sha256", "board_id"):
            if getattr(now, what) != getattr(before, what):
                raise DeviceError(
                    f"another board answers after the port came back: its {what} differs",
                    expected=getattr(before, what),
                    received=getattr(now, what),
                    remedy="leave the boards plugged in during a run; name the port by its /dev/serial/by-id link",
                )


def exactly(n: int) -> Callable[[bytes], bytes]:
    """Checks a reply's length."""

    def check(payload: bytes) -> bytes:
        if len(payload) != n:
            raise WireError("a reply of a wrong length", expected=f"{n} bytes", received=f"{len(payload)} bytes")
        return payload

    return check
