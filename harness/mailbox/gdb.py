"""Memory through any gdb server: OpenOCD's, J-Link's, QEMU's. A server takes requests only while the processor is stopped, so
it is stopped for each access and runs on afterwards.

Source: GDB's manual, Remote Protocol: packets `$data#sum`, `m`, `M`, `c`, the interrupt byte 0x03, replies `T`, `S`, `E`.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

ANSWER_S = 5.0
MOST = 1024
"""Bytes of one request: the smallest packets of the servers at hand hold more."""
SETTLE_S = 0.1
INTERRUPT = b"\x03"
_STOPPED = b"TSWX"
_ANSWERS = b"0123456789abcdefABCDEFO"
"""Hexadecimal digits, an error's E, OK."""


class GdbServerError(OSError):
    """What came instead of the answer."""


class GdbMemory:
    """Raises OSError where no server answers; GdbServerError for answers that are none."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._came = b""
        self._stopped = True
        try:
            self._socket.sendall(b"+")
            self._ask(b"?", _STOPPED)  # servers stop the processor for whoever connects
            self._settle()
            self._run()
        except BaseException:
            self._socket.close()
            raise

    @contextlib.contextmanager
    def access(self) -> Iterator[None]:
        if self._stopped:
            yield
            return
        self._socket.sendall(INTERRUPT)
        self._reply(_STOPPED)
        self._stopped = True
        yield
        self._run()

    def read(self, address: int, count: int) -> bytes:
        """Raises PermissionError where there is no memory."""
        data = b""
        while len(data) < count:
            answer = self._ask(f"m{address + len(data):x},{min(MOST, count - len(data)):x}".encode())
            if answer[:1] == b"E" and len(answer) == 3:
                raise PermissionError(f"no memory at {address + len(data):#x}")
            try:
                piece = bytes.fromhex(answer.decode("ascii"))
            except ValueError:
                piece = b""
            if not piece:
                raise GdbServerError(f"the gdb server answered a read with {answer[:40]!r}")
            data += piece
        return data[:count]

    def write(self, address: int, data: bytes) -> None:
        for first in range(0, len(data), MOST):
            piece = data[first : first + MOST]
            answer = self._ask(f"M{address + first:x},{len(piece):x}:{piece.hex()}".encode())
            if answer != b"OK":
                raise GdbServerError(f"the gdb server answered a write with {answer[:40]!r}")

    def close(self) -> None:
        """The processor runs on: `D` detaches."""
        with contextlib.suppress(OSError):
            if not self._stopped:
                self._socket.sendall(INTERRUPT)
                self._reply(_STOPPED)
            self._send(b"D")
        self._socket.close()

    def _run(self) -> None:
        self._send(b"c")
        self._stopped = False

    def _settle(self) -> None:
        """QEMU reports a second time that it has stopped, a moment later."""
        self._socket.settimeout(SETTLE_S)
        with contextlib.suppress(TimeoutError):
            while True:
                self._reply(_STOPPED)
        self._socket.settimeout(ANSWER_S)

    def _ask(self, request: bytes, kinds: bytes = _ANSWERS) -> bytes:
        self._send(request)
        return self._reply(kinds)

    def _send(self, request: bytes) -> None:
        self._socket.sendall(b"$" + request + b"#" + f"{sum(request) & 0xFF:02x}".encode())

    def _reply(self, kinds: bytes) -> bytes:
        """The next packet that begins with one of `kinds`, acknowledged; others are passed over, as is console output."""
        while True:
            packet = self._packet()
            self._socket.sendall(b"+")
            if packet[:1] in [bytes([kind]) for kind in kinds] and (packet[:1] != b"O" or packet == b"OK"):
                return packet

    def _packet(self) -> bytes:
        while True:
            start = self._came.find(b"$")
            end = self._came.find(b"#", start + 1) if start >= 0 else -1
            if 0 <= end <= len(self._came) - 3:
                packet, self._came = self._came[start + 1 : end], self._came[end + 3 :]
                return _whole(packet)
            if not (data := self._socket.recv(65536)):
                raise GdbServerError("the gdb server hung up")
            self._came += data


def _whole(packet: bytes) -> bytes:
    """`0*"` stands for a run: the character behind `*` less 29 says how many more there are."""
    found, at = bytearray(), 0
    while at < len(packet):
        if packet[at : at + 1] == b"*" and found and at + 1 < len(packet):
            found += bytes([found[-1]]) * (packet[at + 1] - 29)
            at += 2
        else:
            found.append(packet[at])
            at += 1
    return bytes(found)
