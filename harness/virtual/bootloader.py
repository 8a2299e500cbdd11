"""A model of the Nano 33 BLE's bootloader: SAM-BA with Arduino's extensions, version 2.0.

A command is a letter, hex arguments separated by a comma, and `#`. Addresses of X, Y, Z and R count from the start of the
image (flash 0x10000); those of S from the start of RAM. Facts checked against Arduino's own uploader.

    N#             no terminal: replies are not for people -> \\n\\r
    V# I#          version and capabilities; chip
    X<from>#       erases from there to the end of the flash -> X\\n\\r
    S<ram>,<n>#    then n bytes: into the RAM buffer
    Y<ram>,0#      source of the next write -> Y\\n\\r;   Y<to>,<n># writes n bytes there -> Y\\n\\r
    Z<from>,<n>#   -> Z<CRC-16/XMODEM as eight hex digits>#\\n\\r
    R<from>,<n>#   -> n bytes
    W<to>,<word>#  writes a word to RAM;   w<from>,4# -> four bytes
    K#             resets: the image starts
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Callable

from tinyrig.virtual import chip
from tinyrig.virtual.faults import Fault
from tinyrig.virtual.line import SerialLine
from tinyrig.virtual.line_faults import LineFault

VERSION = b"Arduino Bootloader (SAM-BA extended) 2.0 [Arduino:IKXYZ]"
CHIP = b"nRF52840-QIAA"
END = b"\n\r"
COMMAND_LIMIT = 64
"""Longer "commands" are noise: only their tail is kept."""
RAM_MASK = chip.RAM_BYTES - 1
POLL_S = 0.05
DATA_TIMEOUT_S = 2.0


STAGES = {b"V": "identify", b"X": "erase", b"Z": "verify"}
"""What a command is for, in the names of faults; a job's writes are counted by themselves."""


class _PowerFailure(Exception):
    """The fault `brown-out`."""


class Bootloader:
    """`serve()` talks until `K`, until `reset_wanted()`, or until a fault ends it."""

    def __init__(
        self, line: SerialLine, flash: memoryview, faults: tuple[Fault | LineFault, ...], reset_wanted: Callable[[], bool]
    ) -> None:
        self._line, self._flash, self._reset_wanted = line, flash, reset_wanted
        self._bad_writes = tuple(f.argument for f in faults if isinstance(f, Fault) and f.name == "flash-bad-write")
        self._faults = {f.name: f.argument for f in faults if isinstance(f, Fault)}
        self._entered = self._orders = self._writes = 0  # since the virtual board was started
        self._asked = {stage: 0 for stage in STAGES.values()}
        self.alive = False
        """Whether it answers: a dead one can still be asked for by the 1200-baud touch."""
        self._ram = bytearray(chip.RAM_BYTES)
        self._source = 0
        self._pending = bytearray()
        self._commands: dict[bytes, Callable[[list[int]], bytes]] = {
            b"N": lambda _: END,
            b"V": lambda _: VERSION + END,
            b"I": lambda _: CHIP + END,
            b"X": self._erase,
            b"S": self._load,
            b"Y": self._write,
            b"Z": self._crc,
            b"R": self._read,
            b"W": self._store_word,
            b"w": self._read_word,
        }

    def serve(self) -> None:
        """Until the host asks for the reset, or the power fails."""
        self._entered += 1
        dead = self._faults.get("boot-dead")
        self.alive = dead is None or 0 < dead < self._entered
        self._pending[:] = self._line.take_over()
        while not self._reset_wanted() and self._serve_one():
            pass
        self.alive = False
        self._line.give_back(bytes(self._pending))

    def _serve_one(self) -> bool:
        """False: the board resets."""
        if not self.alive:
            self._pending.clear()
            self._line.read_raw(4096, POLL_S)
            return True
        letter, arguments = _parse(self._command())
        if letter == b"K":
            return "boot-stay" in self._faults
        if letter in self._commands:
            try:
                self._line.write_raw(self._answer(letter, arguments))
            except _PowerFailure:
                self._ram[:] = bytes(len(self._ram))
                self._pending.clear()
                return False
        return True

    def _answer(self, letter: bytes, arguments: list[int]) -> bytes:
        """The reply, unless a fault of this stage comes between."""
        if letter in STAGES:
            stage = STAGES[letter]
            self._asked[stage] += 1
            if self._faults.get(f"unplug-{stage}") == self._asked[stage]:
                os._exit(0)
            if self._faults.get(f"boot-refuse-{stage}", -1) in (0, self._asked[stage]):
                return b"E" + END
            if self._faults.get(f"boot-silent-{stage}") == self._asked[stage]:
                self.alive = False
                return b""
        return self._order(letter, arguments) if letter in b"XY" else self._commands[letter](arguments)

    def _order(self, letter: bytes, arguments: list[int]) -> bytes:
        """Erase or write, unless a fault comes between."""
        self._orders += 1
        if self._faults.get("boot-refuse", -1) in (0, self._orders):
            return b"E" + END
        if self._faults.get("boot-silent") == self._orders:
            self.alive = False
            return b""
        return self._commands[letter](arguments)

    def _command(self) -> bytes:
        """The text before the next `#`, or b"" if there is none yet."""
        if b"#" not in self._pending:
            self._pending += self._line.read_raw(4096, POLL_S)
        text, mark, rest = bytes(self._pending).partition(b"#")
        if not mark:
            del self._pending[:-COMMAND_LIMIT]
            return b""
        self._pending[:] = rest
        return text

    def _bytes(self, count: int) -> bytes:
        while len(self._pending) < count:
            more = self._line.read_raw(count - len(self._pending), DATA_TIMEOUT_S)
            if not more:
                break
            self._pending += more
        data = bytes(self._pending[:count])
        del self._pending[:count]
        return data

    def _erase(self, arguments: list[int]) -> bytes:
        start = min(chip.IMAGE_BASE + arguments[0], chip.FLASH_BYTES)
        self._flash[start:] = b"\xff" * (chip.FLASH_BYTES - start)
        return b"X" + END

    def _load(self, arguments: list[int]) -> bytes:
        to, count = arguments[0] & RAM_MASK, arguments[1]
        data = self._bytes(count)[: chip.RAM_BYTES - to]
        self._ram[to : to + len(data)] = data
        return b""

    def _write(self, arguments: list[int]) -> bytes:
        if arguments[1] == 0:
            self._source = arguments[0] & RAM_MASK
            return b"Y" + END
        self._writes += 1
        if self._faults.get("unplug") == self._writes:
            os._exit(0)
        if self._faults.get("brown-out") == self._writes:
            self._program(arguments[0], arguments[1] // 8 * 4)
            raise _PowerFailure
        self._program(arguments[0], arguments[1])
        return b"Y" + END

    def _program(self, offset: int, count: int) -> None:
        start = chip.IMAGE_BASE + offset
        data = bytes(self._ram[self._source : self._source + min(count, max(chip.FLASH_BYTES - start, 0))])
        before = self._flash[start : start + len(data)]
        # NOR flash: a write only clears bits
        self._flash[start : start + len(data)] = bytes(a & b for a, b in zip(before, data, strict=True))
        for address in self._bad_writes:
            if start <= address < start + len(data):
                self._flash[address] ^= 1

    def _span(self, arguments: list[int]) -> bytes:
        start = chip.IMAGE_BASE + arguments[0]
        return bytes(self._flash[start : start + arguments[1]])

    def _crc(self, arguments: list[int]) -> bytes:
        return b"Z%08X#" % binascii.crc_hqx(self._span(arguments), 0) + END

    def _read(self, arguments: list[int]) -> bytes:
        return self._span(arguments)

    def _store_word(self, arguments: list[int]) -> bytes:
        to = arguments[0] & RAM_MASK & ~3
        self._ram[to : to + 4] = (arguments[1] & 0xFFFFFFFF).to_bytes(4, "little")
        return b""

    def _read_word(self, arguments: list[int]) -> bytes:
        at = arguments[0] & RAM_MASK & ~3
        return bytes(self._ram[at : at + 4])


def _parse(text: bytes) -> tuple[bytes, list[int]]:
    """(letter, arguments: always at least two, missing ones 0). What stands before the last letter that is no hex digit
    is ignored, as by the real monitor, which reads byte by byte."""
    head = text.rstrip(b"0123456789abcdefABCDEF,")
    numbers = [int(part, 16) for part in text[len(head) :].split(b",") if part]
    return head[-1:], [*numbers, 0, 0]
