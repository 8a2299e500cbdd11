"""A call in a child process that may take so much more memory and no more: what needs more ends with MemoryError there."""

from __future__ import annotations

from collections.abc import Callable

from tinyrig.core.errors import UserError
from tinyrig.host.isolated import Child, limit_memory

ROOM = 700 << 20
"""Address space beyond what the tests' process has: with an interpreter and its libraries, 200 MB, under 1 GB in all."""


class _Calls:
    def __init__(self, action: Callable[[], object]) -> None:
        limit_memory(ROOM)
        self._action = action

    def result(self) -> tuple[bool, str]:
        try:
            return True, str(self._action())
        except UserError as error:
            return False, str(error)


def limited(action: Callable[[], object]) -> tuple[bool, str]:
    """-> whether it gave a value; that in words, or those of its UserError. Raises ChildFailed for any other end."""
    child = Child(lambda: _Calls(action), timeout_s=120)
    try:
        return tuple(child.call("result"))
    finally:
        child.close()
