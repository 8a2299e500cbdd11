"""Memory of a board that is read and written from outside."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Memory(Protocol):
    """Raises OSError where the board or what reaches it is gone."""

    def access(self) -> AbstractContextManager[object]:
        """Reads and writes are made within one: it may stop the processor."""

    def read(self, address: int, count: int) -> bytes: ...

    def write(self, address: int, data: bytes) -> None: ...

    def close(self) -> None: ...
