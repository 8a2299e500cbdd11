"""SAADC with EasyDMA (PS 6.23): one scan of the enabled inputs. `volts(input)` is what lies at AIN0 to AIN7."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyrig.virtual.peripherals import Registers
from tinyrig.virtual.uarte import DmaAccess

START, SAMPLE, STARTED, END = 0x000, 0x004, 0x100, 0x104
ENABLE, PSELP, CONFIG, RESOLUTION, PTR, MAXCNT, AMOUNT = 0x500, 0x510, 0x518, 0x5F0, 0x62C, 0x630, 0x634
CHANNELS = 8
SUPPLY_V = 3.3
US_EACH = 42.0
"""40 us of acquisition and 2 us of conversion."""


class Saadc(Registers):
    """Full scale is the supply (gain 1/4, reference VDD/4), whatever CONFIG says: firmware/sensors sets no other. `seen(text)`
    gets each scan: PSELP and CONFIG of its inputs, RESOLUTION, counts."""

    def __init__(
        self,
        volts: Callable[[int], float],
        memory: DmaAccess,
        now_us: Callable[[], float],
        seen: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self._seen = seen
        self._volts, self._memory, self._now_us = volts, memory, now_us
        self._ends: float | None = None

    @property
    def busy(self) -> bool:
        """Whether a transfer is under way, or its end has not been seen yet."""
        return self._ends is not None

    def reset(self) -> None:
        super().reset()
        self._ends = None

    def write(self, offset: int, value: int) -> None:
        if offset == START and value & 1 and self.values.get(ENABLE) == 1:
            self.values[STARTED] = 1
        elif offset == SAMPLE and value & 1 and self.values.get(STARTED):
            self._sample()
        else:
            super().write(offset, value)

    def _sample(self) -> None:
        inputs = [pin - 1 for n in range(CHANNELS) if (pin := self.values.get(PSELP + 16 * n, 0))]
        full = 1 << (8 + 2 * self.values.get(RESOLUTION, 0))
        counts = [min(full - 1, max(0, round(self._volts(i) / SUPPLY_V * full))) for i in inputs]
        counts = counts[: self.values.get(MAXCNT, 0)]
        self._memory.write(self.values.get(PTR, 0), np.array(counts, "<i2").tobytes())
        self.values[AMOUNT] = len(counts)
        used = [n for n in range(CHANNELS) if self.values.get(PSELP + 16 * n, 0)]
        settings = ",".join(f"{self.values[PSELP + 16 * n]}:{self.values.get(CONFIG + 16 * n, 0):08x}" for n in used)
        self._seen(f"adc {settings} {self.values.get(RESOLUTION, 0)} {','.join(map(str, counts)) or '-'}")
        self._ends = self._now_us() + US_EACH * len(inputs)

    def read(self, offset: int) -> int:
        if offset == END and self._ends is not None and self._now_us() >= self._ends:
            self._ends = None
            self.values[END] = 1
        return super().read(offset)
