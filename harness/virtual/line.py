"""The board's serial port: a pty that any serial program opens, with the timing and faults of a real line."""

from __future__ import annotations

import contextlib
import os
import select
import termios
import threading
import time
import tty
from collections import Counter
from collections.abc import Callable

from tinyrig.virtual.faults import Damage, Fault
from tinyrig.virtual.line_faults import ByteFaults, LineFault, TransferFaults

BITS_PER_BYTE = 10
"""8N1: start, eight data bits, stop."""
_CHUNK = 65536
_SPEED = 5
"""Place of the output speed in termios.tcgetattr's list."""
_STUCK_S = 2.0
"""A reader that takes nothing for so long has gone; a UART doesn't wait either."""
_GAP_S = 0.005
"""A longer silence ends a transfer."""


class Way:
    """One direction of the line with its faults."""

    def __init__(self, direction: str, faults: tuple[Fault | LineFault, ...], seed: int, injected: Counter[str]) -> None:
        random = [f for f in faults if isinstance(f, LineFault)]
        self.damage = Damage(direction, faults, injected)
        self.bytes = ByteFaults(direction, random, seed, injected)
        self.transfers = TransferFaults(direction, random, seed, injected)
        self._late: list[tuple[float, bytearray]] = []  # transfers that are held up, and until when

    def apply(self, data: bytes) -> bytes:
        return self.bytes.apply(self.damage.apply(data))

    def hold(self, data: bytes, seconds: float) -> None:
        self._late.append((time.monotonic() + seconds, bytearray(data)))

    def hold_more(self, data: bytes) -> None:
        if self._late:
            self._late[-1][1].extend(data)

    def due(self) -> bytes:
        """Transfers whose time has come."""
        now = time.monotonic()
        ready = b"".join(bytes(data) for until, data in self._late if until <= now)
        self._late = [item for item in self._late if item[0] > now]
        return ready


class SerialLine:
    """Both ends of the pty. `rate` in baud throttles each direction to a real line's pace; 0 is as fast as it goes.

    `injected` counts the faults by kind. `moved` hears None when the port vanishes and its new path when it is back.
    """

    def __init__(self, rate: int = 0, faults: tuple[Fault | LineFault, ...] = (), seed: int = 0) -> None:
        self.byte_s = BITS_PER_BYTE / rate if rate else 0.0
        self.injected: Counter[str] = Counter()
        self.moved: Callable[[str | None], None] = lambda path: None
        self._plug = threading.Lock()  # touched() comes from another thread
        self._open()
        self.path = os.ttyname(self._slave)
        self._rx, self._tx = Way("rx", faults, seed, self.injected), Way("tx", faults, seed, self.injected)
        self._fate = ""  # of the transfer to the board that is under way
        self._last_raw, self._answered = 0.0, True
        self._still_until = 0.0
        self._back_at: float | None = None  # None: plugged in
        self._arrived = bytearray()
        self._rx_start = 0.0  # when the first byte of _arrived began to pass over the line
        self._tx_free = 0.0
        self._leaving: list[tuple[float, bytes]] = []

    def touched(self) -> bool:
        """Whether somebody set 1200 baud: the request for the bootloader. Forgets it."""
        with self._plug:
            if termios.tcgetattr(self._master)[_SPEED] != termios.B1200:
                return False
            self._set_speed(termios.B115200)
            return True

    def _open(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._set_speed(termios.B115200)
        os.set_blocking(self._master, False)

    def _unplug(self, seconds: float) -> None:
        """The new pty is opened before the old one is closed, so its name is another one."""
        self.moved(None)
        old = self._master, self._slave
        with self._plug:
            self._open()
            for fd in old:
                os.close(fd)
        self._back_at = time.monotonic() + seconds
        self._arrived.clear()

    def _plugged(self) -> bool:
        if self._back_at is not None and time.monotonic() >= self._back_at:
            self._back_at = None
            self.path = os.ttyname(self._slave)
            self.moved(self.path)
        return self._back_at is None

    def _wait_still(self, timeout_s: float) -> bool:
        """Whether the line passes nothing now; waits up to `timeout_s` for the end of that."""
        left = self._still_until - time.monotonic() if self._plugged() else timeout_s
        if left > 0:
            time.sleep(min(left, timeout_s))
        return left > 0

    def _set_speed(self, speed: int) -> None:
        settings = termios.tcgetattr(self._slave)
        settings[4] = settings[5] = speed
        termios.tcsetattr(self._slave, termios.TCSANOW, settings)

    def read_raw(self, limit: int, timeout_s: float) -> bytes:
        """1 to `limit` bytes, undamaged and unthrottled, or b"" after `timeout_s`."""
        if not select.select([self._master], [], [], timeout_s)[0]:
            return b""
        with contextlib.suppress(BlockingIOError):
            return os.read(self._master, limit)
        return b""

    def write_raw(self, data: bytes) -> None:
        """Undamaged and unthrottled; what nobody reads for two seconds is lost."""
        view = memoryview(data)
        while view:
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(self._master, view) :]
            if view and not select.select([], [self._master], [], _STUCK_S)[1]:
                return

    def receive(self, limit: int, timeout_s: float) -> bytes:
        """Up to `limit` bytes for the board's UART. Waits at most `timeout_s` for the first;
        on a throttled line until `limit` bytes have passed or the time is over."""
        if self._wait_still(timeout_s):
            return b""
        self._fill(0 if self._arrived else timeout_s)
        if self._wait_still(0):
            return b""
        if self.byte_s and self._arrived:
            wanted = self._rx_start + min(limit, len(self._arrived)) * self.byte_s - time.monotonic()
            if wanted > 0:
                time.sleep(min(wanted, timeout_s))
                self._fill(0)
            limit = min(limit, int((time.monotonic() - self._rx_start) / self.byte_s))
        taken = bytes(self._arrived[:limit])
        del self._arrived[:limit]
        self._rx_start += len(taken) * self.byte_s
        return taken

    def _fill(self, timeout_s: float) -> None:
        raw = self._passed(self.read_raw(_CHUNK, timeout_s))
        if raw and not self._arrived:
            self._rx_start = max(self._rx_start, time.monotonic())
        self._arrived += self._rx.apply(raw)

    def _passed(self, raw: bytes) -> bytes:
        """What the faults of whole transfers let through of it."""
        now = time.monotonic()
        if late := self._tx.due():
            self.write_raw(late)
        if not raw:
            return b"" if self._arrived else self._rx.due()
        begins = self._answered or now - self._last_raw > _GAP_S
        self._answered, self._last_raw = False, now
        if begins:
            return self._rx.due() + self._begin(raw)
        if self._fate == "delay":
            self._rx.hold_more(raw)
        return b"" if self._fate else raw

    def _begin(self, raw: bytes) -> bytes:
        fault = self._rx.transfers.fate()
        self._fate = fault.kind if fault and fault.kind in ("cut", "delay") else ""
        if fault is None:
            return raw
        if fault.kind == "disconnect":
            self._unplug(fault.seconds)
            return b""
        if fault.kind == "stall":
            self._still_until = time.monotonic() + fault.seconds
        elif fault.kind == "delay":
            self._rx.hold(raw, fault.seconds)
            return b""
        return self._rx.transfers.cut(raw) if fault.kind == "cut" else raw

    def waiting(self) -> bool:
        """Whether bytes for the board are there already."""
        return bool(self._arrived or select.select([self._master], [], [], 0)[0])

    def send(self, data: bytes) -> None:
        """From the board's UART; `sent()` says when the last byte has left."""
        now = time.monotonic()
        self._answered = True
        self._tx_free = max(now, self._tx_free) + len(data) * self.byte_s
        fault = self._tx.transfers.fate()
        if fault and fault.kind == "delay":
            self._tx.hold(self._tx.apply(data), fault.seconds)
            data = b""
        elif fault:
            data = self._tx.transfers.cut(data)
        self._leaving.append((self._tx_free, self._tx.due() + self._tx.apply(data)))
        self.sent(0)

    def sent(self, timeout_s: float) -> bool:
        """Waits at most `timeout_s`; whether everything has left."""
        while self._leaving:
            if not self._plugged():
                self._leaving.clear()  # bytes for a port that is not there are lost
                break
            if self._wait_still(timeout_s):
                return False
            wait = self._leaving[0][0] - time.monotonic()
            if wait > timeout_s:
                time.sleep(timeout_s)
                return False
            if wait > 0:
                time.sleep(wait)
            self.write_raw(self._leaving.pop(0)[1])
        return True

    def give_back(self, data: bytes) -> None:
        """Puts bytes that read_raw() took too early back to the front, for whoever listens after a reset."""
        self._arrived[:0] = data

    def take_over(self) -> bytes:
        """Bytes that have arrived and nobody has taken yet: read_raw() doesn't see them."""
        data = bytes(self._arrived)
        self._arrived.clear()
        return data

    def drop(self) -> None:
        """Forgets everything that is under way to the board."""
        self._arrived.clear()
        while self.read_raw(_CHUNK, 0):
            pass
