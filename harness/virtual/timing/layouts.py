"""Other layouts of the same code, for what it owes to the places that the linker gave its functions: lines of a small cache
displace each other by their addresses.

A layout here has as many cache lines of padding behind each function of the image. Nothing is linked again: the
memory system looks for each line where it would stand then. Reads of data don't depend on it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tinyrig.virtual.timing.memory import MemorySystem

EIGHTHS = (4, 2, 3)
"""Padding behind each function, in eighths of a way of the cache: half of it moves neighbours apart, the others also functions
that are two and four apart."""
_WORD = 4


@dataclass(frozen=True)
class Layout:
    """Function n lies n * `stride` cache lines further on. `order` has n of each word of the flash, uint16."""

    order: array[int]
    stride: int

    def moved(self, offset: int) -> int:
        """Lines by which the code at `offset` bytes from the flash's start lies further on."""
        return self.order[offset // _WORD] * self.stride


def layouts(starts: Sequence[int], system: MemorySystem) -> tuple[Layout, ...]:
    """`starts`: addresses of the functions. Empty where the cache is too small to tell."""
    ordered = sorted(s - system.flash_start for s in set(starts) if 0 <= s - system.flash_start < system.flash_bytes)
    sets = system.cache_bytes // system.line_bytes // system.ways
    if not ordered or sets < 8:
        return ()
    order = _order(ordered, system.flash_bytes)
    return tuple(Layout(order, sets * eighths // 8) for eighths in EIGHTHS)


def _order(ordered: Sequence[int], flash_bytes: int) -> array[int]:
    found = array("H")
    borders = [0, *(start // _WORD for start in ordered), flash_bytes // _WORD]
    for number, (begin, end) in enumerate(pairwise(borders)):
        found.extend([number & 0xFFFF] * (end - begin))
    return found


def functions(elf: Path) -> tuple[int, ...]:
    """Addresses of the functions of an image, ascending; none where it can't be read."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    try:
        with elf.open("rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            symbols = list(table.iter_symbols()) if isinstance(table, SymbolTableSection) else []
    except (OSError, ELFError):
        return ()
    known = [s for s in symbols if s["st_info"]["type"] == "STT_FUNC" and s["st_shndx"] != "SHN_UNDEF"]
    found = {int(s["st_value"]) & ~1 for s in known}
    return tuple(sorted(found))
