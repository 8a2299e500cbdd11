"""Emulators that are programs of their own. An image is put in place by starting one again; its bytes stay behind one TCP port of
this machine all the while, where the link finds them.

A connection may end and another come, as a cable is pulled and put in; bytes that come while nobody listens are lost.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import HostError, InfraError
from tinyrig.host.forked import died_of

BLOCK_BYTES = 1 << 16
STOP_TIMEOUT_S = 5.0


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


class Emulator:
    """A board without an image yet in an emulator that is a program of its own: `load` starts it. `port` is the URL of its line,
    the same after each `load`.

    It ends with `close()` or, where util-linux has setpriv, with this process.
    """

    title = ""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._folder = tempfile.TemporaryDirectory(prefix="tinyrig-emulator-")
        self._pump = Pump()
        self.port = self._pump.port

    def command(self, image: Path, base: int) -> Sequence[str]:
        """What starts it with the image in this file, which belongs to address `base`."""
        raise NotImplementedError

    def load(self, image_bin: bytes, base: int, deadline: Deadline) -> None:
        """Starts the machine with `image_bin` at address `base`; whatever ran before is gone. Raises HostError."""
        deadline.check(f"before starting {self.title}", HostError)
        self._stop()
        file = Path(self._folder.name) / "firmware.bin"
        file.write_bytes(image_bin)
        self._pump.discard()
        words = [*self.command(file, base)]
        setpriv = shutil.which("setpriv")
        self._process = subprocess.Popen(
            [setpriv, "--pdeathsig", "KILL", *words] if setpriv else words,
            stdin=self._pump.emulator.fileno(),
            stdout=self._pump.emulator.fileno(),
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C reaches this process only, which then ends it
        )

    def check(self) -> None:
        """Raises InfraError, with what the emulator said, if its process has ended."""
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            how = died_of(code) or f"exit code {code}"
            raise InfraError(f"{self.title} ended", received=f"{how}, stderr: {self._said() or 'empty'}")

    def injected(self) -> dict[str, int]:
        """No faults can be injected here."""
        return {}

    def _said(self) -> str:
        return os.pread(self._errors.fileno(), 4000, 0).decode(errors="replace").strip()

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Ends the process; more than once is fine."""
        self._stop()
        self._pump.close()
        self._errors.close()
        self._folder.cleanup()
