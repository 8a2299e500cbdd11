"""The board's serial port: a pty that any serial program opens, with the timing and faults of a real line."""

from __future__ import annotations

import contextlib
import os
import select
import termios
import time
import tty

from harness.virtual.faults import Damage, Fault

BITS_PER_BYTE = 10
"""8N1: start, eight data bits, stop."""
_CHUNK = 65536
_SPEED = 5
"""Place of the output speed in termios.tcgetattr's list."""
_STUCK_S = 2.0
"""A reader that takes nothing for so long has gone; a UART doesn't wait either."""


class Line:
    """Both ends of the pty. `rate` in baud throttles each direction to a real line's pace; 0 is as fast as it goes."""

    def __init__(self, rate: int = 0, faults: tuple[Fault, ...] = ()) -> None:
        self.byte_s = BITS_PER_BYTE / rate if rate else 0.0
        self._master, self._slave = os.openpty()
        self.path = os.ttyname(self._slave)
        tty.setraw(self._slave)
        self._set_speed(termios.B115200)
        os.set_blocking(self._master, False)
        self._rx, self._tx = Damage("rx", faults), Damage("tx", faults)
        self._arrived = bytearray()
        self._rx_start = 0.0  # when the first byte of _arrived began to pass over the line
        self._tx_free = 0.0
        self._leaving: list[tuple[float, bytes]] = []

    def touched(self) -> bool:
        """Whether somebody set 1200 baud: the request for the bootloader. Forgets it."""
        if termios.tcgetattr(self._master)[_SPEED] != termios.B1200:
            return False
        self._set_speed(termios.B115200)
        return True

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
                view = view[os.write(self._master, view):]
            if view and not select.select([], [self._master], [], _STUCK_S)[1]:
                return

    def receive(self, limit: int, timeout_s: float) -> bytes:
        """Up to `limit` bytes for the board's UART. Waits at most `timeout_s` for the first;
        on a throttled line until `limit` bytes have passed or the time is over."""
        self._fill(0 if self._arrived else timeout_s)
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
        raw = self.read_raw(_CHUNK, timeout_s)
        if raw and not self._arrived:
            self._rx_start = max(self._rx_start, time.monotonic())
        self._arrived += self._rx.apply(raw)

    def waiting(self) -> bool:
        """Whether bytes for the board are there already."""
        return bool(self._arrived or select.select([self._master], [], [], 0)[0])

    def send(self, data: bytes) -> None:
        """From the board's UART; `sent()` tells when the last byte has left."""
        now = time.monotonic()
        self._tx_free = max(now, self._tx_free) + len(data) * self.byte_s
        self._leaving.append((self._tx_free, self._tx.apply(data)))
        self.sent(0)

    def sent(self, timeout_s: float) -> bool:
        """Waits at most `timeout_s`; whether everything has left."""
        while self._leaving:
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
