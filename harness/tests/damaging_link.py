"""Links that damage what passes: the faults that a test wants at a certain frame. Random ones are the virtual board's."""

from __future__ import annotations

from collections.abc import Callable

from tinyrig.link import wire
from tinyrig.link.serial_link import Link

Damage = Callable[[bytes], bytes]


class DamagingLink:
    """A Link whose nth write or read (counted from 0, since `plan` was set) is passed through a function."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.url = link.url
        self.close = link.close
        self.plan({}, {})

    def plan(self, writes: dict[int, Damage], reads: dict[int, Damage]) -> None:
        self._writes, self._reads = dict(writes), dict(reads)
        self._written = self._read = 0

    def write(self, data: bytes) -> None:
        damage = self._writes.get(self._written, bytes)
        self._written += 1
        self._link.write(damage(data))

    def read(self, n: int, timeout: float) -> bytes:
        # Only what came is counted: otherwise a timeout would use up the damage meant for a reply.
        data = self._link.read(n, min(timeout, 0.3))
        if not data:
            return data
        damage = self._reads.get(self._read, bytes)
        self._read += 1
        return damage(data)


def flip(at: int) -> Damage:
    return lambda data: bytes(b ^ (0x10 if i == at % len(data) else 0) for i, b in enumerate(data))


def lose(at: int) -> Damage:
    return lambda data: data[: at % len(data)] + data[at % len(data) + 1 :]


def lose_all(data: bytes) -> bytes:
    return b""


def insert(at: int) -> Damage:
    return lambda data: data[: at % len(data)] + b"T" + data[at % len(data) :]


def sequence(frame: bytes) -> int:
    return int.from_bytes(frame[4:6], "little")


def encoded(kind: wire.Type, number: int, payload: bytes) -> bytes:
    return wire.encode(wire.Frame(kind, number & 0xFFFF, payload))


class RewritingLink:
    """A Link whose replies pass through `rewrite(frame)`, which gives the bytes that arrive instead."""

    def __init__(self, link: Link, rewrite: Callable[[wire.Frame], bytes] = wire.encode) -> None:
        self._link, self.rewrite = link, rewrite
        self.url, self.close, self.write = link.url, link.close, link.write
        self._waiting = b""

    def read(self, n: int, timeout: float) -> bytes:
        if not self._waiting:
            head = self._link.read(wire.HEADER_BYTES, timeout)
            if len(head) < wire.HEADER_BYTES:
                return head
            header = wire.decode_header(head)
            self._waiting = self.rewrite(wire.decode_rest(header, self._link.read(header.rest_bytes, 1.0)))
        data, self._waiting = self._waiting[:n], self._waiting[n:]
        return data
