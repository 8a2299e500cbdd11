"""What the flash and its cache make the core wait: the reference of memory.c, and its stand-in where no host compiler exists.

The core fetches words of 4 bytes ahead of what it executes, one a cycle, into a queue of a few; a word whose line is not in the
instruction cache comes later. An instruction waits until its last word is there. A taken branch empties the queue.
While the cache is off there is one line, the one that was fetched last. Data are read past the cache: the first word of a line
costs more than the others. RAM never waits.
Limits: nothing is fetched while a branch is taken, which matters where the cache is off; waiting for data leaves the instruction
bus idle; what a write to a line means is not modelled (programs here don't write
flash); a read that crosses the border of two lines counts as one of the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

WORDS = 8
"""Fetched words that are remembered, as MEMORY_WORDS of memory.h: more than any queue."""


@dataclass(frozen=True)
class MemorySystem:
    """Sizes in bytes, waits in cycles. struct memory_system of memory.h has the same fields in the same order.

    flash_start, flash_bytes: the addresses that wait at all. line_bytes, cache_bytes, ways: of the instruction cache, powers of
    two (ways excepted); within a set the line used longest ago is replaced. miss: extra cycles of a word whose line has to be
    fetched; miss_next: where it is the line behind the last one missed, less where the flash prefetches. queue: words that the
    core fetches ahead. data_line: extra cycles of a data read from another line than the `data_lines` last ones; data_again:
    from one of them.
    """

    flash_start: int
    flash_bytes: int
    line_bytes: int = 16
    cache_bytes: int = 16
    ways: int = 1
    miss: int = 0
    miss_next: int = 0
    queue: int = 3
    data_line: int = 0
    data_again: int = 0
    data_lines: int = 1

    @property
    def reads_wait(self) -> bool:
        """Whether data reads have to be counted at all."""
        return bool(self.data_line or self.data_again)


class Memory:
    """One memory system at work. `now` counts cycles; the caches are off until `reset(cached=True)`."""

    def __init__(self, system: MemorySystem, moved: Callable[[int], int] = lambda _offset: 0) -> None:
        """`moved`: see layouts.Layout."""
        self.system, self._moved, self._lines = system, moved, 0
        self.now = self.hits = self.misses = 0
        self._bus = 0  # when the instruction bus is free
        self._ready, self._taken = [0] * WORDS, [0] * WORDS
        self.reset(cached=False)

    def reset(self, cached: bool) -> None:
        """Empties everything; time goes on."""
        system = self.system
        self.is_cached = cached
        self._ways = system.ways if cached else 1
        sets = (system.cache_bytes if cached else system.line_bytes) // system.line_bytes // self._ways
        self._sets: list[list[int]] = [[] for _ in range(sets)]
        self._data: list[int] = []
        self._next = self._missed = 0xFFFFFFFF

    def block(self, address: int, steps: tuple[tuple[int, int], ...], extra: int, jumped: bool) -> None:
        """Straight-line code of (cycles, bytes) an instruction. `extra` cycles go before it: those of the branch that `jumped`
        here, or of the pair at the seam."""
        self.now += extra
        if self._in_flash(address):
            self._lines = self._moved(address - self.system.flash_start)
        if not self.system.miss and not self.system.miss_next:
            self.now += _without_waits(address, steps, jumped)
            return
        if jumped:
            self._next, self._bus = address & ~3, max(self._bus, self.now)
            self._taken = [0] * WORDS
        for cycles, size in steps:
            self._execute(address, cycles, size)
            address += size

    def _execute(self, address: int, cycles: int, size: int) -> None:
        last = address + size - 1 & ~3
        while _behind(self._next, last + 1):
            self._fetch()
        self.now = max(self.now, self._ready[last // 4 % WORDS])
        self._taken[address // 4 % WORDS] = self._taken[last // 4 % WORDS] = self.now
        self.now += cycles
        end = (address + size & ~3) + 4 * self.system.queue
        while _behind(self._next, end) and self._bus < self.now:
            self._fetch()

    def _fetch(self) -> None:
        """One word a cycle, as soon as the queue has room."""
        word = self._next // 4
        start = max(self._bus, self._taken[(word - self.system.queue) % WORDS])
        self._ready[word % WORDS] = start + self._wait(self._next)
        self._bus = self._ready[word % WORDS] + 1
        self._next = self._next + 4 & 0xFFFFFFFF

    def _in_flash(self, address: int) -> bool:
        return 0 <= address - self.system.flash_start < self.system.flash_bytes

    def _wait(self, address: int) -> int:
        if not self._in_flash(address):
            return 0
        line = address // self.system.line_bytes
        if _touch(self._sets[(line + self._lines) % len(self._sets)], self._ways, line):
            self.hits += 1
            return 0
        wait = self.system.miss_next if line == self._missed + 1 & 0xFFFFFFFF else self.system.miss
        self._missed = line
        self.misses += 1
        return wait

    def read(self, address: int) -> None:
        """The core reads data there, by an instruction of the last block."""
        if self._in_flash(address):
            again = _touch(self._data, self.system.data_lines, address // self.system.line_bytes)
            self.now += self.system.data_again if again else self.system.data_line


def _without_waits(address: int, steps: tuple[tuple[int, int], ...], jumped: bool) -> int:
    """Arriving at half a word, a wide instruction needs two fetches; nothing else can be late."""
    entry = jumped and bool(steps) and steps[0][1] == 4 and bool(address & 2)
    return sum(cycles for cycles, _ in steps) + int(entry)


def _behind(address: int, end: int) -> bool:
    """Whether `address` comes before `end`, in the 32 bits that addresses have."""
    return 0 < (end - address & 0xFFFFFFFF) < 1 << 31


def _touch(lines: list[int], count: int, line: int) -> bool:
    """Whether `line` is among the `count` last ones; it is the first of them afterwards."""
    found = line in lines
    if found:
        lines.remove(line)
    lines.insert(0, line)
    del lines[count:]
    return found
