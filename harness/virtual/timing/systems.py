"""The memory systems of known chips: for each the best guess and the two ends of the band, each parameter with its source.

Sources: [N] 39 assembly programs of NIST's lightweight-cryptography benchmark, measured on an Arduino Nano 33 BLE
(github.com/usnistgov/Lightweight-Cryptography-Benchmarking), fitted with this model; [D] Nordic's nRF5340 product
specification, which documents the same NVMC's cache for its network core; [C] pabigot/nrfcxx, delay_cycles.S: a loop of two
instructions takes 3 cycles a turn or 7 by its place within 16 bytes while the cache is off; [A] table-driven AES of [N], the
same tables in flash and in RAM; [R] ST RM0368, 3.4 and 3.5 (adaptive real-time accelerator). docs/timing.md has the figures.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from hashlib import sha256

from tinyrig.virtual.timing.memory import MemorySystem
from tinyrig.virtual.timing.model import ALL_RULES
from tinyrig.virtual.timing.table import NARROW, WIDE

CORE = "cortex-m4f-2"
"""Raised whenever the algorithm of model.py or memory.py changes: rows and parameters speak for themselves. 1: zero wait states,
the name of which no run keeps."""


@dataclass(frozen=True)
class Fact:
    """Where a parameter of MemorySystem comes from, and how sure it is."""

    parameter: str
    source: str
    uncertainty: str


@dataclass(frozen=True)
class Chip:
    """`default` is the best guess; `low` and `high` are the ends of the band. `checked`: against what silicon, "": none. `rules`:
    see model.block_cost. `spread`: where a board was calibrated, how far estimates were off there, as a share; the band is then
    the estimate less and plus that."""

    name: str
    default: MemorySystem
    low: MemorySystem
    high: MemorySystem
    facts: tuple[Fact, ...] = ()
    checked: str = ""
    rules: int = ALL_RULES
    spread: float = 0.0

    @property
    def systems(self) -> tuple[MemorySystem, ...]:
        """In the order in which they count side by side, the default first; one where there is no band."""
        return (self.default, self.low, self.high) if self.facts else (self.default,)


NO_WAIT = "none"
"""Name of the chip whose memory never waits."""
_NO_WAIT = MemorySystem(0, 1 << 20)
_NRF52840 = MemorySystem(0, 1 << 20, cache_bytes=2048, ways=1, miss=3, miss_next=3, data_line=3, data_again=0)
_ART = MemorySystem(0x08000000, 1 << 19, cache_bytes=1024, ways=64, miss=2, miss_next=0, data_line=2, data_lines=8)

CHIPS: dict[str, Chip] = {
    chip.name: chip
    for chip in (
        Chip(NO_WAIT, _NO_WAIT, _NO_WAIT, _NO_WAIT, rules=0),
        Chip(
            "nrf52840",
            _NRF52840,
            low=replace(_NRF52840, ways=2, data_line=2),
            high=replace(_NRF52840, data_again=3),
            facts=(
                Fact("cache_bytes", "[N] [D]", "error of the fit 14.3 % with 1 KiB, 1.9 % with 2 KiB, 8.9 % with 4 KiB"),
                Fact("line_bytes", "[C]", "follows from where the loop is slow; its 7 cycles uncached are not reproduced"),
                Fact("ways", "[N]", "inferred: error 2.4 % direct-mapped, 4.3 % with 2 ways; the band's low end has 2 ways"),
                Fact("miss", "[N]", "error 4.9 % with 2 cycles, 1.9 % with 3, 3.7 % with 4"),
                Fact("queue", "[N]", "inferred with the others"),
                Fact("data_line", "[A]", "2.8 to 4.0 cycles a read of a new line; the band's low end has 2"),
                Fact("data_again", "[A]", "no program separates it; the band's high end has 3"),
            ),
            checked="303 points of 39 programs: mean -1.7 %, mean absolute 2.4 %, worst -25 % where code conflicts in the cache",
        ),
        Chip(
            "stm32f401",
            _ART,
            low=replace(_ART, miss_next=0, data_line=0),
            high=replace(_ART, miss_next=2, data_lines=1),
            facts=(
                Fact("cache_bytes", "[R]", "documented: 64 lines of 128 bits; how they are replaced is not"),
                Fact("miss", "[R]", "documented: 2 wait states at 84 MHz and 3.3 V"),
                Fact("miss_next", "[R]", "assumes that the prefetch is always in time; the band's high end that it never is"),
                Fact("data_lines", "[R]", "documented: 8 lines of 128 bits"),
                Fact("queue", "as for the nRF52840", "the core's, not the chip's"),
            ),
        ),
    )
}


def model_name(name: str) -> str | None:
    """What estimates with this chip's memory belong to: the core model, the chip, and eight digits of all their numbers. None for
    zero wait states, which stored runs don't name."""
    return None if name == NO_WAIT else named(CHIPS[name])


def named(chip: Chip) -> str:
    """The same of any chip."""
    numbers = repr((NARROW, WIDE, [tuple(asdict(s).values()) for s in chip.systems]))
    return f"{CORE} {chip.name} {sha256(numbers.encode()).hexdigest()[:8]}"
