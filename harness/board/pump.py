"""Carries bytes between an emulator's stdin and stdout and one TCP port of this machine, where the link finds them.

A connection may end and another come, as a cable is pulled and put in; bytes that come while nobody listens are lost.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading

BLOCK_BYTES = 1 << 16


class Pump:
    """`port` is the URL, `emulator` the end that the emulator gets as both stdin and stdout: reads of it never block. A thread
    carries until `close`."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self._inside, self.emulator = socket.socketpair()
        self.emulator.setblocking(False)
        self._wake, self._woken = socket.socketpair()
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._carry, name="tinyrig-pump", daemon=True)
        self._thread.start()

    def _carry(self) -> None:
        with selectors.DefaultSelector() as ready:
            for one in (self._listener, self._inside, self._woken):
                ready.register(one, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    if key.fileobj is self._woken:
                        return
                    self._serve(key.fileobj, ready)

    def _serve(self, source: object, ready: selectors.BaseSelector) -> None:
        if source is self._listener:
            self._disconnect(ready)
            self._connection = self._listener.accept()[0]
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ready.register(self._connection, selectors.EVENT_READ)
        elif source is self._inside:
            data = self._inside.recv(BLOCK_BYTES)
            if self._connection is not None:
                with contextlib.suppress(OSError):
                    self._connection.sendall(data)
        elif source is self._connection and self._connection is not None:
            data = _received(self._connection)
            with contextlib.suppress(OSError):  # close() came first
                self._inside.sendall(data)
            if not data:
                self._disconnect(ready)

    def _disconnect(self, ready: selectors.BaseSelector) -> None:
        if self._connection is not None:
            ready.unregister(self._connection)
            self._connection.close()
            self._connection = None

    def discard(self) -> None:
        """Drops what an emulator that has ended left unread."""
        with contextlib.suppress(BlockingIOError):
            while self.emulator.recv(BLOCK_BYTES):
                pass

    def close(self) -> None:
        """Ends the thread and the port. The emulator has ended."""
        self._wake.close()
        self.emulator.close()  # the thread may be waiting to hand bytes over
        self._thread.join()
        for one in (self._listener, self._inside, self._woken, self._connection):
            if one is not None:
                one.close()


def _received(connection: socket.socket) -> bytes:
    """Empty at its end, however it ended."""
    try:
        return connection.recv(BLOCK_BYTES)
    except OSError:
        return b""
