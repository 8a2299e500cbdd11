"""The mailbox in a board's RAM, as firmware/port/cortexm/mailbox.h lays it out: a ring to the board and one from it.

Nothing is remembered between two calls but where it lies: the board may be reset at any moment, and then everything in it is 0
until its program runs again. What is lost meanwhile the wire protocol asks for again.
"""

from __future__ import annotations

import struct

from tinyrig.mailbox.memory import Memory

MAGIC = b"tinyrig1"
VECTOR = 8
"""Of the vector table: the mailbox's address."""
HEADER = struct.Struct("<8s6I")
"""magic, size, down_in, down_out, up_in, up_out, reserved."""
DOWN_IN, UP_OUT = 12, 24
"""Offsets of the indices that the host writes."""
MOST_BYTES = 1 << 16
_MASK = 0xFFFF_FFFF


class Rings:
    """`table`: the address of the vector table, where an image begins."""

    def __init__(self, memory: Memory, table: int) -> None:
        self._memory, self._table = memory, table

    def take(self) -> bytes | None:
        """What the board has sent; None where no mailbox is found: no program of ours runs, or not yet. Raises OSError."""
        with self._memory.access():
            found = self._find()
            if found is None:
                return None
            at, size, _, _, up_in, up_out = found
            there = (up_in - up_out) & _MASK
            if not there or there > size:  # more than fits: it was reset between two reads
                return b""
            data = self._read_ring(at + HEADER.size + size, size, up_out, there)
            self._memory.write(at + UP_OUT, struct.pack("<I", up_in))
            return data

    def give(self, data: bytes) -> int:
        """How many bytes of `data` the board's ring took; 0 also where no mailbox is found. Raises OSError."""
        with self._memory.access():
            found = self._find()
            if found is None:
                return 0
            at, size, down_in, down_out, _, _ = found
            room = size - ((down_in - down_out) & _MASK)
            piece = data[: max(0, room)]
            if piece:
                start = down_in % size
                first = piece[: size - start]
                self._memory.write(at + HEADER.size + start, first)
                if len(first) < len(piece):
                    self._memory.write(at + HEADER.size, piece[len(first) :])
                self._memory.write(at + DOWN_IN, struct.pack("<I", (down_in + len(piece)) & _MASK))
            return len(piece)

    def drop(self) -> None:
        """Forgets what the board has sent to somebody else."""
        while self.take():
            pass

    def _find(self) -> tuple[int, int, int, int, int, int] | None:
        at = int.from_bytes(self._memory.read(self._table + 4 * VECTOR, 4), "little")
        if at in (0, _MASK) or at % 4:
            return None
        try:
            magic, size, down_in, down_out, up_in, up_out, _ = HEADER.unpack(self._memory.read(at, HEADER.size))
        except PermissionError:  # another program's vector leads anywhere
            return None
        fits = magic == MAGIC and 0 < size <= MOST_BYTES
        return (at, size, down_in, down_out, up_in, up_out) if fits else None

    def _read_ring(self, base: int, size: int, index: int, count: int) -> bytes:
        start = index % size
        first = self._memory.read(base + start, min(count, size - start))
        return first if len(first) == count else first + self._memory.read(base, count - len(first))
