"""The mailbox as a serial port: what pyserial's ports do, as far as the rig asks for it.

`swd://CHIP/TABLE?probe=ID` goes through pyOCD, `gdb://HOST:PORT/TABLE` through a gdb server; TABLE is the address of the vector
table. core/boards.py makes these names of `link = "swd"` and `link = "gdb://HOST:PORT"`.
"""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import serial

from tinyrig.mailbox.gdb import GdbMemory
from tinyrig.mailbox.memory import Memory
from tinyrig.mailbox.pyocd_memory import PyocdMemory
from tinyrig.mailbox.rings import Rings

SCHEMES = ("swd", "gdb")
SOON_S, LATER_S = 0.0005, 0.005
"""Between two looks: at first, and after AWAKE_S of silence."""
AWAKE_S = 0.1


def is_mailbox(url: str) -> bool:
    scheme, _, rest = url.partition("://")
    return scheme in SCHEMES and bool(rest)


class MailboxPort:
    """Raises SerialException when the way to the board stops working; open() also RigErrors."""

    def __init__(self, url: str, timeout: float, write_timeout: float | None) -> None:
        self.url, self.timeout, self._write_s = url, timeout, write_timeout or 30.0
        self._memory: Memory | None = None
        self._came = bytearray()

    def open(self) -> None:
        parts = urlsplit(self.url)
        table = int(parts.path.strip("/") or "0", 0)
        if parts.scheme == "gdb":
            if not parts.hostname or not parts.port:
                raise ValueError(f"no host and port in {self.url!r}")
            self._memory = GdbMemory(parts.hostname, parts.port)
        else:
            self._memory = PyocdMemory(parts.netloc, "".join(parse_qs(parts.query).get("probe", [])))
        self._rings = Rings(self._memory, table)

    def read(self, size: int = 1) -> bytes:
        started = time.monotonic()
        while len(self._came) < size:
            if data := self._take():
                self._came += data
                continue
            passed = time.monotonic() - started
            if passed >= self.timeout:
                break
            time.sleep(min(SOON_S if passed < AWAKE_S else LATER_S, self.timeout - passed))
        data, self._came = bytes(self._came[:size]), self._came[size:]
        return data

    def write(self, data: bytes) -> int:
        left, moved = data, time.monotonic()
        while left:
            try:
                count = self._rings.give(left)
            except OSError as error:
                raise serial.SerialException(str(error)) from error
            if count:
                left, moved = left[count:], time.monotonic()
            elif time.monotonic() - moved > self._write_s:
                raise serial.SerialTimeoutException("the board takes nothing out of its mailbox")
            else:
                time.sleep(SOON_S)
        return len(data)

    def reset_input_buffer(self) -> None:
        self._came.clear()
        while self._take():
            pass

    def flush(self) -> None:
        """What was written lies in the board's memory already."""

    def close(self) -> None:
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _take(self) -> bytes:
        try:
            return self._rings.take() or b""
        except OSError as error:
            raise serial.SerialException(str(error)) from error
