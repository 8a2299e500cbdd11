"""A pty whose far end may die at any moment: writing to it never waits for long."""

from __future__ import annotations

import os
import select
import tty

PATIENCE_S = 1.0
"""What nobody takes for so long is lost."""


class Port:
    """A context manager; `name` is what tinyrig opens."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.name = os.ttyname(self._slave)

    def __enter__(self) -> Port:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._slave)
        os.close(self._master)

    def read(self, seconds: float) -> bytes:
        """What comes within so long."""
        ready = select.select([self._master], [], [], seconds)[0]
        return os.read(self._master, 65536) if ready else b""

    def write(self, data: bytes) -> None:
        while data and select.select([], [self._master], [], PATIENCE_S)[1]:
            data = data[os.write(self._master, data) :]
