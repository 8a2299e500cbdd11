"""Ports on another machine: `rfc2217://host:port` and `socket://host:port`, as ser2net and its like serve them.

pyserial speaks both protocols. Here is what a dialogue with deadlines and a flasher need beyond it: a timeout that is the host's
own business, small packets sent at once, and the words with which a server refuses a connection.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import serial
from serial import rfc2217
from serial.serialutil import PortNotOpenError
from serial.urlhandler import protocol_socket

from tinyrig.mailbox.port import is_mailbox

GREETING_S = 0.1
"""A server that refuses says so and hangs up at once; a longer round trip shows the refusal at the first read instead."""
REMEDY_TOUCH = "serve the port with RFC 2217 (ser2net: `accepter: telnet(rfc2217),tcp,...`) and name it rfc2217://host:port"


class RefusedError(serial.SerialException):
    """The server hung up on us at once. `said`: its words, "" for none."""

    def __init__(self, said: str) -> None:
        super().__init__(f"the server said {said!r} and hung up" if said else "the server hung up without a message")
        self.said = said

    @property
    def busy(self) -> bool:
        """ser2net's words for a port or device that has a user: "Port already in use", "Port's device already in use"."""
        return "in use" in self.said.lower()


COMMAND = re.compile(
    rb"\xff(?:(?P<data>\xff)|\xfa(?P<sub>(?:[^\xff]|\xff\xff)*)\xff\xf0|(?P<verb>[\xfb-\xfe])(?P<option>.)|(?P<lone>[^\xfa-\xff]))",
    re.DOTALL,
)
"""Telnet's commands (RFC 854): doubled data, a subnegotiation, will/won't/do/don't with an option, one of a single byte."""


def split_telnet(stream: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """(data, commands, the rest: a command that is not complete yet). A command is (verb, option), (SB, content), (byte, b"")."""
    data: list[bytes] = []
    commands: list[tuple[bytes, bytes]] = []
    at = 0
    while (iac := stream.find(b"\xff", at)) >= 0:
        data.append(stream[at:iac])
        found = COMMAND.match(stream, iac)
        if found is None:
            return b"".join(data), commands, stream[iac:]
        if found["data"]:
            data.append(b"\xff")
        elif found["sub"] is not None:
            commands.append((rfc2217.SB, found["sub"].replace(b"\xff\xff", b"\xff")))
        else:
            commands.append((found["verb"] or found["lone"], found["option"] or b""))
        at = found.end()
    data.append(stream[at:])
    return b"".join(data), commands, b""


class _Arrived:
    """Instead of pyserial's queue of single bytes: a reader is woken once, when all that it waits for is there. Woken at
    each byte, it and the thread that fills the queue hinder each other: 2 KiB to and fro take 10 ms."""

    def __init__(self) -> None:
        self._bytes, self._changed = bytearray(), threading.Condition()
        self._wanted, self.ended = 1, False

    def put(self, data: bytes, ended: bool = False) -> None:
        with self._changed:
            self._bytes += data
            self.ended = ended
            if ended or len(self._bytes) >= self._wanted:
                self._changed.notify()

    def take(self, size: int, timeout: float | None) -> bytes:
        """`size` bytes, fewer after `timeout` or when no more can come."""
        with self._changed:
            self._wanted = size
            self._changed.wait_for(lambda: self.ended or len(self._bytes) >= size, timeout)
            data = bytes(self._bytes[:size])
            del self._bytes[:size]
        return data

    def get(self, _block: bool = True) -> bytes:
        return self.take(1, 0)

    def qsize(self) -> int:
        return len(self._bytes)


class Rfc2217Port(rfc2217.Serial):
    """pyserial's, but setting the read timeout sends nothing (pyserial negotiates all settings again, 50 ms and more)."""

    _hung_up = False
    _arrived: _Arrived | None
    # pyserial's own, which its stubs leave out:
    _baudrate: int
    _network_timeout: float
    _socket: socket.socket
    _rfc2217_port_settings: dict[str, Any]
    _rfc2217_options: dict[str, Any]
    _telnet_options: list[Any]
    _telnet_process_command: Callable[[bytes], None]
    _telnet_process_subnegotiation: Callable[[bytes], None]
    _telnet_negotiate_option: Callable[[bytes, bytes], None]

    @property
    def _read_buffer(self) -> _Arrived | None:
        return self._arrived

    @_read_buffer.setter
    def _read_buffer(self, queue: object) -> None:
        self._arrived = None if queue is None else _Arrived()

    def read(self, size: int = 1) -> bytes:
        if self._arrived is None or not self.is_open:
            raise PortNotOpenError
        data = self._arrived.take(size, self._timeout)
        if not data and size and self._arrived.ended:
            raise serial.SerialException("the server hung up")
        return data

    @property
    def timeout(self) -> float | None:
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def open(self) -> None:
        try:
            super().open()
        except OSError as error:
            if not self._hung_up:
                raise
            raise RefusedError(_asked_again(*self.from_url(self.portstr or ""))) from error

    def flush(self) -> None:
        """Until the server has read what was written: it answers in order. Closing may drop what is still under way."""
        rate = self._rfc2217_port_settings["baudrate"]
        rate.set(struct.pack("!I", self._baudrate))
        rate.wait(self._network_timeout)

    def rfc2217_set_control(self, value: bytes) -> None:
        """Modem lines are set without waiting: ser2net gives no answer for a device that has none."""
        self._rfc2217_options["control"].set(value)

    def _telnet_read_loop(self) -> None:
        """The reader's thread. pyserial's looks at each byte."""
        arrived = self._arrived
        assert arrived is not None, "open() makes it before this thread"
        self._hung_up, rest = False, b""
        with contextlib.suppress(OSError):  # also of an answer to a server that has gone
            while self.is_open and (data := self._received()):
                plain, commands, rest = split_telnet(rest + data)
                arrived.put(plain)
                for command, argument in commands:
                    self._obey(command, argument)
        self._hung_up = True
        arrived.put(b"", ended=True)
        # open() would wait 3 s for the options of a server that has gone: nothing is left to be negotiated.
        for option in self._telnet_options:
            option.state, option.active = rfc2217.INACTIVE, False

    def _received(self) -> bytes:
        while True:
            try:
                return self._socket.recv(4096)
            except TimeoutError:  # of pyserial's socket, 5 s
                continue

    def _obey(self, command: bytes, argument: bytes) -> None:
        if command == rfc2217.SB:
            self._telnet_process_subnegotiation(argument)
        elif argument:
            self._telnet_negotiate_option(command, argument)
        else:
            self._telnet_process_command(command)

    def _reconfigure_port(self) -> None:
        if self._hung_up:
            raise serial.SerialException("the server hung up")
        super()._reconfigure_port()  # type: ignore[misc]  # the stubs leave it out


class SocketPort(protocol_socket.Serial):
    """pyserial's, with small packets sent at once, and refusals reported."""

    _settled = False
    _socket: socket.socket  # the stubs leave it out

    def reset_input_buffer(self) -> None:
        """Not by pyserial's open(): what the server says when it hangs up would be lost."""
        if self._settled:
            super().reset_input_buffer()

    def flush(self) -> None:
        """A bare socket does not report what has left it: gives it time, as closing may drop what is under way."""
        time.sleep(GREETING_S)

    def open(self) -> None:
        self._settled = False
        super().open()
        self._settled = True
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        said = _farewell(self._socket)
        if said is not None:
            self.close()
            raise RefusedError(_words(said))


AnyPort = serial.Serial | Rfc2217Port | SocketPort
PORTS: dict[str, type[Rfc2217Port] | type[SocketPort]] = {"rfc2217": Rfc2217Port, "socket": SocketPort}


def is_remote(port: str) -> bool:
    """Whether a port is a URL of these schemes."""
    return port.partition("://")[0] in PORTS and "://" in port


def sets_baud(port: str) -> bool:
    """Whether a change of the baud rate reaches the port: not over a bare socket, so neither does the 1200-baud touch."""
    return not port.startswith("socket://") and not is_mailbox(port)


def new_port(url: str, baud: int, timeout: float, write_timeout: float) -> AnyPort:
    """A port, not open yet. Raises ValueError for a scheme that pyserial does not know."""
    if not is_remote(url):
        return serial.serial_for_url(url, baudrate=baud, do_not_open=True, timeout=timeout, write_timeout=write_timeout)
    parts = urlsplit(url)
    if not parts.hostname or not parts.port:
        raise ValueError(f"no host and port in {url!r}")
    kind = PORTS[parts.scheme]
    # RFC 2217 ports refuse a write timeout: theirs is that of the socket, 5 s.
    port = kind(None, baudrate=baud, timeout=timeout, write_timeout=write_timeout if kind is SocketPort else None)
    port.port = url
    return port


def _farewell(connection: socket.socket) -> bytes | None:
    """What came before the other side hung up; None: it has not, and what came is dropped as reopening a port does."""
    said, until = b"", time.monotonic() + GREETING_S
    while (left := until - time.monotonic()) > 0:
        if not select.select([connection], [], [], left)[0]:
            return None
        try:
            data = connection.recv(4096)
        except OSError:
            return said
        if not data:
            return said
        said += data
    return None


def _asked_again(host: str, port: int) -> str:
    """Why a server hangs up, by a connection that sends nothing: what it said before may be lost with what it did not read."""
    try:
        with socket.create_connection((host, port), timeout=GREETING_S) as connection:
            return _words(_farewell(connection) or b"")
    except OSError:
        return ""


def _words(said: bytes) -> str:
    """Printable text of it, without Telnet's commands."""
    text = re.sub(rb"\xff(?:[\xfb-\xfe].|.)", b"", said, flags=re.DOTALL).decode("ascii", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]
