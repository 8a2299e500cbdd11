"""TWIM0 with EasyDMA (PS 6.31): an I2C bus with devices. A transfer's data move at its start, its events come at its end.

Simplifications: no suspend, no lists; SHORTS that firmware/sensors uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tinyrig.virtual import chip
from tinyrig.virtual.peripherals import Registers
from tinyrig.virtual.uarte import BusError, DmaAccess

STARTRX, STARTTX, STOP = 0x000, 0x008, 0x014
STOPPED, ERROR, LASTRX, LASTTX = 0x104, 0x124, 0x15C, 0x160
SHORTS, ERRORSRC, ENABLE, FREQUENCY, ADDRESS = 0x200, 0x4C4, 0x500, 0x524, 0x588
RXD_PTR, RXD_MAXCNT, RXD_AMOUNT, TXD_PTR, TXD_MAXCNT, TXD_AMOUNT = 0x534, 0x538, 0x53C, 0x544, 0x548, 0x54C
LASTTX_STARTRX, ENABLED, ANACK = 1 << 7, 6, 1 << 1
HZ_PER_REGISTER = 400_000 / 0x06400000
BITS = 9
"""Of a byte and its acknowledgement."""


class Device(Protocol):
    """Behind an address. Both raise Nack."""

    def write(self, data: bytes) -> None: ...

    def read(self, count: int) -> bytes: ...


class Nack(Exception):
    """Nobody pulls the line low."""


class Bus:
    """Devices by address. `nack_from`, `hold_from`: the number of the transfer, from 1 on, from which on nothing is acknowledged,
    or SDA is held low; 0: never."""

    def __init__(self, devices: dict[int, Device], nack_from: int = 0, hold_from: int = 0) -> None:
        self._devices, self._nack_from, self._hold_from = devices, nack_from, hold_from
        self._transfers = 0

    def begin(self) -> bool:
        """Whether the bus moves at all."""
        self._transfers += 1
        return not 0 < self._hold_from <= self._transfers

    def at(self, address: int) -> Device:
        if 0 < self._nack_from <= self._transfers or address not in self._devices:
            raise Nack
        return self._devices[address]


class Twim(Registers):
    """`now_us()` is the chip's time; `pass_us(us)`: it goes on, because the program waits for the bus; `seen(text)`
    gets each transfer."""

    def __init__(
        self,
        bus: Bus,
        memory: DmaAccess,
        now_us: Callable[[], float],
        pass_us: Callable[[float], None],
        seen: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self._seen = seen
        self._bus, self._memory, self._now_us, self._pass_us = bus, memory, now_us, pass_us
        self._ends: float | None = None
        self._nacked = self._held = False

    @property
    def busy(self) -> bool:
        """Whether a transfer is under way, or its end has not been seen yet."""
        return self._ends is not None

    def reset(self) -> None:
        super().reset()
        self._ends, self._nacked, self._held = None, False, False

    def write(self, offset: int, value: int) -> None:
        if offset in (STARTRX, STARTTX) and value & 1:
            self._start(offset == STARTTX)
        elif offset == STOP and value & 1:
            self._stop()
        elif offset == ERRORSRC:
            self.values[offset] = self.read(offset) & ~value
        else:
            super().write(offset, value)

    def _stop(self) -> None:
        if not self._held:
            self.values[STOPPED] = 1

    def _start(self, writes: bool) -> None:
        if self.values.get(ENABLE) != ENABLED:
            return
        self._held = not self._bus.begin()
        if self._held:
            self._seen("i2c held")
            self._ends = None
            return
        reads = not writes or bool(self.values.get(SHORTS, 0) & LASTTX_STARTRX)
        count = 0
        self._nacked = False
        try:
            device = self._bus.at(self.values.get(ADDRESS, 0))
            count = self._move(device, writes, reads)
        except Nack:
            self._nacked = True
            self._seen(f"i2c {self.values.get(ADDRESS, 0):02x} nack")
        bits = BITS * (count + writes + reads) + 3  # start, repeated start, stop
        self._ends = self._now_us() + bits * 1e6 / (self.values.get(FREQUENCY, 0x04000000) * HZ_PER_REGISTER)

    def _move(self, device: Device, writes: bool, reads: bool) -> int:
        out = self.values.get(TXD_MAXCNT, 0) if writes else 0
        into = self.values.get(RXD_MAXCNT, 0) if reads else 0
        sent = self._memory.read(self._ram(self.values.get(TXD_PTR, 0), out), out) if writes else b""
        received = b""
        if writes:
            device.write(sent)
        if reads:
            received = device.read(into)
            self._memory.write(self._ram(self.values.get(RXD_PTR, 0), into), received)
        self._seen(f"i2c {self.values.get(ADDRESS, 0):02x} {sent.hex() or '-'} {received.hex() or '-'}")
        self.values[TXD_AMOUNT], self.values[RXD_AMOUNT] = out, into
        return out + into

    def _ram(self, start: int, count: int) -> int:
        if count and not chip.RAM_BASE <= start <= chip.RAM_BASE + chip.RAM_BYTES - count:
            raise BusError(f"EasyDMA of {count} bytes at 0x{start:08X}: it reaches RAM only")
        return start

    def read(self, offset: int) -> int:
        if offset == STOPPED and self._ends is not None:
            left = self._ends - self._now_us()
            if left > 0:
                self._pass_us(left)
            self._finish()
        elif offset == ERROR and self._ends is not None and self._ends <= self._now_us():
            self._finish()
        return super().read(offset)

    def _finish(self) -> None:
        self._ends = None
        if self._nacked:
            self.values[ERROR] = 1
            self.values[ERRORSRC] = ANACK
        else:
            self.values[STOPPED] = 1
