"""TIMER1 (PS 6.30) as the sample clock: 1 MHz, 32 bits, capture and compare. `now_us()` is the chip's time."""

from __future__ import annotations

from collections.abc import Callable

from tinyrig.virtual.peripherals import MASK32, Registers

START, CAPTURE, COMPARE, CC, CCS = 0x000, 0x040, 0x140, 0x540, 6
SAMPLE, WAIT = 0, 1
"""Which compare registers firmware/sensors/nrf52840.c uses for what."""


class SampleTimer(Registers):
    """`drop_every`: the event of every Nth sample time comes one period late; `drift_ppm`: by so much it is
    faster than `now_us`. `pass_us(us)`: the chip's time goes on, because the
    program does nothing but wait. Modes other than a 32-bit timer at 1 MHz do nothing."""

    def __init__(
        self, now_us: Callable[[], float], pass_us: Callable[[float], None], drop_every: int = 0, drift_ppm: int = 0
    ) -> None:
        super().__init__()
        self._now_us, self._pass_us, self._drop_every = now_us, pass_us, drop_every
        self._rate = 1 + drift_ppm * 1e-6
        self.reset()

    def reset(self) -> None:
        super().reset()
        self._since: float | None = None
        self._due: dict[int, float] = {}
        self._set, self._last_cc, self._period = 0, 0, 0

    def _count(self) -> float:
        return 0.0 if self._since is None else (self._now_us() - self._since) * self._rate

    @property
    def unset(self) -> bool:
        """Whether no sample time is set."""
        return SAMPLE not in self._due

    def until_sample(self) -> float:
        """Microseconds to the next sample time, 0 when it has come; infinite when there is none."""
        if self.values.get(COMPARE + 4 * SAMPLE) or SAMPLE not in self._due:
            return float("inf")
        return max(0.0, self._due[SAMPLE] - self._count()) / self._rate

    def write(self, offset: int, value: int) -> None:
        if offset == START and value & 1:
            self._since = self._now_us() if self._since is None else self._since
        elif CAPTURE <= offset < CAPTURE + 4 * CCS:
            self.values[CC + offset - CAPTURE] = int(self._count()) & MASK32
        else:
            super().write(offset, value)
            if CC <= offset < CC + 4 * CCS:
                self._arm((offset - CC) // 4, value)

    def _arm(self, n: int, cc: int) -> None:
        count = self._count()
        self._due[n] = int(count) + ((cc - int(count)) & MASK32)
        if n == SAMPLE:
            self._set += 1
            period = (cc - self._last_cc) & MASK32
            if self._drop_every and self._set % self._drop_every == 0 and period == self._period:
                self._due[n] += period
            self._last_cc, self._period = cc, period

    def read(self, offset: int) -> int:
        n = (offset - COMPARE) // 4
        if COMPARE <= offset < COMPARE + 4 * CCS and n in self._due:
            left = self._due[n] - self._count()
            if n == WAIT and left > 0:
                self._pass_us(left / self._rate)
                left = 0
            if left <= 0:
                del self._due[n]
                self.values[offset] = 1
        return super().read(offset)
