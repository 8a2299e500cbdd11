"""Firmware files -> what lies where in the flash."""

from __future__ import annotations

from pathlib import Path

from tinyrig.core.errors import UserError
from tinyrig.virtual import chip

ELF_MAGIC = b"\x7fELF"


def load_image(path: Path) -> tuple[tuple[int, bytes], ...]:
    """An ELF (segments at their load addresses) or a raw .bin (at 0x10000) as (address, bytes) pieces. Raises UserError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"image {path} can't be read", received=str(error)) from error
    pieces = _segments(path) if data.startswith(ELF_MAGIC) else ((chip.IMAGE_BASE, data),)
    for address, piece in pieces:
        if not chip.IMAGE_BASE <= address <= chip.FLASH_BYTES - len(piece):
            raise UserError(
                f"image {path.name} does not fit the board",
                expected=f"all bytes within flash 0x{chip.IMAGE_BASE:X} to 0x{chip.FLASH_BYTES:X}",
                received=f"{len(piece)} bytes at 0x{address:X}",
                remedy="link it for the Nano 33 BLE (flash from 0x10000)",
            )
    return pieces


def in_ram(elf: Path) -> tuple[tuple[int, bytes], ...]:
    """What the start-up copies from flash to RAM: (address, bytes)."""
    return tuple((address, data) for _, address, data in _loaded(elf) if address >= chip.RAM_BASE)


def _segments(path: Path) -> tuple[tuple[int, bytes], ...]:
    return tuple((load_address, data) for load_address, _, data in _loaded(path))


def _loaded(path: Path) -> tuple[tuple[int, int, bytes], ...]:
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        return tuple(
            (segment["p_paddr"], segment["p_vaddr"], segment.data())
            for segment in ELFFile(file).iter_segments()
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
        )
